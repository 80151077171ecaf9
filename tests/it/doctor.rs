//! `doctor` of daemon and server: each problem is reported by its check, and running services are not disturbed.

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use linecamp_tests::{CommandOutput, Fleet, PATIENCE, Site, UdpProxy, program, skip};
use serde_json::Value;

use crate::cli_json::{connected_site, events, show};

/// The finding of one check in a report.
#[derive(Debug)]
struct Finding {
    verdict: String,
    code: String,
    evidence: String,
    remedy: String,
}

#[track_caller]
fn finding(report: &Value, name: &str) -> Finding {
    let checks = report["checks"].as_array().expect("a report has checks");
    let found = checks.iter().find(|check| check["name"] == name);
    let found = found.unwrap_or_else(|| panic!("there is no check {name} in {report:#}"));
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    Finding { verdict: text("verdict"), code: text("code"), evidence: text("evidence"), remedy: text("remedy") }
}

/// Checks the verdict and the code of a finding.
#[track_caller]
pub(crate) fn assert_check(report: &Value, name: &str, verdict: &str, code: &str) {
    let finding = finding(report, name);
    assert_eq!((&*finding.verdict, &*finding.code), (verdict, code), "{name}:\n{report:#}");
    if ["warn", "fail"].contains(&verdict) {
        assert!(!finding.remedy.is_empty(), "{name} has no remedy:\n{report:#}");
    }
}

/// Checks that a finding names this, such as a key's fingerprint or a port, in its evidence or its remedy.
#[track_caller]
pub(crate) fn assert_named(report: &Value, name: &str, named: &str) {
    let finding = finding(report, name);
    let is_named = finding.evidence.contains(named) || finding.remedy.contains(named);
    assert!(is_named, "{name} does not name `{named}`:\n{report:#}");
}

#[track_caller]
fn failures(report: &Value) -> Vec<String> {
    let checks = report["checks"].as_array().expect("a report has checks");
    let failed = checks.iter().filter(|check| check["verdict"] == "fail");
    failed.map(|check| check["name"].as_str().unwrap_or_default().to_owned()).collect()
}

#[track_caller]
pub(crate) fn doctor_report(site: &Site) -> Value {
    site.local(&["doctor", "-o", "json"]).json()
}

/// Runs the doctor on any directory, with or without a configuration.
#[track_caller]
fn doctor_report_at(fleet: &Fleet, data: &Path, config: Option<&str>) -> Value {
    let mut line = vec!["doctor", "-o", "json", "--data", text(data)];
    let file = data.with_extension("toml");
    if let Some(config) = config {
        fs::write(&file, config).expect("a configuration can be written");
        line.extend(["--config", text(&file)]);
    }
    fleet.run("linecampd", &line, &[]).json()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

fn server_doctor(fleet: &Fleet, more: &[&str]) -> CommandOutput {
    let data = text(fleet.server.data());
    fleet.run("linecamp-server", &[&["doctor", "--data", data], more].concat(), &[])
}

#[test]
fn a_healthy_site_passes_all_checks_and_its_session_is_not_disturbed() {
    let fleet = Fleet::start();
    let site = connected_site(&fleet, "camp");
    let before = (show(&fleet, "camp")["link"].clone(), events(&fleet, "camp", "daemon-started").len());
    let said = site.local(&["doctor"]).ok();
    assert!(!said.stdout.contains("failed"), "{}", said.stdout);
    let report = doctor_report(&site);
    assert_eq!(failures(&report), Vec::<String>::new(), "{report:#}");
    for name in ["configuration", "data-directory", "identity", "disk", "daemon", "link", "conditions", "mtu", "udp"] {
        assert_eq!(finding(&report, name).verdict, "ok", "{name}: {report:#}");
    }
    for name in ["tls", "clock", "versions", "file-limit"] {
        assert_check(&report, name, "ok", "ok");
    }
    assert_named(&report, "tls", fleet.pin());
    let version = env!("CARGO_PKG_VERSION");
    assert_named(&report, "versions", &format!("running: {version}, server: {version}"));
    assert_named(&report, "file-limit", &format!("process {}", site.id().expect("the process is running")));
    let after = (show(&fleet, "camp")["link"].clone(), events(&fleet, "camp", "daemon-started").len());
    assert_eq!(before, after, "the session is unchanged");
    let left: Vec<_> = fs::read_dir(site.data()).expect("it is there").flatten().map(|e| e.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("doctor")), "{left:?}");
}

#[test]
fn a_stopped_server_is_distinguished_from_a_blocked_path() {
    let mut fleet = Fleet::start();
    let mut site = connected_site(&fleet, "camp");
    site.kill();
    fleet.server.kill();
    let report = doctor_report(&site);
    assert_check(&report, "udp", "fail", "port-closed");
    assert_check(&report, "daemon", "fail", "daemon-stopped");
    assert_check(&report, "tls", "skipped", "no-handshake");
    site.local(&["doctor"]).exits(1);

    // A listener that never replies, like a firewall that drops UDP; TCP passes.
    let swallowing = UdpSocket::bind(fleet.server.quic()).expect("the server's port is free");
    let report = doctor_report(&site);
    // The TCP port is closed, which the machine reports immediately.
    assert_check(&report, "udp", "fail", "udp-blocked");
    let open = TcpListener::bind(fleet.server.https()).expect("the server's port is free");
    let report = doctor_report(&site);
    assert_check(&report, "udp", "fail", "udp-blocked");
    assert_named(&report, "udp", &format!("TCP {} answers", fleet.server.https().port()));
    drop((swallowing, open));
}

#[test]
fn a_cut_link_is_a_blocked_path_while_the_server_runs() {
    let fleet = Fleet::start();
    let proxy = UdpProxy::start(fleet.server.quic());
    let site = fleet.join_by("camp", &fleet.token(&[]), proxy.address(), &[]);
    // Not the address that the server told, which is not cut.
    let config = format!("servers = [\"{}\"]", proxy.address());
    proxy.cut();
    // TCP is closed at the proxy's port number.
    let report = doctor_report_at(&fleet, site.data(), Some(&config));
    assert_check(&report, "udp", "fail", "udp-blocked");
    proxy.heal();
    let report = doctor_report_at(&fleet, site.data(), Some(&config));
    assert_check(&report, "udp", "ok", "ok");
    assert_check(&report, "tls", "ok", "ok");
    assert_named(&report, "tls", fleet.pin());
}

#[test]
fn an_unreachable_address_and_an_unresolvable_name_are_reported() {
    let fleet = Fleet::start();
    let site = fleet.join("camp", &[]);
    // RFC 5737 reserves this address; names below `invalid` do not exist (RFC 6761).
    let config = format!("servers = [\"192.0.2.1:9\", \"camp.invalid:1\", \"{}\"]", fleet.server.quic());
    let report = doctor_report_at(&fleet, site.data(), Some(&config));
    // One address works, and one is enough.
    assert_eq!(failures(&report), ["daemon"], "{report:#}");
    let checks = report["checks"].as_array().expect("checks");
    let dead = checks.iter().find(|check| check["name"] == "udp" && check["subject"] == "192.0.2.1:9");
    let nameless = checks.iter().find(|check| check["subject"] == "camp.invalid:1");
    // The network of this machine decides how the address fails.
    let unreachable = ["server-silent", "not-sent", "port-closed", "udp-blocked"];
    for (found, codes) in [(dead, &unreachable[..]), (nameless, &["name-not-resolved"])] {
        let found = found.unwrap_or_else(|| panic!("each is checked: {report:#}"));
        assert_eq!(found["verdict"], "warn", "one that works is enough: {found:#}");
        assert!(found["code"].as_str().is_some_and(|code| codes.contains(&code)), "{found:#}");
    }
}

#[test]
fn a_wrong_authority_is_reported_with_both_pins() {
    let (fleet, other) = (Fleet::start(), Fleet::start());
    let site = fleet.join("camp", &[]);
    let config = format!("servers = [\"{}\"]", other.server.quic());
    let report = doctor_report_at(&fleet, site.data(), Some(&config));
    assert_check(&report, "udp", "ok", "ok");
    assert_check(&report, "tls", "fail", "wrong-authority");
    assert_named(&report, "tls", other.pin());
    assert_named(&report, "tls", fleet.pin());

    // Before the join, the token's pin is used.
    let (data, token) = (fleet.directory().join("new"), fleet.directory().join("token"));
    fs::write(&token, format!("{}@{}", fleet.token(&[]), other.server.quic())).expect("a token");
    let config = format!("[join]\ntoken_file = \"{}\"\nname = \"new\"\n", token.display());
    let report = doctor_report_at(&fleet, &data, Some(&config));
    assert_check(&report, "tls", "fail", "wrong-authority");
    assert_check(&report, "identity", "warn", "join-pending");
}

#[test]
fn a_site_that_has_not_joined_fails_no_check() {
    let fleet = Fleet::start();
    let data = fleet.directory().join("new");
    let report = doctor_report_at(&fleet, &data, None);
    assert_eq!(failures(&report), Vec::<String>::new(), "{report:#}");
    assert_check(&report, "identity", "warn", "not-joined");
    assert_check(&report, "udp", "skipped", "not-joined");
    let config = format!("servers = [\"{}\"]", fleet.server.quic());
    let report = doctor_report_at(&fleet, &data, Some(&config));
    assert_check(&report, "udp", "ok", "ok");
    assert_check(&report, "tls", "skipped", "no-trust");
    assert_named(&report, "tls", fleet.pin());
    assert!(!data.exists(), "nothing is made");
}

#[test]
fn a_wrong_clock_is_reported_in_both_directions() {
    let fleet = Fleet::start();
    let site = fleet.join("camp", &[]);
    for (time, code) in [("@1970-01-02 00:00:00", "clock-behind"), ("+200d", "clock-ahead")] {
        let line = ["doctor", "--data", text(site.data()), "-o", "json"];
        let mut doctor = fleet.process("linecampd", &line, &format!("doctor{time}.log"));
        if !doctor.set_clock(time) {
            return;
        }
        doctor.start();
        let ended = doctor.wait_for_exit(PATIENCE).expect("it ends");
        assert_eq!(ended.code(), Some(1), "{}", doctor.log());
        let report: Value = serde_json::from_str(&doctor.log()).expect("it prints a report");
        assert_check(&report, "clock", "fail", code);
    }
}

#[test]
fn an_unusable_directory_is_reported() {
    let fleet = Fleet::start();
    let site = fleet.join("camp", &[]);
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    let key = site.data().join("identity/key.pem");
    mode(&key, 0o644);
    assert_check(&doctor_report(&site), "data-directory", "fail", "wrong-mode");
    mode(&key, 0o600);
    assert_check(&doctor_report(&site), "data-directory", "ok", "ok");
    mode(site.data(), 0o500);
    assert_check(&doctor_report(&site), "data-directory", "fail", "wrong-mode");
    mode(site.data(), 0o555);
    mode(fleet.directory(), 0o755);
    // Root may write anywhere; another user shows what the daemon's own user gets.
    let mut doctor = match rustix::process::geteuid().is_root() {
        true => {
            let mut doctor = Command::new("setpriv");
            doctor.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(program("linecampd"));
            doctor
        }
        false => Command::new(program("linecampd")),
    };
    let said = doctor.args(["doctor", "-o", "json", "--data", text(site.data())]).output();
    mode(site.data(), 0o700);
    let said = match said {
        Ok(said) => said,
        Err(error) => return skip("another-user", &format!("setpriv not found: {error}")),
    };
    let complaint = String::from_utf8_lossy(&said.stderr);
    if complaint.contains("setpriv:") {
        return skip("another-user", &complaint);
    }
    let report = serde_json::from_slice(&said.stdout).unwrap_or_else(|error| panic!("no report: {error}: {complaint}"));
    assert_check(&report, "disk", "fail", "disk-not-writable");
}

#[test]
fn a_hung_daemon_is_distinguished_from_a_stopped_one() {
    let fleet = Fleet::start();
    let mut site = connected_site(&fleet, "camp");
    site.signal(rustix::process::Signal::STOP);
    let report = doctor_report(&site);
    assert_check(&report, "daemon", "fail", "daemon-hung");
    assert_check(&report, "udp", "ok", "ok");
    site.signal(rustix::process::Signal::CONT);
    fleet.wait_for("the daemon to resume", PATIENCE, || {
        (finding(&doctor_report(&site), "daemon").verdict == "ok").then_some(())
    });
}

#[test]
fn a_healthy_server_fails_no_check() {
    let fleet = Fleet::start();
    let report = server_doctor(&fleet, &["-o", "json"]).ok().json();
    for name in ["authority", "https", "link", "https-port", "versions", "file-limit"] {
        assert_check(&report, name, "ok", "ok");
    }
    assert_check(&report, "database", "skipped", "database-in-use");
    assert_named(&report, "authority", fleet.pin());
    let process = format!("process {}", fleet.server.id().expect("the process is running"));
    for name in ["database", "https-port", "file-limit"] {
        assert_named(&report, name, &process);
    }
    let said = server_doctor(&fleet, &[]).ok();
    assert!(said.stdout.contains("16 checks"), "{}", said.stdout);
}

#[test]
fn the_ports_of_a_server_that_was_started_with_flags_are_examined() {
    let mut fleet = Fleet::start();
    assert!(fleet.server.terminate().success());
    let drop_ins = fleet.server.data().join("server.d");
    fs::create_dir_all(&drop_ins).expect("it is ours");
    let other_ports = "https = \"127.0.0.1:1\"\nquic = \"127.0.0.1:1\"\n";
    fs::write(drop_ins.join("ports.toml"), other_ports).expect("it is ours");
    fleet.start_server();
    let report = server_doctor(&fleet, &["-o", "json"]).ok().json();
    for (name, address) in [("https-port", fleet.server.https()), ("quic-port", fleet.server.quic())] {
        assert_check(&report, name, "ok", "ok");
        assert_named(&report, name, &address.to_string());
    }
    assert_check(&report, "https", "ok", "ok");

    assert!(fleet.server.terminate().success());
    let address = fleet.server.https().to_string();
    let report = server_doctor(&fleet, &["-o", "json", "--https", &address, "--quic", &address]).json();
    assert_named(&report, "https-port", &address);
    assert_named(&report, "quic-port", &address);
    fleet.start_server();
}

#[test]
fn a_port_in_use_and_a_corrupt_authority_are_reported() {
    let mut fleet = Fleet::start();
    assert!(fleet.server.terminate().success());
    let report = server_doctor(&fleet, &["-o", "json"]).ok().json();
    assert_check(&report, "database", "ok", "ok");
    assert_check(&report, "https-port", "ok", "ok");
    let before = names(fleet.server.data());

    let address: SocketAddr = fleet.server.https();
    let (tcp, udp) = (TcpListener::bind(address).expect("it is free"), UdpSocket::bind(address).expect("it is free"));
    let report = server_doctor(&fleet, &["-o", "json"]).exits(1).json();
    assert_check(&report, "https-port", "fail", "port-in-use");
    assert_check(&report, "quic-port", "fail", "port-in-use");
    drop((tcp, udp));

    let key = fleet.server.data().join("ca/key.pem");
    let whole = fs::read(&key).expect("it is there");
    fs::write(&key, &whole[..whole.len() / 2]).expect("it is ours");
    let report = server_doctor(&fleet, &["-o", "json"]).exits(1).json();
    assert_check(&report, "authority", "fail", "authority-corrupt");
    assert_named(&report, "authority", "key.pem");
    assert!(!report.to_string().contains("BEGIN"), "the key is not printed");
    fs::write(&key, &whole).expect("it is ours");

    let database = fleet.server.data().join("fleet.db");
    let sound = fs::read(&database).expect("it is there");
    fs::write(&database, [&sound[..100], &[0xff; 3000], &sound[3100..]].concat()).expect("it is ours");
    assert_check(&server_doctor(&fleet, &["-o", "json"]).exits(1).json(), "database", "fail", "database-corrupt");
    fs::write(&database, &sound).expect("it is ours");
    assert_eq!(names(fleet.server.data()), before, "nothing remains");
    fleet.start_server();
}

fn names(directory: &Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> = fs::read_dir(directory).expect("it is there").flatten().map(|e| e.file_name()).collect();
    names.sort();
    names
}
