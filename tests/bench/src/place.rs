//! Where things are: the programs, a scratch folder on the disk, one in memory, free ports.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::machine;

/// The variables that name the programs as they are released; `cargo xtask bench` builds them and sets these.
const SERVER_VARIABLE: &str = "LINECAMP_BENCH_SERVER";
const DAEMON_VARIABLE: &str = "LINECAMP_BENCH_DAEMON";
/// A folder in memory, if the machine has one.
const MEMORY: &str = "/dev/shm";

/// What all measurements share.
#[derive(Debug)]
pub(crate) struct Bench {
    /// A short run that shows that it works; its numbers mean less.
    pub(crate) is_quick: bool,
    /// Cores there were before the bench took one of them.
    pub(crate) online: usize,
    target: PathBuf,
    server: PathBuf,
    daemon: PathBuf,
}

impl Bench {
    /// Finds what is measured.
    pub(crate) fn prepare(is_quick: bool) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("failed to find the bench's own program")?;
        // target/PROFILE/linecamp-bench or, where it is static, target/TRIPLE/PROFILE/linecamp-bench
        let depth = if cfg!(target_env = "musl") { 3 } else { 2 };
        let target = own.ancestors().nth(depth).context("the bench is not in cargo's folder")?.to_owned();
        fs::create_dir_all(target.join("bench")).context("failed to make a folder for results")?;
        let (server, daemon) = (program(SERVER_VARIABLE)?, program(DAEMON_VARIABLE)?);
        Ok(Self { is_quick, online: machine::cores(), target, server, daemon })
    }

    /// Returns the program of the server.
    pub(crate) fn server(&self) -> &Path {
        &self.server
    }

    /// Returns the program of the daemon.
    pub(crate) fn daemon(&self) -> &Path {
        &self.daemon
    }

    /// Returns where the results of a run go.
    pub(crate) fn results(&self, name: &str) -> PathBuf {
        self.target.join("bench").join(format!("{name}.json"))
    }

    /// Makes a folder on the disk that cargo builds on. It goes when it is dropped.
    pub(crate) fn scratch(&self) -> anyhow::Result<TempDir> {
        let builder = tempfile::Builder::new().prefix("run-").tempdir_in(self.target.join("bench"));
        builder.context("failed to make a folder to work in")
    }

    /// Makes a folder in memory if there is one, for what is not measured: the identities of sites.
    pub(crate) fn memory(&self) -> anyhow::Result<TempDir> {
        match tempfile::Builder::new().prefix("linecamp-bench-").tempdir_in(MEMORY) {
            Ok(folder) => Ok(folder),
            Err(_) => self.scratch(),
        }
    }

    /// Picks the larger number for a full run.
    pub(crate) const fn scale(&self, full: usize, quick: usize) -> usize {
        if self.is_quick { quick } else { full }
    }
}

fn program(variable: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os(variable).map(PathBuf::from);
    let path =
        path.with_context(|| format!("{variable} is not set; `cargo xtask bench` builds the program and sets it"))?;
    if !path.is_file() {
        bail!("{} is not there", path.display());
    }
    Ok(path)
}

/// Returns an address of this machine that nobody uses, for TCP and UDP.
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
