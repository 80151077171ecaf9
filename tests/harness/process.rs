//! A program under test: started, watched, ended.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::binaries::program;
use crate::logs::{self, Logs};
use crate::place::Place;
use crate::skip::skip;
use crate::wait::{PATIENCE, wait_until};

/// A program that can be started again with the same arguments. Dropping it kills it.
///
/// It stays in the test's process group, so that whoever ends a stuck test ends it too.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    path: Option<PathBuf>,
    place: Place,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    log: PathBuf,
    logs: Logs,
    child: Option<Child>,
}

impl Process {
    /// A program that does not run yet; `home` is all it sees of a user's home.
    pub(crate) fn new(name: &'static str, arguments: Vec<OsString>, home: &Path, log: PathBuf, logs: &Logs) -> Self {
        let environment = vec![("HOME".into(), home.into()), ("NO_COLOR".into(), "1".into())];
        logs.add(&log);
        let place = Place::default();
        Self { name, path: None, place, arguments, environment, log, logs: logs.clone(), child: None }
    }

    /// Makes it a program of somebody else's, which stands there.
    pub(crate) fn at(mut self, path: PathBuf) -> Self {
        self.path = Some(path);
        self
    }

    /// Gives it the network of another host.
    pub(crate) fn within(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// Gives it another argument for the starts to come.
    pub(crate) fn argument(&mut self, argument: impl Into<OsString>) {
        self.arguments.push(argument.into());
    }

    /// Sets a variable for the starts to come.
    pub fn env(&mut self, name: &str, value: impl Into<OsString>) {
        self.environment.push((name.into(), value.into()));
    }

    /// Lets it see another time in the starts to come: `@1970-01-02 00:00:00`, or `-1h`. False where libfaketime, which
    /// does it, is not installed; then it has said what is skipped.
    pub fn set_clock(&mut self, time: &str) -> bool {
        let places = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
        let library = places.iter().map(|place| format!("{place}/faketime/libfaketime.so.1"));
        let Some(library) = library.into_iter().find(|path| Path::new(path).exists()) else {
            skip("another-clock", &format!("{}: libfaketime is not installed", self.name));
            return false;
        };
        self.env("LD_PRELOAD", library);
        self.env("FAKETIME", time);
        self.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        true
    }

    /// Starts the program; its log goes on where it ended.
    ///
    /// # Panics
    /// If it runs already, or cannot be started.
    pub fn start(&mut self) {
        assert!(!self.is_running(), "{} runs already", self.name);
        let log = File::options().create(true).append(true).open(&self.log).expect("a log can be opened");
        let copy = log.try_clone().expect("a file can be opened twice");
        let mut command = self.place.command(self.path.clone().unwrap_or_else(|| program(self.name)));
        command.args(&self.arguments).stdin(Stdio::null()).stdout(copy).stderr(log);
        clean_environment(&mut command);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        self.child = Some(command.spawn().unwrap_or_else(|error| panic!("{} does not start: {error}", self.name)));
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.ended().is_none() && self.child.is_some()
    }

    /// Returns how it ended, if it was started and did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().expect("a child can be asked"))
    }

    /// Kills it at once (SIGKILL): what a crash or a power cut looks like to everybody else.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to end (SIGTERM), as systemd does, and returns how it did.
    ///
    /// # Panics
    /// If it does not run, or does not end.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let ended = self.wait_ended(PATIENCE);
        ended.unwrap_or_else(|| panic!("{} did not end when asked\n{}", self.name, self.logs.tails()))
    }

    /// Sends a signal, such as SIGSTOP for a machine that hangs.
    ///
    /// # Panics
    /// If it does not run.
    pub fn signal(&mut self, signal: Signal) {
        assert!(self.is_running(), "{} does not run\n{}", self.name, self.logs.tails());
        let child = self.child.as_ref().expect("it runs");
        let pid = Pid::from_child(child);
        kill_process(pid, signal).expect("a child that was not waited for can be signalled");
        // The kernel stops threads one after the other: until the last has stopped, an answer may still come.
        if signal == Signal::STOP {
            let stopped = wait_until(PATIENCE, || is_stopped(pid).then_some(()));
            assert!(stopped.is_some(), "{} does not stop\n{}", self.name, self.logs.tails());
        }
    }

    /// Waits until it has ended; `None` if it has not within the time.
    pub fn wait_ended(&mut self, timeout: Duration) -> Option<ExitStatus> {
        wait_until(timeout, || self.ended())
    }

    /// Returns everything it has said, over all its starts.
    pub fn log(&self) -> String {
        logs::read(&self.log)
    }

    /// Returns its process id, if it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(status) = self.ended()
        {
            eprintln!("{} had ended by itself: {status}", self.name);
        }
        self.kill();
    }
}

/// What a service manager tells those whom it starts.
const OF_A_MANAGER: [&str; 5] =
    ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "JOURNAL_STREAM", "CREDENTIALS_DIRECTORY"];

/// A journey must not depend on who runs it: no login, no labels, no log filter of the user's.
pub(crate) fn clean_environment(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let is_ours = ["LINECAMP_", "CATTLE_", "XDG_"].iter().any(|prefix| text.starts_with(prefix));
        if is_ours || text == "RUST_LOG" || OF_A_MANAGER.contains(&&*text) {
            command.env_remove(&name);
        }
    }
}

/// Whether every thread of a process is stopped.
fn is_stopped(pid: Pid) -> bool {
    let threads = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).into_iter().flatten().flatten();
    // The state is the first word after the name, which is in brackets and may hold anything.
    let state = |stat: &str| stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    let mut states = threads.map(|thread| fs::read_to_string(thread.path().join("stat")));
    states.all(|stat| stat.is_ok_and(|stat| state(&stat) == Some('T')))
}
