//! Either side is killed at any moment: nothing acknowledged is lost, and nothing happens twice.

use std::path::{Path, PathBuf};
use std::thread;

use linecamp_tests::{Fleet, PATIENCE, Process, wait_until};
use rustix::process::{Pid, Signal, kill_process};

use crate::cli_json::{
    connected_site, events, label, show, wait_converged, wait_facts, wait_label_at_server, wait_label_at_site,
};

/// After how many writes to the victim's database it is killed: immediately, and in the middle of a command. If a
/// command writes less, the kill follows the command.
const WRITES_BEFORE_KILL: [usize; 6] = [0, 1, 1, 1, 2, 3];

/// Kills a process that another thread is talking to.
fn kill_running(process: &Process) {
    let id = process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    kill_process(id.expect("it was started"), Signal::KILL).expect("a child can be killed");
}

/// Returns a database's WAL, to which every commit is written.
fn wal_of(database: &Path) -> PathBuf {
    PathBuf::from(format!("{}-wal", database.display()))
}

/// Waits for this many writes to a file, or for the end of the command that writes to it. Polls without a pause, which
/// would be longer than a commit.
fn wait_writes(file: &Path, writes: usize, mut is_over: impl FnMut() -> bool) {
    let state = || file.metadata().ok().map(|found| (found.len(), found.modified().ok()));
    let (mut seen, mut last) = (0, state());
    while seen < writes && !is_over() {
        let now = state();
        seen += usize::from(now != last);
        last = now;
        thread::yield_now();
    }
}

/// Runs a command, and a second action after this many writes to a file since its start.
fn run_and_interrupt<T: Send>(
    file: &Path,
    writes: usize,
    command: impl FnOnce() -> T + Send,
    interrupt: impl FnOnce(),
) -> T {
    thread::scope(|scope| {
        let running = scope.spawn(command);
        wait_writes(file, writes, || running.is_finished());
        interrupt();
        running.join().expect("it does not panic")
    })
}

#[test]
fn a_label_acknowledged_by_a_killed_server_survives() {
    let mut fleet = Fleet::start();
    let site = connected_site(&fleet, "camp");
    let log = wal_of(&fleet.server.data().join("fleet.db"));
    for (number, writes) in WRITES_BEFORE_KILL.into_iter().enumerate() {
        let setting = format!("rack=r{number}");
        let before = events(&fleet, "camp", "labels-assigned").len();
        let command = || fleet.cli(&["site", "label", "camp", &setting]);
        let said = run_and_interrupt(&log, writes, command, || kill_running(&fleet.server));
        fleet.server.wait_for_exit(PATIENCE).expect("it was killed");
        fleet.start_server();
        let shown = show(&fleet, "camp");
        let is_there = label(&shown["labels"], "rack") == Some(&setting["rack=".len()..]);
        assert!(is_there || said.code != Some(0), "after {writes} writes: it was acknowledged: {shown}");
        let after = events(&fleet, "camp", "labels-assigned").len();
        assert_eq!(after - before, usize::from(is_there), "after {writes} writes: it happened once or not at all");
    }
    // However slow this machine is: one kill comes right after the response.
    fleet.cli(&["site", "label", "camp", "rack=answered"]).ok();
    kill_running(&fleet.server);
    fleet.server.wait_for_exit(PATIENCE).expect("it was killed");
    fleet.start_server();
    assert_eq!(label(&show(&fleet, "camp")["labels"], "rack"), Some("answered"));
    fleet.cli(&["site", "label", "camp", "rack=last"]).ok();
    // A killed server has not announced it: the site notices when it has something to send.
    site.local(&["label", "set", "door=3"]).ok();
    wait_label_at_site(&fleet, &site, "rack", Some("last"));
    wait_converged(&fleet, "camp");
}

#[test]
fn a_label_acknowledged_by_a_killed_daemon_survives() {
    let fleet = Fleet::start();
    let mut site = connected_site(&fleet, "camp");
    let mut acknowledged = Vec::new();
    let log = wal_of(&site.data().join("site.db"));
    for (number, writes) in WRITES_BEFORE_KILL.into_iter().enumerate() {
        let (key, setting) = (format!("door{number}"), format!("door{number}=open"));
        let said = run_and_interrupt(&log, writes, || site.local(&["label", "set", &setting]), || kill_running(&site));
        site.wait_for_exit(PATIENCE).expect("it was killed");
        site.start();
        let is_up = || (site.local(&["status"]).code == Some(0)).then_some(());
        assert!(wait_until(PATIENCE, is_up).is_some(), "it restarts");
        if said.code == Some(0) {
            wait_label_at_site(&fleet, &site, &key, Some("open"));
            acknowledged.push(setting);
        }
    }
    // However slow this machine is: one kill comes right after the response.
    site.local(&["label", "set", "answered=open"]).ok();
    kill_running(&site);
    site.wait_for_exit(PATIENCE).expect("it was killed");
    site.start();
    wait_label_at_site(&fleet, &site, "answered", Some("open"));
    acknowledged.push("answered=open".to_owned());
    site.local(&["label", "set", "door=last"]).ok();
    wait_label_at_server(&fleet, "camp", "door", Some("last"));
    let set = events(&fleet, "camp", "labels-set-locally");
    for setting in &acknowledged {
        assert_eq!(set.iter().filter(|text| text.ends_with(setting)).count(), 1, "{setting} is reported once: {set:?}");
        let key = setting.trim_end_matches("=open");
        assert_eq!(label(&show(&fleet, "camp")["labels"], key), Some("open"));
    }
    wait_converged(&fleet, "camp");
}

/// `linecamp` sends a request that creates something with an idempotency key, and again after a lost connection.
#[test]
fn a_create_during_a_server_crash_happens_once() {
    let mut fleet = Fleet::start();
    let (admin, log) = (fleet.admin(), wal_of(&fleet.server.data().join("fleet.db")));
    let mut created = Vec::new();
    for (number, writes) in WRITES_BEFORE_KILL.into_iter().enumerate() {
        let name = format!("e{number}");
        let said = run_and_interrupt(
            &log,
            writes,
            || admin(&["environment", "create", &name]),
            || {
                fleet.server.kill();
                fleet.start_server();
            },
        );
        // If the server is killed before the connection is open, no request was sent.
        let is_there = fleet.json(&["environment", "ls"])["items"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["name"] == *name));
        assert_eq!(is_there, said.code == Some(0), "after {writes} writes: {}{}", said.stdout, said.stderr);
        created.extend(is_there.then_some(name));
    }
    assert!(!created.is_empty(), "no request was sent");
    let audited = fleet.json(&["audit", "ls", "--limit", "200"]);
    let audited = audited["items"].as_array().expect("a list").iter();
    let done: Vec<_> = audited
        .filter(|entry| entry["operation"] == "environment.create" && entry["outcome"] == "done")
        .map(|entry| entry["changes"][0]["object"].as_str().expect("a text").to_owned())
        .collect();
    let expected: Vec<_> = created.iter().map(|name| format!("environment {name}")).collect();
    assert_eq!(done, expected, "each happened once");
}

#[test]
fn a_join_during_a_server_crash_happens_once() {
    let mut fleet = Fleet::start();
    let quic = fleet.server.quic();
    let log = wal_of(&fleet.server.data().join("fleet.db"));
    for (number, writes) in WRITES_BEFORE_KILL.into_iter().enumerate() {
        let (name, token) = (format!("camp-{number}"), fleet.token(&["--uses", "1"]));
        let (target, data) = (format!("{token}@{quic}"), fleet.directory().join(&name));
        let line = ["join", &target, "--name", &name, "--data", data.to_str().expect("text")];
        let mut join = fleet.process("linecampd", &line, "join.log");
        join.start();
        wait_writes(&log, writes, || !join.is_running());
        fleet.server.kill();
        fleet.start_server();
        let ended = join.wait_for_exit(PATIENCE).expect("it ends");
        assert!(ended.success(), "after {writes} writes: {}", join.log());
    }
    let listed = fleet.json(&["site", "ls"]);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(WRITES_BEFORE_KILL.len()));
    let mut last = fleet.site("camp-0");
    last.start();
    wait_facts(&fleet, "camp-0");
}

#[test]
fn a_killed_join_can_be_retried() {
    let fleet = Fleet::start();
    let quic = fleet.server.quic();
    let log = wal_of(&fleet.server.data().join("fleet.db"));
    for (number, writes) in WRITES_BEFORE_KILL.into_iter().enumerate() {
        let (name, token) = (format!("camp-{number}"), fleet.token(&["--uses", "1"]));
        let (target, data) = (format!("{token}@{quic}"), fleet.directory().join(&name));
        let line = ["join", &target, "--name", &name, "--data", data.to_str().expect("text")];
        let mut join = fleet.process("linecampd", &line, "join.log");
        join.start();
        wait_writes(&log, writes, || !join.is_running());
        join.kill();
        fleet.try_join(&name, &token, quic, &[]).ok();
        let events = events(&fleet, &name, "site-joined");
        assert_eq!(events.len(), 1, "after {writes} writes");
    }
    let listed = fleet.json(&["site", "ls"]);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(WRITES_BEFORE_KILL.len()));
}
