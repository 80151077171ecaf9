//! The audit log through the real programs: nothing is missing after kills, and nothing can be changed unnoticed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use linecamp_tests::{Fleet, PATIENCE};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How often the server is killed while operators work.
const KILLS: usize = 12;

/// How many commands were acknowledged before each kill, at least.
const ACKNOWLEDGED_BEFORE_KILL: usize = 3;

/// Operators that create join tokens at the same time.
const OPERATORS: usize = 3;

fn exported(fleet: &Fleet, name: &str) -> (PathBuf, Vec<Value>) {
    let path = fleet.directory().join(name);
    fleet.cli(&["audit", "export", path.to_str().expect("the path is text")]).ok();
    let text = fs::read_to_string(&path).expect("the file is there");
    let entries = text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    (path, entries)
}

/// Returns the IDs of the join tokens that entries say were created, with how many entries say so.
fn created(entries: &[Value]) -> BTreeMap<String, usize> {
    let mut created = BTreeMap::new();
    for entry in entries {
        let is_creation = entry["operation"] == "token.create" && entry["outcome"] == "done";
        let object = entry["changes"][0]["object"].as_str().unwrap_or_default();
        if let Some(id) = object.strip_prefix("join token ").filter(|_| is_creation) {
            *created.entry(id.to_owned()).or_default() += 1;
        }
    }
    created
}

/// Operators create join tokens while the server is killed again and again. Afterwards, each token that exists has one
/// entry, each entry has its token, and each token that was acknowledged exists.
#[test]
fn a_killed_server_loses_no_audited_change() {
    let mut fleet = Fleet::start();
    let acknowledged: Mutex<BTreeSet<String>> = Mutex::default();
    let mut head = String::new();
    for _ in 0..KILLS {
        let (is_killed, admin) = (AtomicBool::new(false), fleet.admin());
        let count = || acknowledged.lock().unwrap().len();
        let before = count();
        thread::scope(|scope| {
            for _ in 0..OPERATORS {
                scope.spawn(|| {
                    while !is_killed.load(Ordering::Relaxed) {
                        let said = admin(&["token", "create", "-o", "json"]);
                        if said.code == Some(0) {
                            let id = said.json()["token"]["id"].as_str().unwrap().to_owned();
                            acknowledged.lock().unwrap().insert(id);
                        }
                    }
                });
            }
            let is_busy = || (before + ACKNOWLEDGED_BEFORE_KILL <= count()).then_some(());
            let busy = linecamp_tests::wait_until(PATIENCE, is_busy);
            let id = fleet.server.id().and_then(|id| Pid::from_raw(id.cast_signed()));
            kill_process(id.expect("it was started"), Signal::KILL).expect("a child can be killed");
            is_killed.store(true, Ordering::Relaxed);
            assert!(busy.is_some(), "the operators get on");
            fleet.server.wait_for_exit(PATIENCE).expect("it was killed");
            // Those whose connection was lost send their request again.
            fleet.start_server();
        });
        // What was verified before the kill is still there.
        let known: Vec<&str> = if head.is_empty() { Vec::new() } else { vec!["--head", &head] };
        let arguments: Vec<&str> = ["audit", "verify", "-o", "json"].into_iter().chain(known).collect();
        head = fleet.cli(&arguments).ok().json()["head"].as_str().unwrap().to_owned();
    }
    let (_, entries) = exported(&fleet, "audit.jsonl");
    let created = created(&entries);
    let listed = fleet.json(&["token", "ls"]);
    let listed = listed["items"].as_array().unwrap().iter().map(|token| token["id"].as_str().unwrap().to_owned());
    let listed: BTreeSet<_> = listed.collect();
    assert_eq!(
        created.keys().cloned().collect::<BTreeSet<_>>(),
        listed,
        "each token has its entry, and each entry its token"
    );
    assert!(created.values().all(|count| *count == 1), "{created:?}");
    assert!(acknowledged.lock().unwrap().is_subset(&listed), "what was acknowledged is there");
}

/// Exports a log, changes the file in every way, and verifies it without a server.
#[test]
fn a_changed_log_is_detected() {
    let fleet = Fleet::start();
    for name in ["a", "b", "c", "d", "e"] {
        fleet.cli(&["environment", "create", name]).ok();
    }
    let (path, entries) = exported(&fleet, "audit.jsonl");
    let text = fs::read_to_string(&path).expect("the file is there");
    let lines: Vec<&str> = text.lines().collect();
    let last = entries.last().unwrap();
    let head = format!("{}@{}", last["hash"].as_str().unwrap(), last["number"]);
    let changed = fleet.directory().join("changed.jsonl");
    let check = |lines: &[&str], arguments: &[&str], expected: &str| {
        fs::write(&changed, lines.join("\n") + "\n").unwrap();
        let file = changed.to_str().unwrap();
        let arguments: Vec<&str> = ["audit", "verify", file].iter().chain(arguments).copied().collect();
        let said = fleet.cli(&arguments);
        let is_detected = !expected.is_empty();
        assert_eq!(said.code, Some(i32::from(is_detected)), "{}{}", said.stdout, said.stderr);
        assert!(said.stderr.contains(expected), "{expected}: {}", said.stderr);
    };
    check(&lines, &["--head", &head], "");
    check(&lines, &["--against", path.to_str().expect("the path is text")], "");
    let other = lines[3].replace("environment", "environs");
    check(&[&lines[..3], &[&other], &lines[4..]].concat(), &[], "entry 4 was changed");
    check(&[&lines[..3], &lines[4..]].concat(), &[], "entry 5 follows entry 3");
    check(&[&lines[..3], &[lines[4], lines[3]], &lines[5..]].concat(), &[], "entry 5 follows entry 3");
    let cut = &lines[..lines.len() - 2];
    check(cut, &[], "");
    check(cut, &["--head", &head], "its end was cut off");
    check(cut, &["--against", path.to_str().expect("the path is text")], "its end was cut off");

    // The log of another server: its chain does not break, and it is not this one.
    let another = Fleet::start();
    for name in ["a", "b", "c", "d", "e"] {
        another.cli(&["environment", "create", name]).ok();
    }
    let (_, _) = exported(&another, "other.jsonl");
    let rewritten = fs::read_to_string(another.directory().join("other.jsonl")).unwrap();
    let rewritten: Vec<&str> = rewritten.lines().collect();
    check(&rewritten, &[], "");
    check(&rewritten, &["--head", &head], "the log was rewritten");
    check(&rewritten, &["--against", path.to_str().expect("the path is text")], "the log was rewritten");

    // The log of the server itself.
    fleet.cli(&["audit", "verify", "--head", &head]).ok();
    let wrong = head.replace(|c: char| c.is_ascii_hexdigit() && c != '0', "0");
    let wrong = format!("{}@{}", &wrong[..64], last["number"]);
    let refused = fleet.cli(&["audit", "verify", "--head", &wrong]).exits(1);
    assert!(refused.stderr.contains("the log was rewritten"), "{}", refused.stderr);
    let listed = fleet.cli(&["audit", "ls", "--operation", "environment.create"]).ok();
    assert!(listed.stdout.contains("environment e"), "{}", listed.stdout);
}
