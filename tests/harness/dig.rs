//! Asking a name server as everybody does, and as who may have the whole zone.

use std::net::SocketAddr;
use std::process::Command;

use crate::name_server::{ZoneDump, run};

/// A TSIG key that a server knows.
#[derive(Clone, Copy, Debug)]
pub struct TsigKey {
    /// Its name.
    pub name: &'static str,
    /// Its secret, in base 64.
    pub secret: &'static str,
}

impl TsigKey {
    /// The algorithm of all keys here.
    pub const ALGORITHM: &'static str = "hmac-sha256";

    /// The key that a plugin is given: it may change A, AAAA, CNAME and TXT records.
    pub const PLUGIN: Self = Self { name: "linecamp", secret: "bGluZWNhbXAncyBvd24ga2V5IG9mIDMyIGJ5dGVzISE=" };
    /// The key of somebody else, who may change and read everything.
    pub const OPERATOR: Self = Self { name: "operator", secret: "dGhlIG9wZXJhdG9yJ3Mga2V5LCBhbHNvIDMyIGJ5dGU=" };
    /// A key that no server knows.
    pub const STRANGER: Self = Self { name: "stranger", secret: "c29tZWJvZHkgZWxzZSdzIGtleSBvZiAzMiBieXRlcyE=" };

    /// Returns it as `dig -y` and `nsupdate -y` want it.
    pub(crate) fn argument(self) -> String {
        format!("{}:{}:{}", Self::ALGORITHM, self.name, self.secret)
    }
}

/// What a server answered to one question.
#[derive(Clone, Debug)]
pub struct Answer {
    /// `NOERROR`, `NXDOMAIN`, `REFUSED` and so on; empty if nothing answered.
    pub status: String,
    /// The records of the answer: lines of `NAME. TTL TYPE VALUE`.
    pub records: Vec<String>,
}

/// Asks for the records of a name and type.
pub fn dig(server: SocketAddr, name: &str, rtype: &str) -> Answer {
    let mut command = command(server);
    command.args(["+norecurse", "+comments", "-q", name, "-t", rtype]);
    // Without an answer it fails; that is an answer too.
    let output = command.output().expect("dig can be run");
    let text = String::from_utf8_lossy(&output.stdout);
    let status = text.split_once("status: ").and_then(|(_, rest)| rest.split(',').next());
    Answer { status: status.unwrap_or_default().to_owned(), records: records(&text) }
}

/// Returns everything that a zone holds, by a transfer.
///
/// # Panics
/// If the server gives none.
pub(crate) fn transfer(server: SocketAddr, zone: &str, key: Option<TsigKey>) -> ZoneDump {
    let mut command = command(server);
    if let Some(key) = key {
        command.args(["-y", &key.argument()]);
    }
    command.args(["+tcp", "+onesoa", "-q", zone, "-t", "AXFR"]);
    let records = records(&run(command, ""));
    assert!(!records.is_empty(), "{zone} was not transferred from {server}");
    ZoneDump::of(records)
}

fn command(server: SocketAddr) -> Command {
    let mut command = Command::new("dig");
    // A user's own defaults would change what is printed.
    command.args(["-r", &format!("@{}", server.ip()), "-p", &server.port().to_string()]);
    command.args(["+tries=1", "+time=5", "+noall", "+answer"]);
    command
}

fn records(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with(';') && !line.contains(" TSIG\t"));
    let mut records: Vec<_> = lines.filter_map(record).collect();
    records.sort();
    records
}

/// `dig` separates the first four words by tabs and spaces in any number.
fn record(line: &str) -> Option<String> {
    let mut rest = line;
    let mut words = Vec::new();
    for _ in 0..4 {
        let (word, tail) = rest.trim_start().split_once(char::is_whitespace)?;
        words.push(word);
        rest = tail;
    }
    let [name, ttl, _class, rtype] = words.try_into().ok()?;
    (rtype != "TSIG").then(|| format!("{name} {ttl} {rtype} {}", rest.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_digs_is_a_record_whatever_separates_its_words() {
        let text = "; <<>> DiG\n\na.example.\t\t300 IN\tTXT\t\"two  words\"\n\nkey. 0 ANY TSIG hmac-sha256. 1\n";
        assert_eq!(records(text), ["a.example. 300 TXT \"two  words\""]);
    }
}
