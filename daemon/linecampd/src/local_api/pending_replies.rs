//! Local requests as inputs of the state machine, and its replies as responses.

use std::collections::BTreeMap;

use linecamp_core::{Site, SiteCommand, SiteCommandError, StoreFault};
use linecamp_model::{
    Actor, CommandId, LabelError, Level, Name, Now, OwnedRecordKey, ProviderId, RecordKey, RecordType,
};
use linecamp_proto::api::{DnsRecord, Error, ErrorCode, LabelChange, domain_name};
use linecamp_proto::local::{
    LocalHost, LocalLabels, LocalProvider, LocalRequest, LocalStatus, RecordAdoption, WhyLine,
};

use super::{LocalCall, Reply};

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
}

impl PendingReplies {
    /// Returns a new command ID; IDs are never reused.
    pub(crate) fn next_command(&mut self) -> CommandId {
        self.last = self.last.next();
        self.last
    }

    /// Answers a request at once, or passes it to the state machine and stores the reply channel.
    ///
    /// `metrics` renders the metrics; it is called only for a metrics request.
    pub(crate) fn serve(&mut self, call: LocalCall, site: &mut Site, now: Now, metrics: impl FnOnce(&Site) -> String) {
        let LocalCall { request, reply } = call;
        log_request(&request);
        let command = match request {
            LocalRequest::Status => return reply.ok(LocalStatus::from(&site.view(now))),
            LocalRequest::Why => return reply.ok(site.why(now).iter().map(WhyLine::from).collect::<Vec<_>>()),
            LocalRequest::Labels => return reply.ok(LocalLabels::from(&site.view(now))),
            LocalRequest::Hosts => {
                let hosts = site.view(now).hosts;
                return reply.ok(hosts.iter().map(LocalHost::from).collect::<Vec<_>>());
            }
            LocalRequest::Records => return reply.ok(DnsRecord::all(&site.view(now).providers)),
            LocalRequest::Providers => return reply.ok(local_providers(site, now)),
            LocalRequest::Metrics => return reply.text(metrics(site)),
            LocalRequest::PlanRecords => Ok((SiteCommand::PlanRecords, ReplyKind::Records)),
            LocalRequest::AdoptRecord(adoption) => adopt_command(&adoption),
            LocalRequest::ChangeLabels { level, change } => label_command(level, &change),
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
        LocalRequest::ChangeLabels { .. } | LocalRequest::AdoptRecord(_) => {
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

type LocalCommand = Result<(SiteCommand, ReplyKind), Error>;

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
