//! A gateway serves the packages that install the machines of its LAN.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use linecamp_tests::{Fleet, PATIENCE, Port, Site};
use rustix::process::Signal;
use serde_json::Value;

use crate::cli_json::connected_site;

/// The file name of a package.
const PACKAGE: &str = concat!("linecampd_", env!("CARGO_PKG_VERSION"), "_arm64.deb");

/// A site whose gateway has packages, and its port for hosts.
struct Gateway {
    fleet: Fleet,
    site: Site,
    port: Port,
    packages: PathBuf,
}

impl Gateway {
    fn start() -> Self {
        let fleet = Fleet::start();
        let site = connected_site(&fleet, "camp");
        let packages = fleet.directory().join("packages");
        std::fs::create_dir(&packages).expect("a directory can be made");
        let mut gateway = Self { fleet, site, port: Port::take(), packages };
        gateway.site.terminate();
        gateway.configure();
        gateway.site.start();
        gateway.fleet.wait_link("camp", "connected");
        gateway
    }

    fn configure(&mut self) {
        let (address, packages) = (self.port.address(), self.packages.display());
        let text = format!("[hosts]\nlisten = \"{address}\"\naddresses = [\"{address}\"]\npackages = \"{packages}\"\n");
        self.site.configure(&text);
    }

    fn add_package(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.packages.join(name), bytes).expect("a file can be written");
    }

    fn create_token(&self) -> Value {
        self.site.local(&["token", "create", "-o", "json"]).ok().json()
    }

    /// Waits until the gateway answers, and returns the status and the body of its answer.
    fn get(&self, path: &str) -> (u16, Vec<u8>) {
        let what = format!("an answer to {path}");
        self.fleet.wait_for(&what, PATIENCE, || request(self.port.address(), &format!("GET {path}")))
    }

    fn wait_closed(&self, address: SocketAddr) {
        self.fleet.wait_for("the port to be free", PATIENCE, || TcpListener::bind(address).is_ok().then_some(()));
    }
}

/// Sends a request without a body. Returns the status and the body, or nothing if the connection fails.
fn request(address: SocketAddr, line: &str) -> Option<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "{line} HTTP/1.0\r\nhost: gateway\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n")?;
    let status = std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()?;
    Some((status, answer.split_off(end + 4)))
}

fn sha256(bytes: &[u8]) -> String {
    let mut child =
        Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sha256sum starts");
    child.stdin.take().expect("it is piped").write_all(bytes).expect("it reads");
    let said = child.wait_with_output().expect("a child can be waited for");
    String::from_utf8_lossy(&said.stdout).split_whitespace().next().expect("a digest").to_owned()
}

/// The command has the digest of the script, the script that of the package; the token is in neither a URL nor an
/// argument. A package that cannot be read is left out, and one that is added later is in the next command.
#[test]
fn a_gateway_serves_what_the_command_of_its_token_installs() {
    let gateway = Gateway::start();
    assert!(TcpStream::connect(gateway.port.address()).is_err(), "a gateway without a token listens");
    assert_eq!(gateway.create_token()["install"], Value::Null, "there are no packages");

    let package = vec![7; 300_000];
    gateway.add_package(PACKAGE, &package);
    gateway.add_package("linecampd_0.0.1_arm64.deb", b"of another version");
    std::fs::create_dir(gateway.packages.join(PACKAGE.replace("arm64", "amd64"))).expect("a directory can be made");
    let created = gateway.create_token();
    let (status, script) = gateway.get("/install");
    assert_eq!(status, 200);
    let line = created["install"].as_str().expect("there is a package");
    let download = format!("$d/install SHA256:{} ", sha256(&script));
    let join = format!(" && echo {} | sh $d/install", created["join"].as_str().expect("a text"));
    assert!(line.contains(&download) && line.ends_with(&join), "{line}");
    let script = String::from_utf8(script).expect("a script is text");
    assert!(script.contains(&format!("    arm64) echo {PACKAGE} {} ;;", sha256(&package))), "{script}");
    assert!(!script.contains("lct_A") && !script.contains("amd64)"), "{script}");
    assert_eq!(gateway.get(&format!("/install/{PACKAGE}")), (200, package));
    assert!(gateway.site.log().contains("cannot read a package of the daemon; it is not offered"));
    for path in
        ["/", "/install/", "/install/linecampd_0.0.1_arm64.deb", "/install/../camp/identity/key.pem", "/v1/status"]
    {
        assert_eq!(gateway.get(path).0, 404, "{path}");
    }
    assert_eq!(request(gateway.port.address(), "POST /install").map(|(status, _)| status), Some(405));
    let shown = gateway.site.local(&["token", "create"]).ok().stdout;
    assert!(shown.contains("| sh $d/install\n") && shown.contains("linecampd join - --host --name NAME\n"), "{shown}");
}

/// The port for installations is that of the hosts: it moves with a reload, and is closed with the daemon.
#[test]
fn the_port_for_installations_is_free_after_a_reload_and_a_stop() {
    let mut gateway = Gateway::start();
    gateway.add_package(PACKAGE, b"x");
    gateway.create_token();
    let first = gateway.port.address();
    assert_eq!(gateway.get("/install").0, 200);
    let before = std::mem::replace(&mut gateway.port, Port::take());
    gateway.configure();
    gateway.site.signal(Signal::HUP);
    assert_eq!(gateway.get(&format!("/install/{PACKAGE}")), (200, b"x".to_vec()));
    gateway.wait_closed(first);
    drop(before);
    gateway.site.terminate();
    gateway.wait_closed(gateway.port.address());
}

/// Silent clients from one address give way to those that ask.
#[test]
fn silent_clients_do_not_stop_an_installation() {
    let gateway = Gateway::start();
    gateway.add_package(PACKAGE, b"x");
    gateway.create_token();
    assert_eq!(gateway.get("/install").0, 200);
    let connect = |_| TcpStream::connect(gateway.port.address()).expect("the gateway listens");
    let silent: Vec<_> = (0..300).map(connect).collect();
    assert_eq!(gateway.get("/install").0, 200);
    drop(silent);
}
