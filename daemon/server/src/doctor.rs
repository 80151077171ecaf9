//! `linecamp-server doctor`: diagnoses the server locally.
//!
//! It works whether the server is running or not, takes no lock and changes nothing. A running server is probed as a
//! site and an operator would, without leaving any state. A stopped server is checked as its next start would check it:
//! configuration, authority, database, ports. All checks run concurrently, each with a timeout.
//!
//! The evidence is gathered by two modules: `files` (the contents of the directory) and `listening` (ports, and the
//! services that answer on them).

mod files;
mod listening;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use linecamp_doctor::{Finding, Job, NETWORK_LIMIT, Progress, Report, kernel_number, run, synchronized, udp_buffers};
use linecamp_store::DirectoryLock;

use crate::config::{Config, FILE_DEFAULT, Overrides};
use crate::data_directory::{DATA_DIR_DEFAULT, Layout, UNIT};
use crate::error::ServerError;

/// Timeout for local checks. A database is read completely, from a disk that may be slow.
const LOCAL_LIMIT: Duration = Duration::from_secs(12);

/// Maximum number of open files of a server, with a margin: 256 operator connections and as many handshakes, the
/// database and its log. Sites need none: all their sessions share one socket.
const FILES_NEEDED: u64 = 1024;

/// Socket buffer size in bytes that the link requests (`linecamp-transport`).
const UDP_BUFFER_BYTES: u64 = 4 * 1024 * 1024;

/// The server to examine.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its data directory.
    pub layout: Layout,
    /// Its configuration file, if specified.
    pub config: Option<PathBuf>,
    /// Flags that override the files, as the server was or will be started with.
    pub overrides: Overrides,
}

impl Target {
    fn is_installed(&self) -> bool {
        self.layout.dir() == std::path::Path::new(DATA_DIR_DEFAULT)
    }

    /// Returns the configuration file that overrides the directory's own: the specified one, or that of the installed
    /// service.
    fn config_file(&self) -> Option<PathBuf> {
        let installed = || Some(PathBuf::from(FILE_DEFAULT)).filter(|path| self.is_installed() && path.exists());
        self.config.clone().or_else(installed)
    }

    fn read_config(&self) -> Result<Config, ServerError> {
        Config::load(self.layout.clone(), self.config_file().as_deref(), self.overrides.clone())
    }

    /// Returns the process ID of the running server, if any.
    pub fn running(&self) -> Option<u32> {
        DirectoryLock::holder(self.layout.dir())
    }
}

/// Runs all checks. `progress` is told which are pending.
pub fn examine(target: &Target, progress: impl FnMut(&Progress)) -> Report {
    let job = |names, limit, check: fn(&Target) -> Vec<Finding>| {
        let target = target.clone();
        Job::new(names, limit, move || check(&target))
    };
    let jobs = vec![
        job(&["configuration"], LOCAL_LIMIT, |target| vec![files::configuration(target).of("configuration")]),
        job(&["data-directory"], LOCAL_LIMIT, |target| vec![files::directory(target).of("data-directory")]),
        job(&["authority"], LOCAL_LIMIT, |target| vec![files::authority(target).of("authority")]),
        job(&["database"], LOCAL_LIMIT, |target| vec![files::database(target).of("database")]),
        job(&["restore"], LOCAL_LIMIT, |target| vec![files::restore(target).of("restore")]),
        job(&["disk"], LOCAL_LIMIT, |target| vec![linecamp_doctor::disk(target.layout.dir()).of("disk")]),
        job(listening::PORTS, LOCAL_LIMIT, listening::ports),
        job(listening::CHECKS, NETWORK_LIMIT, listening::answers),
        job(&["file-limit"], LOCAL_LIMIT, |target| {
            vec![linecamp_doctor::file_limit(target.running(), FILES_NEEDED, UNIT).of("file-limit")]
        }),
        job(&["udp-buffers"], LOCAL_LIMIT, |_| {
            let of = |name| kernel_number(&format!("/proc/sys/net/core/{name}"));
            vec![udp_buffers(of("rmem_max"), of("wmem_max"), UDP_BUFFER_BYTES).of("udp-buffers")]
        }),
        job(&["clock"], LOCAL_LIMIT, |_| vec![synchronized().of("clock")]),
        job(&["service"], LOCAL_LIMIT, |target| vec![service(target).of("service")]),
    ];
    Report::new("linecamp-server", env!("CARGO_PKG_VERSION"), run(jobs, progress))
}

/// Queries systemd about the service, if the service uses this directory.
fn service(target: &Target) -> linecamp_doctor::CheckResult {
    if !target.is_installed() {
        let text = format!("the installed service uses another data directory than {}", target.layout.dir().display());
        return linecamp_doctor::CheckResult::skipped(linecamp_doctor::FindingCode::OtherDirectory, text);
    }
    linecamp_doctor::service(UNIT, target.running().is_some())
}
