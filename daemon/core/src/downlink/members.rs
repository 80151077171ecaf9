//! The interface to the members' records: what the downlink reads, and the changes that it requests.
//!
//! The owner of the downlink implements [`Members`] over its own records. The downlink never learns how members are
//! grouped, who manages them, or what their documents mean.

use std::borrow::Cow;
use std::collections::BTreeMap;

use linecamp_model::{
    AuthoritySet, Document, DocumentKey, Incarnation, KeyFingerprint, LinkGap, MemberId, PluginDigest, Refusal,
    ReplicationCursor, ServerSet, SpecBody, StatusBody, WallTime,
};

use crate::document_sync::{Changed, Documents};

/// The durable state of the members, staged changes included.
pub(crate) trait Members {
    /// Returns the member that a key belongs to, whether it can be served or not.
    fn id_of_key(&self, key: &KeyFingerprint) -> Option<MemberId>;

    /// Returns the refusal for a key whose member cannot be served at present, whatever it sends.
    fn unavailable(&self, key: &KeyFingerprint) -> Option<Refusal>;

    /// Returns the registered member that holds `key`, or `None` if there is none.
    ///
    /// # Errors
    /// The key was revoked.
    fn registered(&self, key: &KeyFingerprint) -> Result<Option<MemberId>, Refusal>;

    /// Returns the records of a member.
    fn member(&self, id: MemberId) -> Option<Member<'_>>;

    /// Returns the spec of a member.
    fn spec(&self, id: MemberId) -> Option<Cow<'_, Documents<SpecBody>>>;

    /// Returns the server's addresses, as the members are told.
    fn servers(&self) -> Option<&ServerSet>;

    /// Returns the server's authorities, as the members are told; `None` if they are told none.
    fn authorities(&self) -> Option<&AuthoritySet>;

    /// Whether every staged change is durable.
    fn is_durable(&self) -> bool;

    /// Checks that a member's status is only about what it may report, and stays within limits. The downlink has
    /// checked how many documents and bytes there are.
    ///
    /// # Errors
    /// The refusal for a status of something else, or beyond a limit.
    fn check_status(&self, id: MemberId, status: &Changed<'_, StatusBody>) -> Result<(), Refusal>;

    /// Whether a member may read the file with this digest, and the file is stored.
    fn may_read(&self, id: MemberId, digest: &PluginDigest) -> bool;
}

/// The records of one member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member<'a> {
    /// Whether the member may report.
    pub(crate) standing: Standing,
    /// The incarnation of its spec.
    pub(crate) spec_incarnation: Incarnation,
    /// Its status, as last reported.
    pub(crate) status: &'a Documents<StatusBody>,
    /// How far its status and events are received.
    pub(crate) cursor: ReplicationCursor,
    /// Since when it is recorded as offline, if it is.
    pub(crate) offline_since: Option<WallTime>,
    /// When it joined.
    pub(crate) joined_at: WallTime,
    /// The times it had no session, by when they began.
    pub(crate) gaps: &'a BTreeMap<WallTime, LinkGap>,
}

/// The standing of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Registered, and waits until it is accepted. It may connect, and may not report.
    Pending,
    /// Registered and accepted.
    Accepted,
    /// Removed, or not registered.
    Gone,
}

/// A change to the records of one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MemberChange {
    /// Store a status document, or remove it.
    Status(DocumentKey, Option<Document<StatusBody>>),
    /// Store how far status and events are received.
    Cursor(ReplicationCursor),
    /// Record since when the member is offline, or that it is online.
    OfflineSince(Option<WallTime>),
    /// Record a time without a session, by when it began, or drop it.
    Gap(WallTime, Option<LinkGap>),
}
