//! The machine that runs the bench: its cores, its load, and the kernel's statistics of processes.
//!
//! Servers run on core 0, the bench with its clients on core 1, if there are two cores and `taskset` is installed. A
//! timed burst runs under SCHED_FIFO on both sides, so that other jobs on the machine do not matter; without the
//! permission for that, they are measured too.

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
/// Kernel ticks per second, as in `/proc/PID/stat` (`USER_HZ`, the same on every Linux).
const TICKS_PER_SECOND: u64 = 100;

/// Returns the number of cores.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Returns the load average of the last minute.
pub(crate) fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

/// Returns the path of a program, if it is installed.
pub(crate) fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    directories.map(|directory| directory.join(program)).find(|path| path.is_file())
}

/// Returns whether server and clients have separate cores.
pub(crate) fn has_pins(online: usize) -> bool {
    2 <= online && installed("taskset").is_some()
}

/// Pins the bench itself to the clients' core. Processes started before are not moved.
pub(crate) fn pin_self(online: usize) {
    if has_pins(online) {
        run_tool("taskset", ["-acp", CLIENT_CORE, &std::process::id().to_string()]);
    }
}

/// Returns the command of a server on its core. `taskset` executes the program in its own process.
pub(crate) fn on_server_core(program: impl AsRef<OsStr>, online: usize) -> Command {
    if !has_pins(online) {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", SERVER_CORE]).arg(program);
    command
}

/// Raises the descriptor limit of this process and its children to the hard limit.
pub(crate) fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        crate::say(&format!("cannot raise the limit of open files: {error}"));
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
    /// Starts a burst.
    pub(crate) fn begin(servers: &[u32]) -> Self {
        let mut processes = servers.to_vec();
        processes.push(std::process::id());
        let grant = |process: &u32| run_tool("chrt", ["-a", "-f", "-p", "10", &process.to_string()]);
        let is_granted = processes.iter().all(grant);
        Self { processes, is_granted }
    }

    /// Describes how it was scheduled.
    pub(crate) const fn describe(&self) -> &'static str {
        if self.is_granted { "SCHED_FIFO" } else { "no SCHED_FIFO" }
    }
}

impl Drop for Burst {
    fn drop(&mut self) {
        for process in &self.processes {
            run_tool("chrt", ["-a", "-o", "-p", "0", &process.to_string()]);
        }
    }
}

fn run_tool<const N: usize>(program: &str, arguments: [&str; N]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Memory of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Resident memory, in KiB.
    pub(crate) resident: u64,
    /// Anonymous memory, which the kernel cannot drop, in KiB.
    pub(crate) anonymous: u64,
}

/// Reads the memory of a process.
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
    let ticks = [11, 12].map(|environment| fields.get(environment).and_then(|field| field.parse::<u64>().ok()));
    let [Some(user), Some(system)] = ticks else {
        anyhow::bail!("the kernel changed /proc/PID/stat");
    };
    Ok(Duration::from_millis((user + system) * 1000 / TICKS_PER_SECOND))
}

/// Returns the run time of all threads of a process, to the nanosecond if the kernel counts it.
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

/// Returns the size and modification time of a file: a write changes one of them.
pub(crate) fn file_mark(path: &Path) -> Option<(u64, std::time::SystemTime)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}

fn read(path: &str) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("failed to read {path}"))
}
