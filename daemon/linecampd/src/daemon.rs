//! The event loop: take one event, feed it to the state machine as one input, carry out the outputs, repeat.
//!
//! [`Event`] lists everything that can happen to a daemon. A driver result that is available at once (a write that the
//! store rejects, a certificate that was saved) waits in `pending` until the outputs are drained, and is then handled
//! like any other event.
//!
//! Two commands share the loop: [`run`], which runs until the daemon is stopped, and `join`, which runs until the site
//! has joined.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use linecamp_core::{
    DropIns, Facts, LinkEvent, Purpose, Rng, SavedSite, Site, SiteCommandError, SiteConfig, SiteOutput,
};
use linecamp_model::{CommandId, FromServer, Name, Now, ProviderReply, Refusal, RunId, Text};
use linecamp_plugin_host::ProviderCall;
use linecamp_proto::VERSIONS;
use linecamp_service::ServiceManager;
use linecamp_transport::Platform;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::clock::{Clock, random};
use crate::config::{Config, ConfigError};
use crate::directory::DataDirectory;
use crate::drive::facts::FactsDriver;
use crate::drive::identity::Saved;
use crate::drive::link::{LinkDriver, LinkReport};
use crate::drive::plugins::{PluginDriver, PluginEvent};
use crate::drive::store::{OpenedStore, Settled, StoreDriver};
use crate::error::{DaemonError, chain};
use crate::forget::forget_locked;
use crate::labels_d::LabelsFolder;
use crate::link_log::LinkLog;
use crate::local::{LocalCall, LocalServer, PendingReplies};
use crate::log;
use crate::metrics::Counts;
use crate::reload::Reload;

mod handoff;
mod setup;

use handoff::{Kept, LocalAccess, Next};
pub(crate) use setup::{Claim, Setup, setup_of};

/// How long shutdown may wait for others: the disk, the server, local clients. Together with closing the database it
/// stays below the promised 2 s.
const STOP_LIMIT: Duration = Duration::from_millis(1500);

/// Local requests queued for the loop. Further requests wait at their connections, whose number is bounded.
const CALLS_MAX: usize = 8;

/// Everything that can happen to a daemon.
#[derive(Debug)]
pub(crate) enum Event {
    /// A stop was requested.
    Stop,
    /// The state machine's next deadline has passed.
    Timeout,
    /// The service manager's watchdog needs a keep-alive.
    SignDue,
    /// The store answered.
    Store(Settled),
    /// A certificate was saved, or saving it failed.
    Saved(Saved),
    /// Facts were collected.
    Facts(Facts),
    /// The drop-in files changed.
    DropIns(DropIns),
    /// The local socket was opened, or opening it failed.
    LocalSocket(Result<(), Text>),
    /// A request from the local socket.
    Local(LocalCall),
    /// A plugin event.
    Plugin(PluginEvent),
    /// A link event.
    Link(LinkReport),
}

/// An output that the running command may need to know about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// The server issued a certificate to the site, with this name and environment.
    Granted { name: Name, environment: Name },
    /// A command that did not come from the socket finished or failed.
    Replied(CommandId, Result<(), SiteCommandError>),
    /// The server rejected the join permanently.
    JoinRefused(Refusal),
    /// The server has removed the site.
    Removed(Refusal),
}

/// Why a run of the state machine ended without an error.
enum Ended {
    /// The daemon stops.
    Stopped,
    /// The state machine restarts with a new configuration.
    Reconnect(Box<Next>),
}

/// The state machine and its drivers.
pub(crate) struct Daemon {
    pub(crate) site: Site,
    pub(crate) pending_replies: PendingReplies,
    pub(crate) clock: Clock,
    claim: Claim,
    link: LinkDriver,
    link_log: LinkLog,
    store: StoreDriver,
    facts: FactsDriver,
    plugins: PluginDriver,
    local: Option<LocalServer>,
    /// The sender that the local socket needs, until it is open.
    local_later: Option<mpsc::Sender<LocalCall>>,
    calls: Option<mpsc::Receiver<LocalCall>>,
    drop_ins: mpsc::Receiver<DropIns>,
    labels_folder: Option<(LabelsFolder, DropIns, mpsc::Sender<DropIns>)>,
    stop_signals: [Signal; 2],
    manager: ServiceManager,
    counts: Counts,
    pending: VecDeque<Event>,
}

/// Reloads the configuration on SIGHUP.
pub type ConfigLoader = Box<dyn Fn() -> Result<Config, ConfigError>>;

/// Runs the daemon of the site in `directory` until it is stopped. With `reread` it reloads on SIGHUP.
///
/// # Errors
/// [`DaemonError`] if it cannot start, or if the server has removed the site.
pub async fn run(directory: DataDirectory, config: Config, reread: Option<ConfigLoader>) -> Result<(), DaemonError> {
    let mut claim = Claim::take(directory)?;
    let mut setup = setup_of(&config, &mut claim)?;
    let mut reload = Reload::new(config, reread)?;
    let mut carried = None;
    loop {
        let mut daemon = Daemon::open(claim, setup)?;
        daemon.serve_local_calls(carried)?;
        match daemon.run(&mut reload).await? {
            Ended::Stopped => return Ok(()),
            Ended::Reconnect(next) => (claim, setup, carried) = (next.claim, next.setup, Some(next.local_access)),
        }
    }
}

impl Daemon {
    /// Opens everything except the local socket.
    pub(crate) fn open(claim: Claim, setup: Setup) -> Result<Self, DaemonError> {
        let OpenedStore { driver: store, records, damaged } = StoreDriver::open(&claim.directory.database())?;
        let clock = Clock::start();
        let config = SiteConfig {
            daemon_version: Text::lossy(env!("CARGO_PKG_VERSION")),
            directory: Text::lossy(&claim.directory.path().display().to_string()),
            versions: VERSIONS,
            run: RunId::from_bytes(random()?),
            servers: setup.servers,
            labels: setup.labels,
            join: setup.join,
            providers: setup.providers,
        };
        let mut folder = LabelsFolder::new(claim.directory.labels());
        let first = folder.look();
        let saved = SavedSite { identity: claim.identity.identity(), records, damaged, drop_ins: first.clone() };
        let site = Site::new(config, saved, Rng::new(u64::from_le_bytes(random()?)), clock.now());
        let (sender, drop_ins) = mpsc::channel(1);
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
            plugins: PluginDriver::new(claim.directory.plugins(), setup.plugins),
            local: None,
            local_later: None,
            calls: None,
            drop_ins,
            labels_folder: Some((folder, first, sender)),
            stop_signals: [stop_signal(SignalKind::terminate())?, stop_signal(SignalKind::interrupt())?],
            manager: ServiceManager::of_environment(),
            counts: Counts::start(clock.now()),
            // After a reload, the new state machine does not know what the previous one could not save.
            pending: claim
                .identity
                .unsaved()
                .map(|unsaved| Event::Saved(Saved::Unsaved(unsaved)))
                .into_iter()
                .collect(),
            claim,
        })
    }

    /// Opens the local socket, or keeps the one handed over by the previous run, and watches the label files.
    fn serve_local_calls(&mut self, carried: Option<LocalAccess>) -> Result<(), DaemonError> {
        match carried {
            Some(LocalAccess { local, local_later, calls, kept: Kept { manager, counts, commits } }) => {
                (self.local, self.local_later, self.calls) = (local, local_later, calls);
                (self.manager, self.counts, self.store.commits) = (manager, counts, commits);
            }
            None => {
                let (sender, calls) = mpsc::channel(CALLS_MAX);
                (self.local_later, self.calls) = (Some(sender), Some(calls));
            }
        }
        match self.open_local_socket() {
            Ok(()) => {}
            // The link is useful even without the local socket.
            Err(error) if self.store.is_unwritable || error.is_of_the_disk() => {
                tracing::warn!(problem = chain(&error), "local requests are not answered until it can be opened");
            }
            Err(error) => return Err(error),
        }
        if let Some((folder, first, sender)) = self.labels_folder.take() {
            folder
                .watch(first, sender)
                .map_err(|source| DaemonError::System { what: "start a thread that watches label files", source })?;
        }
        Ok(())
    }

    async fn run(mut self, reload: &mut Reload) -> Result<Ended, DaemonError> {
        tracing::info!(directory = %self.claim.directory.path().display(), version = env!("CARGO_PKG_VERSION"), "started");
        self.name_the_site();
        self.manager.ready();
        loop {
            for notice in self.perform_outputs() {
                match notice {
                    Notice::Granted { name, environment } => {
                        log::set_site(name.as_str());
                        tracing::info!(%name, %environment, "certificate received")
                    }
                    Notice::Replied(..) => {}
                    Notice::JoinRefused(refusal) => {
                        self.stop().await;
                        return Err(DaemonError::JoinRefused(refusal));
                    }
                    Notice::Removed(refusal) => return Err(self.forget(refusal)),
                }
            }
            let event = tokio::select! {
                biased;
                () = reload.asked() => {
                    match self.reload(reload) {
                        Some(setup) => return Ok(Ended::Reconnect(Box::new(self.hand_over(setup).await))),
                        None => continue,
                    }
                }
                event = self.next_event() => event,
            };
            match event {
                Event::Stop => {
                    tracing::info!("stopping");
                    self.manager.stopping();
                    self.stop().await;
                    return Ok(Ended::Stopped);
                }
                event => self.handle_event(event),
            }
        }
    }

    fn name_the_site(&self) {
        if let Some(name) = self.site.view(self.clock.now()).name {
            log::set_site(name.as_str());
        }
    }

    /// Waits for the next event. Cancel-safe.
    pub(crate) async fn next_event(&mut self) -> Event {
        if let Some(event) = self.pending.pop_front() {
            return event;
        }
        let deadline = self.site.next_deadline().map(|(deadline, _)| deadline);
        let [terminate, interrupt] = &mut self.stop_signals;
        // Sources that can flood the loop come last: local clients, and after them the server.
        tokio::select! {
            biased;
            _ = terminate.recv() => Event::Stop,
            _ = interrupt.recv() => Event::Stop,
            () = self.clock.wait_until(deadline) => Event::Timeout,
            () = self.manager.due() => Event::SignDue,
            settled = self.store.answer() => Event::Store(settled),
            facts = self.facts.collected() => Event::Facts(facts),
            Some(drop_ins) = self.drop_ins.recv() => Event::DropIns(drop_ins),
            event = self.plugins.event() => Event::Plugin(event),
            Some(call) = next_call(&mut self.calls) => Event::Local(call),
            report = self.link.report() => Event::Link(report),
        }
    }

    /// Feeds an event to the state machine.
    pub(crate) fn handle_event(&mut self, event: Event) {
        let now = self.clock.now();
        match event {
            Event::Stop => self.site.handle_stop(),
            Event::Timeout => self.site.handle_timeout(now),
            Event::SignDue => self.store.probe(ServiceManager::live),
            Event::Store(Settled { write, result }) => {
                match result {
                    Ok(()) => self.site.handle_persisted(write, now),
                    Err(fault) => self.site.handle_persist_failed(write, fault, now),
                }
                self.manager.degraded(self.store.is_failing().then_some("the site database cannot be written"));
            }
            Event::Saved(Saved::Kept(identity)) => self.site.handle_identity_saved(Ok(identity), now),
            Event::Saved(Saved::Unsaved(unsaved)) => self.site.handle_identity_unsaved(unsaved, now),
            Event::Saved(Saved::Failed(problem)) => self.site.handle_identity_saved(Err(problem), now),
            Event::Facts(facts) => self.site.handle_facts(facts, now),
            Event::DropIns(drop_ins) => {
                tracing::info!("label files changed");
                self.site.handle_drop_ins(drop_ins, now);
            }
            Event::Plugin(event) => self.handle_plugin(event, now),
            Event::LocalSocket(opened) => self.site.handle_local_socket(opened, now),
            Event::Local(call) => {
                self.counts.local_request();
                let (counts, commits) = (&self.counts, &self.store.commits);
                self.pending_replies.serve(call, &mut self.site, now, |site| counts.text(&site.view(now), commits));
            }
            Event::Link(report) => {
                if matches!(report.event, LinkEvent::Received(_, FromServer::Welcome(_))) {
                    self.name_the_site();
                }
                self.counts.link(&report.event, now);
                self.link_log.note(&report);
                self.manager.status(&self.link_log.words(&report.server));
                self.site.handle_link(report.event, now);
            }
        }
    }

    /// Opens the local socket unless it is open, and reports the result to the state machine.
    fn open_local_socket(&mut self) -> Result<(), DaemonError> {
        let Some(calls) = &self.local_later else { return Ok(()) };
        let opened = LocalServer::open(self.claim.directory.socket(), calls.clone());
        let result = opened.as_ref().map(|_| ()).map_err(|error| Text::lossy(&chain(error)));
        self.pending.push_back(Event::LocalSocket(result));
        self.local = Some(opened?);
        self.local_later = None;
        Ok(())
    }

    fn handle_plugin(&mut self, event: PluginEvent, now: Now) {
        match event {
            PluginEvent::Replied { call, reply, seen } => {
                self.counts.reply(&reply);
                match &reply {
                    ProviderReply::Failed(failure) => tracing::debug!(%call, ?failure, "plugin failed"),
                    _ => tracing::debug!(%call, "plugin answered"),
                }
                if let Some(seen) = seen {
                    self.site.handle_plugin_seen(call, seen);
                }
                self.site.handle_provider(call, reply, now);
            }
            PluginEvent::Changed { name, result } => {
                tracing::info!(plugin = %name, ?result, "plugin file changed");
                self.site.handle_plugin_changed(&name, result, now);
            }
            PluginEvent::Kept { digest, result: Ok(held) } => self.site.handle_plugin_kept(digest, held, now),
            PluginEvent::Kept { digest, result: Err(reason) } => {
                self.site.handle_plugin_not_kept(digest, reason, now);
            }
        }
    }

    /// Carries out the state machine's outputs until none are left.
    pub(crate) fn perform_outputs(&mut self) -> Vec<Notice> {
        let mut notices = Vec::new();
        while let Some(output) = self.site.poll_output() {
            notices.extend(self.perform(output));
        }
        notices
    }

    fn perform(&mut self, output: SiteOutput) -> Option<Notice> {
        match output {
            SiteOutput::Dial(dial) => {
                tracing::debug!(server = %dial.server, is_join = dial.purpose == Purpose::Join, "dialling");
                let papers = self.claim.identity.papers().expect("the machine dials for an identity or a wish to join");
                self.counts.dial();
                self.link.dial(dial, papers);
            }
            SiteOutput::Send { dial, message } => {
                let lost = self.link.send(dial, &message);
                self.pending.extend(lost.map(Event::Link));
            }
            SiteOutput::Hangup { dial, refusal } => self.link.hang_up(dial, refusal),
            SiteOutput::Persist { write, changes } => {
                let refused = self.store.commit(write, &changes);
                self.pending.extend(refused.map(Event::Store));
            }
            SiteOutput::TryStore(write) => {
                let refused = self.store.try_room(write);
                self.pending.extend(refused.map(Event::Store));
            }
            SiteOutput::ResumeStore(write) => self.store.resume(write),
            SiteOutput::SaveIdentity(grant) => {
                let (name, environment) = (grant.name.clone(), grant.environment.clone());
                let saved = self.claim.identity.save(grant);
                let is_kept = matches!(saved, Saved::Kept(_));
                self.pending.push_back(Event::Saved(saved));
                return is_kept.then_some(Notice::Granted { name, environment });
            }
            SiteOutput::Call { call, provider, is_local, request } => {
                tracing::debug!(%call, provider = %provider.name, "plugin called");
                self.plugins.call(ProviderCall { call, spec: Arc::from(provider), is_local, request });
            }
            SiteOutput::MeasurePlugin(digest) => self.plugins.measure(digest),
            SiteOutput::KeepPiece(piece) => self.plugins.keep(piece),
            SiteOutput::OpenLocalSocket => match self.open_local_socket() {
                Ok(()) => tracing::info!("local requests are answered"),
                Err(error) => tracing::debug!(problem = chain(&error), "the local socket cannot be opened"),
            },
            SiteOutput::CollectFacts => self.facts.collect(),
            SiteOutput::Reply { command, result } => {
                let now = self.clock.now();
                if !self.pending_replies.reply(command, &result, &self.site, now) {
                    return Some(Notice::Replied(command, result));
                }
            }
            SiteOutput::Forget(refusal) => return Some(Notice::Removed(refusal)),
            SiteOutput::JoinRefused(refusal) => return Some(Notice::JoinRefused(refusal)),
        }
        None
    }

    /// Closes the link, flushes all pending writes, and closes the database.
    pub(crate) async fn stop(self) {
        let _claim = self.close().await;
    }

    async fn close(mut self) -> (Claim, Kept) {
        self.site.handle_stop();
        let drained = async {
            loop {
                self.perform_outputs();
                if self.store.is_idle() && self.pending.is_empty() {
                    break;
                }
                let event = self.next_event().await;
                self.handle_event(event);
            }
            if let Some(local) = &mut self.local {
                local.finish().await;
            }
            // A dial that did not connect has no session to close.
            if self.link_log.is_up {
                self.link.wait_idle().await;
            }
        };
        if tokio::time::timeout(STOP_LIMIT, drained).await.is_err() {
            // Over a satellite link the close alone takes longer; the server then detects the loss by timeout.
            match self.store.is_idle() {
                true => tracing::debug!("the server or a local client was slow while the daemon stopped"),
                false => {
                    tracing::warn!("the disk was slow while the daemon stopped; what was not answered may be lost")
                }
            }
        }
        let commits = std::mem::take(&mut self.store.commits);
        self.store.close();
        (self.claim, Kept { manager: self.manager, counts: self.counts, commits })
    }

    /// Deletes this site's data after the server has removed the site.
    pub(crate) fn forget(self, refusal: Refusal) -> DaemonError {
        tracing::warn!(%refusal, "removed at the server: forgetting this site");
        self.store.close();
        match forget_locked(&self.claim.directory) {
            Ok(()) => DaemonError::Removed(refusal),
            Err(error) => error,
        }
    }
}

async fn next_call(calls: &mut Option<mpsc::Receiver<LocalCall>>) -> Option<LocalCall> {
    match calls {
        Some(calls) => calls.recv().await,
        None => None,
    }
}

#[cfg(test)]
mod tests;
