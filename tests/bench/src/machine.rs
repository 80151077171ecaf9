//! The machine that measures: its cores, its load, and what the kernel says of a process.
//!
//! Servers run on core 0, the bench with its clients on core 1, where there are two and `taskset` is there. A timed
//! burst runs under SCHED_FIFO on both sides, so that neighbours who compile do not count; whoever may not ask for
//! that measures with them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The core of servers.
const SERVER_CORE: &str = "0";
/// The core of the bench and its clients.
const CLIENT_CORE: &str = "1";
/// Kernel ticks in a second, as `/proc/PID/stat` counts (`USER_HZ`, the same on every Linux).
const TICKS_PER_SECOND: u64 = 100;

/// Returns how many cores there are.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Returns the load of the last minute.
pub(crate) fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

/// Returns where a program is, if it is installed.
pub(crate) fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    places.map(|place| place.join(program)).find(|path| path.is_file())
}

/// Whether server and clients have a core each.
pub(crate) fn has_pins(online: usize) -> bool {
    2 <= online && installed("taskset").is_some()
}

/// Puts the bench itself on the clients' core. What was started before stays where it is.
pub(crate) fn pin_self(online: usize) {
    if has_pins(online) {
        tell("taskset", ["-acp", CLIENT_CORE, &std::process::id().to_string()]);
    }
}

/// Returns the command of a server on its core. The process it becomes is the program itself.
pub(crate) fn on_server_core(program: impl AsRef<OsStr>, online: usize) -> Command {
    if !has_pins(online) {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", SERVER_CORE]).arg(program);
    command
}

/// Lets this process and its children have as many descriptors as the administrator allows.
pub(crate) fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        crate::say(&format!("the limit of open files stays: {error}"));
    }
}

/// SCHED_FIFO for some processes and the bench itself, until it is dropped.
#[derive(Debug)]
pub(crate) struct Burst {
    processes: Vec<u32>,
    /// Whether the kernel allowed it.
    pub(crate) is_granted: bool,
}

impl Burst {
    /// Begins a burst.
    pub(crate) fn begin(servers: &[u32]) -> Self {
        let mut processes = servers.to_vec();
        processes.push(std::process::id());
        let grant = |process: &u32| tell("chrt", ["-a", "-f", "-p", "10", &process.to_string()]);
        let is_granted = processes.iter().all(grant);
        Self { processes, is_granted }
    }

    /// Says in words how it was scheduled.
    pub(crate) const fn words(&self) -> &'static str {
        if self.is_granted { "SCHED_FIFO" } else { "no SCHED_FIFO" }
    }
}

impl Drop for Burst {
    fn drop(&mut self) {
        for process in &self.processes {
            tell("chrt", ["-a", "-o", "-p", "0", &process.to_string()]);
        }
    }
}

fn tell<const N: usize>(program: &str, arguments: [&str; N]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// What a process holds in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// All of it, in KiB.
    pub(crate) resident: u64,
    /// What the kernel cannot drop, in KiB.
    pub(crate) anonymous: u64,
}

/// Asks the kernel what a process holds.
pub(crate) fn memory(process: u32) -> anyhow::Result<Memory> {
    let text = read(&format!("/proc/{process}/status"))?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|rest| rest.split_whitespace().next());
        number.and_then(|number| number.parse().ok()).with_context(|| format!("/proc/{process}/status has no {name}"))
    };
    Ok(Memory { resident: field("VmRSS:")?, anonymous: field("RssAnon:")? })
}

/// Returns the user and system time of a process, in ticks of 10 ms.
pub(crate) fn cpu_ticks(process: u32) -> anyhow::Result<Duration> {
    let text = read(&format!("/proc/{process}/stat"))?;
    let after_name = text.rsplit_once(") ").context("the kernel changed /proc/PID/stat")?.1;
    let fields: Vec<&str> = after_name.split(' ').collect();
    let ticks = [11, 12].map(|place| fields.get(place).and_then(|field| field.parse::<u64>().ok()));
    let [Some(user), Some(system)] = ticks else {
        anyhow::bail!("the kernel changed /proc/PID/stat");
    };
    Ok(Duration::from_millis((user + system) * 1000 / TICKS_PER_SECOND))
}

/// Returns the time that all threads of a process ran, to the nanosecond where the kernel counts so.
pub(crate) fn cpu_time(process: u32) -> anyhow::Result<Duration> {
    let mut nanos = 0;
    for task in fs::read_dir(format!("/proc/{process}/task")).context("failed to list a process's threads")? {
        let text = read(&task?.path().join("schedstat").to_string_lossy())?;
        nanos += text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0);
    }
    match nanos {
        0 => cpu_ticks(process),
        nanos => Ok(Duration::from_nanos(nanos)),
    }
}

/// Returns how many datagrams this machine has dropped because a socket's buffer was full.
pub(crate) fn datagrams_lost() -> u64 {
    let text = fs::read_to_string("/proc/net/snmp").unwrap_or_default();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let found = names.split(' ').zip(values.split(' ')).find(|(name, _)| *name == "RcvbufErrors");
    found.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
}

/// A file that is written is one whose size or time changed.
pub(crate) fn file_mark(path: &Path) -> Option<(u64, std::time::SystemTime)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}

fn read(path: &str) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("failed to read {path}"))
}
