//! `linecampd doctor`: diagnoses a site locally.
//!
//! It works with and without a running daemon, before and after the site has joined. It takes no lock, changes nothing,
//! and starts no session: servers are probed with a temporary key, so that a daemon's session is not disturbed. All
//! checks run in parallel, each with a time limit; the whole run takes at most [`RUN_LIMIT`].
//!
//! The evidence comes from `machine` (files and limits of this machine), `running` (the daemon and its service), and
//! the server probes of `linecamp_doctor`.

mod machine;
mod requirements;
mod running;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use linecamp_core::CLOCK_SKEW_MAX;
use linecamp_doctor::{
    CheckResult, Finding, FindingCode, Job, NETWORK_LIMIT, Progress, Report, SERVER_CHECKS, ServerTargets, Versions,
    probe_servers, run, server_findings, versions,
};
use linecamp_model::ServerAddress;
use linecamp_transport::{ExpiryFloor, SiteIdentity, Trust, error_chain};

use crate::config::{Config, FILE_DEFAULT, Loaded, join_target, read_text};
use crate::data_directory::{DataDirectory, UNIT};
use crate::error::DaemonError;

pub use self::requirements::check_requirements;

/// The longest that a run takes: the server probes, at their slowest.
pub const RUN_LIMIT: Duration = NETWORK_LIMIT;

/// Time limit for local checks: a disk that needs longer to write one page is broken.
const LOCAL_LIMIT: Duration = Duration::from_secs(8);

/// Looks up an environment variable.
pub type Variable = fn(&str) -> Option<String>;

/// The site to examine.
#[derive(Clone, Debug)]
pub struct Installation {
    /// Its data directory.
    pub directory: DataDirectory,
    /// Its configuration file, if one was given.
    pub config: Option<PathBuf>,
    /// The environment.
    pub variable: Variable,
}

impl Installation {
    /// Returns the configuration file: the one that was given, or that of the installed service.
    pub(crate) fn config_file(&self) -> Option<PathBuf> {
        let installed = || Some(PathBuf::from(FILE_DEFAULT)).filter(|path| path.exists());
        self.config.clone().or_else(|| installed().filter(|_| self.directory.is_installed()))
    }

    /// Loads the configuration.
    pub(crate) fn read_config(&self) -> Result<Config, DaemonError> {
        Ok(Loaded::load(self.config_file().as_deref(), &self.variable)?.config)
    }

    pub(crate) fn identity(&self) -> Result<Option<SiteIdentity>, DaemonError> {
        Ok(SiteIdentity::load(&self.directory.identity())?)
    }

    /// Returns the servers that a daemon would dial here, and the trust it would use.
    fn server_targets(&self) -> ServerTargets {
        // Read errors are reported by the checks for those files.
        let config = self.read_config().ok();
        let identity = self.identity().ok().flatten();
        let join_request = config.as_ref().and_then(|config| Some((config.join.as_ref()?, &config.servers)));
        let target =
            join_request.and_then(|(join, servers)| join_target(&read_text(&join.token_file).ok()?, servers).ok());
        let (token_servers, pin) = target.map_or((Vec::new(), None), |target| (target.servers, Some(target.token.pin)));
        let known = identity.as_ref().map(SiteIdentity::servers);
        let joined = known.map_or_else(Vec::new, |known| known.confirmed.addresses.clone());
        let told: Vec<ServerAddress> = known.map_or_else(Vec::new, |known| known.candidates().cloned().collect());
        let configured = config.map_or_else(Vec::new, |config| config.servers);
        let candidates = if configured.is_empty() { told } else { Vec::new() };
        let floor = identity.as_ref().map_or(ExpiryFloor::Unknown, SiteIdentity::expiry_floor);
        let trust = identity.map(|identity| identity.trust()).or_else(|| pin.map(Trust::Pin));
        let lists = [configured, joined, token_servers];
        let servers = lists.into_iter().find(|servers| !servers.is_empty()).unwrap_or_default();
        let is_new = |address: &ServerAddress| !servers.contains(address);
        let candidates = candidates.into_iter().filter(is_new).collect();
        ServerTargets { servers, candidates, trust, floor }
    }
}

/// Runs all checks. `progress` is called with the checks that are still running.
pub fn examine(site: &Installation, progress: impl FnMut(&Progress)) -> Report {
    let job = |names, limit, check: fn(&Installation) -> Vec<Finding>| {
        let site = site.clone();
        Job::new(names, limit, move || check(&site))
    };
    let jobs = vec![
        job(&["configuration"], LOCAL_LIMIT, |site| vec![machine::configuration(site).of("configuration")]),
        job(&["data-directory"], LOCAL_LIMIT, |site| vec![machine::directory(site).of("data-directory")]),
        job(&["identity"], LOCAL_LIMIT, |site| vec![machine::identity(site).of("identity")]),
        job(&["disk"], LOCAL_LIMIT, |site| vec![linecamp_doctor::disk(site.directory.path()).of("disk")]),
        job(running::CHECKS, LOCAL_LIMIT, running::daemon),
        job(&["service"], LOCAL_LIMIT, |site| vec![running::service(site).of("service")]),
        job(&["file-limit"], LOCAL_LIMIT, |site| vec![running::file_limit(site).of("file-limit")]),
        job(&["docker"], LOCAL_LIMIT, |site| vec![machine::docker(site).of("docker")]),
        job(&["plugins"], LOCAL_LIMIT, |site| vec![machine::plugins(site).of("plugins")]),
        job(machine::RESOURCES, LOCAL_LIMIT, machine::resources),
        job(NETWORK_CHECKS, NETWORK_LIMIT, network),
    ];
    Report::new("linecampd", env!("CARGO_PKG_VERSION"), run(jobs, progress))
}

/// The checks that need the network.
const NETWORK_CHECKS: &[&str] = &["name-resolution", "mtu", "udp", "tls", "clock", "versions"];

const _: () = assert!(SERVER_CHECKS.len() + 1 == NETWORK_CHECKS.len());

fn network(site: &Installation) -> Vec<Finding> {
    let mut known = Versions {
        own: env!("CARGO_PKG_VERSION"),
        running: running::status(&site.directory).ok().map(|status| status.daemon_version),
        server: None,
    };
    let server_targets = site.server_targets();
    let mut found = if server_targets.servers.is_empty() {
        let (code, words) = match site.identity() {
            Ok(_) => (
                FindingCode::NotJoined,
                "no server to check: this site has not joined, and the configuration names none".to_owned(),
            ),
            Err(error) => (FindingCode::IdentityCorrupt, format!("no server to check: {}", error_chain(&error))),
        };
        SERVER_CHECKS.iter().map(|name| CheckResult::skipped(code, words.clone()).of(name)).collect()
    } else {
        match probe_servers(&server_targets) {
            Ok(probed) => {
                let mut responses =
                    probed.iter().flat_map(|one| &one.addresses).filter_map(|report| report.api.as_ref());
                known.server = responses.find_map(|health| health.version.clone());
                server_findings(&probed, server_targets.trust.as_ref(), CLOCK_SKEW_MAX)
            }
            Err(words) => {
                let remedy = "cannot open a socket on this machine: check its limits, `ulimit -a`, and `dmesg | tail`";
                SERVER_CHECKS
                    .iter()
                    .map(|name| CheckResult::fail(FindingCode::NoSocket, words.clone(), remedy).of(name))
                    .collect()
            }
        }
    };
    found.push(versions(&known, UNIT).of("versions"));
    found
}
