//! Opening the daemon's drivers.

use std::collections::VecDeque;
use std::path::Path;

use linecamp_core::{Rng, SavedSite, Site, SiteConfig};
use linecamp_model::{BootId, RunId, Text};
use linecamp_proto::VERSIONS;
use linecamp_service::{Clock, ServiceManager};
use linecamp_transport::{Platform, error_chain, random_bytes};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::local_access::LocalAccess;
use super::{Daemon, DataDirGuard, Event, Setup};
use crate::drivers::facts::FactsDriver;
use crate::drivers::identity::SaveResult;
use crate::drivers::lan::LanDriver;
use crate::drivers::lan_install::Installer;
use crate::drivers::link::LinkDriver;
use crate::drivers::plugins::PluginDriver;
use crate::drivers::store::{self, OpenedDatabase};
use crate::error::DaemonError;
use crate::label_files::LabelsDir;
use crate::link_log::LinkLog;
use crate::local_api::PendingReplies;
use crate::metrics::Counters;

/// Bytes of a boot id as the kernel shows it, and a line feed.
const BOOT_ID_BYTES_MAX: u64 = 64;

impl Daemon {
    /// Opens everything except the local socket.
    pub(crate) fn open(guard: DataDirGuard, setup: Setup) -> Result<Self, DaemonError> {
        let OpenedDatabase { store, records, corrupt_database } = store::open(&guard.directory.database())?;
        let clock = Clock::start();
        let config = SiteConfig {
            daemon_version: Text::lossy(env!("CARGO_PKG_VERSION")),
            directory: Text::lossy(&guard.directory.path().display().to_string()),
            versions: VERSIONS,
            run: RunId::from_bytes(random_bytes()?),
            boot: boot_id(),
            servers: setup.servers,
            labels: setup.labels,
            join: setup.join,
            providers: setup.providers,
        };
        let mut labels_dir = LabelsDir::new(guard.directory.labels());
        let drop_ins = labels_dir.scan();
        let saved = SavedSite {
            identity: guard.identity.identity(),
            servers: guard.identity.servers().cloned(),
            authorities: guard.identity.authorities(),
            records,
            corrupt_database,
            drop_ins: drop_ins.clone(),
        };
        let site = Site::new(config, saved, Rng::new(u64::from_le_bytes(random_bytes()?)), clock.now());
        let (sender, receiver) = mpsc::channel(1);
        let stop_signal =
            |kind| signal(kind).map_err(|source| DaemonError::System { what: "listen for signals", source });
        Ok(Self {
            site,
            pending_replies: PendingReplies::default(),
            clock,
            link: LinkDriver::bind(setup.link, Platform::default())?,
            link_log: LinkLog::default(),
            store,
            facts: FactsDriver::new(setup.facts),
            plugins: PluginDriver::new(guard.directory.plugins(), setup.plugins),
            lan: LanDriver::new(guard.directory.lan(), setup.hosts.listen, Installer::new(setup.hosts.packages)),
            gateway_addresses: setup.hosts.addresses,
            local: None,
            reload: None,
            drop_ins: receiver,
            labels_dir: Some((labels_dir, drop_ins, sender)),
            stop_signals: [stop_signal(SignalKind::terminate())?, stop_signal(SignalKind::interrupt())?],
            manager: ServiceManager::from_environment(),
            counters: Counters::start(clock.now()),
            pending: not_saved(&guard),
            guard,
        })
    }

    /// Opens the local socket unless it is open, and watches the label files.
    pub(super) fn serve_local_calls(&mut self) -> Result<(), DaemonError> {
        self.local.get_or_insert_with(LocalAccess::new);
        match self.open_local_socket() {
            Ok(()) => {}
            // The link is useful even without the local socket.
            Err(error) if self.store.is_failing() || error.is_disk_error() => {
                tracing::warn!(
                    problem = error_chain(&error),
                    "cannot open the local socket; retrying in the background"
                );
            }
            Err(error) => return Err(error),
        }
        if let Some((labels_dir, drop_ins, sender)) = self.labels_dir.take() {
            labels_dir
                .watch(drop_ins, sender)
                .map_err(|source| DaemonError::System { what: "start the thread that watches label files", source })?;
        }
        Ok(())
    }

    /// Opens the local socket unless it is open, and reports the result to the state machine.
    pub(super) fn open_local_socket(&mut self) -> Result<(), DaemonError> {
        let Some(local) = self.local.as_mut().filter(|local| !local.is_open()) else { return Ok(()) };
        let opened = local.open(self.guard.directory.socket());
        let result = opened.as_ref().map(|_| ()).map_err(|error| Text::lossy(&error_chain(error)));
        self.pending.push_back(Event::LocalSocket(result));
        opened
    }
}

/// Returns the boot of this machine; `None` if the kernel does not tell.
fn boot_id() -> Option<BootId> {
    let text = linecamp_files::read_prefix(Path::new("/proc/sys/kernel/random/boot_id"), BOOT_ID_BYTES_MAX).ok()?;
    BootId::parse(std::str::from_utf8(&text).ok()?)
}

/// After a reload, the new state machine does not know what the previous one could not save.
fn not_saved(guard: &DataDirGuard) -> VecDeque<Event> {
    let identity = guard.identity.unsaved().map(|unsaved| Event::IdentitySaved(SaveResult::Unsaved(unsaved)));
    let servers = guard.identity.servers_problem().map(|problem| Event::ServersSaved(Err(problem)));
    identity.into_iter().chain(servers).collect()
}
