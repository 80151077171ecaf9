//! The environment of a run: its directory, the programs, a port for the server.
//!
//! ```text
//! DIR/server/  DIR/server.log          the server
//! DIR/camp-001/linecampd.toml  data/   a site, and DIR/camp-001.log
//! DIR/hosted-01/camp-021/…             sites that share a process, and DIR/hosted-01.log
//! ```

use std::fs::{self, DirBuilder};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

use super::process::read_log;

/// The variable with the directory of the programs, as the end-to-end tests use it.
const BINARIES: &str = "LINECAMP_BINARIES";

/// Range in which the server's port is chosen: below the kernel's ephemeral ports, so that no process takes it while
/// the server is down.
const PORTS: std::ops::Range<u16> = 28_000..32_000;

/// Maximum log lines at level ERROR in a result; the rest are in the logs.
const ERRORS_MAX: usize = 20;

/// The directory of a run.
#[derive(Debug)]
pub(super) struct Environment {
    directory: PathBuf,
    binaries: PathBuf,
    own: PathBuf,
    /// Removes the directory on drop, unless it is to be kept.
    _temporary: Option<TempDir>,
}

impl Environment {
    pub(super) fn create(keep: Option<&Path>) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("failed to find our own executable")?;
        let binaries = match std::env::var_os(BINARIES) {
            Some(directory) => directory.into(),
            None => own.parent().context("our own executable has no directory")?.to_owned(),
        };
        let (directory, temporary) = match keep {
            Some(kept) => (make_empty(kept)?, None),
            None => {
                let made = tempfile::Builder::new().prefix("linecamp-sim-").tempdir();
                let made = made.context("failed to create a temporary directory")?;
                (made.path().to_owned(), Some(made))
            }
        };
        Ok(Self { directory, binaries, own, _temporary: temporary })
    }

    /// Returns a path in the directory.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Returns the log file of the program with this name.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.log"))
    }

    /// Creates a directory that only the current user may enter.
    pub(super) fn make_directory(&self, path: &Path) -> anyhow::Result<()> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.with_context(|| format!("failed to create {}", path.display()))
    }

    /// Writes a file that only the current user may read.
    pub(super) fn write(&self, path: &Path, text: &str) -> anyhow::Result<()> {
        let file = fs::File::options().write(true).create_new(true).mode(0o600).open(path);
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        written.with_context(|| format!("failed to write {}", path.display()))
    }

    /// Returns a command for one of the project's programs.
    pub(super) fn command(&self, program: &str) -> anyhow::Result<Command> {
        let path = self.binaries.join(program);
        ensure!(
            path.is_file(),
            "{} not found: build {program} into the directory of linecamp-sim, or set {BINARIES} to its directory",
            path.display()
        );
        Ok(self.clean(Command::new(path)))
    }

    /// Returns a command for this program.
    pub(super) fn own_command(&self) -> Command {
        self.clean(Command::new(&self.own))
    }

    /// Removes the user's login, labels and log filter: a run must not depend on the user.
    fn clean(&self, mut command: Command) -> Command {
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let is_ours = ["LINECAMP_", "CATTLE_", "XDG_"].iter().any(|prefix| text.starts_with(prefix));
            if is_ours || text == "RUST_LOG" || text == "NOTIFY_SOCKET" {
                command.env_remove(&name);
            }
        }
        command.env("HOME", &self.directory).env("NO_COLOR", "1");
        command
    }

    /// Returns the first log lines at level ERROR of all logs, each with the log's name.
    pub(super) fn log_errors(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().filter_map(Result::ok);
        let mut logs: Vec<_> = entries.map(|entry| entry.path()).filter(|path| has_extension(path, "log")).collect();
        logs.sort();
        let errors = logs.iter().flat_map(|path| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = read_log(path);
            let errors = text.lines().filter(|line| line.split_whitespace().nth(1) == Some("ERROR"));
            errors.map(|line| format!("{name}: {line}")).collect::<Vec<_>>()
        });
        errors.take(ERRORS_MAX).collect()
    }
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

fn make_empty(kept: &Path) -> anyhow::Result<PathBuf> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(kept);
    made.with_context(|| format!("failed to create {}", kept.display()))?;
    let mut entries = fs::read_dir(kept).with_context(|| format!("failed to list {}", kept.display()))?;
    ensure!(entries.next().is_none(), "{} is not empty", kept.display());
    std::path::absolute(kept).with_context(|| format!("failed to find {}", kept.display()))
}

/// Returns a loopback address that is free for both TCP and UDP.
pub(super) fn free_address() -> anyhow::Result<SocketAddr> {
    // Processes start at different offsets, so that they rarely collide.
    let places = u32::from(PORTS.end - PORTS.start);
    let offset = u16::try_from(std::process::id() % places).context("a remainder is below its divisor")?;
    let mut ports = (PORTS.start + offset..PORTS.end).chain(PORTS.start..PORTS.start + offset);
    let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let is_free = |port: &u16| TcpListener::bind(address(*port)).is_ok() && UdpSocket::bind(address(*port)).is_ok();
    let free = ports.find(is_free).context("no port is free for TCP and UDP at once")?;
    Ok(address(free))
}

/// Raises the descriptor limit of this process and its children to the hard limit. If that is not enough, whatever runs
/// out of descriptors reports it.
pub(super) fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
