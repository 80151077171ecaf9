//! Requests to the server's HTTPS with curl.

use std::io::{self, Write as _};
use std::process::{Command, Stdio};

use crate::fleet::Fleet;

impl Fleet {
    /// Requests `path` from the server with its admin's key. Returns the status and the body.
    ///
    /// # Errors
    /// curl is not installed.
    pub fn http(&self, path: &str) -> io::Result<(String, String)> {
        self.http_as(path, &format!("Authorization: Bearer {}", self.key()))
    }

    /// As [`http`](Self::http), with this header.
    ///
    /// # Errors
    /// curl is not installed.
    pub fn http_as(&self, path: &str, header: &str) -> io::Result<(String, String)> {
        // The authority of the server certifies this name, whatever certificate its configuration names.
        const NAME: &str = "server.linecamp.internal";
        let ca = self.server.data().join("ca");
        let ca = ["current.pem", "certificate.pem"].map(|name| ca.join(name)).into_iter().find(|path| path.exists());
        let mut curl = Command::new("curl")
            // The key is on no command line.
            .args(["--silent", "--max-time", "20", "--write-out", "%{http_code}", "--header", "@-", "--cacert"])
            .arg(ca.unwrap_or_default())
            .args(["--connect-to", &format!("{NAME}:443:{}", self.server.https()), &format!("https://{NAME}{path}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        curl.stdin.take().expect("stdin is piped").write_all(header.as_bytes())?;
        let mut body = String::from_utf8_lossy(&curl.wait_with_output()?.stdout).into_owned();
        let status = body.split_off(body.len().saturating_sub(3));
        Ok((status, body))
    }
}
