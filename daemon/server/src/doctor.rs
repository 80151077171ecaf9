//! `linecamp-server doctor`: what is wrong at the server, found on the spot.
//!
//! It works beside a running server and without one, takes no lock and changes nothing. A running server is asked as a
//! site and as an operator would, without a word that it keeps. One that does not run is examined as its next start
//! would: configuration, authority, database, ports. All checks run side by side, each with a limit.
//!
//! Which evidence is gathered is said here, by part: `files` (what lies in the directory), `listening` (ports, and who
//! answers at them).

mod files;
mod listening;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use linecamp_doctor::{Finding, Job, NETWORK_LIMIT, Progress, Report, kernel_number, run, synchronised, udp_buffers};
use linecamp_store::DirectoryLock;

use crate::config::{Config, FILE_DEFAULT, Overrides};
use crate::error::ServerError;
use crate::layout::Layout;

/// The directory of the service that the packages install.
const DATA_INSTALLED: &str = "/var/lib/linecamp-server";

/// The service that the packages install.
const UNIT: &str = "linecamp-server";

/// How long whatever is on this machine may take. A database is read whole, from a disk that may be slow.
const HERE_LIMIT: Duration = Duration::from_secs(12);

/// Files that a server has open at most, with room: 256 connections of operators and as many handshakes, the
/// database and its log. Sites cost none: all their sessions share one socket.
const FILES_NEEDED: u64 = 1024;

/// Bytes of socket buffer that the link asks for (`linecamp-transport`).
const UDP_BUFFER_BYTES: u64 = 4 * 1024 * 1024;

/// The server that is looked at.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its data directory.
    pub layout: Layout,
    /// Its configuration file, if one was named.
    pub config: Option<PathBuf>,
}

impl Place {
    fn is_installed(&self) -> bool {
        self.layout.dir() == std::path::Path::new(DATA_INSTALLED)
    }

    /// Returns the configuration file that lies over the directory's own: the one that was named, or that of the
    /// installed service.
    fn config_file(&self) -> Option<PathBuf> {
        let installed = || Some(PathBuf::from(FILE_DEFAULT)).filter(|path| self.is_installed() && path.exists());
        self.config.clone().or_else(installed)
    }

    fn read_config(&self) -> Result<Config, ServerError> {
        Config::load(self.layout.clone(), self.config_file().as_deref(), Overrides::default())
    }

    /// Returns the process of the server that runs, if one does.
    fn running(&self) -> Option<u32> {
        DirectoryLock::holder(self.layout.dir())
    }
}

/// Looks at everything. `progress` is told what is waited for.
pub fn examine(place: &Place, progress: impl FnMut(&Progress)) -> Report {
    let job = |names, limit, check: fn(&Place) -> Vec<Finding>| {
        let place = place.clone();
        Job::new(names, limit, move || check(&place))
    };
    let jobs = vec![
        job(&["configuration"], HERE_LIMIT, |place| vec![files::configuration(place).of("configuration")]),
        job(&["data-directory"], HERE_LIMIT, |place| vec![files::directory(place).of("data-directory")]),
        job(&["authority"], HERE_LIMIT, |place| vec![files::authority(place).of("authority")]),
        job(&["database"], HERE_LIMIT, |place| vec![files::database(place).of("database")]),
        job(&["disk"], HERE_LIMIT, |place| vec![linecamp_doctor::disk(place.layout.dir()).of("disk")]),
        job(listening::PORTS, HERE_LIMIT, listening::ports),
        job(listening::CHECKS, NETWORK_LIMIT, listening::answers),
        job(&["file-limit"], HERE_LIMIT, |place| {
            vec![linecamp_doctor::file_limit(place.running(), FILES_NEEDED, UNIT).of("file-limit")]
        }),
        job(&["udp-buffers"], HERE_LIMIT, |_| {
            let of = |name| kernel_number(&format!("/proc/sys/net/core/{name}"));
            vec![udp_buffers(of("rmem_max"), of("wmem_max"), UDP_BUFFER_BYTES).of("udp-buffers")]
        }),
        job(&["clock"], HERE_LIMIT, |_| vec![synchronised().of("clock")]),
        job(&["service"], HERE_LIMIT, |place| vec![service(place).of("service")]),
    ];
    Report::new("linecamp-server", env!("CARGO_PKG_VERSION"), run(jobs, progress))
}

/// Asks systemd of the service, if it is the one that works on this directory.
fn service(place: &Place) -> linecamp_doctor::CheckResult {
    if !place.is_installed() {
        let words = format!("the installed service works on another directory than {}", place.layout.dir().display());
        return linecamp_doctor::CheckResult::skipped(words);
    }
    linecamp_doctor::service(UNIT, place.running().is_some())
}
