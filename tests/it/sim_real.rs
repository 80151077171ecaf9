//! The simulator's real mode: it starts a server and daemons of its own, and reports their results.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use linecamp_tests::{PATIENCE, program, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Half a minute on an idle machine, most of it the 15 s until a site notices and the 10 s of the cut.
const RUN_MAX: Duration = Duration::from_secs(150);

/// A run that is terminated if the test fails: killed, it would leave its daemons behind.
struct Run(Child);

impl Run {
    fn start(directory: &Path, arguments: &[&str]) -> Self {
        let file = |name| File::create(directory.join(name)).expect("a file can be made");
        let mut command = Command::new(program("linecamp-sim"));
        command.args(arguments).env("TMPDIR", directory);
        let child = command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err")).spawn();
        Self(child.expect("linecamp-sim starts"))
    }

    fn ended(&mut self, timeout: Duration) -> Option<ExitStatus> {
        wait_until(timeout, || self.0.try_wait().expect("the child has not been waited for"))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.ended(Duration::ZERO).is_none() {
            // It is running, and nothing else waits for it.
            let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
            let _ = self.ended(PATIENCE);
        }
    }
}

#[test]
fn twenty_four_real_daemons_join_and_reconnect_after_a_storm() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let mut run = Run::start(directory.path(), &["real", "--sites", "24", "--quick", "-o", "json"]);
    let status = run.ended(RUN_MAX);
    let said = |name| fs::read_to_string(directory.path().join(name)).unwrap_or_default();
    assert!(status.is_some_and(|status| status.success()), "{status:?}\n{}", said("err"));
    let outcome: Value = serde_json::from_str(&said("out")).expect("it prints JSON");

    let figure = |place: &str| outcome.pointer(place).and_then(Value::as_u64).expect("a number");
    assert_eq!(figure("/join/joined"), 24);
    assert!(20 <= figure("/join/separate"), "{outcome}");
    assert_eq!(figure("/join/separate") + figure("/join/hosted"), 24);
    assert_eq!(figure("/storms/0/back"), 24);
    assert_eq!(figure("/cut/back"), 12, "half of the sites were offline and reconnected");
    assert_eq!(figure("/stop/clean"), figure("/stop/processes"));
    assert_eq!(outcome["errors"], Value::Array(Vec::new()), "the log level ERROR fails a test");

    let kept = fs::read_dir(directory.path()).expect("it can be listed").filter_map(Result::ok);
    let kept: Vec<_> = kept.map(|entry| entry.file_name()).filter(|name| name != "out" && name != "err").collect();
    assert!(kept.is_empty(), "temporary files are removed: {kept:?}");
}

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let kept = directory.path().join("kept");
    let place = kept.to_str().expect("the path is text");
    let mut run = Run::start(directory.path(), &["real", "--sites", "3", "--quick", "--keep", place]);
    let said = |name| fs::read_to_string(directory.path().join(name)).unwrap_or_default();
    let is_up = || said("kept/camp-003.log").contains("link up").then_some(());
    assert!(wait_until(PATIENCE, is_up).is_some(), "{}", said("err"));
    kill_process(Pid::from_child(&run.0), Signal::TERM).expect("the process is running");

    let status = run.ended(PATIENCE).expect("it ends");
    assert_eq!(status.code(), Some(1), "{}", said("err"));
    assert!(said("err").contains("interrupted by a signal"), "{}", said("err"));
    for site in 1..=3 {
        let lock = File::open(kept.join(format!("camp-00{site}/data/lock"))).expect("the daemon had its lock");
        lock.try_lock().expect("the lock is free");
    }
}
