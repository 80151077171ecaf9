//! Built components in the real host.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use linecamp_testkit::{CheckSetup, Report, Setup, Verdict, ZoneService, check_component};

const TOKEN: &str = "a-token-of-the-zone-api";

/// A built component: of `LINECAMP_PLUGINS`, or built here.
fn plugin(name: &str) -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| match std::env::var_os("LINECAMP_PLUGINS") {
        Some(directory) => directory.into(),
        None => {
            cargo(&["--release", "--target", "wasm32-wasip2", "-p", "dns-fake"]);
            target_directory().join("wasm32-wasip2/release")
        }
    });
    directory.join(format!("{name}.wasm"))
}

/// The program that compiles: of `LINECAMP_BINARIES`, or built here.
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
    let own = std::env::current_exe().unwrap();
    own.ancestors().nth(3).unwrap().to_owned()
}

fn cargo(arguments: &[&str]) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--target-dir"]).arg(target_directory()).args(arguments);
    assert!(cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success(), "{arguments:?}");
}

fn zone_api() -> Setup {
    let service = || ZoneService::new("example.org", TOKEN);
    Setup::new("example.org", r#"{"api": "https://zone.test:8443/"}"#, service).secret("token", TOKEN)
}

fn verdict(report: &Report, check: &str) -> Verdict {
    let row = report.rows.iter().find(|row| row.check == check);
    row.unwrap_or_else(|| panic!("no row `{check}` in\n{report}")).verdict
}

#[test]
fn the_fake_keeps_the_contract_as_a_component() {
    let report = check_component(&plugin("dns_fake"), CheckSetup::new(compiler()).against(zone_api()));
    report.assert();
    assert_eq!(report.count(Verdict::Skip), 0, "{report}");
    assert_eq!(verdict(&report, "is small"), Verdict::Pass, "{report}");
}

#[test]
fn a_component_is_examined_without_a_service_too() {
    let report = check_component(&plugin("dns_fake"), CheckSetup::new(compiler()));
    report.assert();
    let with_another =
        CheckSetup::new(compiler()).config(r#"{"api": "https://a.test", "apy": 1}"#).zone("other.example");
    let report = check_component(&plugin("dns_fake"), with_another);
    assert_eq!(verdict(&report, "has a schema that takes its config"), Verdict::Fail, "{report}");
}

#[test]
fn a_file_that_is_no_component_is_a_row_of_the_report() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let report = check_component(&file, CheckSetup::new(compiler()));
    assert!(!report.passed() && report.to_string().contains("loads in the host"), "{report}");
}

/// Its component is built by `npm install && npm run build`; where that was not done, there is nothing to examine.
#[test]
fn the_example_in_javascript_keeps_the_contract() {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/javascript/dns-zone-js.wasm");
    if built.exists() {
        check_component(&built, CheckSetup::new(compiler()).against(zone_api())).assert();
    }
}
