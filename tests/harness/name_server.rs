//! Real third-party name servers for provider plugins to use.
//!
//! [`PowerDns`](crate::PowerDns), BIND and Knot ([`UpdateServer`](crate::UpdateServer)) and, as Route 53,
//! [`Moto`](crate::Moto) each start on loopback, on exclusive ports, in their own directory, and are killed when
//! dropped. A test uses all of them through one trait, [`NameServer`], so that the same test runs against all four.
//!
//! A server that is not installed is not a failure: its `start` calls [`skip`](crate::skip()) and returns `None`.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::{self, Debug};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::logs::Logs;
use crate::ports::Port;
use crate::process::{Process, clean_environment};
use crate::skip::skip;
use crate::wait::{PATIENCE, wait_until};

/// Where Debian installs servers: not every user's `PATH` includes it.
const SERVER_DIRECTORIES: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/sbin"];

/// A name server with an interface for changing its records.
pub trait NameServer: Debug {
    /// Returns the product's name.
    fn product(&self) -> &'static str;

    /// Returns the settings that a plugin needs to use it, with valid credentials.
    fn provider(&self) -> ProviderSetup;

    /// Creates a zone with nothing but its SOA and NS records, and waits until it is served.
    ///
    /// # Panics
    /// If that fails, with its log. The other methods panic likewise.
    fn create_zone(&mut self, zone: &str);

    /// Creates a zone with this many unowned record sets: `n0.ZONE. 300 A 192.0.2.1` and so on.
    fn create_large_zone(&mut self, zone: &str, sets: usize);

    /// Creates a zone signed by the server (DNSSEC), and waits until it is signed; `false` if that is not supported.
    fn create_signed_zone(&mut self, zone: &str) -> bool;

    /// Adds a comment to a record set, which need not exist; does nothing if the server does not support comments.
    fn comment(&self, zone: &str, name: &str, rtype: &str) {
        let _ = (zone, name, rtype);
    }

    /// Adds records to a zone as someone else, bypassing all plugins: lines of `NAME. TTL TYPE VALUE`.
    fn seed(&self, zone: &str, records: &[&str]);

    /// Deletes all records of a name and type from a zone, as someone else.
    fn remove_records(&self, zone: &str, name: &str, rtype: &str);

    /// Returns the contents of a zone.
    fn dump(&self, zone: &str) -> ZoneDump;

    /// Returns the values that a client gets for a name, sorted; empty if there are none. Servers that serve DNS are
    /// queried with `dig`.
    fn query(&self, name: &str, rtype: &str) -> Vec<String>;

    /// Returns whether it answers.
    fn is_ready(&self) -> bool;

    /// Returns whether its data survives a restart.
    fn keeps_data(&self) -> bool {
        true
    }

    /// Returns its process.
    fn process(&mut self) -> &mut Process;

    /// Makes it hang: its kernel accepts connections, but nothing answers.
    fn freeze(&mut self) {
        self.process().signal(Signal::STOP);
    }

    /// Resumes it after [`NameServer::freeze`].
    fn thaw(&mut self) {
        self.process().signal(Signal::CONT);
    }

    /// Kills it immediately: connections are refused.
    fn kill(&mut self) {
        self.process().kill();
    }

    /// Restarts it on the same ports with its data, and waits until it answers.
    fn restart(&mut self) {
        self.process().start();
        self.wait_ready();
    }

    /// Waits until it answers.
    fn wait_ready(&mut self) {
        let ready = wait_until(PATIENCE, || (self.is_ready() || !self.process().is_running()).then_some(()));
        let running = self.process().is_running();
        assert!(ready.is_some() && running, "{} did not start:\n{}", self.product(), self.process().log());
    }
}

/// The settings of a provider that uses a server.
#[derive(Clone, Debug)]
pub struct ProviderSetup {
    /// The plugin's name.
    pub plugin: &'static str,
    /// The plugin's config, a JSON object.
    pub config: Value,
    /// The plugin's secrets.
    pub secrets: Vec<SecretSetup>,
    /// The endpoint it must be granted: a private address, without TLS.
    pub reach: SocketAddr,
}

/// A secret that a plugin needs.
#[derive(Clone, Debug)]
pub struct SecretSetup {
    /// The plugin's name for it.
    pub name: &'static str,
    /// Its usage, as written in a site's configuration.
    pub usage: &'static str,
    /// The secret.
    pub value: String,
}

impl ProviderSetup {
    /// Writes the secrets to files in `directory`. Returns the tables of a site's configuration that bind them to the
    /// server and to `providers`, each under the plugin's name for it.
    pub fn secret_tables(&self, directory: &Path, providers: &[&str]) -> String {
        let table = |secret: &SecretSetup| {
            let SecretSetup { name, usage, value } = secret;
            let path = directory.join(name);
            std::fs::write(&path, value).expect("a file");
            format!(
                "[secrets.{name}]\nfile = {path:?}\nuse = \"{usage}\"\nhosts = [\"{reach}\"]\nplain_http = \
                 [\"{reach}\"]\nproviders = {providers:?}\n",
                reach = self.reach
            )
        };
        self.secrets.iter().map(table).collect()
    }
}

/// The contents of a zone: a line of `NAME. TTL TYPE VALUE` for each record, sorted, without the serial of its SOA,
/// which every change raises.
#[derive(Clone, PartialEq, Eq)]
pub struct ZoneDump(BTreeSet<String>);

impl ZoneDump {
    /// Creates a dump from such lines.
    pub(crate) fn of(lines: impl IntoIterator<Item = String>) -> Self {
        Self(lines.into_iter().map(|line| without_serial(&line)).collect())
    }

    /// Returns the lines.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Returns the lines without the records that signing creates (DNSSEC), which every change recreates.
    #[must_use]
    pub fn without_signatures(&self) -> Self {
        const GENERATED: [&str; 8] = ["RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "CDS", "CDNSKEY", "TYPE65534"];
        let is_generated = |line: &str| line.split(' ').nth(2).is_some_and(|rtype| GENERATED.contains(&rtype));
        Self(self.0.iter().filter(|line| !is_generated(line)).cloned().collect())
    }

    /// Returns the lines whose name does not end with any of these suffixes: records of others, to be compared byte for
    /// byte.
    #[must_use]
    pub fn outside_of(&self, suffixes: &[&str]) -> Self {
        let is_outside = |line: &&String| {
            let name = line.split(' ').next().unwrap_or_default().trim_end_matches('.');
            !suffixes.iter().any(|suffix| name == *suffix || name.ends_with(&format!(".{suffix}")))
        };
        Self(self.0.iter().filter(is_outside).cloned().collect())
    }
}

impl Debug for ZoneDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Returns lines of unowned record sets.
pub(crate) fn filler(zone: &str, sets: usize) -> impl Iterator<Item = String> {
    (0..sets).map(move |index| format!("n{index}.{zone}. 300 A 192.0.2.1"))
}

fn without_serial(line: &str) -> String {
    let mut words: Vec<_> = line.split(' ').collect();
    if words.get(2) == Some(&"SOA") && words.len() == 10 {
        words[5] = "SERIAL";
    }
    words.join(" ")
}

/// Splits one line of `NAME. TTL TYPE VALUE`.
///
/// # Panics
/// If the line does not have this form.
pub(crate) fn fields_of(line: &str) -> [&str; 4] {
    let words: Vec<_> = line.splitn(4, ' ').collect();
    words.try_into().unwrap_or_else(|_| panic!("`{line}` is not NAME. TTL TYPE VALUE"))
}

/// What each server has: a directory, a log, a process, and the port where it answers.
#[derive(Debug)]
pub(crate) struct ServerInstance {
    pub(crate) process: Process,
    pub(crate) port: Port,
    pub(crate) directory: TempDir,
}

impl ServerInstance {
    /// Prepares a server; `arguments` derives its arguments from its directory and its address.
    pub(crate) fn new<A: Into<OsString>>(
        name: &'static str,
        program: PathBuf,
        arguments: impl FnOnce(&Path, SocketAddr) -> Vec<A>,
    ) -> Self {
        let directory = tempfile::Builder::new().prefix("linecamp-dns-").tempdir().expect("a directory can be made");
        let port = Port::take();
        let (home, log) = (directory.path(), directory.path().join(format!("{name}.log")));
        let arguments = arguments(home, port.address()).into_iter().map(Into::into).collect();
        let process = Process::new(name, arguments, home, log, &Logs::default()).at(program);
        Self { process, port, directory }
    }

    /// Writes one of the server's files.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).expect("a server file can be written");
    }

    /// Returns the path of one of the server's files, as text.
    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().expect("the path is text").to_owned()
    }
}

/// Finds a third-party program; if it is missing, the skip is recorded.
pub(crate) fn find(program: &str, product: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(SERVER_DIRECTORIES.map(PathBuf::from));
    let found = directories.map(|directory| directory.join(program)).find(|path| path.is_file());
    if found.is_none() {
        let why = format!("{product}: `{program}` not found, and `cargo xtask test` could not install it");
        skip("name-servers", &why);
    }
    found
}

/// Runs a third-party program to completion and returns its output.
///
/// # Panics
/// If it fails, with its output.
#[track_caller]
pub(crate) fn run(mut command: Command, input: &str) -> String {
    clean_environment(&mut command);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = piped.unwrap_or_else(|error| panic!("failed to start {command:?}: {error}"));
    // A program that does not read all of it reports why by its exit code.
    let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("a child can be waited for");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} with `{input}` exited with {}:\n{said}{errors}", output.status);
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_without_our_records_has_only_records_of_others() {
        let lines = [
            "example.org. 3600 SOA ns1.example.org. hostmaster.example.org. 7 10800 3600 604800 3600",
            "a.example.org. 300 A 192.0.2.1",
            "_linecamp-a.a.example.org. 300 TXT \"x y\"",
            "ba.example.org. 300 A 192.0.2.2",
        ];
        let dump = ZoneDump::of(lines.map(str::to_owned)).outside_of(&["a.example.org"]);
        let soa = "example.org. 3600 SOA ns1.example.org. hostmaster.example.org. SERIAL 10800 3600 604800 3600";
        assert_eq!(dump.lines().collect::<Vec<_>>(), ["ba.example.org. 300 A 192.0.2.2", soa]);
    }

    /// Checks what the end-to-end tests rely on, with each server.
    fn lives(mut server: Box<dyn NameServer>) {
        server.create_zone("example.org");
        server.create_zone("example.net");
        let bare = server.dump("example.org");
        let planted = [
            "www.example.org. 300 A 192.0.2.80",
            "www.example.org. 300 A 192.0.2.81",
            "text.example.org. 60 TXT \"two words\" \"and more\"",
            "mail.example.org. 3600 MX 10 www.example.org.",
        ];
        server.seed("example.org", &planted);
        let dump = server.dump("example.org");
        for record in planted {
            assert!(dump.lines().any(|line| line == record), "{record} is not in\n{dump:?}");
        }
        assert_eq!(dump.lines().count(), bare.lines().count() + planted.len(), "{dump:?}");
        assert_eq!(server.query("www.example.org", "A"), ["192.0.2.80", "192.0.2.81"]);
        assert!(server.query("www.example.org", "AAAA").is_empty());

        server.freeze();
        server.thaw();
        server.kill();
        assert!(!server.is_ready());
        server.restart();
        if server.keeps_data() {
            assert_eq!(server.dump("example.org"), dump);
            server.remove_records("example.org", "www.example.org", "A");
            assert!(server.query("www.example.org", "A").is_empty());
        }
    }

    #[test]
    fn powerdns_keeps_seeded_records() {
        crate::PowerDns::start().into_iter().for_each(|server| lives(Box::new(server)));
    }

    #[test]
    fn bind_keeps_seeded_records() {
        crate::UpdateServer::bind().into_iter().for_each(|server| lives(Box::new(server)));
    }

    #[test]
    fn knot_keeps_seeded_records() {
        crate::UpdateServer::knot().into_iter().for_each(|server| lives(Box::new(server)));
    }

    #[test]
    fn moto_keeps_seeded_records_until_it_stops() {
        crate::Moto::start().into_iter().for_each(|server| lives(Box::new(server)));
    }
}
