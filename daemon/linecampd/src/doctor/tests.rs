use linecamp_doctor::{FindingCode, Verdict};
use linecamp_model::{HostId, IdentityGrant, KnownServers, MemberKind, Name, ServerSet, SiteId};
use linecamp_proto::command_error::FailureCode;
use linecamp_transport::{Authority, SiteKey, SystemClock, WallClock as _};

use super::requirements::{evaluate_requirements, requirements};
use super::*;

/// Scripts depend on these names: add to them, never change them.
const NAMES: [&str; 20] = [
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
    "memory",
    "processor",
    "kernel",
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

/// A set that is not confirmed is checked before the site needs it.
#[test]
fn addresses_that_were_told_are_probed_too() {
    let data = tempfile::tempdir().unwrap();
    let site = site(data.path(), None);
    let ca = Authority::create(&data.path().join("ca"), &[], SystemClock.now()).unwrap();
    let key = SiteKey::load_or_create(&site.directory.identity()).unwrap();
    let begin = SystemClock.now();
    let id = SiteId::from_bytes([1; 16]);
    let certificate = ca.issue_member(key.public_key(), id.into(), begin..begin + Duration::from_secs(3600)).unwrap();
    let grant = IdentityGrant {
        kind: MemberKind::Site,
        name: Name::parse("camp-042").unwrap(),
        environment: Name::parse("default").unwrap(),
        site: id,
        host: HostId::from_bytes([2; 16]),
        certificate,
        gateway_chain: Vec::new(),
        authorities: vec![ca.certificate_der().to_vec()],
    };
    let servers = KnownServers {
        confirmed: ServerSet { number: 1, addresses: ServerAddress::parse_list("127.0.0.1:1").unwrap() },
        candidate: Some(ServerSet {
            number: 2,
            addresses: ServerAddress::parse_list("127.0.0.1:1,127.0.0.2:2").unwrap(),
        }),
    };
    SiteIdentity::adopt(&site.directory.identity(), &grant, &servers).unwrap();
    let report = examine(&site, |_| {});
    let udp = report.checks.iter().filter(|finding| finding.name == "udp");
    let subjects: Vec<_> = udp.map(|finding| finding.subject.as_str()).collect();
    assert_eq!(subjects, ["127.0.0.1:1", "127.0.0.2:2 (new, not confirmed)"]);
}

/// Names that the page promises for `linecampd join`.
#[test]
fn a_join_checks_what_the_daemon_needs() {
    let data = tempfile::tempdir().unwrap();
    let site = site(&data.path().join("absent"), None);
    let names: Vec<_> = requirements(&site, |_| {}).iter().map(|finding| finding.name).collect();
    assert_eq!(names, ["memory", "processor", "kernel", "disk", "clock", "docker"]);
    assert!(!data.path().join("absent").exists(), "nothing is created");
}

#[test]
fn a_failed_requirement_ends_the_join_and_a_warning_does_not() {
    let fail = CheckResult::fail(FindingCode::MemoryInsufficient, "9 MiB of memory available", "add memory");
    let warn = CheckResult::warn(FindingCode::AesMissing, "no AES instructions", "nothing to do");
    let warnings = evaluate_requirements(vec![warn.clone().of("processor"), CheckResult::ok("fine").of("kernel")]);
    assert_eq!(warnings.unwrap(), ["warning: processor: no AES instructions; nothing to do"]);
    let error = evaluate_requirements(vec![warn.of("processor"), fail.of("memory")]).unwrap_err();
    assert_eq!((error.exit_code(), error.code()), (3, FailureCode::RequirementsNotMet.into()));
    assert_eq!(
        error.to_string(),
        "this machine does not have what the daemon needs; the join token was not used\n  memory: 9 MiB of memory \
         available; add memory"
    );
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
