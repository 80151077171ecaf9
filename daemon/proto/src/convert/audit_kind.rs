//! The kinds of what the audit log has, without what belongs to each.

/// The kind of an actor. What else is known of it is in fields of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuditActorKind {
    Console,
    User,
    Key,
    Anonymous,
    Site,
    Server,
}

/// An outcome without its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuditOutcomeKind {
    Done,
    Refused,
    Failed,
}
