//! The event loop: take one event, feed it to the state machine as one input, carry out the outputs, repeat.
//!
//! [`Event`] lists everything that can happen to a daemon. A driver result that is available at once (a write that the
//! store rejects, a certificate that was saved) waits in `pending` until the outputs are drained, and is then handled
//! like any other event.
//!
//! Two commands share the loop: [`run`], which runs until the daemon is stopped, and `join`, which runs until the site
//! has joined.

mod handoff;
mod local_access;
mod open_drivers;
mod outputs;
mod setup;
mod shutdown;

use std::collections::VecDeque;

use linecamp_core::{DropIns, Facts, Site, SiteCommandError};
use linecamp_downlink::SessionNote;
use linecamp_model::{
    CommandId, KnownAuthorities, KnownServers, Name, Now, Pin, ProviderReply, Refusal, ServerAddress, SessionId, Text,
};
use linecamp_service::{Clock, ServiceManager, StoreDriver, WriteResult, report_unlogged};
use tokio::signal::unix::Signal;
use tokio::sync::mpsc;

use self::handoff::Handoff;
use self::local_access::LocalAccess;
pub(crate) use self::setup::{DataDirGuard, Setup, setup_of};
use crate::config::Config;
use crate::data_directory::DataDirectory;
use crate::drivers::facts::FactsDriver;
use crate::drivers::identity::SaveResult;
use crate::drivers::lan::LanDriver;
use crate::drivers::link::{LinkDriver, LinkReport};
use crate::drivers::plugins::{PluginDriver, PluginEvent};
use crate::drivers::store::fault_of;
use crate::error::DaemonError;
use crate::host_tokens::HostTokens;
use crate::label_files::LabelsDir;
use crate::link_log::LinkLog;
use crate::local_api::{LocalCall, PendingReplies, ServeContext};
use crate::log;
use crate::metrics::Counters;
use crate::reload::{ConfigLoader, Reload};

/// Everything that can happen to a daemon.
#[derive(Debug)]
pub(crate) enum Event {
    /// A stop was requested.
    Stop,
    /// A reload of the configuration was requested.
    Reload,
    /// The state machine's next deadline has passed.
    Timeout,
    /// The service manager's watchdog needs a keep-alive.
    WatchdogDue,
    /// The store answered.
    Store(WriteResult),
    /// A certificate was saved, or saving it failed.
    IdentitySaved(SaveResult),
    /// The server addresses were saved, or saving them failed.
    ServersSaved(Result<(), Text>),
    /// The server's authorities were saved, or saving them failed.
    AuthoritiesSaved(Result<(KnownAuthorities, Option<Pin>), Text>),
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
    /// A note of a session with a host.
    Host(SessionId, SessionNote),
    /// Listening for hosts failed.
    NotListening,
}

/// An output that the running command may need to know about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// The server issued a certificate to the site, with this name and environment.
    Granted { name: Name, environment: Name },
    /// A session with the server is up.
    LinkUp,
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
    Reconnect(Box<Handoff>),
}

/// The state machine and its drivers.
pub(crate) struct Daemon {
    pub(crate) site: Site,
    pub(crate) pending_replies: PendingReplies,
    pub(crate) clock: Clock,
    guard: DataDirGuard,
    link: LinkDriver,
    link_log: LinkLog,
    store: StoreDriver,
    facts: FactsDriver,
    plugins: PluginDriver,
    lan: LanDriver,
    /// The addresses that host tokens have, if they are configured.
    gateway_addresses: Vec<ServerAddress>,
    /// `None` for a command that serves no local requests.
    local: Option<LocalAccess>,
    /// `None` for a command that does not reload.
    reload: Option<Reload>,
    drop_ins: mpsc::Receiver<DropIns>,
    labels_dir: Option<(LabelsDir, DropIns, mpsc::Sender<DropIns>)>,
    stop_signals: [Signal; 2],
    manager: ServiceManager,
    counters: Counters,
    pending: VecDeque<Event>,
}

/// Runs the daemon of the site in `directory` until it is stopped. With `loader` it reloads on SIGHUP.
///
/// # Errors
/// [`DaemonError`] if it cannot start, or if the server has removed the site.
pub async fn run(directory: DataDirectory, config: Config, loader: Option<ConfigLoader>) -> Result<(), DaemonError> {
    let mut guard = DataDirGuard::acquire(directory)?;
    let setup = setup_of(&config, &mut guard)?;
    let mut daemon = Daemon::open(guard, setup)?;
    daemon.reload = Some(Reload::new(config, loader)?);
    loop {
        daemon.serve_local_calls()?;
        daemon = match daemon.run().await? {
            Ended::Stopped => return Ok(()),
            Ended::Reconnect(handoff) => Daemon::resume(*handoff)?,
        };
    }
}

impl Daemon {
    async fn run(mut self) -> Result<Ended, DaemonError> {
        tracing::info!(directory = %self.guard.directory.path().display(), version = env!("CARGO_PKG_VERSION"), "started");
        self.set_site_name();
        self.manager.ready();
        loop {
            for notice in self.perform_outputs() {
                match notice {
                    Notice::Granted { name, environment } => {
                        log::set_site(name.as_str());
                        tracing::info!(%name, %environment, "certificate received")
                    }
                    Notice::LinkUp | Notice::Replied(..) => {}
                    Notice::JoinRefused(refusal) => {
                        self.stop().await;
                        return Err(DaemonError::JoinRefused(refusal));
                    }
                    Notice::Removed(refusal) => return Err(self.forget(refusal).await),
                }
            }
            match self.next_event().await {
                Event::Stop => {
                    tracing::info!("stopping");
                    self.manager.stopping();
                    self.stop().await;
                    return Ok(Ended::Stopped);
                }
                Event::Reload => {
                    if let Some(setup) = self.reload() {
                        return Ok(Ended::Reconnect(Box::new(self.hand_over(setup).await)));
                    }
                }
                event => self.handle_event(event),
            }
        }
    }

    /// Returns the server addresses that are stored with the identity.
    pub(crate) const fn servers(&self) -> Option<&KnownServers> {
        self.guard.identity.servers()
    }

    fn set_site_name(&self) {
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
        // Sources that can flood the loop come last: local clients, and after them the server and the hosts.
        tokio::select! {
            biased;
            _ = terminate.recv() => Event::Stop,
            _ = interrupt.recv() => Event::Stop,
            () = reload_requested(&mut self.reload) => Event::Reload,
            () = self.clock.wait_until(deadline) => Event::Timeout,
            () = self.manager.due() => Event::WatchdogDue,
            result = self.store.answer() => Event::Store(result),
            facts = self.facts.collected() => Event::Facts(facts),
            Some(drop_ins) = self.drop_ins.recv() => Event::DropIns(drop_ins),
            event = self.plugins.event() => Event::Plugin(event),
            call = next_local_call(&mut self.local) => Event::Local(call),
            report = self.link.report() => Event::Link(report),
            (session, note) = self.lan.note() => Event::Host(session, note),
        }
    }

    /// Feeds an event to the state machine.
    pub(crate) fn handle_event(&mut self, event: Event) {
        report_unlogged();
        let now = self.clock.now();
        match event {
            Event::Stop => self.site.handle_stop(now),
            // Only `run` reloads.
            Event::Reload => {}
            Event::Timeout => self.site.handle_timeout(now),
            Event::WatchdogDue => self.store.probe(ServiceManager::notify_alive),
            Event::Store(WriteResult { write, result }) => {
                match result {
                    Ok(()) => self.site.handle_persisted(write, now),
                    Err(kind) => self.site.handle_persist_failed(write, fault_of(kind), now),
                }
                self.manager.degraded(self.store.is_failing().then_some("cannot write to the site database"));
            }
            Event::IdentitySaved(SaveResult::Saved(identity)) => {
                self.lan.set_certificate(self.guard.identity.gateway_certificate());
                self.site.handle_identity_saved(Ok(identity), now);
            }
            Event::IdentitySaved(SaveResult::Unsaved(unsaved)) => self.site.handle_identity_unsaved(unsaved, now),
            Event::IdentitySaved(SaveResult::Failed(problem)) => self.site.handle_identity_saved(Err(problem), now),
            Event::ServersSaved(saved) => self.site.handle_servers_saved(saved, now),
            Event::AuthoritiesSaved(saved) => self.site.handle_authorities_saved(saved, now),
            Event::Facts(facts) => self.site.handle_facts(facts, now),
            Event::DropIns(drop_ins) => {
                tracing::info!("label files changed");
                self.site.handle_drop_ins(drop_ins, now);
            }
            Event::Plugin(event) => self.handle_plugin(event, now),
            Event::LocalSocket(opened) => self.site.handle_local_socket(opened, now),
            Event::Local(call) => {
                self.counters.local_request();
                let (counters, commits) = (&self.counters, &self.store.commits);
                let context = ServeContext {
                    now,
                    metrics: &|site| counters.text(&site.view(now), commits),
                    host_tokens: &mut HostTokens { lan: &mut self.lan, addresses: &self.gateway_addresses },
                };
                self.pending_replies.serve(call, &mut self.site, context);
            }
            Event::Link(report) => self.site.handle_link(report.event, now),
            Event::Host(session, note) => {
                let event = self.lan.event(session, note);
                event.into_iter().for_each(|event| self.site.handle_host_session(session, event, now));
            }
            Event::NotListening => self.site.handle_not_listening(now),
        }
    }

    fn handle_plugin(&mut self, event: PluginEvent, now: Now) {
        match event {
            PluginEvent::Replied { call, reply, version } => {
                self.counters.reply(&reply);
                match &reply {
                    ProviderReply::Failed(failure) => tracing::debug!(%call, ?failure, "plugin failed"),
                    _ => tracing::debug!(%call, "plugin replied"),
                }
                if let Some(version) = version {
                    self.site.handle_plugin_seen(call, version);
                }
                self.site.handle_provider(call, reply, now);
            }
            PluginEvent::Changed { name, result } => {
                tracing::info!(plugin = %name, ?result, "plugin file changed");
                self.site.handle_plugin_changed(&name, result, now);
            }
            PluginEvent::Stored { digest, result: Ok(stored) } => self.site.handle_plugin_kept(digest, stored, now),
            PluginEvent::Stored { digest, result: Err(reason) } => {
                self.site.handle_plugin_not_kept(digest, reason, now);
            }
        }
    }
}

async fn reload_requested(reload: &mut Option<Reload>) {
    match reload {
        Some(reload) => reload.requested().await,
        None => std::future::pending().await,
    }
}

async fn next_local_call(local: &mut Option<LocalAccess>) -> LocalCall {
    match local {
        Some(local) => local.next_call().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
