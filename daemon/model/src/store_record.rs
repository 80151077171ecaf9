//! The contents of the two databases, as typed changes. `proto` defines their encoding, `store` persists them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::audit::{AuditBlock, AuditEntry};
use crate::authority_set::{AuthoritySet, SiteTrust};
use crate::bulk_action::BulkAction;
use crate::digest::{IdempotencyKeyHash, KeyFingerprint, PluginDigest, SecretHash};
use crate::dns::{OwnedRecord, OwnedRecordKey};
use crate::document::{Document, DocumentKey, HostLink, HostToken, SpecBody, StatusBody};
use crate::event::{Event, LoggedEvent};
use crate::generation::{Generation, Incarnation};
use crate::id::{BulkActionId, HostId, RunId, SiteId, TokenId};
use crate::kept_answer::KeptAnswer;
use crate::label::{LabelSet, Level};
use crate::link_gap::{LinkGap, LinkRecord};
use crate::member::{MemberId, Parent};
use crate::name::Name;
use crate::phase::Phase;
use crate::provider::{PluginDescription, ProviderSpec};
use crate::selector::Selector;
use crate::server_set::ServerSet;
use crate::time::WallTime;
use crate::token::ServerAddress;
use crate::user::{ApiKey, User, UserSession};

/// A change to the site database, which is at the same time the record that the change writes.
///
/// `None` deletes the record. Key and body are one variant, so they always match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteChange {
    /// Metadata of the database.
    Origin(Option<SiteOrigin>),
    /// A spec document, as received.
    Spec(DocumentKey, Option<Document<SpecBody>>),
    /// A status document.
    Status(DocumentKey, Option<Document<StatusBody>>),
    /// Labels set locally by command, without those of drop-in files. The status holds both, merged.
    LocalLabels(Level, Option<LabelSet>),
    /// Labels of drop-in files as last read, for a start at which a file cannot be read.
    FileLabels(Level, Option<LabelSet>),
    /// An event the server has not acknowledged, by its number.
    Event(u64, Option<Event>),
    /// The address from which the server last saw the site connect.
    ObservedAddress(Option<IpAddr>),
    /// A DNS record set that the site owns, or has started to create or delete.
    OwnedRecord(OwnedRecordKey, Option<OwnedRecord>),
    /// What the site has noted about its link.
    LinkRecord(Option<Box<LinkRecord>>),
    /// A part of what is stored of a host of the LAN.
    Host(HostId, HostMemberChange),
    /// A key of a host that was removed, and since when. It is rejected as long as this record exists.
    RevokedHostKey(KeyFingerprint, Option<WallTime>),
    /// A token that hosts of the LAN join with, created at the site.
    HostToken(TokenId, Option<HostToken>),
    /// That a host joined with a token, created at the site or centrally, and when.
    HostTokenUse(TokenId, HostId, Option<WallTime>),
}

/// A part of what a parent stores of a host that joined it. `None` deletes the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostMemberChange {
    /// Its registration.
    Registration(Option<HostMemberRegistration>),
    /// A key that it may present, and when it was added. A key belongs to one host.
    Key(KeyFingerprint, Option<WallTime>),
    /// A status document, as received.
    Status(DocumentKey, Option<Document<StatusBody>>),
    /// How far its status and events are received.
    Cursor(Option<ReplicationCursor>),
    /// A time without a session, by when it began.
    LinkGap(WallTime, Option<LinkGap>),
}

/// The registration of a host that joined by itself, as its parent stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostMemberRegistration {
    /// The name that it joined with.
    pub name: Name,
    /// The token that it joined with.
    pub token: TokenId,
    /// When it joined.
    pub joined_at: WallTime,
    /// Its link.
    pub link: HostLink,
    /// How often it got a certificate for an expired one.
    pub recoveries: Recoveries,
    /// Whether the site's spec has had it. A host that the spec has dropped since is forgotten.
    pub in_spec: bool,
    /// When it was removed, or left.
    pub removed_at: Option<WallTime>,
}

/// How often a member without a valid certificate got another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recoveries {
    /// The number since it joined.
    pub total: u32,
    /// The number since `day`.
    pub today: u32,
    /// The start of the 24 hours that `today` counts.
    pub day: WallTime,
}

/// Metadata of a site database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SiteOrigin {
    /// The incarnation of its status.
    pub status_incarnation: Incarnation,
    /// The incarnation of its spec, which the server chooses. Zero before the first spec.
    pub spec_incarnation: Incarnation,
    /// The number of the last event, acknowledged or not.
    pub events_made: u64,
    /// The number of events dropped because the outbox was full.
    pub events_dropped: u64,
    /// The newest deletion whose tombstone has been discarded. A server whose status is older gets a full snapshot.
    pub status_floor: Generation,
}

/// A change to the fleet database, which is at the same time the record that the change writes.
///
/// `None` deletes the record. Key and body are one variant, so they always match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FleetChange {
    /// Metadata of the database.
    Origin(Option<FleetOrigin>),
    /// An environment, by its name.
    Environment(Name, Option<Environment>),
    /// A user, by name.
    User(Name, Option<User>),
    /// An API key, by the hash of its secret.
    ApiKey(SecretHash, Option<ApiKey>),
    /// A session of a user, by the hash of its secret.
    UserSession(SecretHash, Option<UserSession>),
    /// Settings that operators change.
    Settings(Option<ServerSettings>),
    /// A join token.
    Token(TokenId, Option<Token>),
    /// That a token created a site or a host, and when. Kept as long as the token, so that its uses are counted
    /// exactly.
    TokenUse(TokenId, MemberId, Option<WallTime>),
    /// A site's registration.
    Site(SiteId, Option<Registration>),
    /// A key that a site may present, and when it was added. A key belongs to one site.
    SiteKey(SiteId, KeyFingerprint, Option<WallTime>),
    /// The registration of a host of a site.
    Host(SiteId, HostId, Option<HostRegistration>),
    /// A part of what is stored of a host of a site that joined the server directly.
    HostMember(SiteId, HostId, HostMemberChange),
    /// A spec document of a site.
    Spec(SiteId, DocumentKey, Option<Document<SpecBody>>),
    /// A status document of a site, as received.
    Status(SiteId, DocumentKey, Option<Document<StatusBody>>),
    /// The replication progress of a site.
    ReplicationCursor(SiteId, Option<ReplicationCursor>),
    /// An event, by its number.
    Event(u64, Option<LoggedEvent>),
    /// A revoked key, and when it was revoked. The key is rejected as long as this record exists; above
    /// [`REMOVED_KEYS_MAX`](crate::limits::REMOVED_KEYS_MAX) the oldest records are dropped.
    RevokedKey(KeyFingerprint, Option<WallTime>),
    /// A provider, by the name of its environment and its own name.
    Provider(Name, Name, Option<Box<FleetProvider>>),
    /// A pushed plugin. Its component is stored beside the database, under its digest.
    Plugin(PluginDigest, Option<PluginFile>),
    /// The server's addresses, as its sites are told.
    Servers(Option<ServerSet>),
    /// A time without a session of a site, by when it began.
    LinkGap(SiteId, WallTime, Option<LinkGap>),
    /// The server's authorities, as its sites are told. None before the first replacement of an authority.
    Authorities(Option<FleetAuthorities>),
    /// Which authorities a site has stored.
    SiteTrust(SiteId, Option<SiteTrust>),
    /// That the database was restored from a backup, until everything that is held has been settled.
    Restored(Option<RestoredFrom>),
    /// A site that is held since the restore: its sessions are refused until an operator accepts it.
    HeldSite(SiteId, Option<HeldSite>),
    /// A join token that is held since the restore, and since when.
    HeldToken(TokenId, Option<WallTime>),
    /// An API key that is held since the restore, by the hash of its secret, and since when.
    HeldApiKey(SecretHash, Option<WallTime>),
    /// A block of the audit log, by its index.
    AuditBlock(u64, Option<AuditBlock>),
    /// An entry of the audit log, by its number. Entries are not read at the start.
    AuditEntry(u64, Option<Box<AuditEntry>>),
    /// The answer to a request with an idempotency key, by the hash of that key.
    KeptAnswer(IdempotencyKeyHash, Option<Box<KeptAnswer>>),
    /// A bulk action.
    BulkAction(BulkActionId, Option<Arc<BulkAction>>),
}

impl FleetChange {
    /// Returns the site whose record it changes, if it is part of one.
    pub const fn site(&self) -> Option<SiteId> {
        match self {
            Self::Site(site, _)
            | Self::SiteKey(site, ..)
            | Self::Host(site, ..)
            | Self::HostMember(site, ..)
            | Self::Spec(site, ..)
            | Self::Status(site, ..)
            | Self::ReplicationCursor(site, _)
            | Self::LinkGap(site, ..)
            | Self::SiteTrust(site, _) => Some(*site),
            _ => None,
        }
    }

    /// Whether it may change who a secret belongs to, or what its owner may do.
    pub const fn affects_access(&self) -> bool {
        matches!(
            self,
            Self::User(..) | Self::ApiKey(..) | Self::UserSession(..) | Self::Settings(_) | Self::HeldApiKey(..)
        )
    }
}

/// The server's authorities as its sites are told, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetAuthorities {
    /// The set.
    pub set: AuthoritySet,
    /// When it was numbered.
    pub since: WallTime,
}

/// How to handle a record of the fleet database that cannot be decoded. One corrupt record affects one site at most,
/// never the whole fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Salvage {
    /// Keep the record with this change: that it exists matters more than its content. A revoked key stays revoked, a
    /// used token stays used.
    Keep(FleetChange),
    /// Remove the record with this change: it is an event, or status that its site will send again.
    Remove(FleetChange),
    /// Do nothing for this site, and leave its records alone, until the record is repaired.
    Quarantine(SiteId),
    /// Leave the record in place, and treat what it describes as absent.
    Ignore,
}

/// A provider as configured centrally, with the sites that get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetProvider {
    /// Selects the sites of the environment, by their assigned labels.
    pub sites: Selector,
    /// Whether the selector also matches the labels that the sites' gateways report about themselves. It never matches
    /// labels set locally at a site.
    pub matches_facts: bool,
    /// The configuration they get.
    pub spec: ProviderSpec,
}

/// A pushed plugin component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginFile {
    /// The name of the plugin.
    pub name: Name,
    /// The size of the component in bytes.
    pub bytes: u64,
    /// When it was pushed.
    pub pushed_at: WallTime,
    /// What it says about itself, as pushed with it. `None`: it was pushed without a description, so the settings of
    /// its providers cannot be validated before they reach a site.
    pub description: Option<Box<PluginDescription>>,
}

/// Metadata of a fleet database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FleetOrigin {
    /// The incarnation of its specs, drawn when the database is created.
    pub spec_incarnation: Incarnation,
}

/// The backup that a fleet database was restored from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoredFrom {
    /// When the backup was taken: changes after that are lost.
    pub taken_at: WallTime,
    /// When it was restored.
    pub restored_at: WallTime,
}

/// What a held site's spec was in the backup. A site that holds a later one was changed after the backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldSite {
    /// The incarnation of its spec. The restored database counts in another one.
    pub spec_incarnation: Incarnation,
    /// The generation of its spec.
    pub spec_generation: Generation,
}

/// An environment: the unit of isolation, and its policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Whether joined sites wait for an operator to accept them.
    pub approval: bool,
    /// The maximum number of recoveries with an expired certificate per site in any 24 hours.
    pub recoveries_per_day_max: u32,
    /// How long a removed site is kept before it is purged.
    pub removed_keep: Duration,
}

/// Settings of the server that operators change while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// Host and port of the URL at which operators reach the server. It overrides the configuration.
    pub server_url: ServerAddress,
    /// When an admin set or confirmed it.
    pub confirmed_at: WallTime,
}

/// A join token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The hash of its secret.
    pub secret: SecretHash,
    /// The environment its sites join.
    pub environment: Name,
    /// When it was created.
    pub created_at: WallTime,
    /// When it expires.
    pub expires_at: WallTime,
    /// How many sites or hosts it may create.
    pub uses_max: u32,
    /// Labels assigned to its sites or hosts.
    pub labels: LabelSet,
    /// Which hosts join with it; `None` if sites do.
    pub hosts: Option<TokenHosts>,
    /// The registered site that a machine becomes by joining with it, if it is for a replacement. Its earlier keys are
    /// revoked then.
    pub replaces: Option<SiteId>,
    /// When it was revoked.
    pub revoked_at: Option<WallTime>,
}

/// The hosts that join with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenHosts {
    /// Their site.
    pub site: SiteId,
    /// Who they join.
    pub parent: Parent,
}

/// The registration of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Its environment.
    pub environment: Name,
    /// The token that created it.
    pub token: TokenId,
    /// When it joined.
    pub joined_at: WallTime,
    /// The lifecycle state of the site.
    pub life: Life,
    /// The host that runs its daemon.
    pub gateway: HostId,
    /// When it was disconnected; `None` if it was connected at the last check.
    pub offline_since: Option<WallTime>,
    /// Its recoveries with an expired certificate.
    pub recoveries: Recoveries,
}

/// The registration of a host of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostRegistration {
    /// The lifecycle state of the host.
    pub life: Life,
}

/// The lifecycle state of a site or a host, and what ends a transitional phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// The phase.
    pub phase: Phase,
    /// When it entered the phase.
    pub since: WallTime,
    /// The spec generation that requested the phase. The site confirms the request by converging to it.
    pub requested_at: Generation,
}

/// How far the server has replicated a site's status and events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplicationCursor {
    /// The incarnation of the site's status and events.
    pub status_incarnation: Incarnation,
    /// The daemon run that wrote the stored status. Any other run is asked for a full snapshot, because it may belong
    /// to a cloned or restored disk, whose generations have diverged from those stored. `None` for a record from before
    /// runs were tracked.
    pub status_run: Option<RunId>,
    /// The number of the last stored event.
    pub events_held: u64,
    /// The number of events the site has reported as dropped.
    pub events_dropped: u64,
    /// The incarnation of the site's spec, if it differs from the fleet's. It does after the site claimed a newer spec
    /// than this server ever wrote, as happens when the server is restored from a backup.
    pub spec_incarnation: Option<Incarnation>,
    /// The newest deletion from the spec whose tombstone has been discarded. A site whose spec is older gets a full
    /// snapshot.
    pub spec_floor: Generation,
}
