//! The audit log.

use linecamp_model::{
    AuditActor, AuditBlock, AuditChange, AuditChanges, AuditEntry, AuditHash, AuditOutcome, AuditRepeats, Identity,
    KeyId, KeyIdentity, RequestId, UserSessionId,
};

use super::*;

/// The records of the audit log: a block, and an entry of each kind of actor.
pub(super) fn fleet_records() -> Vec<(&'static str, FleetChange)> {
    let entry = |number, entry| FleetChange::AuditEntry(number, Some(Box::new(entry)));
    let block = AuditBlock {
        before: AuditHash::from_bytes([0x44; 32]),
        head: AuditHash::from_bytes([0x45; 32]),
        count: 17,
        bytes: 4_711,
        last_at: WALL,
    };
    let key = KeyIdentity { id: KeyId::from_bytes([0x8b; 8]), name: name("deploy"), user: Some(name("anna")) };
    let by = |actor| AuditEntry { actor, ..done() };
    vec![
        ("audit-block", FleetChange::AuditBlock(3, Some(block))),
        ("audit-entry-user", entry(769, done())),
        ("audit-entry-key", entry(770, by(AuditActor::Caller(Identity::Key(key))))),
        ("audit-entry-console", entry(771, by(AuditActor::Caller(Identity::Console)))),
        ("audit-entry-site", entry(772, by(AuditActor::Site(SITE, name("camp-042"))))),
        ("audit-entry-server", entry(773, by(AuditActor::Server))),
        ("audit-entry-refused", entry(774, refused())),
    ]
}

fn done() -> AuditEntry {
    let change = AuditChange {
        object: text("site default/camp-042"),
        field: text("label rack"),
        before: Some(text("r6")),
        after: Some(text("r7")),
    };
    AuditEntry {
        at: WALL,
        actor: AuditActor::Caller(Identity::User(name("anna"), UserSessionId::from_bytes([0x8c; 8]))),
        account: None,
        address: Some("192.0.2.7".parse().expect("valid")),
        request: Some(RequestId::from_bytes([0x8d; 8])),
        operation: text("site.label"),
        target: text("/api/v1/sites/camp-042/labels"),
        outcome: AuditOutcome::Done,
        changes: AuditChanges { listed: vec![change], left_out: 2 },
        repeats: None,
        previous: AuditHash::from_bytes([0x46; 32]),
    }
}

fn refused() -> AuditEntry {
    AuditEntry {
        actor: AuditActor::Caller(Identity::Anonymous),
        account: Some(name("anna")),
        operation: text("session.login"),
        target: text("/api/v1/login"),
        outcome: AuditOutcome::Refused(text("unauthorized")),
        changes: AuditChanges::default(),
        repeats: Some(AuditRepeats { count: 17, since: WALL }),
        ..done()
    }
}
