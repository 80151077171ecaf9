//! What the two databases hold, as typed changes. `proto` knows their bytes, `store` keeps them.

use std::net::IpAddr;
use std::time::Duration;

use crate::digest::{KeyFingerprint, PluginDigest, SecretHash};
use crate::dns::{DomainName, RecordKey};
use crate::document::{Document, DocumentKey, SpecBody, StatusBody};
use crate::event::{Event, LoggedEvent};
use crate::generation::{Generation, Incarnation};
use crate::id::{ProviderId, RunId, SiteId, TokenId};
use crate::label::{LabelSet, Level};
use crate::name::Name;
use crate::phase::Phase;
use crate::provider::{OwnedRecord, ProviderSpec};
use crate::selector::Selector;
use crate::time::WallTime;

/// One change to the site database, and one record of it: what a change leaves behind is itself.
///
/// `None` takes the record away. Key and body cannot disagree, because they are one variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteChange {
    /// What the database is.
    Origin(Option<SiteOrigin>),
    /// A spec document, as received.
    Spec(DocumentKey, Option<Document<SpecBody>>),
    /// A status document.
    Status(DocumentKey, Option<Document<StatusBody>>),
    /// Labels set on the spot by hand, apart from drop-in files: the status holds both, merged.
    LocalLabels(Level, Option<LabelSet>),
    /// An event the server has not acknowledged, under its number.
    Event(u64, Option<Event>),
    /// The address that the server last saw the site come from.
    ObservedAddress(Option<IpAddr>),
    /// A DNS record set that the site has, or has begun to make or to take away.
    Held(HeldKey, Option<OwnedRecord>),
}

/// Which record set of which provider a site holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeldKey {
    /// The provider.
    pub provider: ProviderId,
    /// The zone.
    pub zone: DomainName,
    /// The record set.
    pub record: RecordKey,
}

/// What a site database says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SiteOrigin {
    /// The history its status belongs to.
    pub status_incarnation: Incarnation,
    /// The history its spec belongs to: the server's. Zero before the first spec.
    pub spec_incarnation: Incarnation,
    /// The number of the last event, acknowledged or not.
    pub events_made: u64,
    /// Events dropped because the outbox was full.
    pub events_dropped: u64,
    /// The newest deletion that is no longer noted: a server that holds less is sent all of the status.
    pub status_floor: Generation,
}

/// One change to the fleet database, and one record of it: what a change leaves behind is itself.
///
/// `None` takes the record away. Key and body cannot disagree, because they are one variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FleetChange {
    /// What the database is.
    Origin(Option<FleetOrigin>),
    /// An environment, under its name.
    Environment(Name, Option<Environment>),
    /// An API key, under the hash of its secret.
    ApiKey(SecretHash, Option<ApiKey>),
    /// A join token.
    Token(TokenId, Option<Token>),
    /// That a token created a site, and when. Kept as long as the token, so that its uses are counted exactly.
    TokenUse(TokenId, SiteId, Option<WallTime>),
    /// A site's registration.
    Site(SiteId, Option<Registration>),
    /// A spec document of a site.
    Spec(SiteId, DocumentKey, Option<Document<SpecBody>>),
    /// A status document of a site, as received.
    Status(SiteId, DocumentKey, Option<Document<StatusBody>>),
    /// How far the server has followed a site.
    ReplicationCursor(SiteId, Option<ReplicationCursor>),
    /// An event, under its number.
    Event(u64, Option<LoggedEvent>),
    /// A key that was removed, and when: it never comes back. Kept for ever.
    RevokedKey(KeyFingerprint, Option<WallTime>),
    /// A provider of an environment, under both names.
    Provider(Name, Name, Option<Box<FleetProvider>>),
    /// A plugin that was pushed; its component lies beside the database, under its digest.
    Plugin(PluginDigest, Option<PluginFile>),
}

/// What to make of a record of the fleet database that does not read: one bad record costs one site at most, never the
/// fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Salvage {
    /// That it is there matters more than what it says: a removed key stays removed, a used token used.
    Keep(FleetChange),
    /// It is removed by this change: status, which its site sends again, or an event.
    Remove(FleetChange),
    /// Nothing is done for this site, and none of its records is touched, until the record is repaired.
    Quarantine(SiteId),
    /// It is left where it is, and its thing counts as absent.
    Ignore,
}

/// A provider as it is configured centrally: which sites get it, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetProvider {
    /// Which sites of the environment: by the labels that were assigned to them.
    pub sites: Selector,
    /// Whether the selector also sees what the gateways of the sites report about themselves. What a site sets
    /// locally it never sees.
    pub matches_facts: bool,
    /// What they get.
    pub spec: ProviderSpec,
}

/// A component that was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginFile {
    /// The name of the plugin.
    pub name: Name,
    /// How long the component is, in bytes.
    pub bytes: u64,
    /// When it was pushed.
    pub pushed_at: WallTime,
}

/// What a fleet database says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FleetOrigin {
    /// The history its specs belong to. Whoever restores a backup draws a new one.
    pub spec_incarnation: Incarnation,
}

/// The unit of isolation, and its rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Whether joined sites wait until an operator accepts them.
    pub approval: bool,
    /// How many recoveries with an expired certificate one site may have in any 24 hours.
    pub recoveries_per_day_max: u32,
    /// How long a removed site is kept before it is purged.
    pub removed_keep: Duration,
}

/// An API key of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Words that say whose it is.
    pub name: Name,
    /// When it was made.
    pub created_at: WallTime,
}

/// A join token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The hash of its secret.
    pub secret: SecretHash,
    /// Where its sites go.
    pub environment: Name,
    /// When it was made.
    pub created_at: WallTime,
    /// When it stops working.
    pub expires_at: WallTime,
    /// How many sites it may create.
    pub uses_max: u32,
    /// Labels its sites are given, as assigned labels of the site.
    pub labels: LabelSet,
    /// When it was revoked.
    pub revoked_at: Option<WallTime>,
}

/// The durable record that a site belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The key it joined with.
    pub fingerprint: KeyFingerprint,
    /// Its environment.
    pub environment: Name,
    /// The token that created it.
    pub token: TokenId,
    /// When it joined.
    pub joined_at: WallTime,
    /// Where it is in its life.
    pub life: Life,
    /// Where its gateway host is in its life.
    pub gateway: Life,
    /// Since when it has been disconnected, if it was when last looked at.
    pub dark_since: Option<WallTime>,
    /// Recoveries with an expired certificate: how many in all.
    pub recoveries: u32,
    /// How many of them since `recovery_day` began, and when that was.
    pub recoveries_today: u32,
    /// The start of the 24 hours that `recoveries_today` counts.
    pub recovery_day: WallTime,
}

/// Where a site or a host is in its life, and what ends a transitional phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// The phase.
    pub phase: Phase,
    /// Since when.
    pub since: WallTime,
    /// The spec generation that asked for it: the site confirms by converging to it.
    pub requested_at: Generation,
}

/// How far the server has followed a site's own history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplicationCursor {
    /// The site's history that its status and events belong to.
    pub status_incarnation: Incarnation,
    /// The run of the daemon that wrote the status. Another run is asked for all of it: it may be that of a copied
    /// or restored disk, whose generations have parted from those held. `None` from before runs were noted.
    pub status_run: Option<RunId>,
    /// The last event held.
    pub events_held: u64,
    /// How many events the site said it dropped.
    pub events_dropped: u64,
    /// The history of the site's spec, where it is another than the fleet's: it began when the site claimed to hold
    /// more spec than this server ever wrote, as after a restored backup.
    pub spec_incarnation: Option<Incarnation>,
    /// The newest deletion from the spec that is no longer noted: a site that holds less is sent all of it.
    pub spec_floor: Generation,
}
