//! A program under test: start, supervision, exit.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::binaries::program;
use crate::logs::{self, Logs};
use crate::namespace::NetworkNamespace;
use crate::skip::skip;
use crate::wait::{PATIENCE, wait_until};

/// A program that can be restarted with the same arguments. Dropping it kills it.
///
/// It stays in the test's process group, so that killing a stuck test kills it too.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    path: Option<PathBuf>,
    namespace: NetworkNamespace,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    log: PathBuf,
    logs: Logs,
    child: Option<Child>,
}

impl Process {
    /// A program that is not started yet; `home` replaces the user's home directory.
    pub(crate) fn new(name: &'static str, arguments: Vec<OsString>, home: &Path, log: PathBuf, logs: &Logs) -> Self {
        let environment = vec![("HOME".into(), home.into()), ("NO_COLOR".into(), "1".into())];
        logs.add(&log);
        let namespace = NetworkNamespace::default();
        Self { name, path: None, namespace, arguments, environment, log, logs: logs.clone(), child: None }
    }

    /// Uses the third-party program at this path.
    pub(crate) fn at(mut self, path: PathBuf) -> Self {
        self.path = Some(path);
        self
    }

    /// Runs it in the network of another host.
    pub(crate) fn within(mut self, namespace: NetworkNamespace) -> Self {
        self.namespace = namespace;
        self
    }

    /// Adds an argument for later starts.
    pub(crate) fn argument(&mut self, argument: impl Into<OsString>) {
        self.arguments.push(argument.into());
    }

    /// Sets an environment variable for later starts.
    pub fn env(&mut self, name: &str, value: impl Into<OsString>) {
        self.environment.push((name.into(), value.into()));
    }

    /// Sets the time it sees in later starts: `@1970-01-02 00:00:00`, or `-1h`. Returns false if libfaketime, which
    /// does this, is not installed; the skip is then recorded.
    pub fn set_clock(&mut self, time: &str) -> bool {
        let places = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
        let library = places.iter().map(|namespace| format!("{namespace}/faketime/libfaketime.so.1"));
        let Some(library) = library.into_iter().find(|path| Path::new(path).exists()) else {
            skip("another-clock", &format!("{}: libfaketime is not installed", self.name));
            return false;
        };
        self.env("LD_PRELOAD", library);
        self.env("FAKETIME", time);
        self.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        true
    }

    /// Starts the program and appends to its log.
    ///
    /// # Panics
    /// If it is already running, or cannot be started.
    pub fn start(&mut self) {
        assert!(!self.is_running(), "{} is already running", self.name);
        let log = File::options().create(true).append(true).open(&self.log).expect("a log can be opened");
        let copy = log.try_clone().expect("a file can be opened twice");
        let mut command = self.namespace.command(self.path.clone().unwrap_or_else(|| program(self.name)));
        command.args(&self.arguments).stdin(Stdio::null()).stdout(copy).stderr(log);
        clean_environment(&mut command);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        self.child = Some(command.spawn().unwrap_or_else(|error| panic!("failed to start {}: {error}", self.name)));
    }

    /// Returns whether it is running.
    pub fn is_running(&mut self) -> bool {
        self.exit_status().is_none() && self.child.is_some()
    }

    /// Returns its exit status, if it was started and has exited.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().expect("the child has not been waited for"))
    }

    /// Kills it immediately (SIGKILL): to others, this looks like a crash or a power cut.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have exited by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to exit (SIGTERM), as systemd does, and returns its exit status.
    ///
    /// # Panics
    /// If it is not running, or does not exit.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let exit_status = self.wait_for_exit(PATIENCE);
        exit_status.unwrap_or_else(|| panic!("{} did not exit after SIGTERM\n{}", self.name, self.logs.tails()))
    }

    /// Sends a signal, such as SIGSTOP to simulate a hung machine.
    ///
    /// # Panics
    /// If it is not running.
    pub fn signal(&mut self, signal: Signal) {
        assert!(self.is_running(), "{} is not running\n{}", self.name, self.logs.tails());
        let child = self.child.as_ref().expect("the process is running");
        let pid = Pid::from_child(child);
        kill_process(pid, signal).expect("a running child can be signaled");
        // The kernel stops threads one after the other: until the last one has stopped, an answer may still be sent.
        if signal == Signal::STOP {
            let stopped = wait_until(PATIENCE, || is_stopped(pid).then_some(()));
            assert!(stopped.is_some(), "{} did not stop after SIGSTOP\n{}", self.name, self.logs.tails());
        }
    }

    /// Waits until it has exited; `None` if the time is up first.
    pub fn wait_for_exit(&mut self, timeout: Duration) -> Option<ExitStatus> {
        wait_until(timeout, || self.exit_status())
    }

    /// Returns its full log, over all its starts.
    pub fn log(&self) -> String {
        logs::read(&self.log)
    }

    /// Returns its process id, if it is running.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(status) = self.exit_status()
        {
            eprintln!("{} had already exited: {status}", self.name);
        }
        self.kill();
    }
}

/// Variables that a service manager sets for its services.
const SERVICE_MANAGER_VARIABLES: [&str; 5] =
    ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "JOURNAL_STREAM", "CREDENTIALS_DIRECTORY"];

/// Removes the user's login, labels and log filter: a test must not depend on who runs it.
pub(crate) fn clean_environment(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let is_ours = ["LINECAMP_", "CATTLE_", "XDG_"].iter().any(|prefix| text.starts_with(prefix));
        if is_ours || text == "RUST_LOG" || SERVICE_MANAGER_VARIABLES.contains(&&*text) {
            command.env_remove(&name);
        }
    }
}

/// Returns whether every thread of a process is stopped.
fn is_stopped(pid: Pid) -> bool {
    let threads = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).into_iter().flatten().flatten();
    // The state is the first word after the name, which is in parentheses and may contain anything.
    let state = |stat: &str| stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    let mut states = threads.map(|thread| fs::read_to_string(thread.path().join("stat")));
    states.all(|stat| stat.is_ok_and(|stat| state(&stat) == Some('T')))
}
