//! The audit log.

use linecamp_model as model;
use linecamp_model::{AuditActor as Actor, AuditHash, Identity, KeyIdentity};
use serde::{Deserialize, Serialize};

/// The most entries of the audit log in one response. A larger `limit` is capped to this.
pub const AUDIT_PER_ANSWER_MAX: usize = 500;

/// An entry of the audit log. An exported log has one in each line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AuditEntry {
    /// Its number.
    pub number: u64,
    /// When.
    pub at: String,
    /// Who.
    pub actor: AuditActor,
    /// The user that a login without valid credentials was for, if there is one of that name.
    pub account: Option<String>,
    /// From where: the address of the client.
    pub address: Option<String>,
    /// With which request: the log has it as well, and its response has it in `X-Request-Id`.
    pub request: Option<String>,
    /// What: the name of the operation.
    pub operation: String,
    /// On what: the path of the request, or the object.
    pub target: String,
    /// How it ended: `done`, `refused` or `failed`.
    pub outcome: String,
    /// The code of a refusal or failure.
    pub code: Option<String>,
    /// Equal requests that the entry stands for, if it stands for several.
    pub repeats: Option<AuditRepeats>,
    /// What changed.
    pub changes: Vec<AuditChange>,
    /// How many further fields changed.
    pub changes_left_out: u32,
    /// The hash of the entry before.
    pub previous: String,
    /// Its hash.
    pub hash: String,
}

/// Who acted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AuditActor {
    /// The kind: `user`, `key`, `console`, `anonymous`, `site` or `server`.
    pub kind: String,
    /// The user: of the session or the API key.
    pub user: Option<String>,
    /// The ID of the session.
    pub session: Option<String>,
    /// The ID of the API key.
    pub key_id: Option<String>,
    /// The name of the API key.
    pub key: Option<String>,
    /// The ID of the site.
    pub site_id: Option<String>,
    /// The name of the site.
    pub site: Option<String>,
}

/// Several equal requests that were refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AuditRepeats {
    /// How many.
    pub count: u64,
    /// When the first of them came. The time of the entry is that of the last one.
    pub since: String,
}

/// A field of an object that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AuditChange {
    /// The object.
    pub object: String,
    /// The field.
    pub field: String,
    /// The value before; `null` if there was none.
    pub before: Option<String>,
    /// The value after; `null` if there is none.
    pub after: Option<String>,
}

/// A position in the audit log: an entry, and its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AuditHead {
    /// The number of the entry; zero before the first one.
    pub number: u64,
    /// Its hash.
    pub hash: String,
}

/// Entries of the audit log, oldest first, and the extent of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AuditPage {
    /// The entries.
    pub items: Vec<AuditEntry>,
    /// What the oldest entry of the log follows: an entry that retention removed, or nothing.
    pub start: AuditHead,
    /// The newest entry of the log.
    pub head: AuditHead,
    /// About how many bytes the log takes.
    pub bytes: u64,
}

impl AuditEntry {
    /// Writes the entry under `number`.
    pub fn new(number: u64, entry: &model::AuditEntry) -> Self {
        Self {
            number,
            at: entry.at.to_string(),
            actor: (&entry.actor).into(),
            account: entry.account.as_ref().map(ToString::to_string),
            address: entry.address.map(|address| address.to_string()),
            request: entry.request.map(|request| request.to_string()),
            operation: entry.operation.to_string(),
            target: entry.target.to_string(),
            outcome: entry.outcome.kind().to_owned(),
            code: entry.outcome.code().map(ToString::to_string),
            repeats: entry
                .repeats
                .map(|repeats| AuditRepeats { count: repeats.count, since: repeats.since.to_string() }),
            changes: entry.changes.listed.iter().map(AuditChange::from).collect(),
            changes_left_out: entry.changes.left_out,
            previous: entry.previous.to_string(),
            hash: entry.hash(number).to_string(),
        }
    }

    /// Returns the fields that its hash is over, like [`model::AuditEntry::fields`].
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = Vec::new();
        let mut put = |name, value: Option<&str>| fields.extend(value.map(|value| (name, value.to_owned())));
        put("number", Some(&self.number.to_string()));
        put("at", Some(&self.at));
        put("actor", Some(&self.actor.kind));
        put("user", self.actor.user.as_deref());
        put("session", self.actor.session.as_deref());
        put("key_id", self.actor.key_id.as_deref());
        put("key", self.actor.key.as_deref());
        put("site_id", self.actor.site_id.as_deref());
        put("site", self.actor.site.as_deref());
        put("account", self.account.as_deref());
        put("address", self.address.as_deref());
        put("request", self.request.as_deref());
        put("operation", Some(&self.operation));
        put("target", Some(&self.target));
        put("outcome", Some(&self.outcome));
        put("code", self.code.as_deref());
        if let Some(repeats) = &self.repeats {
            put("count", Some(&repeats.count.to_string()));
            put("since", Some(&repeats.since));
        }
        for change in &self.changes {
            put("object", Some(&change.object));
            put("field", Some(&change.field));
            put("before", change.before.as_deref());
            put("after", change.after.as_deref());
        }
        if 0 < self.changes_left_out {
            put("changes_left_out", Some(&self.changes_left_out.to_string()));
        }
        fields
    }
}

impl From<&Actor> for AuditActor {
    fn from(actor: &Actor) -> Self {
        let none = || Self {
            kind: actor.kind().to_owned(),
            user: None,
            session: None,
            key_id: None,
            key: None,
            site_id: None,
            site: None,
        };
        match actor {
            Actor::Caller(Identity::User(user, session)) => {
                Self { user: Some(user.to_string()), session: Some(session.to_string()), ..none() }
            }
            Actor::Caller(Identity::Key(KeyIdentity { id, name, user })) => Self {
                user: user.as_ref().map(ToString::to_string),
                key_id: Some(id.to_string()),
                key: Some(name.to_string()),
                ..none()
            },
            Actor::Site(id, name) => Self { site_id: Some(id.to_string()), site: Some(name.to_string()), ..none() },
            Actor::Caller(Identity::Console | Identity::Anonymous) | Actor::Server => none(),
        }
    }
}

impl From<&model::AuditChange> for AuditChange {
    fn from(change: &model::AuditChange) -> Self {
        Self {
            object: change.object.to_string(),
            field: change.field.to_string(),
            before: change.before.as_ref().map(ToString::to_string),
            after: change.after.as_ref().map(ToString::to_string),
        }
    }
}

impl From<&model::AuditHead> for AuditHead {
    fn from(head: &model::AuditHead) -> Self {
        Self { number: head.number, hash: head.hash.to_string() }
    }
}

impl AuditHead {
    /// Converts it back; `None` if the hash is not one.
    pub fn to_head(&self) -> Option<model::AuditHead> {
        Some(model::AuditHead { number: self.number, hash: AuditHash::parse(&self.hash)? })
    }
}

#[cfg(test)]
mod tests {
    use linecamp_model::FleetChange;

    use super::*;
    use crate::api::tests::written;
    use crate::tests::sample;

    fn samples() -> Vec<(u64, model::AuditEntry)> {
        let entries = sample::fleet_records().into_iter().filter_map(|(_, record)| match record {
            FleetChange::AuditEntry(number, Some(entry)) => Some((number, *entry)),
            _ => None,
        });
        entries.collect()
    }

    #[test]
    fn an_exported_entry_has_the_fields_that_its_hash_is_over() {
        let samples = samples();
        assert_eq!(samples.len(), 6);
        for (number, entry) in samples {
            let exported = AuditEntry::new(number, &entry);
            let line = serde_json::to_string(&exported).unwrap();
            let read: AuditEntry = serde_json::from_str(&line).unwrap();
            assert_eq!(read.fields(), entry.fields(number));
            let fields = read.fields();
            let hash = entry.previous.next(fields.iter().map(|(name, value)| (*name, value.as_str())));
            assert_eq!(read.hash, hash.to_string());
        }
    }

    #[test]
    fn an_entry_is_written_as_promised() {
        let entries = samples();
        let (number, entry) = &entries[0];
        insta::assert_snapshot!(written(&AuditEntry::new(*number, entry)));
    }
}
