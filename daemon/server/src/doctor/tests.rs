use linecamp_doctor::{FindingCode, Verdict};

use super::*;

/// The names are a stable interface for scripts: names may be added, never changed.
const NAMES: [&str; 15] = [
    "configuration",
    "data-directory",
    "authority",
    "database",
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
    let target = Target { layout: Layout::new(data.path().join("absent")), config: None };
    let report = examine(&target, |_| {});
    let names: Vec<_> = report.checks.iter().map(|finding| finding.name).collect();
    assert_eq!(names, NAMES);
    assert_eq!(report.verdict, Verdict::Fail);
    let authority = report.checks.iter().find(|finding| finding.name == "authority").unwrap();
    assert_eq!(authority.code, FindingCode::NotInitialized, "{authority:?}");
    assert!(authority.remedy.as_ref().is_some_and(|remedy| remedy.contains("linecamp-server init")), "{authority:?}");
    assert!(!target.layout.dir().exists(), "nothing is made");
}
