use linecamp_doctor::{FindingCode, Verdict};

use super::*;

/// Scripts depend on these names: add to them, never change them.
const NAMES: [&str; 17] = [
    "configuration",
    "data-directory",
    "identity",
    "disk",
    "daemon",
    "link",
    "conditions",
    "service",
    "file-limit",
    "docker",
    "plugins",
    "name-resolution",
    "mtu",
    "udp",
    "tls",
    "clock",
    "versions",
];

fn site(data: &std::path::Path, config: Option<PathBuf>) -> Installation {
    Installation { directory: DataDirectory::new(data), config, variable: |_| None }
}

fn found(report: &Report, name: &str) -> (Verdict, FindingCode) {
    let finding = report.checks.iter().find(|finding| finding.name == name).expect("there is such a check");
    (finding.verdict, finding.code)
}

#[test]
fn every_check_of_an_empty_directory_has_its_name() {
    let data = tempfile::tempdir().unwrap();
    let report = examine(&site(&data.path().join("absent"), None), |_| {});
    let names: Vec<_> = report.checks.iter().map(|finding| finding.name).collect();
    assert_eq!(names, NAMES);
    assert!(!report.has_failed(), "{report:?}");
    assert_eq!(found(&report, "identity"), (Verdict::Warn, FindingCode::NotJoined));
    assert_eq!(found(&report, "udp"), (Verdict::Skipped, FindingCode::NotJoined));
    assert!(!data.path().join("absent").exists(), "nothing is created");
}

#[test]
fn an_invalid_configuration_is_reported_with_its_line() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("site.toml");
    std::fs::write(&file, "log = \"info\"\nrancher_lables = true\n").unwrap();
    let report = examine(&site(data.path(), Some(file)), |_| {});
    let found = &report.checks[0];
    assert_eq!((found.name, found.verdict), ("configuration", Verdict::Fail));
    assert_eq!(found.code, FindingCode::ConfigInvalid);
    assert!(found.evidence.contains("line 2") && found.evidence.contains("rancher_lables"), "{found:?}");
}

#[test]
fn an_unusable_token_is_reported_and_not_repeated() {
    let data = tempfile::tempdir().unwrap();
    let (file, token) = (data.path().join("site.toml"), data.path().join("token"));
    std::fs::write(&token, "lct_nonsense@camp:1").unwrap();
    std::fs::write(&file, format!("[join]\ntoken_file = \"{}\"\nname = \"camp\"\n", token.display())).unwrap();
    let report = examine(&site(data.path(), Some(file)), |_| {});
    assert_eq!(found(&report, "identity"), (Verdict::Fail, FindingCode::TokenInvalid));
    assert!(!report.json().contains("lct_nonsense"), "{}", report.json());
}
