//! A child process with its output in a log file, stopped by us.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};

/// How long a program may take to stop after SIGTERM: both flush within a second, and a slow disk gets ten.
const GRACE: Duration = Duration::from_secs(10);
/// How many lines of its log are shown if a program dies.
const TAIL_LINES: usize = 25;

/// A running program. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct Child {
    name: String,
    log: PathBuf,
    process: process::Child,
}

impl Child {
    /// Starts a program with its output in `LOGS/NAME.log`.
    pub(crate) fn spawn(name: &str, logs: &Path, mut command: Command) -> anyhow::Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("failed to create {}", log.display()))?;
        let copy = file.try_clone().with_context(|| format!("failed to duplicate the handle of {}", log.display()))?;
        // In its own process group, it does not receive Ctrl-C: we stop the programs, in order.
        command.stdin(Stdio::null()).stdout(copy).stderr(file).env("NO_COLOR", "1").process_group(0);
        let process = command.spawn().with_context(|| format!("failed to start {name}"))?;
        Ok(Self { name: name.to_owned(), log, process })
    }

    /// Returns its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns its exit status if it has exited.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().ok().flatten()
    }

    /// Returns its output so far.
    pub(crate) fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Returns the last lines of its log, for people.
    pub(crate) fn tail(&self) -> String {
        let text = self.log();
        let lines: Vec<_> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n    ");
        format!("last lines of {}:\n    {tail}", self.log.display())
    }

    /// Sends SIGTERM, waits, and kills the program if it does not exit.
    pub(crate) fn stop(&mut self) {
        if self.ended().is_some() {
            return;
        }
        // It may exit before the signal is sent; then there is nothing left to do.
        let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
        let requested = Instant::now();
        while self.ended().is_none() {
            if requested.elapsed() > GRACE {
                eprintln!("xtask: {} did not stop within {} s; killing it", self.name, GRACE.as_secs());
                let _ = self.process.kill();
                let _ = self.process.wait();
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.stop();
    }
}
