//! Restart within the process: the configuration is reloaded, and if it requires a new state machine, the old one hands
//! over whatever must survive the restart.

use linecamp_service::{Commits, ServiceManager};
use tokio::sync::mpsc;

use super::{Claim, Daemon, Setup, setup_of};
use crate::config::Config;
use crate::facts::FactSources;
use crate::local::{LocalCall, LocalServer};
use crate::log;
use crate::metrics::Counts;
use crate::reload::Reload;

/// What one run of the state machine hands to the next.
pub(super) struct Next {
    pub(super) claim: Claim,
    pub(super) setup: Setup,
    pub(super) local_access: LocalAccess,
}

/// What survives a restart of the state machine. A local client sees only a short delay.
pub(super) struct LocalAccess {
    pub(super) local: Option<LocalServer>,
    pub(super) local_later: Option<mpsc::Sender<LocalCall>>,
    pub(super) calls: Option<mpsc::Receiver<LocalCall>>,
    pub(super) kept: Kept,
}

/// Service manager state and counters since the process started.
pub(super) struct Kept {
    pub(super) manager: ServiceManager,
    pub(super) counts: Counts,
    pub(super) commits: Commits,
}

impl Daemon {
    /// Reloads the configuration. Returns the setup for a restart of the state machine if the changes require one.
    pub(super) fn reload(&mut self, reload: &mut Reload) -> Option<Setup> {
        self.manager.reloading();
        let is_member = self.claim.identity.identity().is_some();
        let (setup, words, is_taken) = match reload.read(is_member) {
            Ok((config, changes)) => {
                let setup = match changes.reconnect.is_empty() {
                    true => Ok(None),
                    false => setup_of(&config, &mut self.claim).map(Some),
                };
                match setup {
                    Ok(setup) => {
                        self.apply(&config);
                        (setup, reload.take(config, &changes), true)
                    }
                    Err(error) => (None, reload.refuse(&error), false),
                }
            }
            Err(error) => (None, reload.refuse(&error), false),
        };
        self.manager.note(words);
        self.manager.ready();
        self.counts.reload(is_taken);
        setup
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
    pub(super) async fn hand_over(mut self, setup: Setup) -> Next {
        let (local, local_later, calls) = (self.local.take(), self.local_later.take(), self.calls.take());
        let (claim, mut kept) = self.close().await;
        kept.counts.hand_over();
        Next { claim, setup, local_access: LocalAccess { local, local_later, calls, kept } }
    }
}
