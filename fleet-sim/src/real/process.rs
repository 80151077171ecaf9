//! A child process: start, supervision, exit.
//!
//! It never outlives this process: dropping a [`Process`] kills it, and a panic kills all of them before unwinding
//! starts, since a build may abort instead. They stay in our process group, so that a signal to the group reaches them
//! too.

use std::fs::{self, File};
use std::io::Read as _;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How often a child is checked for exit.
const POLL: Duration = Duration::from_millis(5);

/// How many lines of a log an error shows.
const TAIL_LINES: usize = 12;

/// Every child that may be running.
static RUNNING: Mutex<Vec<Weak<Mutex<Child>>>> = Mutex::new(Vec::new());

/// A running program whose output goes to a log file. Dropping it kills the program.
#[derive(Debug)]
pub(super) struct Process {
    name: String,
    log: PathBuf,
    child: Arc<Mutex<Child>>,
}

impl Process {
    /// Starts a program and appends to its log.
    pub(super) fn spawn(name: &str, log: &Path, mut command: Command) -> anyhow::Result<Self> {
        let file = open_log(log)?;
        let copy = file.try_clone().with_context(|| format!("failed to duplicate the handle of {}", log.display()))?;
        command.stdout(copy).stderr(file);
        Self::begin(name, log, command)
    }

    fn begin(name: &str, log: &Path, mut command: Command) -> anyhow::Result<Self> {
        let child = command.stdin(Stdio::null()).spawn();
        let child = child.with_context(|| format!("failed to start {name} ({})", command.get_program().display()))?;
        let child = Arc::new(Mutex::new(child));
        let mut running = lock(&RUNNING);
        running.retain(|other| 0 < other.strong_count());
        running.push(Arc::downgrade(&child));
        Ok(Self { name: name.to_owned(), log: log.to_owned(), child })
    }

    /// Returns the process id.
    pub(super) fn id(&self) -> u32 {
        lock(&self.child).id()
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the exit status if the process has exited.
    pub(super) fn ended(&self) -> anyhow::Result<Option<ExitStatus>> {
        lock(&self.child).try_wait().with_context(|| format!("failed to check whether {} is running", self.name))
    }

    /// Fails with the end of the log if the process has exited.
    pub(super) fn check_runs(&self) -> anyhow::Result<()> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => bail!("{} exited unexpectedly ({status})\n{}", self.name, self.log_end()),
        }
    }

    /// Asks the process to exit (SIGTERM).
    pub(super) fn terminate(&self) -> anyhow::Result<()> {
        let child = lock(&self.child);
        kill_process(Pid::from_child(&child), Signal::TERM).with_context(|| format!("failed to signal {}", self.name))
    }

    /// Kills the process (SIGKILL) and waits for it.
    pub(super) fn kill(&self) {
        let mut child = lock(&self.child);
        // It may have exited by itself.
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Waits until the process has exited.
    pub(super) async fn wait_ended(&self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if limit < began.elapsed() {
                bail!("{} did not exit within {} s\n{}", self.name, limit.as_secs(), self.log_end());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Returns the last lines of the log, for an error message.
    pub(super) fn log_end(&self) -> String {
        let text = read_log(&self.log);
        let lines: Vec<_> = text.lines().collect();
        let end = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n    ");
        format!("the end of its log:\n    {end}")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a program to completion and returns its output, which is stored nowhere else: it may hold secrets. It must fit
/// a pipe's 64 KiB.
pub(super) async fn run(name: &str, log: &Path, mut command: Command, limit: Duration) -> anyhow::Result<String> {
    command.stdout(Stdio::piped()).stderr(open_log(log)?);
    let process = Process::begin(name, log, command)?;
    let status = process.wait_ended(limit).await?;
    if !status.success() {
        bail!("{name} failed ({status})\n{}", process.log_end());
    }
    let mut said = String::new();
    if let Some(mut stdout) = lock(&process.child).stdout.take() {
        stdout.read_to_string(&mut said).with_context(|| format!("failed to read what {name} printed"))?;
    }
    Ok(said)
}

/// Kills all children when any thread panics.
pub(super) fn kill_all_on_panic() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            // The panicking thread may hold a lock; the process behind it is killed when it is dropped.
            for child in RUNNING.try_lock().iter().flat_map(|running| running.iter()).filter_map(Weak::upgrade) {
                let _ = child.try_lock().map(|mut child| child.kill());
            }
            before(panic);
        }));
    });
}

/// Returns the full text of a log.
pub(super) fn read_log(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn open_log(path: &Path) -> anyhow::Result<File> {
    File::options().create(true).append(true).open(path).with_context(|| format!("failed to open {}", path.display()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
