//! Name servers that are changed by DNS UPDATE (RFC 2136) with TSIG: what BIND and Knot have in common.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use serde_json::json;

use crate::dig::{TsigKey, dig, transfer};
use crate::name_server::{Housing, NameServer, ProviderSetup, SecretSetup, ZoneDump, find, run, words_of};
use crate::process::Process;
use crate::wait::{PATIENCE, wait_until};

/// The record types that the plugin's key may change.
pub(crate) const PLUGIN_TYPES: [&str; 4] = ["A", "AAAA", "CNAME", "TXT"];

/// A server that answers for its zones and for nothing else. Its zones are changed by
/// [`TsigKey::PLUGIN`] and [`TsigKey::OPERATOR`], and transferred to the latter.
#[derive(Debug)]
pub struct UpdateServer {
    housing: Housing,
    zones: Vec<String>,
    brand: Brand,
}

/// What differs.
#[derive(Debug)]
pub(crate) struct Brand {
    pub(crate) product: &'static str,
    pub(crate) program: &'static str,
    /// The arguments before the name of the configuration.
    pub(crate) arguments: &'static [&'static str],
    /// Makes the configuration for these zones.
    pub(crate) configuration: fn(&Housing, &[String]) -> String,
}

/// The configuration's name.
const CONFIGURATION: &str = "server.conf";

impl UpdateServer {
    /// Starts one without zones; `None` if it is not installed.
    pub(crate) fn start(brand: Brand) -> Option<Self> {
        let program: PathBuf = find(brand.program, brand.product)?;
        for needed in ["dig", "nsupdate"] {
            find(needed, brand.product)?;
        }
        let housing = Housing::new(brand.program, program, |home, _| {
            let words = brand.arguments.iter().map(Into::into);
            words.chain([home.join(CONFIGURATION).into_os_string()]).collect()
        });
        let mut server = Self { housing, zones: Vec::new(), brand };
        server.configure();
        server.restart();
        Some(server)
    }

    /// Returns where it answers.
    pub fn address(&self) -> SocketAddr {
        self.housing.port.address()
    }

    /// Starts it again with another clock, as [`Process::set_clock`] has it; false where that cannot be done.
    pub fn set_clock(&mut self, time: &str) -> bool {
        let is_set = self.housing.process.set_clock(time);
        if is_set {
            self.kill();
            self.restart();
        }
        is_set
    }

    fn configure(&self) {
        self.housing.write(CONFIGURATION, &(self.brand.configuration)(&self.housing, &self.zones));
    }

    fn update(&self, zone: &str, lines: &str) {
        let server = self.address();
        let mut command = Command::new("nsupdate");
        command.args(["-y", &TsigKey::OPERATOR.argument()]);
        run(command, &format!("server {} {}\nzone {zone}.\n{lines}send\n", server.ip(), server.port()));
    }

    fn serves(&self, zone: &str) -> bool {
        dig(self.address(), zone, "SOA").status == "NOERROR"
    }
}

impl NameServer for UpdateServer {
    fn product(&self) -> &'static str {
        self.brand.product
    }

    fn provider(&self) -> ProviderSetup {
        let (server, key) = (self.address(), TsigKey::PLUGIN);
        ProviderSetup {
            plugin: "dns-rfc2136",
            config: json!({ "server": server.to_string(), "key_name": key.name, "algorithm": TsigKey::ALGORITHM }),
            secrets: vec![SecretSetup { name: "tsig", usage: "tsig", value: key.secret.to_owned() }],
            reach: server,
        }
    }

    fn create_zone(&mut self, zone: &str) {
        let soa = "@ SOA ns1 hostmaster 1 10800 3600 604800 3600";
        let file = format!("$ORIGIN {zone}.\n$TTL 3600\n{soa}\n@ NS ns1\nns1 A 127.0.0.1\n");
        self.housing.write(&format!("{zone}.zone"), &file);
        self.zones.push(zone.to_owned());
        self.configure();
        self.housing.process.signal(Signal::HUP);
        let served = wait_until(PATIENCE, || self.serves(zone).then_some(()));
        assert!(served.is_some(), "{zone} is not served:\n{}", self.housing.process.log());
    }

    fn plant(&self, zone: &str, records: &[&str]) {
        let add = |record: &&str| format!("update add {}\n", words_of(record).join(" "));
        self.update(zone, &records.iter().map(add).collect::<String>());
    }

    fn uproot(&self, zone: &str, name: &str, rtype: &str) {
        self.update(zone, &format!("update delete {name}. {rtype}\n"));
    }

    fn dump(&self, zone: &str) -> ZoneDump {
        transfer(self.address(), zone, Some(TsigKey::OPERATOR))
    }

    fn ask(&self, name: &str, rtype: &str) -> Vec<String> {
        let records = dig(self.address(), name, rtype).records;
        records.iter().map(|record| words_of(record)[3].to_owned()).collect()
    }

    fn is_ready(&self) -> bool {
        // A zone that it does not have is an answer.
        let answers = || !dig(self.address(), "ready.test", "SOA").status.is_empty();
        answers() && self.zones.iter().all(|zone| self.serves(zone))
    }

    fn process(&mut self) -> &mut Process {
        &mut self.housing.process
    }
}
