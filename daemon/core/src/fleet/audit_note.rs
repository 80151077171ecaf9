//! What the audit log is told of a request, and the entry that follows from it.

use linecamp_model::{
    AuditActor, AuditChanges, AuditEntry, AuditHash, AuditOutcome, Caller, Identity, Name, Text, WallTime,
};

use super::command::FleetCommandError;

/// A request that the audit log names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditedRequest {
    /// The name of the operation.
    pub operation: &'static str,
    /// The path of the request.
    pub target: Text,
}

/// What became of a request that has no entry from a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditNote {
    /// The request.
    pub request: AuditedRequest,
    /// Who performed it.
    pub caller: Caller,
    /// The user that a login was for, if there is one of that name.
    pub account: Option<Name>,
    /// How it ended.
    pub outcome: AuditOutcome,
}

impl AuditNote {
    /// Returns the note of a command that failed.
    pub(super) fn refused(self, error: &FleetCommandError) -> Self {
        let code = Text::lossy(error.code());
        let outcome = match error {
            FleetCommandError::Store(_) => AuditOutcome::Failed(code),
            _ => AuditOutcome::Refused(code),
        };
        Self { outcome, ..self }
    }

    /// Returns the entry of a request that ended at this time.
    pub(super) fn entry(self, now: WallTime) -> AuditEntry {
        let Self { request, caller, account, outcome } = self;
        let entry = entry_of(request, &caller, AuditChanges::default(), now);
        AuditEntry { account, outcome, ..entry }
    }
}

/// Creates the entry of a request that is done.
pub(super) fn entry_of(request: AuditedRequest, caller: &Caller, changes: AuditChanges, now: WallTime) -> AuditEntry {
    let is_request = caller.identity != Identity::Console;
    let AuditedRequest { operation, target } = request;
    AuditEntry {
        address: caller.address,
        request: is_request.then_some(caller.request),
        ..entry(AuditActor::Caller(caller.identity.clone()), operation, target, changes, now)
    }
}

/// Creates an entry of what is done.
pub(super) fn entry(
    actor: AuditActor,
    operation: &str,
    target: Text,
    changes: AuditChanges,
    now: WallTime,
) -> AuditEntry {
    AuditEntry {
        // In whole seconds, as they are shown and exported.
        at: WallTime::from_unix_millis(now.unix_millis() / 1000 * 1000),
        actor,
        account: None,
        address: None,
        request: None,
        operation: Text::lossy(operation),
        target,
        outcome: AuditOutcome::Done,
        changes,
        repeats: None,
        previous: AuditHash::default(),
    }
}
