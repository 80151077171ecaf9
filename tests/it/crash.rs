//! Either side is killed at any moment: what was acknowledged is never lost, and nothing happens twice.

use std::thread;
use std::time::{Duration, Instant};

use linecamp_tests::{Fleet, PATIENCE, Process, wait_until};
use rustix::process::{Pid, Signal, kill_process};

use crate::shown::{events, label, linked, show, wait_converged, wait_facts, wait_held, wait_seen};

/// After how many milliseconds the blow falls: a command takes about ten.
const MOMENTS: [u64; 6] = [0, 2, 5, 8, 12, 40];

/// Kills a process that somebody else is talking to.
fn strike(process: &Process) {
    let id = process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    kill_process(id.expect("it was started"), Signal::KILL).expect("a child can be killed");
}

/// Lets so many milliseconds pass: the harness's own wait is too coarse to hit a command in its middle.
fn pass(moment: u64) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(moment) {
        thread::yield_now();
    }
}

/// Does something, and something else so many milliseconds after its beginning.
fn meanwhile<T: Send>(moment: u64, does: impl FnOnce() -> T + Send, blow: impl FnOnce()) -> T {
    thread::scope(|scope| {
        let doing = scope.spawn(does);
        pass(moment);
        blow();
        doing.join().expect("it does not panic")
    })
}

#[test]
fn a_label_acknowledged_by_a_server_that_is_killed_is_there_afterwards() {
    let mut fleet = Fleet::start();
    let site = linked(&fleet, "camp");
    for moment in MOMENTS {
        let word = format!("rack=r{moment}");
        let before = events(&fleet, "camp", "labels-assigned").len();
        let said = meanwhile(moment, || fleet.cli(&["site", "label", "camp", &word]), || strike(&fleet.server));
        let _ = fleet.server.wait_ended(PATIENCE);
        fleet.start_server();
        let shown = show(&fleet, "camp");
        let is_there = label(&shown["labels"], "rack") == Some(&word["rack=".len()..]);
        assert!(is_there || said.code != Some(0), "after {moment} ms: it was acknowledged: {shown}");
        let after = events(&fleet, "camp", "labels-assigned").len();
        assert_eq!(after - before, usize::from(is_there), "after {moment} ms: it happened once or not at all");
    }
    // However slow this machine is: once the blow falls right after the answer.
    fleet.cli(&["site", "label", "camp", "rack=answered"]).ok();
    strike(&fleet.server);
    let _ = fleet.server.wait_ended(PATIENCE);
    fleet.start_server();
    assert_eq!(label(&show(&fleet, "camp")["labels"], "rack"), Some("answered"));
    fleet.cli(&["site", "label", "camp", "rack=last"]).ok();
    // A server that was killed has told nobody: the site finds out when it has something to say.
    site.local(&["label", "set", "door=3"]).ok();
    wait_held(&fleet, &site, "rack", Some("last"));
    wait_converged(&fleet, "camp");
}

#[test]
fn a_label_acknowledged_by_a_daemon_that_is_killed_is_there_afterwards() {
    let fleet = Fleet::start();
    let mut site = linked(&fleet, "camp");
    let mut acknowledged = Vec::new();
    for moment in MOMENTS {
        let (key, word) = (format!("door{moment}"), format!("door{moment}=open"));
        let said = meanwhile(moment, || site.local(&["label", "set", &word]), || strike(&site));
        let _ = site.wait_ended(PATIENCE);
        site.start();
        let is_up = || (site.local(&["status"]).code == Some(0)).then_some(());
        assert!(wait_until(PATIENCE, is_up).is_some(), "it starts again");
        if said.code == Some(0) {
            wait_held(&fleet, &site, &key, Some("open"));
            acknowledged.push(word);
        }
    }
    // However slow this machine is: once the blow falls right after the answer.
    site.local(&["label", "set", "answered=open"]).ok();
    strike(&site);
    let _ = site.wait_ended(PATIENCE);
    site.start();
    wait_held(&fleet, &site, "answered", Some("open"));
    acknowledged.push("answered=open".to_owned());
    site.local(&["label", "set", "door=last"]).ok();
    wait_seen(&fleet, "camp", "door", Some("last"));
    let set = events(&fleet, "camp", "labels-set-locally");
    for word in &acknowledged {
        assert_eq!(set.iter().filter(|text| text.ends_with(word)).count(), 1, "{word} is told once: {set:?}");
        let key = word.trim_end_matches("=open");
        assert_eq!(label(&show(&fleet, "camp")["labels"], key), Some("open"));
    }
    wait_converged(&fleet, "camp");
}

#[test]
fn a_join_whose_server_is_killed_is_done_once() {
    let mut fleet = Fleet::start();
    let quic = fleet.server.quic();
    for moment in MOMENTS {
        let (name, token) = (format!("camp-{moment}"), fleet.token(&["--uses", "1"]));
        let (target, data) = (format!("{token}@{quic}"), fleet.directory().join(&name));
        let line = ["join", &target, "--name", &name, "--data", data.to_str().expect("text")];
        let mut join = fleet.process("linecampd", &line, "join.log");
        join.start();
        pass(moment * 4);
        fleet.server.kill();
        fleet.start_server();
        let ended = join.wait_ended(PATIENCE).expect("it ends");
        assert!(ended.success(), "after {moment} ms: {}", join.log());
    }
    let listed = fleet.json(&["site", "ls"]);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(MOMENTS.len()));
    let mut last = fleet.site("camp-0");
    last.start();
    wait_facts(&fleet, "camp-0");
}

#[test]
fn a_join_that_is_killed_can_be_done_again() {
    let fleet = Fleet::start();
    let quic = fleet.server.quic();
    for moment in MOMENTS {
        let (name, token) = (format!("camp-{moment}"), fleet.token(&["--uses", "1"]));
        let (target, data) = (format!("{token}@{quic}"), fleet.directory().join(&name));
        let line = ["join", &target, "--name", &name, "--data", data.to_str().expect("text")];
        let mut join = fleet.process("linecampd", &line, "join.log");
        join.start();
        pass(moment * 2);
        join.kill();
        fleet.try_join(&name, &token, quic, &[]).ok();
        let events = events(&fleet, &name, "site-joined");
        assert_eq!(events.len(), 1, "after {moment} ms");
    }
    let listed = fleet.json(&["site", "ls"]);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(MOMENTS.len()));
}
