//! Queries a name server as a client, and transfers zones from it.

use std::net::SocketAddr;
use std::process::Command;

use crate::name_server::{ZoneDump, run};

/// A TSIG key.
#[derive(Clone, Copy, Debug)]
pub struct TsigKey {
    /// Its name.
    pub name: &'static str,
    /// Its secret, in Base64.
    pub secret: &'static str,
}

impl TsigKey {
    /// The algorithm of all keys here.
    pub const ALGORITHM: &'static str = "hmac-sha256";

    /// The plugin's key: it may change A, AAAA, CNAME and TXT records.
    pub const PLUGIN: Self = Self { name: "linecamp", secret: "bGluZWNhbXAncyBvd24ga2V5IG9mIDMyIGJ5dGVzISE=" };
    /// An operator's key, which may change and read everything.
    pub const OPERATOR: Self = Self { name: "operator", secret: "dGhlIG9wZXJhdG9yJ3Mga2V5LCBhbHNvIDMyIGJ5dGU=" };
    /// A key that no server accepts.
    pub const STRANGER: Self = Self { name: "stranger", secret: "c29tZWJvZHkgZWxzZSdzIGtleSBvZiAzMiBieXRlcyE=" };

    /// Returns the key as `dig -y` and `nsupdate -y` expect it.
    pub(crate) fn argument(self) -> String {
        format!("{}:{}:{}", Self::ALGORITHM, self.name, self.secret)
    }
}

/// A server's answer to one query.
#[derive(Clone, Debug)]
pub struct Answer {
    /// `NOERROR`, `NXDOMAIN`, `REFUSED` and so on; empty if there was no answer.
    pub status: String,
    /// The records of the answer, as lines of `NAME. TTL TYPE VALUE`.
    pub records: Vec<String>,
}

/// Queries the records of a name and type.
pub fn dig(server: SocketAddr, name: &str, rtype: &str) -> Answer {
    let mut command = command(server);
    command.args(["+norecurse", "+comments", "-q", name, "-t", rtype]);
    // Without an answer dig fails; that is a valid result.
    let output = command.output().expect("dig can be run");
    let text = String::from_utf8_lossy(&output.stdout);
    let status = text.split_once("status: ").and_then(|(_, rest)| rest.split(',').next());
    Answer { status: status.unwrap_or_default().to_owned(), records: records(&text) }
}

/// Returns the contents of a zone through a zone transfer.
///
/// # Panics
/// If the server refuses the transfer.
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
    // The user's defaults would change the output.
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

/// Parses a line of `dig`, which separates the first four fields with any number of tabs and spaces.
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
    fn dig_output_is_parsed_with_any_whitespace() {
        let text = "; <<>> DiG\n\na.example.\t\t300 IN\tTXT\t\"two  words\"\n\nkey. 0 ANY TSIG hmac-sha256. 1\n";
        assert_eq!(records(text), ["a.example. 300 TXT \"two  words\""]);
    }
}
