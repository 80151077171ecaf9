//! PowerDNS, with its HTTP API.

use std::net::TcpStream;
use std::process::Command;

use serde_json::json;

use crate::dig::{dig, transfer};
use crate::name_server::{NameServer, ProviderSetup, SecretSetup, ServerInstance, ZoneDump, fields_of, find, run};
use crate::ports::Port;
use crate::process::Process;

/// The database schema of Debian's package.
const SCHEMA: &str = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";

const API_KEY: &str = "a-key-of-the-tests";

/// A PowerDNS authoritative server over SQLite.
#[derive(Debug)]
pub struct PowerDns {
    instance: ServerInstance,
    api: Port,
}

impl PowerDns {
    /// Starts PowerDNS without zones; `None` if it is not installed.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start() -> Option<Self> {
        let program = find("pdns_server", "PowerDNS")?;
        for needed in ["pdnsutil", "sqlite3", "dig"] {
            find(needed, "PowerDNS")?;
        }
        let api = Port::take();
        let instance = ServerInstance::new("pdns_server", program, |home, _| {
            let home = home.display();
            [format!("--config-dir={home}"), "--daemon=no".into(), "--guardian=no".into(), "--write-pid=no".into()]
                .into()
        });
        instance.write("pdns.conf", &configuration(&instance, &api));
        let mut server = Self { instance, api };
        server.sql(&std::fs::read_to_string(SCHEMA).expect("the package has the tables of its database"));
        server.restart();
        Some(server)
    }

    /// Executes SQL on the database, which may be in use.
    fn sql(&self, statements: &str) {
        let mut sqlite = Command::new("sqlite3");
        sqlite.arg(self.instance.path("pdns.db"));
        run(sqlite, &format!(".timeout 5000\n{statements}"));
    }

    /// Runs `pdnsutil`, PowerDNS's administration tool.
    fn util(&self, arguments: &[&str]) {
        let mut command = Command::new(find("pdnsutil", "PowerDNS").expect("it was there at the start"));
        command.arg("--config-dir").arg(self.instance.directory.path()).args(arguments);
        run(command, "");
    }
}

fn configuration(instance: &ServerInstance, api: &Port) -> String {
    let (dns, api) = (instance.port.address(), api.address());
    // No external queries for security advisories, and no caches: a write is visible to the next query.
    [
        "launch=gsqlite3",
        &format!("gsqlite3-database={}", instance.path("pdns.db")),
        &format!("local-address={}", dns.ip()),
        &format!("local-port={}", dns.port()),
        &format!("socket-dir={}", instance.path("")),
        "api=yes",
        &format!("api-key={API_KEY}"),
        "webserver=yes",
        &format!("webserver-address={}", api.ip()),
        &format!("webserver-port={}", api.port()),
        "webserver-allow-from=127.0.0.0/8",
        "security-poll-suffix=",
        "disable-syslog=yes",
        "default-soa-content=ns1.@ hostmaster.@ 0 10800 3600 604800 3600",
        "cache-ttl=0",
        "query-cache-ttl=0",
        "negquery-cache-ttl=0",
        "zone-cache-refresh-interval=0",
        "dname-processing=yes",
        "gsqlite3-dnssec=yes",
        "",
    ]
    .join("\n")
}

/// Returns a name relative to its zone, as `pdnsutil` expects it.
fn relative<'a>(name: &'a str, zone: &str) -> &'a str {
    let labels = name.trim_end_matches('.').strip_suffix(zone).unwrap_or_else(|| panic!("{name} is not in {zone}"));
    if labels.is_empty() { "@" } else { labels.trim_end_matches('.') }
}

impl NameServer for PowerDns {
    fn product(&self) -> &'static str {
        "PowerDNS"
    }

    fn provider(&self) -> ProviderSetup {
        ProviderSetup {
            plugin: "dns-powerdns",
            config: json!({ "api": format!("http://{}", self.api.address()) }),
            secrets: vec![SecretSetup { name: "api-key", usage: "header", value: API_KEY.to_owned() }],
            reach: self.api.address(),
        }
    }

    fn create_zone(&mut self, zone: &str) {
        self.util(&["create-zone", zone, &format!("ns1.{zone}")]);
    }

    fn create_large_zone(&mut self, zone: &str, sets: usize) {
        self.create_zone(zone);
        let last = sets.saturating_sub(1);
        self.sql(&format!(
            "INSERT INTO records (domain_id, name, type, content, ttl, prio, disabled, auth) \
             WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {last}) \
             SELECT domains.id, 'n' || i || '.{zone}', 'A', '192.0.2.1', 300, 0, 0, 1 FROM n, domains \
             WHERE domains.name = '{zone}';"
        ));
    }

    fn create_signed_zone(&mut self, zone: &str) -> bool {
        self.create_zone(zone);
        self.util(&["secure-zone", zone]);
        true
    }

    fn comment(&self, zone: &str, name: &str, rtype: &str) {
        self.sql(&format!(
            "INSERT INTO comments (domain_id, name, type, modified_at, account, comment) \
             SELECT id, '{name}', '{rtype}', 1, 'operator', 'not to be touched' FROM domains WHERE name = '{zone}';"
        ));
    }

    fn seed(&self, zone: &str, records: &[&str]) {
        for record in records {
            let [name, ttl, rtype, value] = fields_of(record);
            self.util(&["add-record", zone, relative(name, zone), rtype, ttl, value]);
        }
    }

    fn remove_records(&self, zone: &str, name: &str, rtype: &str) {
        self.util(&["delete-rrset", zone, relative(name, zone), rtype]);
    }

    fn dump(&self, zone: &str) -> ZoneDump {
        transfer(self.instance.port.address(), zone, None)
    }

    fn query(&self, name: &str, rtype: &str) -> Vec<String> {
        let records = dig(self.instance.port.address(), name, rtype).records;
        records.iter().map(|record| fields_of(record)[3].to_owned()).collect()
    }

    fn is_ready(&self) -> bool {
        // The answer for a missing zone is an answer, too.
        let answers = || !dig(self.instance.port.address(), "ready.test", "SOA").status.is_empty();
        TcpStream::connect(self.api.address()).is_ok() && answers()
    }

    fn process(&mut self) -> &mut Process {
        &mut self.instance.process
    }
}
