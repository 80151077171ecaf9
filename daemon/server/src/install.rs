//! What new sites are installed with: the daemon's packages that were installed beside the server, and a script.
//!
//! A bare Debian has neither curl nor OpenSSL, but apt, which fetches what has a known digest. So trust goes by digest:
//! the line that an operator is shown, over a connection he trusts, has the script's; the script has those of the
//! packages. The server's name and certificate have no part in it, and what was changed on the way is not run.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use linecamp_model::JoinTarget;
use sha2::{Digest as _, Sha256};

use crate::config::ServerUrl;
use crate::error::describe;

/// The script, with words in `@` for what is known at the server's start only.
const SCRIPT: &str = include_str!("install.sh");

/// Where the server's own package puts the daemon's.
pub(crate) const PACKAGES_DEFAULT: &str = "/usr/share/linecamp-server/site";

/// Packages that are offered: one for each of the architectures there are. More in the directory are left alone.
const PACKAGES_MAX: usize = 16;

/// How a package's file is called: the daemon's of our own version, for one architecture.
const PREFIX: &str = concat!("linecampd_", env!("CARGO_PKG_VERSION"), "_");
const SUFFIX: &str = ".deb";

/// One of the daemon's packages.
#[derive(Clone, Debug)]
pub(crate) struct SitePackage {
    /// Its file's name.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// SHA-256, in hexadecimal digits.
    digest: String,
}

/// The packages that new sites can be installed with.
#[derive(Clone, Debug, Default)]
pub(crate) struct SitePackages(Vec<SitePackage>);

impl SitePackages {
    /// Looks what there is. A server that was not installed from a package has none, and offers no installation.
    pub(crate) fn find(directory: &Path) -> Self {
        match read(directory) {
            Ok(packages) => Self(packages),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(error) => {
                tracing::warn!(directory = %directory.display(), error = %describe(&error), "no packages for new sites");
                Self::default()
            }
        }
    }

    /// Returns all of them.
    pub(crate) fn all(&self) -> &[SitePackage] {
        &self.0
    }

    /// Returns the script that installs a site of the server at `url`; `None` without a package.
    pub(crate) fn script(&self, url: &ServerUrl) -> Option<String> {
        let arm = |package: &SitePackage| {
            let arch = package.name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
            Some(format!("    {arch}) echo {} {} ;;", package.name, package.digest))
        };
        let arms: Vec<_> = self.0.iter().filter_map(arm).collect();
        let script = || {
            let script = SCRIPT.replace("@URL@", &url.to_string()).replace("@VERSION@", env!("CARGO_PKG_VERSION"));
            script.replace("@PACKAGES@", &arms.join("\n"))
        };
        (!arms.is_empty()).then(script)
    }

    /// Returns the one line that installs a site; `None` without a package.
    pub(crate) fn line(&self, url: &ServerUrl, target: &JoinTarget) -> Option<String> {
        let digest = digest(self.script(url)?.as_bytes());
        let servers: Vec<_> = target.servers.iter().map(ToString::to_string).collect();
        let join = format!("{}@{}", target.token.reveal(), servers.join(","));
        // A directory of its own, because the script believes what lies beside it, and anybody may put a file in /tmp.
        // `echo` is the shell's own, so the token is in nobody's arguments.
        Some(format!(
            "d=$(mktemp -d) && /usr/lib/apt/apt-helper -qq -o APT::Sandbox::User=root -o Acquire::https::Verify-Peer=false \
             -o Acquire::https::Verify-Host=false download-file {url}/install $d/install SHA256:{digest} && \
             echo '{join}' | sh $d/install"
        ))
    }
}

fn read(directory: &Path) -> io::Result<Vec<SitePackage>> {
    let mut packages = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_ours = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX)).is_some_and(is_architecture);
        if is_ours && packages.len() < PACKAGES_MAX {
            let mut hash = Sha256::new();
            io::copy(&mut File::open(entry.path())?, &mut Hashing(&mut hash))?;
            packages.push(SitePackage { name, path: entry.path(), digest: HEXLOWER.encode(&hash.finalize()) });
        }
    }
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(packages)
}

/// Whether a text can stand in the script as it is.
fn is_architecture(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn digest(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// A writer that keeps nothing but the digest.
struct Hashing<'a>(&'a mut Sha256);

impl io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_daemons_packages_of_our_own_version_are_offered() {
        let directory = tempfile::tempdir().unwrap();
        let arm = format!("{PREFIX}arm64.deb");
        for name in [&arm, "linecampd_0.0.1_amd64.deb", "README", &format!("{PREFIX}a';b.deb")] {
            fs::write(directory.path().join(name), "x").unwrap();
        }
        let packages = SitePackages::find(directory.path());
        let names: Vec<_> = packages.all().iter().map(|package| &package.name).collect();
        assert_eq!(names, [&arm]);
        let script = packages.script(&ServerUrl::parse("https://camp.example:8443").unwrap()).unwrap();
        assert!(script.contains(&format!("    arm64) echo {arm} {} ;;", digest(b"x"))), "{script}");
        assert!(!script.contains('@') || !script.contains("@URL@"), "{script}");
    }

    #[test]
    fn without_packages_there_is_no_script() {
        let url = ServerUrl::parse("https://camp.example:8443").unwrap();
        assert!(SitePackages::find(Path::new("/nowhere/at-all")).script(&url).is_none());
    }
}
