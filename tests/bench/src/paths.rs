//! Locations: the programs, a scratch directory on disk, one in memory, free ports.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::machine;

/// The variables that name the release programs; `cargo xtask bench` builds them and sets these.
const SERVER_VARIABLE: &str = "LINECAMP_BENCH_SERVER";
const DAEMON_VARIABLE: &str = "LINECAMP_BENCH_DAEMON";
/// A directory in memory, if the machine has one.
const MEMORY: &str = "/dev/shm";

/// What all measurements share.
#[derive(Debug)]
pub(crate) struct Bench {
    /// A short run that only shows that the bench works; its numbers are less meaningful.
    pub(crate) is_quick: bool,
    /// Number of cores before the bench pinned itself to one of them.
    pub(crate) online: usize,
    target: PathBuf,
    server: PathBuf,
    daemon: PathBuf,
}

impl Bench {
    /// Locates the programs and directories.
    pub(crate) fn prepare(is_quick: bool) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("failed to find the bench's own program")?;
        // target/PROFILE/linecamp-bench or, where it is static, target/TRIPLE/PROFILE/linecamp-bench
        let depth = if cfg!(target_env = "musl") { 3 } else { 2 };
        let target = own.ancestors().nth(depth).context("the bench program is not in the target directory")?.to_owned();
        fs::create_dir_all(target.join("bench")).context("failed to create a directory for results")?;
        let (server, daemon) = (program(SERVER_VARIABLE)?, program(DAEMON_VARIABLE)?);
        Ok(Self { is_quick, online: machine::cores(), target, server, daemon })
    }

    /// Returns the server's program.
    pub(crate) fn server(&self) -> &Path {
        &self.server
    }

    /// Returns the daemon's program.
    pub(crate) fn daemon(&self) -> &Path {
        &self.daemon
    }

    /// Returns the file for the results of a run.
    pub(crate) fn results(&self, name: &str) -> PathBuf {
        self.target.join("bench").join(format!("{name}.json"))
    }

    /// Creates a directory on the disk of cargo's target directory. It is removed on drop.
    pub(crate) fn scratch(&self) -> anyhow::Result<TempDir> {
        let builder = tempfile::Builder::new().prefix("run-").tempdir_in(self.target.join("bench"));
        builder.context("failed to create a directory to work in")
    }

    /// Creates a directory in memory if possible, for what is not measured: the sites' identities.
    pub(crate) fn memory(&self) -> anyhow::Result<TempDir> {
        match tempfile::Builder::new().prefix("linecamp-bench-").tempdir_in(MEMORY) {
            Ok(folder) => Ok(folder),
            Err(_) => self.scratch(),
        }
    }

    /// Returns `full`, or `quick` in a quick run.
    pub(crate) const fn scale(&self, full: usize, quick: usize) -> usize {
        if self.is_quick { quick } else { full }
    }
}

fn program(variable: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os(variable).map(PathBuf::from);
    let path =
        path.with_context(|| format!("{variable} is not set; `cargo xtask bench` builds the program and sets it"))?;
    if !path.is_file() {
        bail!("{} does not exist", path.display());
    }
    Ok(path)
}

/// Returns a loopback address that is free for both TCP and UDP.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    for _ in 0..50 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("failed to find a free port")?;
        let address = listener.local_addr()?;
        if UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no port is free for TCP and UDP at once")
}
