//! The simulator as a program: the same result in two processes, clear errors for bad input, and parseable reports.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use linecamp_tests::{PATIENCE, program, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Runs the simulator in `directory` and returns its exit code and its two outputs.
fn simulate(directory: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(program("linecamp-sim"));
    let output = command.args(arguments).current_dir(directory).output().expect("linecamp-sim starts");
    let text = |bytes| String::from_utf8(bytes).expect("the output is text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn outcome(directory: &Path, arguments: &[&str]) -> Value {
    let (code, out, err) = simulate(directory, arguments);
    assert_eq!(code, Some(0), "{out}{err}");
    serde_json::from_str(&out).expect("it prints JSON")
}

#[test]
fn one_seed_gives_the_same_run_in_two_processes() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    for mode in ["model", "quic"] {
        let line = ["run", "smoke", "--seed", "7", "--sites", "8", "--days", "0.25", "--mode", mode, "-o", "json"];
        let (first, second) = (outcome(directory.path(), &line), outcome(directory.path(), &line));
        for key in ["trace_hash", "wire_hash", "events", "figures"] {
            let without_memory = |outcome: &Value| {
                let mut value = outcome[key].clone();
                value.as_object_mut().map(|figures| figures.remove("memory_bytes"));
                value
            };
            assert_eq!(without_memory(&first), without_memory(&second), "{mode}: {key}");
        }
        for key in ["seed", "sites", "virtual_seconds", "wall_seconds", "events", "trace_hash", "outcome"] {
            assert!(!first[key].is_null(), "{key} is missing");
        }
        assert_eq!(first["violations"], Value::Array(Vec::new()));
    }
}

#[test]
fn an_invalid_scenario_is_rejected_with_file_key_and_range() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).expect("a file can be written");
    write("key.toml", "about = \"x\"\nsites = 3\ndays = 1\nspeed = 9\n");
    write("range.toml", "about = \"x\"\nsites = 3\ndays = 1\n[faults]\ncut = 99999\n");
    write("seeds.txt", "smoke seed=1\nsmoke seed=one\n");
    let check = |arguments: &[&str], expected: &[&str]| {
        let (code, _, err) = simulate(directory.path(), arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {err}");
        for words in expected {
            assert!(err.contains(words), "{arguments:?}: {err}");
        }
    };
    check(&["run", "key.toml"], &["key.toml", "speed", "line 4"]);
    check(&["run", "range.toml"], &["range.toml", "faults.cut", "0 to 10000"]);
    check(&["run", "no-such"], &["no scenario `no-such`", "reconnect-storm"]);
    check(&["run", "smoke", "--seed", "one"], &["--seed"]);
    check(&["run", "smoke", "--sites", "0"], &["--sites", "1 to 20000"]);
    check(&["replay", "--seeds", "seeds.txt"], &["seeds.txt:2", "seed=one"]);
}

#[test]
fn reports_are_written_and_read_back() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let run = ["run", "smoke", "--sites", "5", "--days", "0.1", "--json", "a.json", "--html", "a.html"];
    let (code, out, err) = simulate(directory.path(), &run);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("events") && out.contains("/s)"), "it prints events per second: {out}");
    let (code, _, err) = simulate(directory.path(), &["report", "a.json", "--html", "b.html", "--junit", "b.xml"]);
    assert_eq!(code, Some(0), "{err}");
    let read = |name: &str| fs::read_to_string(directory.path().join(name)).expect("it was written");
    assert_eq!(read("a.html"), read("b.html"));
    assert!(read("b.html").contains("<svg") && !read("b.html").contains("src="), "one page, and nothing to load");
    assert!(read("b.xml").contains("<testsuite"));
}

#[test]
fn ctrl_c_ends_a_run_with_a_partial_report() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let [out, err] = ["out", "err"].map(|name| directory.path().join(name));
    let file = |path: &Path| File::create(path).expect("a file can be made");
    let mut command = Command::new(program("linecamp-sim"));
    command.args(["run", "soak", "-o", "json"]).stdin(Stdio::null()).stdout(file(&out)).stderr(file(&err));
    let mut child = command.spawn().expect("linecamp-sim starts");
    let said = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    // It prints that it is running after it has begun to handle signals.
    let is_running = wait_until(PATIENCE, || said(&err).contains("running soak").then_some(()));
    let asked = kill_process(Pid::from_child(&child), Signal::INT);
    let ended = wait_until(PATIENCE, || child.try_wait().expect("the child has not been waited for"));
    // It has exited; if not, the test fails, and must not leave it behind.
    let _ = child.kill();
    assert!(is_running.is_some() && asked.is_ok(), "{}", said(&err));
    assert_eq!(ended.and_then(|status| status.code()), Some(130), "{}", said(&err));
    let outcome: Value = serde_json::from_str(&said(&out)).expect("it prints the partial report");
    assert_eq!(outcome["outcome"], "interrupted");
    assert!(0 < outcome["events"].as_u64().expect("a number"), "{outcome}");
}
