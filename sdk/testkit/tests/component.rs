//! Built components in the real host, against the fakes of their services from their own tests.

#[cfg(test)]
#[expect(dead_code, reason = "only a part is needed here")]
#[path = "../../../plugins/dns-powerdns/src/fake_server.rs"]
mod powerdns;
#[cfg(test)]
#[expect(dead_code, reason = "only a part is needed here")]
#[path = "../../../plugins/dns-rfc2136/src/fake_server.rs"]
mod rfc2136;
#[cfg(test)]
#[expect(dead_code, reason = "only a part is needed here")]
#[path = "../../../plugins/dns-route53/src/fake_server.rs"]
mod route53;
#[cfg(test)]
#[path = "../../../plugins/dns-route53/src/xml.rs"]
mod xml;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use linecamp_testkit::{CheckSetup, Report, Setup, Verdict, ZoneService, check_component};

const ZONE: &str = "example.org";
const TOKEN: &str = "a-token-of-the-zone-api";

/// The plugins, by their file names in `LINECAMP_PLUGINS`.
const PLUGINS: [&str; 4] = ["dns_fake", "dns_powerdns", "dns_rfc2136", "dns_route53"];

/// A built component: from `LINECAMP_PLUGINS`, or built here.
fn plugin(name: &str) -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| match std::env::var_os("LINECAMP_PLUGINS") {
        Some(directory) => directory.into(),
        None => {
            let packages = PLUGINS.map(|name| name.replace('_', "-"));
            let packages = packages.iter().flat_map(|package| ["--package", package.as_str()]);
            cargo(&["--release", "--target", "wasm32-wasip2"].into_iter().chain(packages).collect::<Vec<_>>());
            target_directory().join("wasm32-wasip2/release")
        }
    });
    directory.join(format!("{name}.wasm"))
}

/// The plugin compiler: from `LINECAMP_BINARIES`, or built here.
fn compiler() -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| match std::env::var_os("LINECAMP_BINARIES") {
        Some(directory) => directory.into(),
        None => {
            cargo(&["-p", "linecamp-plugin-compiler"]);
            target_directory().join("debug")
        }
    });
    directory.join("linecamp-plugin-compiler")
}

fn target_directory() -> PathBuf {
    let own = std::env::current_exe().expect("a test knows its own executable");
    own.ancestors().nth(3).expect("a test's executable stands in target/debug/deps").to_owned()
}

fn cargo(arguments: &[&str]) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--target-dir"]).arg(target_directory()).args(arguments);
    let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo can be run");
    assert!(status.success(), "{arguments:?}");
}

fn zone_api() -> Setup {
    let service = || ZoneService::new(ZONE, TOKEN);
    Setup::new(ZONE, r#"{"api": "https://zone.test:8443/"}"#, service).secret("token", TOKEN)
}

fn examine(name: &str, service: Setup) -> Report {
    let report = check_component(&plugin(name), CheckSetup::new(compiler()).against(service));
    report.assert();
    assert_eq!(verdict(&report, "is small"), Verdict::Pass, "{report}");
    report
}

fn verdict(report: &Report, name: &str) -> Verdict {
    let result = report.tests.iter().find(|test| test.name == name);
    result.unwrap_or_else(|| panic!("no test `{name}` in\n{report}")).verdict
}

#[test]
fn dns_fake_conforms_to_the_contract_as_a_component() {
    let report = examine("dns_fake", zone_api());
    assert_eq!(report.count(Verdict::Skip), 0, "{report}");
}

#[test]
fn dns_powerdns_conforms_to_the_contract_as_a_component() {
    let config = r#"{"api": "https://pdns.test:8443"}"#;
    examine(
        "dns_powerdns",
        Setup::new(ZONE, config, || powerdns::FakeServer::new(ZONE)).secret("api-key", powerdns::KEY),
    );
}

#[test]
fn dns_rfc2136_conforms_to_the_contract_as_a_component() {
    let config = format!(r#"{{"server": "ns1.test:53", "key_name": "{}"}}"#, rfc2136::KEY);
    examine(
        "dns_rfc2136",
        Setup::new(ZONE, &config, || rfc2136::FakeServer::new(ZONE)).secret("tsig", rfc2136::SECRET),
    );
}

#[test]
fn dns_route53_conforms_to_the_contract_as_a_component() {
    let config = r#"{"endpoint": "https://route53.test", "temporary": true}"#;
    let setup = Setup::new(ZONE, config, || route53::FakeServer::new(ZONE))
        .secret("access-key-id", route53::ACCESS_KEY_ID)
        .secret("secret-access-key", route53::SECRET_ACCESS_KEY)
        .secret("session-token", "FwoGZXIvYXdzEXAMPLETOKEN");
    examine("dns_route53", setup);
}

#[test]
fn a_component_is_tested_without_a_service() {
    // One that uses HTTP, and one that uses DNS.
    for name in ["dns_fake", "dns_rfc2136"] {
        check_component(&plugin(name), CheckSetup::new(compiler())).assert();
    }
    let with_another =
        CheckSetup::new(compiler()).config(r#"{"api": "https://a.test", "apy": 1}"#).zone("other.example");
    let report = check_component(&plugin("dns_fake"), with_another);
    assert_eq!(verdict(&report, "has a schema that accepts its config"), Verdict::Fail, "{report}");
}

#[test]
fn a_file_that_is_not_a_component_is_a_row_of_the_report() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let report = check_component(&file, CheckSetup::new(compiler()));
    assert!(!report.passed() && report.to_string().contains("loads in the sandbox"), "{report}");
}

/// Its component is built only where npm is available.
#[test]
fn the_javascript_example_conforms_to_the_contract() {
    let component = plugin("dns_zone_js");
    if !component.exists() {
        skip("javascript", &format!("there is no {}", component.display()));
        return;
    }
    let report = check_component(&component, CheckSetup::new(compiler()).against(zone_api()));
    report.assert();
    assert_eq!(report.count(Verdict::Skip), 0, "{report}");
}

/// Reports a skipped test in the format of the end-to-end tests' harness: `tests/harness/skip.rs`.
#[expect(clippy::print_stdout, reason = "what is skipped is said to the person who runs the tests")]
fn skip(need: &str, why: &str) {
    println!("SKIPPED: {need}: {why}");
    if let Some(path) = std::env::var_os("LINECAMP_SKIPPED") {
        let mut file = File::options().append(true).create(true).open(path).expect("the list of what is skipped");
        let [binary, test] =
            ["NEXTEST_BINARY_ID", "NEXTEST_TEST_NAME"].map(|name| std::env::var(name).unwrap_or_default());
        let line = format!("{binary}\t{test}\t{need}\t{why}\n");
        file.write_all(line.as_bytes()).expect("the list of what is skipped takes a line");
    }
}
