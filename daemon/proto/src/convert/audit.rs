//! Records of the audit log.

use std::net::IpAddr;

use linecamp_model::limits::AUDIT_CHANGES_MAX;
use linecamp_model::{
    AUDIT_BLOCK_ENTRIES, AuditActor, AuditBlock, AuditChange, AuditChanges, AuditEntry, AuditHash, AuditOutcome,
    AuditRepeats, Identity, KeyId, KeyIdentity, Name, RequestId, SiteId, Text, UserSessionId, WallTime,
};

use crate::convert::audit_kind::{AuditActorKind, AuditOutcomeKind};
use crate::convert::field::{bytes, count, field, list, word};
use crate::convert::{FieldError, Wire, WireEnum};
use crate::wire::record::v1 as wire;

impl Wire for wire::AuditBlock {
    type Model = AuditBlock;

    fn from_model(block: &AuditBlock) -> Self {
        Self {
            before: block.before.as_bytes().to_vec(),
            head: block.head.as_bytes().to_vec(),
            count: block.count,
            bytes: block.bytes,
            last_at_millis: block.last_at.unix_millis(),
        }
    }

    fn into_model(self) -> Result<AuditBlock, FieldError> {
        if AUDIT_BLOCK_ENTRIES < self.count {
            return Err(FieldError::new("count", format!("is {}; at most {AUDIT_BLOCK_ENTRIES} fit", self.count)));
        }
        Ok(AuditBlock {
            before: AuditHash::from_bytes(bytes("before", &self.before)?),
            head: AuditHash::from_bytes(bytes("head", &self.head)?),
            count: self.count,
            bytes: self.bytes,
            last_at: WallTime::from_unix_millis(self.last_at_millis),
        })
    }
}

impl Wire for wire::AuditChange {
    type Model = AuditChange;

    fn from_model(change: &AuditChange) -> Self {
        Self {
            object: change.object.to_string(),
            field: change.field.to_string(),
            before: change.before.as_ref().map(ToString::to_string),
            after: change.after.as_ref().map(ToString::to_string),
        }
    }

    fn into_model(self) -> Result<AuditChange, FieldError> {
        Ok(AuditChange {
            object: field("object", Text::parse(&self.object))?,
            field: field("field", Text::parse(&self.field))?,
            before: field("before", self.before.as_deref().map(Text::parse).transpose())?,
            after: field("after", self.after.as_deref().map(Text::parse).transpose())?,
        })
    }
}

impl Wire for wire::AuditEntry {
    type Model = AuditEntry;

    fn from_model(entry: &AuditEntry) -> Self {
        let address = entry.address.as_ref().map(|address| wire::ObservedAddress::from_model(address).address);
        let (outcome, code) = match &entry.outcome {
            AuditOutcome::Done => (AuditOutcomeKind::Done, None),
            AuditOutcome::Refused(code) => (AuditOutcomeKind::Refused, Some(code)),
            AuditOutcome::Failed(code) => (AuditOutcomeKind::Failed, Some(code)),
        };
        let written = Self {
            at_millis: entry.at.unix_millis(),
            account: entry.account.as_ref().map(ToString::to_string).unwrap_or_default(),
            address: address.unwrap_or_default(),
            request: entry.request.map(|request| request.as_bytes().to_vec()).unwrap_or_default(),
            operation: entry.operation.to_string(),
            target: entry.target.to_string(),
            outcome: outcome.number(),
            code: code.map(ToString::to_string).unwrap_or_default(),
            changes: entry.changes.listed.iter().map(Wire::from_model).collect(),
            changes_left_out: entry.changes.left_out,
            count: entry.repeats.map_or(0, |repeats| repeats.count),
            since_millis: entry.repeats.map_or(0, |repeats| repeats.since.unix_millis()),
            previous: entry.previous.as_bytes().to_vec(),
            ..Self::default()
        };
        written.with_actor(&entry.actor)
    }

    fn into_model(self) -> Result<AuditEntry, FieldError> {
        count("changes", self.changes.len(), AUDIT_CHANGES_MAX)?;
        let actor = self.actor_model()?;
        let code = || field("code", Text::parse(&self.code));
        let outcome = match word("outcome", self.outcome)? {
            AuditOutcomeKind::Done => AuditOutcome::Done,
            AuditOutcomeKind::Refused => AuditOutcome::Refused(code()?),
            AuditOutcomeKind::Failed => AuditOutcome::Failed(code()?),
        };
        let address = (!self.address.is_empty()).then(|| address(self.address)).transpose()?;
        let request = (!self.request.is_empty()).then(|| bytes("request", &self.request)).transpose()?;
        let since = WallTime::from_unix_millis(self.since_millis);
        Ok(AuditEntry {
            at: WallTime::from_unix_millis(self.at_millis),
            actor,
            account: optional_name("account", &self.account)?,
            address,
            request: request.map(RequestId::from_bytes),
            operation: field("operation", Text::parse(&self.operation))?,
            target: field("target", Text::parse(&self.target))?,
            outcome,
            changes: AuditChanges {
                listed: list("changes", self.changes, AUDIT_CHANGES_MAX)?,
                left_out: self.changes_left_out,
            },
            repeats: (self.count != 0).then_some(AuditRepeats { count: self.count, since }),
            previous: AuditHash::from_bytes(bytes("previous", &self.previous)?),
        })
    }
}

impl wire::AuditEntry {
    fn with_actor(self, actor: &AuditActor) -> Self {
        let kind = |kind: AuditActorKind| kind.number();
        match actor {
            AuditActor::Caller(Identity::Console) => Self { actor: kind(AuditActorKind::Console), ..self },
            AuditActor::Caller(Identity::Anonymous) => Self { actor: kind(AuditActorKind::Anonymous), ..self },
            AuditActor::Server => Self { actor: kind(AuditActorKind::Server), ..self },
            AuditActor::Caller(Identity::User(user, session)) => Self {
                actor: kind(AuditActorKind::User),
                user: user.to_string(),
                session: session.as_bytes().to_vec(),
                ..self
            },
            AuditActor::Caller(Identity::Key(KeyIdentity { id, name, user })) => Self {
                actor: kind(AuditActorKind::Key),
                user: user.as_ref().map(ToString::to_string).unwrap_or_default(),
                key_id: id.as_bytes().to_vec(),
                key: name.to_string(),
                ..self
            },
            AuditActor::Site(id, name) => Self {
                actor: kind(AuditActorKind::Site),
                site_id: id.as_bytes().to_vec(),
                site: name.to_string(),
                ..self
            },
        }
    }

    fn actor_model(&self) -> Result<AuditActor, FieldError> {
        let name = |what, text: &str| field(what, Name::parse(text));
        Ok(match word("actor", self.actor)? {
            AuditActorKind::Console => AuditActor::Caller(Identity::Console),
            AuditActorKind::Anonymous => AuditActor::Caller(Identity::Anonymous),
            AuditActorKind::Server => AuditActor::Server,
            AuditActorKind::User => {
                let session = UserSessionId::from_bytes(bytes("session", &self.session)?);
                AuditActor::Caller(Identity::User(name("user", &self.user)?, session))
            }
            AuditActorKind::Key => AuditActor::Caller(Identity::Key(KeyIdentity {
                id: KeyId::from_bytes(bytes("key_id", &self.key_id)?),
                name: name("key", &self.key)?,
                user: optional_name("user", &self.user)?,
            })),
            AuditActorKind::Site => {
                AuditActor::Site(SiteId::from_bytes(bytes("site_id", &self.site_id)?), name("site", &self.site)?)
            }
        })
    }
}

fn optional_name(what: &str, text: &str) -> Result<Option<Name>, FieldError> {
    (!text.is_empty()).then(|| field(what, Name::parse(text))).transpose()
}

fn address(bytes: Vec<u8>) -> Result<IpAddr, FieldError> {
    wire::ObservedAddress { address: bytes }.into_model()
}
