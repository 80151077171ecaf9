//! The `linecampd join` command: the daemon's own loop and state machine, until the site has joined.
//!
//! It ends when the certificate is on disk and the first spec has arrived, which tells whether an operator has to
//! accept the site first. If the spec does not arrive, the certificate alone is enough. If the directory has already
//! joined the server that issued the token, the token is not spent: the command connects at the token's addresses with
//! the identity that it has, and these addresses replace the earlier ones once they have carried a link.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use linecamp_core::{EnvironmentLabels, LabelLayer, LinkEvent, PendingJoin, ServerSource, SiteCommand};
use linecamp_model::{
    Actor, CommandId, JoinTarget, LabelPatch, LinkState, LocalView, MemberKind, Name, Parent, Pin, ServerAddress,
    Target,
};
use linecamp_transport::LinkSettings;
use tokio::time::Instant;

use crate::config::{HostsConfig, parent_of_join};
use crate::daemon::{Daemon, DataDirGuard, Event, Notice, Setup};
use crate::data_directory::DataDirectory;
use crate::doctor::Installation;
use crate::drivers::identity::Credentials;
use crate::drivers::link::LinkReport;
use crate::error::DaemonError;
use crate::facts::FactSources;
use crate::link_log::describe_loss;
use crate::local_api::describe;

/// How long to wait for the first spec after the certificate. The site has joined even if the spec does not arrive.
const CONFIRM_LIMIT: Duration = Duration::from_secs(5);

/// A join, as given on the command line.
#[derive(Clone, Debug)]
pub struct JoinCommand {
    /// The join token and the servers, or the gateway.
    pub target: JoinTarget,
    /// What joins.
    pub kind: MemberKind,
    /// The site of a host that joins the server; `None` of one that joins a gateway.
    pub site: Option<Name>,
    /// The requested name. Not needed by a machine that has joined.
    pub name: Option<Name>,
    /// Labels to set by hand: they are stored.
    pub labels: LabelLayer,
    /// Labels of the environment: they last as long as the environment of the program that runs has them.
    pub environment: EnvironmentLabels,
    /// The timeout.
    pub limit: Duration,
    /// Where facts come from.
    pub facts: FactSources,
}

/// The result of a join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The site's name.
    pub name: Name,
    /// The site's environment.
    pub environment: Name,
    /// Whether the site waits for an operator to accept it.
    pub is_pending: bool,
    /// Whether the site had joined before, so that the token was not used.
    pub was_member: bool,
    /// Whether a site that had joined before now keeps other addresses of its server.
    pub servers_changed: bool,
}

/// Joins the site in `directory`. `progress` is called with the reason of each failed attempt.
///
/// # Errors
/// [`DaemonError`]: rejected, timed out, or a local problem. Repeating the call is safe.
pub async fn join(
    directory: DataDirectory,
    request: JoinCommand,
    progress: &mut dyn FnMut(&str),
) -> Result<Joined, DaemonError> {
    let mut guard = DataDirGuard::acquire(directory)?;
    let servers = request.target.servers;
    let before = guard.identity.identity().and_then(|_| guard.identity.servers().cloned());
    let parent = parent_of_join(request.kind, request.site.as_ref());
    let source = prepare(&mut guard, (request.target.token.pin, parent), &servers)?;
    let was_member = matches!(source, ServerSource::Token(_));
    let join_request = match (was_member, request.name.clone()) {
        (true, _) => None,
        (false, Some(name)) => {
            let (token, kind, site) = (request.target.token, request.kind, request.site);
            Some(PendingJoin { token, kind, name, site })
        }
        (false, None) => {
            return Err(DaemonError::Argument("--name is required: this machine has not joined".to_owned()));
        }
    };
    let setup = Setup {
        servers: source,
        join: join_request,
        labels: request.environment,
        link: LinkSettings::default(),
        facts: request.facts,
        providers: Vec::new(),
        hosts: HostsConfig::default(),
        plugins: None,
    };
    let mut daemon = Daemon::open(guard, setup)?;
    if was_member && let Err(error) = check_name(&daemon, request.name.as_ref()) {
        daemon.stop().await;
        return Err(error);
    }
    let is_saved = !was_member || before.as_ref().is_some_and(|before| before.confirmed.addresses == servers);
    let mut attempt = Progress {
        kind: request.kind,
        servers,
        limit: request.limit,
        until: Instant::now() + request.limit,
        was_member,
        has_linked: false,
        is_saved,
        waiting: patch_labels(&mut daemon, request.labels),
        granted: None,
        attempts: BTreeMap::new(),
        unreported: None,
        say: &mut *progress,
    };
    let mut joined = attempt.run(&mut daemon).await;
    if let Ok(joined) = &mut joined {
        joined.servers_changed = before.is_some() && before.as_ref() != daemon.servers();
    }
    match joined {
        Err(DaemonError::Removed(refusal)) => return Err(daemon.forget(refusal).await),
        Ok(_) | Err(_) => daemon.stop().await,
    }
    let joined = joined?;
    if let Some(name) = request.name.filter(|name| was_member && joined.name != *name) {
        progress(&format!("warning: the site keeps its name {}; --name {name} is ignored", joined.name));
    }
    Ok(joined)
}

/// Returns a warning if the configuration of a site that has joined has server addresses: its daemon dials no others.
pub fn warn_of_configured_servers(site: &Installation) -> Option<String> {
    // An invalid configuration is reported by the daemon.
    let servers = site.read_config().ok()?.servers;
    let list: Vec<_> = servers.iter().map(ToString::to_string).collect();
    (!list.is_empty()).then(|| {
        format!(
            "warning: the daemon dials only the addresses in its configuration: {}. To let it dial those of the token, \
             remove the key `servers`",
            list.join(", ")
        )
    })
}

/// Checks the requested name of a site that has joined, before anything changes. A site that has lost its database does
/// not know its name, and keeps the one that the server has.
fn check_name(daemon: &Daemon, requested: Option<&Name>) -> Result<(), DaemonError> {
    let found = daemon.site.view(daemon.clock.now()).name;
    match found.zip(requested).filter(|(found, requested)| found != *requested) {
        Some((found, requested)) => {
            Err(DaemonError::OtherName { found: found.to_string(), requested: requested.to_string() })
        }
        None => Ok(()),
    }
}

/// Prepares to join at `servers`. A machine that has joined dials them with its identity, if the token is of the same
/// server.
fn prepare(
    guard: &mut DataDirGuard,
    (pin, parent): (Pin, Parent),
    servers: &[ServerAddress],
) -> Result<ServerSource, DaemonError> {
    match guard.identity.credentials() {
        Some(Credentials::Member(identity))
            if identity.parent() == parent && identity.trust().pins().contains(&pin) =>
        {
            Ok(ServerSource::Token(servers.to_vec()))
        }
        Some(Credentials::Member(_)) => Err(DaemonError::OtherServer { directory: guard.directory.path().to_owned() }),
        Some(Credentials::Joining(..)) | None => {
            guard.identity.prepare_to_join((pin, parent), servers)?;
            Ok(ServerSource::Saved)
        }
    }
}

fn patch_labels(daemon: &mut Daemon, labels: LabelLayer) -> BTreeSet<CommandId> {
    let mut waiting = BTreeSet::new();
    for (level, set) in labels {
        if !set.is_empty() {
            let command = daemon.pending_replies.next_command();
            let patch = LabelPatch { set, ..LabelPatch::default() };
            let now = daemon.clock.now();
            daemon.site.handle_command(command, Actor::LocalSocket, SiteCommand::PatchLabels(level, patch), now);
            waiting.insert(command);
        }
    }
    waiting
}

/// A failed attempt.
struct FailedAttempt {
    text: String,
    needs_operator: bool,
}

struct Progress<'a> {
    kind: MemberKind,
    servers: Vec<ServerAddress>,
    limit: Duration,
    /// When to stop waiting, and fail or accept what is known.
    until: Instant,
    was_member: bool,
    /// Whether a session with the server came up.
    has_linked: bool,
    /// Whether the addresses of the token are stored. With a new membership they are.
    is_saved: bool,
    /// Label changes that are not durable yet.
    waiting: BTreeSet<CommandId>,
    granted: Option<(Name, Name)>,
    attempts: BTreeMap<ServerAddress, FailedAttempt>,
    /// The latest failed attempt. It is reported unless it ends the join: then the error says the same.
    unreported: Option<String>,
    say: &'a mut dyn FnMut(&str),
}

impl Progress<'_> {
    async fn run(&mut self, daemon: &mut Daemon) -> Result<Joined, DaemonError> {
        loop {
            for notice in daemon.perform_outputs() {
                self.handle_notice(notice)?;
            }
            if let Some(text) = self.unreported.take() {
                (self.say)(&format!("join attempt failed: {text}"));
            }
            let view = daemon.site.view(daemon.clock.now());
            if let (Some(joined), true) = (self.confirmed(&view), self.waiting.is_empty() && self.is_saved) {
                return Ok(joined);
            }
            let event = tokio::select! {
                biased;
                event = daemon.next_event() => event,
                () = tokio::time::sleep_until(self.until) => return self.handle_timeout(&view),
            };
            match &event {
                Event::Stop => return Err(DaemonError::Interrupted),
                Event::Link(report) => self.handle_report(report)?,
                Event::ServersSaved(Ok(())) => self.is_saved = true,
                Event::ServersSaved(Err(problem)) if !self.is_saved => {
                    return Err(DaemonError::Servers(problem.to_string()));
                }
                Event::Timeout
                | Event::Store(_)
                | Event::IdentitySaved(_)
                | Event::ServersSaved(_)
                | Event::AuthoritiesSaved(_)
                | Event::Facts(_)
                | Event::DropIns(_)
                | Event::Plugin(_)
                | Event::LocalSocket(_)
                | Event::Local(_)
                | Event::Reload
                | Event::Host(..)
                | Event::NotListening
                | Event::WatchdogDue => {}
            }
            daemon.handle_event(event);
        }
    }

    fn handle_notice(&mut self, notice: Notice) -> Result<(), DaemonError> {
        match notice {
            Notice::Granted { name, environment } => {
                self.granted = Some((name, environment));
                self.until = self.until.min(Instant::now() + CONFIRM_LIMIT);
            }
            Notice::LinkUp => {
                self.has_linked = true;
                self.until = self.until.min(Instant::now() + CONFIRM_LIMIT);
            }
            Notice::Replied(command, Ok(())) => {
                self.waiting.remove(&command);
            }
            Notice::Replied(_, Err(error)) => return Err(DaemonError::Labels(describe(&error))),
            Notice::JoinRefused(refusal) => return Err(DaemonError::JoinRefused(refusal)),
            Notice::Removed(refusal) => return Err(DaemonError::Removed(refusal)),
        }
        Ok(())
    }

    fn handle_report(&mut self, report: &LinkReport) -> Result<(), DaemonError> {
        if let LinkEvent::Lost(_, reason) = &report.event {
            let text = describe_loss(reason);
            self.unreported = Some(text.clone());
            let failed = FailedAttempt { text, needs_operator: report.needs_operator };
            self.attempts.insert(report.server.clone(), failed);
            let is_hopeless = |server| self.attempts.get(server).is_some_and(|attempts| attempts.needs_operator);
            if self.servers.iter().all(is_hopeless) {
                return Err(DaemonError::WrongServer(self.attempts()));
            }
        }
        Ok(())
    }

    /// Returns the result if the link is up and the site's name is known.
    fn confirmed(&self, view: &LocalView) -> Option<Joined> {
        if view.link.state != LinkState::Connected {
            return None;
        }
        let known = view.name.clone().zip(view.environment.clone());
        // A gateway admits a host also while the server, which writes its spec, is away.
        let granted = self.granted.clone().filter(|_| self.kind == MemberKind::Host);
        let (name, environment) = known.or(granted)?;
        self.joined(name, environment, view)
    }

    fn joined(&self, name: Name, environment: Name, view: &LocalView) -> Option<Joined> {
        Some(Joined {
            name,
            environment,
            is_pending: view.target == Some(Target::Pending),
            was_member: self.was_member,
            servers_changed: false,
        })
    }

    /// Handles the timeout: succeeds if a certificate was issued, or if a site that had joined has linked.
    fn handle_timeout(&mut self, view: &LocalView) -> Result<Joined, DaemonError> {
        let from_before = view
            .name
            .clone()
            .zip(view.environment.clone())
            .filter(|_| self.was_member && self.has_linked && self.is_saved);
        let known = self.granted.clone().or(from_before);
        if let Some(joined) = known.and_then(|(name, environment)| self.joined(name, environment, view)) {
            (self.say)("the server did not confirm the join in time; the daemon retries when it runs");
            return Ok(joined);
        }
        Err(DaemonError::Unreachable {
            limit: humantime::format_duration(self.limit).to_string(),
            attempts: self.attempts(),
        })
    }

    fn attempts(&self) -> Vec<String> {
        let line = |server: &ServerAddress| match self.attempts.get(server) {
            Some(attempts) if attempts.text.contains(&server.to_string()) => attempts.text.clone(),
            Some(attempts) => format!("{server}: {}", attempts.text),
            None => format!("{server}: no answer"),
        };
        self.servers.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests;
