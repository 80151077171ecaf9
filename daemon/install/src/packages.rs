//! The daemon's packages in a directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

/// Maximum number of packages offered: one for each existing architecture. Further ones in the directory are ignored.
const PACKAGES_MAX: usize = 16;

/// The prefix of a package's file name: the daemon of this program's own version, for one architecture.
pub(crate) const PREFIX: &str = concat!("linecampd_", env!("CARGO_PKG_VERSION"), "_");
const SUFFIX: &str = ".deb";

/// A package of the daemon.
#[derive(Clone, Debug)]
pub struct DaemonPackage {
    name: String,
    path: PathBuf,
    /// SHA-256, in hexadecimal.
    digest: String,
}

impl DaemonPackage {
    /// Returns the file name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the line of the script that names this package for its architecture.
    pub(crate) fn script_arm(&self) -> String {
        let arch = architecture(&self.name).expect("only packages with an architecture are found");
        format!("    {arch}) echo {} {} ;;", self.name, self.digest)
    }
}

/// The packages that can be installed.
#[derive(Clone, Debug, Default)]
pub struct DaemonPackages(Vec<DaemonPackage>);

impl DaemonPackages {
    /// Finds the packages in `directory`, and reads them for their digests. A program that was not installed from a
    /// package has none and offers no installation. A package that cannot be read is left out.
    pub fn find(directory: &Path) -> Self {
        let mut packages = match candidates(directory) {
            Ok(names) => names.into_iter().filter_map(|name| read(directory, name)).collect::<Vec<_>>(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                tracing::warn!(directory = %directory.display(), %error, "cannot read the directory of the daemon's packages; no installation is offered");
                Vec::new()
            }
        };
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        Self(packages)
    }

    /// Returns all packages.
    pub fn all(&self) -> &[DaemonPackage] {
        &self.0
    }

    /// Returns the package with this file name.
    pub fn get(&self, name: &str) -> Option<&DaemonPackage> {
        self.0.iter().find(|package| package.name == name)
    }
}

/// Returns the names of the packages in a directory.
fn candidates(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if architecture(&name).is_some() && names.len() < PACKAGES_MAX {
            names.push(name);
        }
    }
    Ok(names)
}

fn read(directory: &Path, name: String) -> Option<DaemonPackage> {
    let path = directory.join(&name);
    let mut hash = Sha256::new();
    let copied = linecamp_files::open(&path)
        .map_err(io::Error::from)
        .and_then(|mut file| io::copy(&mut file, &mut Hashing(&mut hash)));
    match copied {
        Ok(_) => Some(DaemonPackage { name, path, digest: HEXLOWER.encode(&hash.finalize()) }),
        Err(error) => {
            tracing::warn!(package = %path.display(), %error, "cannot read a package of the daemon; it is not offered");
            None
        }
    }
}

/// Returns the architecture in a package's file name, if it is a package of our version. It can be inserted into the
/// script unescaped.
fn architecture(name: &str) -> Option<&str> {
    let is_plain =
        |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX).filter(is_plain)
}

pub(crate) fn digest(bytes: &[u8]) -> String {
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
