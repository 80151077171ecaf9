//! The audit log: who did what, from where, with which outcome, and what changed.
//!
//! An entry is chained to the one before it: its hash is the SHA-256 of the hash of the entry before it and of its own
//! fields. So an entry that is changed, removed or moved makes the chain break. A shortened or rewritten log has a
//! chain of its own that does not break: it is detected by comparing it with a head that was kept elsewhere.
//!
//! The log is stored in blocks of [`AUDIT_BLOCK_ENTRIES`] entries. Retention removes whole blocks; a block holds the
//! hash of the entry before its first one, so the rest can still be verified.
//!
//! No field holds a secret: who creates an entry names what changed, and leaves out the value where it is one.

mod verifier;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::caller::{Identity, KeyIdentity};
use crate::id::{RequestId, SiteId};
use crate::limits::{AUDIT_CHANGES_BYTES_MAX, AUDIT_CHANGES_MAX};
use crate::name::{Name, Text};
use crate::time::WallTime;

pub use self::verifier::{AuditBreak, AuditVerifier};

/// The entries of a block: retention removes so many at once, and each start of a server reads one record for them.
pub const AUDIT_BLOCK_ENTRIES: u64 = 256;

/// What the hash of an entry begins with, so that it is the hash of nothing else.
const CHAIN_DOMAIN: &[u8] = b"linecamp audit entry 1\n";

/// The hash of an entry of the audit log, which is over all entries before it as well. `Default` is what the first
/// entry follows.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuditHash([u8; 32]);

impl AuditHash {
    /// Creates the hash from its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Parses the hexadecimal form that `Display` writes; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }

    /// Returns the hash of the entry that follows: of this hash, and of the entry's fields in their order. Each is its
    /// name, a zero byte, the length of its value in bytes as 8 bytes with the most significant first, and the value.
    #[must_use]
    pub fn next<'a>(&self, fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(CHAIN_DOMAIN);
        hasher.update(self.0);
        for (name, value) in fields {
            hasher.update(name.as_bytes());
            hasher.update([0]);
            hasher.update((value.len() as u64).to_be_bytes());
            hasher.update(value.as_bytes());
        }
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who acted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditActor {
    /// A caller of the API, or the server's console.
    Caller(Identity),
    /// A site, or a machine that becomes one.
    Site(SiteId, Name),
    /// The server itself.
    Server,
}

impl AuditActor {
    /// Returns the kind as a word for programs.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Caller(Identity::Console) => "console",
            Self::Caller(Identity::User(..)) => "user",
            Self::Caller(Identity::Key(_)) => "key",
            Self::Caller(Identity::Anonymous) => "anonymous",
            Self::Site(..) => "site",
            Self::Server => "server",
        }
    }
}

impl fmt::Display for AuditActor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caller(identity) => identity.fmt(f),
            Self::Site(_, name) => write!(f, "site {name}"),
            Self::Server => f.write_str("server"),
        }
    }
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditOutcome {
    /// It was done. It may have changed nothing, because nothing had to change.
    Done,
    /// It was refused, with this code of the API; nothing was changed.
    Refused(Text),
    /// It failed, with this code of the API.
    Failed(Text),
}

impl AuditOutcome {
    /// Returns the outcome as a word for programs.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
        }
    }

    /// Returns the code; `None` for an operation that was done.
    pub const fn code(&self) -> Option<&Text> {
        match self {
            Self::Done => None,
            Self::Refused(code) | Self::Failed(code) => Some(code),
        }
    }
}

/// A field of an object that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditChange {
    /// The object, such as `site default/camp-042`.
    pub object: Text,
    /// The field, such as `label rack`.
    pub field: Text,
    /// The value before; `None` if there was none.
    pub before: Option<Text>,
    /// The value after; `None` if there is none.
    pub after: Option<Text>,
}

impl AuditChange {
    fn bytes(&self) -> usize {
        let bytes = |text: &Option<Text>| text.as_ref().map_or(0, |text| text.as_str().len());
        self.object.as_str().len() + self.field.as_str().len() + bytes(&self.before) + bytes(&self.after)
    }
}

/// What changed, as far as there is room for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditChanges {
    /// The changes.
    pub listed: Vec<AuditChange>,
    /// How many more there were.
    pub left_out: u32,
}

impl FromIterator<AuditChange> for AuditChanges {
    fn from_iter<T: IntoIterator<Item = AuditChange>>(changes: T) -> Self {
        let (mut listed, mut left_out, mut bytes) = (Vec::new(), 0_u32, 0);
        for change in changes {
            bytes += change.bytes();
            match listed.len() < AUDIT_CHANGES_MAX && bytes <= AUDIT_CHANGES_BYTES_MAX {
                true => listed.push(change),
                false => left_out = left_out.saturating_add(1),
            }
        }
        Self { listed, left_out }
    }
}

/// Several requests that one entry stands for: equal ones that were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditRepeats {
    /// How many.
    pub count: u64,
    /// When the first of them came; the time of the entry is that of the last one.
    pub since: WallTime,
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When, in whole seconds.
    pub at: WallTime,
    /// Who.
    pub actor: AuditActor,
    /// The user that a login without valid credentials was for, if there is one of that name.
    pub account: Option<Name>,
    /// From where: the address of the client.
    pub address: Option<IpAddr>,
    /// With which request; the log has it as well.
    pub request: Option<RequestId>,
    /// What: the name of the operation.
    pub operation: Text,
    /// On what: the path of the request, or the object.
    pub target: Text,
    /// With which outcome.
    pub outcome: AuditOutcome,
    /// What changed.
    pub changes: AuditChanges,
    /// The requests that it stands for, if there are several.
    pub repeats: Option<AuditRepeats>,
    /// The hash of the entry before it.
    pub previous: AuditHash,
}

impl AuditEntry {
    /// Returns the fields that the hash of the entry under `number` is over, in their order. A field that is absent is
    /// left out.
    pub fn fields(&self, number: u64) -> Vec<(&'static str, String)> {
        let mut fields = vec![("number", number.to_string()), ("at", self.at.to_string())];
        fields.push(("actor", self.actor.kind().to_owned()));
        match &self.actor {
            AuditActor::Caller(Identity::User(user, session)) => {
                fields.push(("user", user.to_string()));
                fields.push(("session", session.to_string()));
            }
            AuditActor::Caller(Identity::Key(KeyIdentity { id, name, user })) => {
                fields.extend(user.as_ref().map(|user| ("user", user.to_string())));
                fields.push(("key_id", id.to_string()));
                fields.push(("key", name.to_string()));
            }
            AuditActor::Site(id, name) => {
                fields.push(("site_id", id.to_string()));
                fields.push(("site", name.to_string()));
            }
            AuditActor::Caller(Identity::Console | Identity::Anonymous) | AuditActor::Server => {}
        }
        fields.extend(self.account.as_ref().map(|account| ("account", account.to_string())));
        fields.extend(self.address.map(|address| ("address", address.to_string())));
        fields.extend(self.request.map(|request| ("request", request.to_string())));
        fields.push(("operation", self.operation.to_string()));
        fields.push(("target", self.target.to_string()));
        fields.push(("outcome", self.outcome.kind().to_owned()));
        fields.extend(self.outcome.code().map(|code| ("code", code.to_string())));
        if let Some(repeats) = &self.repeats {
            fields.push(("count", repeats.count.to_string()));
            fields.push(("since", repeats.since.to_string()));
        }
        for change in &self.changes.listed {
            fields.push(("object", change.object.to_string()));
            fields.push(("field", change.field.to_string()));
            fields.extend(change.before.as_ref().map(|before| ("before", before.to_string())));
            fields.extend(change.after.as_ref().map(|after| ("after", after.to_string())));
        }
        if 0 < self.changes.left_out {
            fields.push(("changes_left_out", self.changes.left_out.to_string()));
        }
        fields
    }

    /// Returns the hash of the entry under `number`.
    pub fn hash(&self, number: u64) -> AuditHash {
        let fields = self.fields(number);
        self.previous.next(fields.iter().map(|(name, value)| (*name, value.as_str())))
    }

    /// Returns about how many bytes it takes in the database: all its texts, and what surrounds them.
    pub fn bytes(&self) -> u64 {
        const FIXED_BYTES: usize = 160;
        let changes: usize = self.changes.listed.iter().map(|change| change.bytes() + 16).sum();
        (FIXED_BYTES + self.operation.as_str().len() + self.target.as_str().len() + changes) as u64
    }
}

/// A block of the audit log: [`AUDIT_BLOCK_ENTRIES`] entries, the last block perhaps fewer. The block with index `i`
/// has the entries from number `256 i + 1` on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditBlock {
    /// The hash of the entry before its first one.
    pub before: AuditHash,
    /// The hash of its last entry.
    pub head: AuditHash,
    /// How many entries it has.
    pub count: u64,
    /// About how many bytes they take.
    pub bytes: u64,
    /// When its last entry was written.
    pub last_at: WallTime,
}

impl AuditBlock {
    /// Returns a block whose record is lost: no entry is written to it again, and the chain breaks there.
    pub fn lost() -> Self {
        Self { count: AUDIT_BLOCK_ENTRIES, ..Self::default() }
    }

    /// Returns the number of the first entry of the block with this index.
    pub const fn first(index: u64) -> u64 {
        index * AUDIT_BLOCK_ENTRIES + 1
    }

    /// Whether it has all its entries.
    pub const fn is_full(&self) -> bool {
        AUDIT_BLOCK_ENTRIES <= self.count
    }
}

/// A position in the chain: an entry, and its hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditHead {
    /// The number of the entry; zero before the first one.
    pub number: u64,
    /// Its hash.
    pub hash: AuditHash,
}

impl AuditHead {
    /// Parses `HASH@NUMBER`, as `Display` writes it.
    pub fn parse(text: &str) -> Option<Self> {
        let (hash, number) = text.split_once('@')?;
        Some(Self { number: number.parse().ok()?, hash: AuditHash::parse(hash)? })
    }
}

impl fmt::Display for AuditHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.hash, self.number)
    }
}

/// How much of the audit log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditRetention {
    /// For how long.
    pub age: Duration,
    /// How many bytes.
    pub bytes: u64,
}

/// The extent of the audit log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditExtent {
    /// What its oldest entry follows: an entry that retention removed, or nothing.
    pub start: AuditHead,
    /// Its newest entry.
    pub head: AuditHead,
    /// About how many bytes it takes.
    pub bytes: u64,
}

#[cfg(test)]
mod tests;
