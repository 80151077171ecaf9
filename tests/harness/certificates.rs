//! A company's certificate authority, made with `openssl`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::skip::skip;

/// Arguments for a new key without a passphrase.
const NEW_KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/// A certificate authority with its files in one directory.
#[derive(Debug)]
pub struct CompanyCa {
    directory: PathBuf,
}

impl CompanyCa {
    /// Creates an authority in a directory; `None` if `openssl` is not installed, and the skip is recorded.
    ///
    /// # Panics
    /// If `openssl` fails.
    pub fn create(directory: &Path) -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            skip("openssl", "a certificate authority of a company: openssl is not installed");
            return None;
        }
        std::fs::create_dir_all(directory).expect("a directory can be made");
        let made = Self { directory: directory.to_owned() };
        made.openssl(
            &[
                &["req", "-x509", "-days", "30", "-subj", "/CN=Company CA"],
                &NEW_KEY[..],
                &["-keyout", "ca.key", "-out", "ca.pem"],
            ]
            .concat(),
        );
        Some(made)
    }

    /// Issues a certificate for `host` and returns the paths of its chain and its key.
    ///
    /// # Panics
    /// If `openssl` fails.
    pub fn issue(&self, host: &str) -> (PathBuf, PathBuf) {
        let kind = if host.parse::<std::net::IpAddr>().is_ok() { "IP" } else { "DNS" };
        let extensions = format!("subjectAltName={kind}:{host}\nbasicConstraints=CA:FALSE\n");
        std::fs::write(self.directory.join("extensions"), extensions).expect("a file");
        let request = ["-keyout", "privkey.pem", "-out", "request", "-subj", "/CN=camp"];
        self.openssl(&[&["req"], &NEW_KEY[..], &request].concat());
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            "request",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "10",
            "-extfile",
            "extensions",
            "-out",
            "fullchain.pem",
        ]);
        (self.directory.join("fullchain.pem"), self.directory.join("privkey.pem"))
    }

    /// Returns the file of the authority's certificate.
    pub fn file(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    fn openssl(&self, arguments: &[&str]) {
        let said = Command::new("openssl").args(arguments).current_dir(&self.directory).output().expect("it starts");
        assert!(said.status.success(), "openssl {arguments:?}:\n{}", String::from_utf8_lossy(&said.stderr));
    }
}
