//! The metrics of both programs, as Prometheus reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use linecamp_tests::{Fleet, Site, skip};

use crate::cli_json::connected_site;

/// Parses text in the exposition format: every series belongs to a family whose HELP and TYPE came before, once; names
/// are valid; no series is duplicated. Returns the series with their values.
#[track_caller]
fn series(text: &str) -> BTreeMap<String, f64> {
    let is_name = |name: &str| {
        name.starts_with(|letter: char| letter.is_ascii_lowercase())
            && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
    };
    let (mut helped, mut typed, mut found) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a name and its help");
            assert!(is_name(name) && !help.is_empty() && helped.insert(name), "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and its type");
            assert!(helped.contains(name) && typed.insert(name, kind).is_none(), "{line}");
            assert!(["counter", "gauge"].contains(&kind) && (kind == "counter") == name.ends_with("_total"), "{line}");
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a series and its value");
            let name = series.split('{').next().unwrap_or_default();
            assert!(typed.contains_key(name), "{line}");
            let value = value.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!(found.insert(series.to_owned(), value).is_none(), "{line} is duplicated");
        }
    }
    assert!(text.ends_with('\n') && !found.is_empty(), "{text}");
    found
}

/// Checks the text with `promtool`, where it is installed.
#[track_caller]
fn ask_promtool(text: &str) {
    let tool = Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).output_of(text);
    match tool {
        Ok((true, _)) => {}
        Ok((false, said)) => panic!("promtool: {said}\n{text}"),
        Err(error) => skip("promtool", &error.to_string()),
    }
}

/// Runs a command with this text on its stdin.
trait OutputOf {
    fn output_of(&mut self, text: &str) -> std::io::Result<(bool, String)>;
}

impl OutputOf for Command {
    fn output_of(&mut self, text: &str) -> std::io::Result<(bool, String)> {
        let mut child = self.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        child.stdin.take().expect("stdio is piped").write_all(text.as_bytes())?;
        let output = child.wait_with_output()?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
    }
}

/// Sends a request to the daemon's socket, and returns the response.
fn say(site: &Site, request: &str) -> String {
    let mut stream = UnixStream::connect(site.data().join("linecampd.sock")).expect("the socket exists");
    stream.write_all(request.as_bytes()).expect("the daemon reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the daemon answers");
    answer
}

#[test]
fn a_daemon_serves_metrics_on_its_local_socket() {
    let fleet = Fleet::start();
    let site = connected_site(&fleet, "camp");
    let text = site.local(&["metrics"]).ok().stdout;
    let numbers = series(&text);
    assert_eq!(numbers["linecamp_link_up"], 1.0);
    assert_eq!(numbers["linecamp_link_sessions_total"], 1.0);
    assert!(0.0 < numbers["linecamp_store_writes_total{result=\"durable\"}"], "{text}");
    assert!(numbers["linecamp_clock_offset_seconds"].abs() < 60.0, "{text}");
    assert!(1e6 < numbers["process_resident_memory_bytes"], "{text}");
    ask_promtool(&text);

    let answer = say(&site, "GET /metrics HTTP/1.1\r\nHost: camp\r\nAccept: */*\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\ncontent-type: text/plain; version=0.0.4"), "{head}");
    assert!(head.contains(&format!("\r\ncontent-length: {}", body.len())), "{head}");
    assert_eq!(series(body).keys().collect::<Vec<_>>(), numbers.keys().collect::<Vec<_>>());
    assert!(say(&site, "GET /else HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    assert!(say(&site, "POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    let endless = format!("GET /metrics HTTP/1.1\r\n{}", "x: y\r\n".repeat(30_000));
    let mut stream = UnixStream::connect(site.data().join("linecampd.sock")).expect("the socket exists");
    // The daemon may close before it has received all of it.
    let _ = stream.write_all(endless.as_bytes());
    site.local(&["status"]).ok();
}

#[test]
fn a_server_serves_metrics_to_holders_of_an_api_key() {
    let fleet = Fleet::start();
    let refused = match fleet.http_as("/metrics", "Authorization: Bearer nonsense") {
        Ok((code, _)) => code,
        Err(error) => return skip("curl", &error.to_string()),
    };
    assert_eq!(refused, "401");
    let numbers = || {
        let (code, text) = fleet.http("/metrics").expect("curl is installed");
        assert_eq!(code, "200", "{text}");
        (series(&text), text)
    };
    let _first = connected_site(&fleet, "camp-1");
    let before = numbers().0;
    let _second = connected_site(&fleet, "camp-2");
    let (after, text) = numbers();
    let key = "linecamp_sites{environment=\"default\",phase=\"active\",link=\"connected\"}";
    assert_eq!((before[key], after[key]), (1.0, 2.0));
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>(), "a site adds no series");
    assert!(before["linecamp_sessions_total"] < after["linecamp_sessions_total"], "{text}");
    assert!(after["linecamp_api_requests_total{code=\"4xx\"}"] >= 1.0, "{text}");
    ask_promtool(&text);
}

/// Returns the root of the checkout.
fn checkout() -> PathBuf {
    Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo names the package's directory")).join("..")
}

/// Runs `promtool` in the directory of the monitoring files.
#[track_caller]
fn promtool(arguments: &[&str]) {
    let directory = checkout().join("packaging/monitoring");
    let ran = Command::new("promtool").args(arguments).current_dir(directory).output();
    match ran {
        Ok(output) if output.status.success() => {}
        Ok(output) => panic!("promtool {arguments:?}: {output:?}"),
        Err(error) => skip("promtool", &error.to_string()),
    }
}

#[test]
fn the_alert_rules_fire_when_they_say_so() {
    promtool(&["check", "rules", "alerts.yml"]);
    promtool(&["test", "rules", "alerts_test.yml"]);
}

#[test]
fn the_dashboard_queries_prometheus_correctly() {
    let dashboard = std::fs::read_to_string(checkout().join("packaging/monitoring/dashboard.json")).expect("it exists");
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).expect("it is JSON");
    let panels = dashboard["panels"].as_array().expect("it has panels");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("a panel has targets"));
    let queries = targets.map(|target| target["expr"].as_str().expect("a target has a query"));
    let concrete = |query: &str| query.replace("$__rate_interval", "5m").replace("$instance", ".*");
    let rules: Vec<_> = queries.map(|query| serde_json::json!({"record": "panel", "expr": concrete(query)})).collect();
    let rules = serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]});
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), rules.to_string()).expect("the file is written");
    promtool(&["check", "rules", "--lint=none", file.path().to_str().expect("a path of ours")]);
}

#[test]
fn the_dashboard_and_the_alerts_use_metrics_that_exist() {
    let read = |name: &str| std::fs::read_to_string(checkout().join(name)).expect("it exists");
    let page = read("packaging/docs/metrics.md");
    let known: BTreeSet<_> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | ")).collect();
    let known: BTreeSet<_> = known.into_iter().map(|(name, _)| name).collect();
    for file in ["packaging/monitoring/dashboard.json", "packaging/monitoring/alerts.yml"] {
        let text = read(file);
        let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let used: BTreeSet<_> =
            words.filter(|word| word.starts_with("linecamp_") || word.starts_with("process_")).collect();
        let unknown: Vec<_> = used.difference(&known).collect();
        assert!(!used.is_empty() && unknown.is_empty(), "{file}: {unknown:?}");
    }
}
