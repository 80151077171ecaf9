//! moto, an independent implementation of the Route 53 API that checks signatures and policies.
//!
//! It does not serve DNS, loses its data on exit, and accepts what AWS would reject: a `CREATE` of an existing record
//! set with other values, and a `DELETE` of one that no longer exists. So it tests the protocol, the signature and the
//! plugin's care, but not the service's behavior.

use std::ffi::OsString;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::binaries::target_directory;
use crate::name_server::{NameServer, ProviderSetup, SecretSetup, ServerInstance, ZoneDump, fields_of, filler, run};
use crate::process::Process;
use crate::skip::skip;

/// Where `cargo xtask test` installs moto, below cargo's target directory. `packaging/xtask/src/toolchain.rs` has the
/// same value.
const ENVIRONMENT: &str = "tools/moto-5.2.5";

/// Performs operator tasks with the AWS SDK.
const SCRIPT: &str = include_str!("moto.py");

/// Starts moto with fixes.
const SERVER: &str = include_str!("moto_server.py");

/// A moto server.
#[derive(Debug)]
pub struct Moto {
    instance: ServerInstance,
    python: PathBuf,
    zones: Vec<String>,
    /// The id and the secret of an access key, by user.
    keys: Value,
}

impl Moto {
    /// Starts moto without zones; `None` if it is not installed.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start() -> Option<Self> {
        let environment = target_directory().join(ENVIRONMENT);
        let python = environment.join("bin/python");
        // Written last by the installation.
        if !environment.join("complete").is_file() {
            let place = python.display();
            let why = format!("Route 53: {place} not found, and `cargo xtask test` could not install it");
            skip("name-servers", &why);
            return None;
        }
        let instance = ServerInstance::new("moto_server", python.clone(), |home, address| {
            let (host, port) = (address.ip().to_string(), address.port().to_string());
            let server = home.join("serve.py").into_os_string();
            [server, "-H".into(), host.into(), "-p".into(), port.into()].map(OsString::from).into()
        });
        instance.write("operate.py", SCRIPT);
        instance.write("serve.py", SERVER);
        let mut server = Self { instance, python, zones: Vec::new(), keys: json!({}) };
        server.restart();
        Some(server)
    }

    /// Returns the access key of a user: `linecamp` has the plugin's permissions, `reader` may only read.
    ///
    /// # Panics
    /// If there is no such user.
    pub fn key(&self, user: &str) -> (&str, &str) {
        let key = |index: usize| self.keys[user][index].as_str().unwrap_or_else(|| panic!("{user} has no key"));
        (key(0), key(1))
    }

    fn url(&self) -> String {
        format!("http://{}", self.instance.port.address())
    }

    fn operate(&self, arguments: &[&str], input: &str) -> String {
        let mut command = Command::new(&self.python);
        command.args([&self.instance.path("operate.py"), &self.url()]).args(arguments);
        let key = |index: usize| self.keys["operator"][index].as_str().unwrap_or("nobody");
        command.envs([("AWS_ACCESS_KEY_ID", key(0)), ("AWS_SECRET_ACCESS_KEY", key(1))]);
        command.envs([("AWS_DEFAULT_REGION", "us-east-1"), ("AWS_CONFIG_FILE", "/dev/null")]);
        command.env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        run(command, input)
    }
}

impl NameServer for Moto {
    fn product(&self) -> &'static str {
        "moto"
    }

    fn provider(&self) -> ProviderSetup {
        let (id, secret) = self.key("linecamp");
        ProviderSetup {
            plugin: "dns-route53",
            config: json!({ "endpoint": self.url() }),
            secrets: vec![
                SecretSetup { name: "access-key-id", usage: "sigv4-key-id", value: id.to_owned() },
                SecretSetup { name: "secret-access-key", usage: "sigv4", value: secret.to_owned() },
            ],
            reach: self.instance.port.address(),
        }
    }

    fn create_zone(&mut self, zone: &str) {
        self.operate(&["create-zone", zone], "");
        self.zones.push(zone.to_owned());
    }

    fn create_large_zone(&mut self, zone: &str, sets: usize) {
        self.create_zone(zone);
        self.operate(&["plant", zone], &filler(zone, sets).collect::<Vec<_>>().join("\n"));
    }

    fn create_signed_zone(&mut self, _zone: &str) -> bool {
        false
    }

    fn seed(&self, zone: &str, records: &[&str]) {
        self.operate(&["plant", zone], &records.join("\n"));
    }

    fn remove_records(&self, zone: &str, name: &str, rtype: &str) {
        self.operate(&["uproot", zone, name, rtype], "");
    }

    fn dump(&self, zone: &str) -> ZoneDump {
        ZoneDump::of(self.operate(&["dump", zone], "").lines().map(str::to_owned))
    }

    fn query(&self, name: &str, rtype: &str) -> Vec<String> {
        let holds = |zone: &&String| name == **zone || name.ends_with(&format!(".{zone}"));
        let zone = self.zones.iter().find(holds).unwrap_or_else(|| panic!("no zone holds {name}"));
        let dump = self.dump(zone);
        let records = dump.lines().map(fields_of).filter(|words| words[0] == format!("{name}.") && words[2] == rtype);
        records.map(|words| words[3].to_owned()).collect()
    }

    fn is_ready(&self) -> bool {
        TcpStream::connect(self.instance.port.address()).is_ok()
    }

    fn keeps_data(&self) -> bool {
        false
    }

    fn process(&mut self) -> &mut Process {
        &mut self.instance.process
    }

    fn restart(&mut self) {
        self.instance.process.start();
        self.wait_ready();
        self.zones.clear();
        self.keys = json!({});
        self.keys = serde_json::from_str(&self.operate(&["setup"], "")).expect("the script prints JSON");
    }
}
