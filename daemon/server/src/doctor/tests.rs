use std::net::{TcpListener, UdpSocket};

use linecamp_doctor::{FindingCode, Verdict};

use super::*;

/// The names are a stable interface for scripts: names may be added, never changed.
const NAMES: [&str; 16] = [
    "configuration",
    "data-directory",
    "authority",
    "database",
    "restore",
    "disk",
    "https-port",
    "quic-port",
    "server-url",
    "https",
    "link",
    "versions",
    "file-limit",
    "udp-buffers",
    "clock",
    "service",
];

#[test]
fn an_empty_place_is_examined_and_every_check_has_its_name() {
    let data = tempfile::tempdir().unwrap();
    let target =
        Target { layout: Layout::new(data.path().join("absent")), config: None, overrides: Overrides::default() };
    let report = examine(&target, |_| {});
    let names: Vec<_> = report.checks.iter().map(|finding| finding.name).collect();
    assert_eq!(names, NAMES);
    assert_eq!(report.verdict, Verdict::Fail);
    let authority = report.checks.iter().find(|finding| finding.name == "authority").unwrap();
    assert_eq!(authority.code, FindingCode::NotInitialized, "{authority:?}");
    assert!(authority.remedy.as_ref().is_some_and(|remedy| remedy.contains("linecamp-server init")), "{authority:?}");
    assert!(!target.layout.dir().exists(), "nothing is made");
}

#[test]
fn ports_given_by_flags_are_examined_instead_of_those_of_the_file() {
    let data = tempfile::tempdir().unwrap();
    let file = "server_url = \"https://camp.example:8443\"\nhttps = \"127.0.0.1:1\"\nquic = \"127.0.0.1:1\"\n";
    std::fs::write(data.path().join("server.toml"), file).unwrap();
    let (tcp, udp) = (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let (https, quic) = (tcp.local_addr().unwrap(), udp.local_addr().unwrap());
    let overrides = Overrides { https: Some(https), quic: Some(quic), log: None };
    let target = Target { layout: Layout::new(data.path()), config: None, overrides };
    for (finding, address) in listening::ports(&target).iter().zip([https, quic]) {
        assert_eq!(finding.code, FindingCode::PortInUse, "{finding:?}");
        assert!(finding.evidence.contains(&address.to_string()), "{finding:?}");
    }
}
