//! Restart within the process: the configuration is reloaded, and if it requires a new state machine, the old one hands
//! over whatever must survive the restart.

use linecamp_service::{Commits, ConfigChanges, ServiceManager, report_rejected_config};

use super::local_access::LocalAccess;
use super::{Daemon, DataDirGuard, Setup, setup_of};
use crate::config::Config;
use crate::error::DaemonError;
use crate::facts::FactSources;
use crate::log;
use crate::metrics::Counters;
use crate::reload::Reload;

/// What one run of the state machine hands to the next.
pub(super) struct Handoff {
    closed: Closed,
    setup: Setup,
    local: Option<LocalAccess>,
}

/// What is left of a daemon whose link and database are closed.
pub(super) struct Closed {
    pub(super) guard: DataDirGuard,
    pub(super) reload: Option<Reload>,
    pub(super) process: ProcessState,
}

/// Service manager state and counters since the process started.
pub(super) struct ProcessState {
    pub(super) manager: ServiceManager,
    pub(super) counters: Counters,
    pub(super) commits: Commits,
}

impl Daemon {
    /// Opens everything again after a restart of the state machine.
    pub(super) fn resume(handoff: Handoff) -> Result<Self, DaemonError> {
        let Handoff { closed: Closed { guard, reload, process }, setup, local } = handoff;
        let mut daemon = Self::open(guard, setup)?;
        (daemon.reload, daemon.local) = (reload, local);
        (daemon.manager, daemon.counters, daemon.store.commits) = (process.manager, process.counters, process.commits);
        Ok(daemon)
    }

    /// Reloads the configuration. Returns the setup for a restart of the state machine if the changes require one.
    pub(super) fn reload(&mut self) -> Option<Setup> {
        let mut reload = self.reload.take()?;
        self.manager.reloading();
        let prepared = self.prepare_reload(&reload);
        self.counters.reload(prepared.is_ok());
        let (status, setup) = match prepared {
            Ok((config, changes, setup)) => {
                self.apply(&config);
                (reload.activate(config, &changes), setup)
            }
            Err(error) => (Some(report_rejected_config(&error)), None),
        };
        self.reload = Some(reload);
        self.manager.note(status);
        self.manager.ready();
        setup
    }

    fn prepare_reload(&mut self, reload: &Reload) -> Result<(Config, ConfigChanges, Option<Setup>), DaemonError> {
        let (config, changes) = reload.read(self.guard.identity.identity().is_some())?;
        let setup = match changes.reconnect.is_empty() {
            true => None,
            false => Some(setup_of(&config, &mut self.guard)?),
        };
        Ok((config, changes, setup))
    }

    /// Applies the changes that need no restart.
    fn apply(&mut self, config: &Config) {
        log::set_level(config.log);
        if self.plugins.set_secrets(config.plugins.secrets.clone()) {
            self.site.handle_secrets_changed(self.clock.now());
        }
        self.facts.set_sources(FactSources::of_this_machine(&config.docker_socket, config.rancher_labels));
        self.facts.collect();
    }

    /// Shuts this state machine down so that another one can take its place.
    pub(super) async fn hand_over(mut self, setup: Setup) -> Handoff {
        let local = self.local.take();
        let mut closed = self.close().await;
        closed.process.counters.hand_over();
        Handoff { closed, setup, local }
    }
}
