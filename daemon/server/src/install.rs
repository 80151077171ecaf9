//! The installation of new sites: the daemon packages that were installed with the server, and a script.
//!
//! A minimal Debian has neither curl nor OpenSSL, but it has apt, which downloads a file of a known digest. Trust is
//! therefore based on digests: the command line that an operator is shown over a trusted connection contains the digest
//! of the script, and the script contains the digests of the packages. The server's name and certificate are not
//! checked, and anything modified in transit is not run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::server_url::ServerUrl;
use data_encoding::HEXLOWER;
use linecamp_model::{JoinTarget, shell_quoted};
use linecamp_transport::error_chain;
use sha2::{Digest as _, Sha256};

/// The script, with `@…@` placeholders for what is known only when the server starts.
const SCRIPT: &str = include_str!("install.sh");

/// The directory where the server's package installs the daemon's packages.
pub(crate) const PACKAGES_DEFAULT: &str = "/usr/share/linecamp-server/site";

/// Maximum number of packages offered: one for each existing architecture. Further ones in the directory are ignored.
const PACKAGES_MAX: usize = 16;

/// The prefix of a package's file name: the daemon of the server's own version, for one architecture.
const PREFIX: &str = concat!("linecampd_", env!("CARGO_PKG_VERSION"), "_");
const SUFFIX: &str = ".deb";

/// A package of the daemon.
#[derive(Clone, Debug)]
pub(crate) struct SitePackage {
    /// The file name.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// SHA-256, in hexadecimal.
    digest: String,
}

/// The packages available for installing new sites.
#[derive(Clone, Debug, Default)]
pub(crate) struct SitePackages(Vec<SitePackage>);

impl SitePackages {
    /// Finds the packages in `directory`. A server that was not installed from a package has none and offers no
    /// installation.
    pub(crate) fn find(directory: &Path) -> Self {
        match read(directory) {
            Ok(packages) => Self(packages),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(error) => {
                tracing::warn!(directory = %directory.display(), error = %error_chain(&error), "cannot read the packages for new sites; no installation is offered");
                Self::default()
            }
        }
    }

    /// Returns all packages.
    pub(crate) fn all(&self) -> &[SitePackage] {
        &self.0
    }

    /// Returns the script that installs a site of the server at `url`; `None` if there are no packages.
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

    /// Returns the command line that installs a site, or a host of the site `host_of`; `None` if there are no packages.
    pub(crate) fn line(&self, url: &ServerUrl, target: &JoinTarget, host_of: Option<&str>) -> Option<String> {
        let digest = digest(self.script(url)?.as_bytes());
        let servers: Vec<_> = target.servers.iter().map(ToString::to_string).collect();
        let join = format!("{}@{}", target.token.reveal(), servers.join(","));
        let script = shell_quoted(format!("{url}/install"));
        let join = shell_quoted(join);
        let arguments = host_of.map_or_else(String::new, |site| format!(" --host --site {}", shell_quoted(site)));
        // A private directory, because the script trusts the files beside it, and anyone may create files in /tmp.
        // `echo` is a shell builtin, so the token is in no process's arguments.
        Some(format!(
            "d=$(mktemp -d) && /usr/lib/apt/apt-helper -qq -o APT::Sandbox::User=root -o Acquire::https::Verify-Peer=false \
             -o Acquire::https::Verify-Host=false download-file {script} $d/install SHA256:{digest} && \
             echo {join} | sh $d/install{arguments}"
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
            io::copy(&mut linecamp_files::open(&entry.path())?, &mut Hashing(&mut hash))?;
            packages.push(SitePackage { name, path: entry.path(), digest: HEXLOWER.encode(&hash.finalize()) });
        }
    }
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(packages)
}

/// Returns whether a text can be inserted into the script unescaped.
fn is_architecture(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn digest(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// A writer that only updates a hash.
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
mod tests;
