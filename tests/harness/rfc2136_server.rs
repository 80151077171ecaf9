//! Name servers that accept DNS UPDATE (RFC 2136) with TSIG: what BIND and Knot have in common.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use serde_json::json;

use crate::dig::{TsigKey, dig, transfer};
use crate::name_server::{
    NameServer, ProviderSetup, SecretSetup, ServerInstance, ZoneDump, fields_of, filler, find, run,
};
use crate::process::Process;
use crate::wait::{PATIENCE, wait_until};

/// The record types that the plugin's key may change.
pub(crate) const PLUGIN_TYPES: [&str; 4] = ["A", "AAAA", "CNAME", "TXT"];

/// An authoritative server. [`TsigKey::PLUGIN`] and [`TsigKey::OPERATOR`] may change its zones, and the latter may
/// transfer them.
#[derive(Debug)]
pub struct UpdateServer {
    instance: ServerInstance,
    zones: Vec<ServedZone>,
    product: Product,
}

#[derive(Debug)]
pub(crate) struct ServedZone {
    pub(crate) name: String,
    pub(crate) is_signed: bool,
}

/// The differences between the products.
#[derive(Debug)]
pub(crate) struct Product {
    pub(crate) product: &'static str,
    pub(crate) program: &'static str,
    /// The arguments before the path of the configuration file.
    pub(crate) arguments: &'static [&'static str],
    /// Returns the configuration for these zones.
    pub(crate) configuration: fn(&ServerInstance, &[ServedZone]) -> String,
}

/// The name of the configuration file.
const CONFIGURATION: &str = "server.conf";

impl UpdateServer {
    /// Starts a server without zones; `None` if it is not installed.
    pub(crate) fn start(product: Product) -> Option<Self> {
        let program: PathBuf = find(product.program, product.product)?;
        for needed in ["dig", "nsupdate"] {
            find(needed, product.product)?;
        }
        let instance = ServerInstance::new(product.program, program, |home, _| {
            let words = product.arguments.iter().map(Into::into);
            words.chain([home.join(CONFIGURATION).into_os_string()]).collect()
        });
        let mut server = Self { instance, zones: Vec::new(), product };
        server.configure();
        server.restart();
        Some(server)
    }

    /// Returns the address where it answers.
    pub fn address(&self) -> SocketAddr {
        self.instance.port.address()
    }

    /// Restarts it with another clock, as set by [`Process::set_clock`]; false if that is not possible.
    pub fn set_clock(&mut self, time: &str) -> bool {
        let is_set = self.instance.process.set_clock(time);
        if is_set {
            self.kill();
            self.restart();
        }
        is_set
    }

    /// Serves a zone with an SOA, NS and address record, and with `records`.
    fn create(&mut self, zone: ServedZone, records: &str) {
        let (name, soa) = (zone.name.clone(), "@ SOA ns1 hostmaster 1 10800 3600 604800 3600");
        let file = format!("$ORIGIN {name}.\n$TTL 3600\n{soa}\n@ NS ns1\nns1 A 127.0.0.1\n{records}\n");
        self.instance.write(&format!("{name}.zone"), &file);
        self.zones.push(zone);
        self.configure();
        self.instance.process.signal(Signal::HUP);
        let served = wait_until(PATIENCE, || self.serves(&name).then_some(()));
        assert!(served.is_some(), "{name} is not served in time:\n{}", self.instance.process.log());
    }

    fn configure(&self) {
        self.instance.write(CONFIGURATION, &(self.product.configuration)(&self.instance, &self.zones));
    }

    fn update(&self, zone: &str, lines: &str) {
        let server = self.address();
        let mut command = Command::new("nsupdate");
        command.args(["-y", &TsigKey::OPERATOR.argument()]);
        run(command, &format!("server {} {}\nzone {zone}.\n{lines}send\n", server.ip(), server.port()));
    }

    /// Returns whether it answers from this zone, and not from a parent zone.
    fn serves(&self, zone: &str) -> bool {
        !dig(self.address(), zone, "SOA").records.is_empty()
    }
}

impl NameServer for UpdateServer {
    fn product(&self) -> &'static str {
        self.product.product
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
        self.create(ServedZone { name: zone.to_owned(), is_signed: false }, "");
    }

    fn create_large_zone(&mut self, zone: &str, sets: usize) {
        let records: Vec<_> = filler(zone, sets).collect();
        self.create(ServedZone { name: zone.to_owned(), is_signed: false }, &records.join("\n"));
    }

    fn create_signed_zone(&mut self, zone: &str) -> bool {
        self.create(ServedZone { name: zone.to_owned(), is_signed: true }, "");
        let is_signed = || !dig(self.address(), zone, "DNSKEY").records.is_empty();
        let signed = wait_until(PATIENCE, || is_signed().then_some(()));
        assert!(signed.is_some(), "{zone} is not signed:\n{}", self.instance.process.log());
        true
    }

    fn seed(&self, zone: &str, records: &[&str]) {
        let add = |record: &&str| format!("update add {}\n", fields_of(record).join(" "));
        self.update(zone, &records.iter().map(add).collect::<String>());
    }

    fn remove_records(&self, zone: &str, name: &str, rtype: &str) {
        self.update(zone, &format!("update delete {name}. {rtype}\n"));
    }

    fn dump(&self, zone: &str) -> ZoneDump {
        transfer(self.address(), zone, Some(TsigKey::OPERATOR))
    }

    fn query(&self, name: &str, rtype: &str) -> Vec<String> {
        let records = dig(self.address(), name, rtype).records;
        records.iter().map(|record| fields_of(record)[3].to_owned()).collect()
    }

    fn is_ready(&self) -> bool {
        // The answer for a missing zone is an answer, too.
        let answers = || !dig(self.address(), "ready.test", "SOA").status.is_empty();
        answers() && self.zones.iter().all(|zone| self.serves(&zone.name))
    }

    fn process(&mut self) -> &mut Process {
        &mut self.instance.process
    }
}
