//! Local requests as inputs of the state machine, and its replies as responses.

use std::collections::BTreeMap;

use linecamp_core::{HostCommand, Site, SiteCommand, SiteCommandError, StoreFault};
use linecamp_model::{
    Actor, CommandId, LabelError, Level, Name, Now, OwnedRecordKey, ProviderId, RecordKey, RecordType, TokenId,
};
use linecamp_proto::api::{DnsRecord, Error, ErrorCode, LabelChange, domain_name};
use linecamp_proto::local::{
    HostRemoval, HostTokenRevocation, LocalHost, LocalHostToken, LocalLabels, LocalProvider, LocalRequest, LocalStatus,
    RecordAdoption, WhyLine,
};

use super::{LocalCall, Reply};
use crate::host_tokens::{DraftToken, HostTokens};

/// Turns local requests into inputs of the state machine, and its replies into responses.
#[derive(Debug, Default)]
pub(crate) struct PendingReplies {
    last: CommandId,
    pub(super) waiting: BTreeMap<CommandId, (Reply, ReplyKind)>,
}

/// What the response contains on success.
#[derive(Debug)]
pub(super) enum ReplyKind {
    Labels,
    Records,
    Record(OwnedRecordKey),
    Hosts,
    HostToken(Box<DraftToken>),
    HostTokens,
    Status,
}

/// What answers need beside the state machine.
pub(crate) struct ServeContext<'a> {
    pub(crate) now: Now,
    /// Renders the metrics; called only for a metrics request.
    pub(crate) metrics: &'a dyn Fn(&Site) -> String,
    pub(crate) host_tokens: &'a mut HostTokens<'a>,
}

impl PendingReplies {
    /// Returns a new command ID; IDs are never reused.
    pub(crate) fn next_command(&mut self) -> CommandId {
        self.last = self.last.next();
        self.last
    }

    /// Answers a request at once, or passes it to the state machine and stores the reply channel.
    pub(crate) fn serve(&mut self, call: LocalCall, site: &mut Site, context: ServeContext<'_>) {
        let LocalCall { request, reply } = call;
        let ServeContext { now, metrics, host_tokens } = context;
        log_request(&request);
        let command = match request {
            LocalRequest::Status => return reply.ok(LocalStatus::from(&site.view(now))),
            LocalRequest::Why => return reply.ok(site.why(now).iter().map(WhyLine::from).collect::<Vec<_>>()),
            LocalRequest::Labels => return reply.ok(LocalLabels::from(&site.view(now))),
            LocalRequest::Hosts => return reply.ok(local_hosts(site, now)),
            LocalRequest::HostTokens => return reply.ok(local_host_tokens(site, now)),
            LocalRequest::Records => return reply.ok(DnsRecord::all(&site.view(now).providers)),
            LocalRequest::Providers => return reply.ok(local_providers(site, now)),
            LocalRequest::Metrics => return reply.text(metrics(site)),
            LocalRequest::PlanRecords => Ok((SiteCommand::PlanRecords, ReplyKind::Records)),
            LocalRequest::AdoptRecord(adoption) => adopt_command(&adoption),
            LocalRequest::ChangeLabels { level, change } => label_command(level, &change),
            LocalRequest::RemoveHost(removal) => removal_command(site, &removal, now),
            LocalRequest::CreateHostToken(new) => match host_tokens.draft(&new, site, now) {
                Ok(draft) => Ok((draft.command(), ReplyKind::HostToken(Box::new(draft)))),
                Err(problem) => Err(Error::new(ErrorCode::BadRequest, problem)),
            },
            LocalRequest::RevokeHostToken(revocation) => revocation_command(site, &revocation, now),
            LocalRequest::Leave => Ok((SiteCommand::Host(HostCommand::Leave), ReplyKind::Status)),
        };
        match command {
            Ok((site_command, kind)) => {
                let command = self.next_command();
                self.waiting.insert(command, (reply, kind));
                site.handle_command(command, Actor::LocalSocket, site_command, now);
            }
            Err(error) => reply.error(error),
        }
    }

    /// Sends the state machine's reply to the client. Returns false if the command did not come from the socket.
    pub(crate) fn reply(
        &mut self,
        command: CommandId,
        result: &Result<(), SiteCommandError>,
        site: &Site,
        now: Now,
    ) -> bool {
        let Some((reply, kind)) = self.waiting.remove(&command) else {
            return false;
        };
        match (result, kind) {
            (Ok(()), ReplyKind::Labels) => reply.ok(LocalLabels::from(&site.view(now))),
            (Ok(()), ReplyKind::Records) => reply.ok(DnsRecord::all(&site.view(now).providers)),
            (Ok(()), ReplyKind::Record(key)) => reply.ok(records_at(site, &key, now)),
            (Ok(()), ReplyKind::Hosts) => reply.ok(local_hosts(site, now)),
            // The packages of the daemon are read; the loop does not wait for that.
            (Ok(()), ReplyKind::HostToken(draft)) => {
                tokio::task::spawn_blocking(move || reply.ok(draft.reveal()));
            }
            (Ok(()), ReplyKind::HostTokens) => reply.ok(local_host_tokens(site, now)),
            (Ok(()), ReplyKind::Status) => reply.ok(LocalStatus::from(&site.view(now))),
            (Err(error), _) => {
                let code = match error {
                    SiteCommandError::Labels(error) => label_error_code(error),
                    SiteCommandError::Record(_) | SiteCommandError::Host(_) => ErrorCode::BadRequest,
                    SiteCommandError::Store(_) => ErrorCode::StoreFailed,
                };
                reply.error(Error::new(code, describe(error)));
            }
        }
        true
    }
}

/// Logs a request: changes at info level, reads at debug level.
fn log_request(request: &LocalRequest) {
    let (method, path) = (request.method(), request.path());
    match request {
        LocalRequest::ChangeLabels { .. }
        | LocalRequest::AdoptRecord(_)
        | LocalRequest::RemoveHost(_)
        | LocalRequest::CreateHostToken(_)
        | LocalRequest::RevokeHostToken(_)
        | LocalRequest::Leave => {
            tracing::info!(method, path, "local request");
        }
        _ => tracing::debug!(method, path, "local request"),
    }
}

/// Describes why a command failed.
pub(crate) fn describe(error: &SiteCommandError) -> String {
    match error {
        SiteCommandError::Labels(error) => error.to_string(),
        SiteCommandError::Record(text) | SiteCommandError::Host(text) => text.to_string(),
        SiteCommandError::Store(StoreFault::DiskFull) => "disk full; nothing was changed".to_owned(),
        SiteCommandError::Store(StoreFault::ReadOnly) => {
            "cannot write to the data directory; nothing was changed. Check its mount and permissions".to_owned()
        }
        SiteCommandError::Store(StoreFault::Failed) => {
            "cannot write to the site database; nothing was changed. See the daemon's log".to_owned()
        }
    }
}

fn local_hosts(site: &Site, now: Now) -> Vec<LocalHost> {
    site.view(now).hosts.iter().map(LocalHost::from).collect()
}

type LocalCommand = Result<(SiteCommand, ReplyKind), Error>;

fn removal_command(site: &Site, removal: &HostRemoval, now: Now) -> LocalCommand {
    let named =
        |host: &&linecamp_model::LocalHostView| host.name.as_ref().is_some_and(|name| name.as_str() == removal.name);
    let hosts = site.view(now).hosts;
    match hosts.iter().find(named) {
        Some(host) => Ok((SiteCommand::Host(HostCommand::Remove(host.id)), ReplyKind::Hosts)),
        None => {
            let text = format!("this site has no host {}; `linecampd host ls` lists them", removal.name);
            Err(Error::new(ErrorCode::NotFound, text))
        }
    }
}

fn local_host_tokens(site: &Site, now: Now) -> Vec<LocalHostToken> {
    site.host_tokens(now).iter().map(LocalHostToken::from).collect()
}

/// The id is not repeated in an error unless it is one: a whole token, which has a secret, may have been passed.
fn revocation_command(site: &Site, revocation: &HostTokenRevocation, now: Now) -> LocalCommand {
    let Some(id) = TokenId::parse(&revocation.id) else {
        let text = "a token is revoked by its id, 16 hexadecimal digits; `linecampd token ls` lists them";
        return Err(Error::new(ErrorCode::BadRequest, text));
    };
    match site.host_tokens(now).iter().find(|token| token.id == id) {
        Some(token) if token.is_local => Ok((SiteCommand::Host(HostCommand::RevokeToken(id)), ReplyKind::HostTokens)),
        Some(_) => {
            let text = format!("host token {id} was created at the server: revoke it there");
            Err(Error::new(ErrorCode::NotPossible, text))
        }
        None => {
            let text = format!("this gateway has no host token {id}; `linecampd token ls` lists them");
            Err(Error::new(ErrorCode::NotFound, text))
        }
    }
}

fn label_command(level: Level, change: &LabelChange) -> LocalCommand {
    let patch = change.to_patch().map_err(|error| Error::new(label_error_code(&error), error.to_string()))?;
    Ok((SiteCommand::PatchLabels(level, patch), ReplyKind::Labels))
}

const fn label_error_code(error: &LabelError) -> ErrorCode {
    match error {
        LabelError::TooMany { .. } => ErrorCode::Limit,
        _ => ErrorCode::BadRequest,
    }
}

fn adopt_command(adoption: &RecordAdoption) -> LocalCommand {
    let invalid = |problem: String| Error::new(ErrorCode::BadRequest, problem);
    let read = |text: &str| domain_name(text).map_err(|error| invalid(error.to_string()));
    let provider = Name::parse(&adoption.provider).map_err(|error| invalid(format!("provider: {error}")))?;
    let record = RecordKey { name: read(&adoption.name)?, rtype: RecordType::of(&adoption.rtype) };
    let key = OwnedRecordKey { provider: ProviderId::of(&provider), zone: read(&adoption.zone)?, record };
    Ok((SiteCommand::AdoptRecord(key.clone()), ReplyKind::Record(key)))
}

fn local_providers(site: &Site, now: Now) -> Vec<LocalProvider> {
    let statuses = site.view(now).providers;
    let specs = site.providers();
    let spec = |name: &Name| specs.iter().find(|spec| spec.name == *name).copied();
    statuses.iter().map(|status| LocalProvider::new(status, spec(&status.name))).collect()
}

fn records_at(site: &Site, key: &OwnedRecordKey, now: Now) -> Vec<DnsRecord> {
    let mut statuses = site.view(now).providers;
    statuses.retain(|status| ProviderId::of(&status.name) == key.provider);
    for status in &mut statuses {
        status.records_mut().retain(|record| record.zone == key.zone && record.key == key.record);
    }
    DnsRecord::all(&statuses)
}
