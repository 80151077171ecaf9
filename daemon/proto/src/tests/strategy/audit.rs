//! The audit log.

use linecamp_model::{
    AUDIT_BLOCK_ENTRIES, AuditActor, AuditBlock, AuditChange, AuditChanges, AuditEntry, AuditHash, AuditOutcome,
    AuditRepeats, Identity, KeyId, KeyIdentity, RequestId, UserSessionId,
};

use super::*;

/// A text of at least one character: an empty one is written like none.
pub(super) fn nonempty_text() -> impl Strategy<Value = Text> {
    text().prop_map(|text| if text.as_str().is_empty() { Text::lossy("x") } else { text })
}

fn actor() -> impl Strategy<Value = AuditActor> {
    let session = uniform8(any::<u8>()).prop_map(UserSessionId::from_bytes);
    let key = (uniform8(any::<u8>()).prop_map(KeyId::from_bytes), name(), option::of(name()))
        .prop_map(|(id, name, user)| Identity::Key(KeyIdentity { id, name, user }));
    prop_oneof![
        Just(AuditActor::Server),
        Just(AuditActor::Caller(Identity::Console)),
        Just(AuditActor::Caller(Identity::Anonymous)),
        (name(), session).prop_map(|(user, session)| AuditActor::Caller(Identity::User(user, session))),
        key.prop_map(AuditActor::Caller),
        (site_id(), name()).prop_map(|(id, name)| AuditActor::Site(id, name)),
    ]
}

fn changes() -> impl Strategy<Value = AuditChanges> {
    let change = (text(), text(), option::of(text()), option::of(text()))
        .prop_map(|(object, field, before, after)| AuditChange { object, field, before, after });
    (vec(change, 0..4), any::<u32>()).prop_map(|(listed, left_out)| AuditChanges { listed, left_out })
}

fn entry() -> impl Strategy<Value = AuditEntry> {
    let outcome = prop_oneof![
        Just(AuditOutcome::Done),
        text().prop_map(AuditOutcome::Refused),
        text().prop_map(AuditOutcome::Failed)
    ];
    let request = option::of(uniform8(any::<u8>()).prop_map(RequestId::from_bytes));
    let repeats = option::of((1..=u64::MAX, wall()).prop_map(|(count, since)| AuditRepeats { count, since }));
    let previous = uniform32(any::<u8>()).prop_map(AuditHash::from_bytes);
    let who = (wall(), actor(), option::of(name()), option::of(provider::address()), request);
    (who, text(), text(), outcome, changes(), repeats, previous).prop_map(
        |((at, actor, account, address, request), operation, target, outcome, changes, repeats, previous)| AuditEntry {
            at,
            actor,
            account,
            address,
            request,
            operation,
            target,
            outcome,
            changes,
            repeats,
            previous,
        },
    )
}

/// Any record of the audit log.
pub(super) fn fleet_record() -> impl Strategy<Value = FleetChange> {
    let hash = || uniform32(any::<u8>()).prop_map(AuditHash::from_bytes);
    let block = (hash(), hash(), 0..=AUDIT_BLOCK_ENTRIES, any::<u64>(), wall())
        .prop_map(|(before, head, count, bytes, last_at)| AuditBlock { before, head, count, bytes, last_at });
    prop_oneof![
        (counter(), block).prop_map(|(index, block)| FleetChange::AuditBlock(index, Some(block))),
        (counter(), entry()).prop_map(|(number, entry)| FleetChange::AuditEntry(number, Some(Box::new(entry)))),
    ]
}
