//! One value of each kind, with every field set: the contents of the golden files. Values here never change, because
//! their bytes are pinned; for what a later release adds, add a new value.

mod audit;
mod bulk_action;
mod fleet;
mod host;
mod link_gap;
mod provider;
mod user;

pub(crate) use provider::{plugin_description, provider_spec, provider_status};

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use linecamp_model::{
    ApiKey, AuthoritySet, Condition, ConditionKind, Delta, Document, DocumentKey, Environment, Event, EventBatch,
    EventKind, FleetAuthorities, FleetChange, FleetOrigin, FromMember, FromParent, Generation, HeldSite, Hello, HostId,
    HostRegistration, HostSpec, HostStatus, IdentityGrant, Incarnation, JoinRequest, JoinSecret, KeyFingerprint,
    LabelEntry, LabelKey, LabelSet, LabelValue, Level, Life, LoggedEvent, MemberKind, Name, Origin, Phase, Pin,
    Recoveries, Refusal, RefusalCode, Registration, ReplicationCursor, RestoredFrom, RunId, SecretHash, ServerAddress,
    ServerSet, SessionId, SiteChange, SiteId, SiteOrigin, SiteSpec, SiteStatus, SiteTrust, SpecBody, StatusBody,
    Target, Text, Token, TokenId, TrustReport, TrustedAuthority, VersionRange, WallTime, Welcome,
};

const WALL: WallTime = WallTime::from_unix_millis(1_795_314_424_000);
const LATER: WallTime = WallTime::from_unix_millis(1_795_314_425_500);
const SITE: SiteId = SiteId::from_bytes([0x11; 16]);
const HOST: HostId = HostId::from_bytes([0x22; 16]);
const TOKEN: TokenId = TokenId::from_bytes([0x33; 8]);

pub(crate) use self::fleet::fleet_records;

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

fn text(text: &str) -> Text {
    Text::parse(text).expect("a text")
}

fn labels(pairs: &[(&str, &str)]) -> LabelSet {
    let held = |value| LabelEntry { value: LabelValue::parse(value).expect("a value"), since: WALL };
    let labels: BTreeMap<_, _> =
        pairs.iter().map(|(key, value)| (LabelKey::parse(key).expect("a key"), held(value))).collect();
    LabelSet::from_map(labels).expect("few")
}

fn facts(pairs: &[(&str, &str)]) -> BTreeMap<LabelKey, LabelValue> {
    let labels = labels(pairs);
    labels.iter().map(|(key, held)| (key.clone(), held.value.clone())).collect()
}

fn site_spec() -> Document<SpecBody> {
    Document {
        generation: Generation(18),
        body: Some(SpecBody::Site(SiteSpec {
            name: name("camp-042"),
            environment: name("default"),
            description: text("mast above the bay, keys at the harbour"),
            target: Target::Active,
            assigned: labels(&[("rack", "r7"), ("region", "eu")]),
        })),
    }
}

fn host_spec() -> Document<SpecBody> {
    Document {
        generation: Generation(19),
        body: Some(SpecBody::Host(HostSpec {
            name: name("camp-042-b"),
            origin: Origin::Custom,
            description: text("the spare machine"),
            target: Target::Inactive,
            assigned: labels(&[("tier", "lab")]),
            member: None,
        })),
    }
}

fn condition(kind: ConditionKind, detail: &str) -> Condition {
    Condition { kind, since: WALL, detail: text(detail) }
}

fn site_status() -> Document<StatusBody> {
    Document {
        generation: Generation(7),
        body: Some(StatusBody::Site(SiteStatus {
            daemon_version: text("0.1.0"),
            spec_incarnation: Incarnation(0),
            applied: Generation(19),
            converged: Generation(18),
            local: labels(&[("shift", "night")]),
            conditions: vec![
                condition(ConditionKind::ClockSkew, "the site is 4 minutes behind the server"),
                condition(ConditionKind::LabelsInvalid, "labels.d/10-rack.toml: line 3"),
            ],
        })),
    }
}

fn host_status() -> Document<StatusBody> {
    Document {
        generation: Generation(8),
        body: Some(StatusBody::Host(HostStatus {
            local: labels(&[("seat", "left")]),
            reported: labels(&[
                ("io.linecamp.host.arch", "x86_64"),
                ("io.linecamp.host.linux_kernel_version", "6.18.5-amd64"),
            ]),
            daemon: None,
            membership: None,
        })),
    }
}

fn event(site: Option<SiteId>) -> Event {
    Event { at: WALL, kind: EventKind::LabelsSetLocally, site, host: None, text: text("rack=r7 was set locally") }
}

fn delta<B>(base: u64, documents: Vec<(DocumentKey, Document<B>)>) -> Delta<B> {
    let to = documents.iter().map(|(_, document)| document.generation).max();
    Delta {
        base: Generation(base),
        to: to.unwrap_or_default(),
        snapshot: base == 0,
        documents: documents.into_iter().collect(),
        more: false,
    }
}

fn site_status_of_an_incarnation() -> Document<StatusBody> {
    let mut document = site_status();
    if let Some(StatusBody::Site(status)) = &mut document.body {
        status.spec_incarnation = Incarnation(0x6666_6666_6666_6666);
    }
    document
}

fn tombstone<B>(generation: u64) -> Document<B> {
    Document { generation: Generation(generation), body: None }
}

/// Returns the value named `name`.
pub(super) fn named<T>(all: Vec<(&'static str, T)>, name: &str) -> T {
    all.into_iter().find(|(of, _)| *of == name).map(|(_, value)| value).unwrap_or_else(|| panic!("no sample {name}"))
}

/// Every message from a site.
pub(super) fn from_member() -> Vec<(&'static str, FromMember)> {
    let (site, host) = (DocumentKey::Site, DocumentKey::Host(HOST));
    let versions = VersionRange { min: 1, max: 2 };
    let mut all = vec![
        (
            "join",
            FromMember::Join(JoinRequest {
                versions,
                token: TOKEN,
                secret: JoinSecret::from_bytes([0x44; 16]),
                kind: MemberKind::Site,
                name: name("camp-042"),
                site: None,
                daemon_version: text("0.1.0"),
            }),
        ),
        (
            "hello",
            FromMember::Hello(Hello {
                versions,
                run: RunId::from_bytes([0x55; 8]),
                daemon_version: text("0.1.0"),
                wall: WALL,
                spec_incarnation: Incarnation(0x6666_6666_6666_6666),
                spec_held: Generation(18),
                status_incarnation: Incarnation(0x7777_7777_7777_7777),
                target: None,
                facts: BTreeMap::new(),
                gaps: Vec::new(),
            }),
        ),
        (
            "hello-facts",
            FromMember::Hello(Hello {
                versions,
                run: RunId::from_bytes([0x55; 8]),
                daemon_version: text("0.1.0"),
                wall: WALL,
                spec_incarnation: Incarnation(0),
                spec_held: Generation(0),
                status_incarnation: Incarnation(0x7777_7777_7777_7777),
                target: None,
                facts: facts(&[("io.linecamp.host.os", "debian 13"), ("io.linecamp.host.cpus", "4")]),
                gaps: Vec::new(),
            }),
        ),
        ("hello-gaps", FromMember::Hello(link_gap::hello())),
        (
            "hello-target",
            FromMember::Hello(Hello {
                versions,
                run: RunId::from_bytes([0x55; 8]),
                daemon_version: text("0.1.0"),
                wall: WALL,
                spec_incarnation: Incarnation(0),
                spec_held: Generation(0),
                status_incarnation: Incarnation(0x7777_7777_7777_7777),
                target: Some(Target::Removed),
                gaps: Vec::new(),
                facts: BTreeMap::new(),
            }),
        ),
        ("spec-ack", FromMember::SpecAck(Generation(19))),
        ("status-snapshot", FromMember::Status(delta(0, vec![(site, site_status()), (host, host_status())]))),
        ("status-delta", FromMember::Status(delta(8, vec![(host, tombstone(9))]))),
        ("status-history", FromMember::Status(delta(6, vec![(site, site_status_of_an_incarnation())]))),
        (
            "events",
            FromMember::Events(EventBatch { first: 42, dropped: 3, events: vec![event(Some(SITE)), event(None)] }),
        ),
        ("renew", FromMember::Renew),
        ("alive", FromMember::Alive),
        ("leave", FromMember::Leave),
        ("storage-well", FromMember::Storage(Vec::new())),
        (
            "storage",
            FromMember::Storage(vec![
                condition(ConditionKind::DiskFull, "the disk of /var/lib/linecamp is full"),
                condition(ConditionKind::IdentityNotSaved, "a new certificate is not kept"),
            ]),
        ),
        ("servers-stored", FromMember::ServersStored(3)),
        ("trust", FromMember::Trust(TrustReport { number: 2, trust: site_trust() })),
        (
            "trust-foreign-issuer",
            FromMember::Trust(TrustReport { number: 2, trust: SiteTrust { issuer: None, ..site_trust() } }),
        ),
    ];
    all.extend(provider::from_member());
    all.extend(host::from_member());
    all
}

/// Every message from the server.
pub(super) fn from_parent() -> Vec<(&'static str, FromParent)> {
    let (site, host) = (DocumentKey::Site, DocumentKey::Host(HOST));
    let mut all = vec![
        (
            "identity",
            FromParent::Identity(IdentityGrant {
                kind: MemberKind::Site,
                name: name("camp-042"),
                environment: name("default"),
                site: SITE,
                host: HOST,
                certificate: b"a certificate".to_vec(),
                gateway_chain: Vec::new(),
                authorities: vec![b"an authority".to_vec(), b"the next one".to_vec()],
            }),
        ),
        (
            "welcome",
            FromParent::Welcome(Welcome {
                version: 1,
                session: SessionId(99),
                wall: WALL,
                spec_incarnation: Incarnation(0x6666_6666_6666_6666),
                status_held: Generation(8),
                events_held: 41,
                redial_spread: Duration::from_secs(30),
                observed_address: text("[2001:db8::7]:51820"),
                pending: false,
                gaps_stored: false,
            }),
        ),
        ("welcome-gaps", FromParent::Welcome(link_gap::welcome())),
        (
            "welcome-pending",
            FromParent::Welcome(Welcome {
                version: 1,
                session: SessionId(100),
                wall: WALL,
                spec_incarnation: Incarnation(0x6666_6666_6666_6666),
                status_held: Generation(0),
                events_held: 0,
                redial_spread: Duration::from_secs(1),
                observed_address: text("192.0.2.7:51820"),
                pending: true,
                gaps_stored: false,
            }),
        ),
        ("spec-snapshot", FromParent::Spec(delta(0, vec![(site, site_spec()), (host, host_spec())]))),
        ("spec-delta", FromParent::Spec(delta(19, vec![(host, tombstone(20))]))),
        ("spec-part", FromParent::Spec(Delta { more: true, ..delta(0, vec![(site, site_spec())]) })),
        ("status-ack", FromParent::StatusAck(Generation(8))),
        ("events-ack", FromParent::EventsAck(42)),
        ("probe", FromParent::Probe),
        ("servers", FromParent::Servers(servers())),
        ("authorities", FromParent::Authorities(authorities())),
    ];
    all.extend(provider::from_parent());
    all.extend(host::from_parent());
    all
}

/// The addresses of a server.
fn servers() -> ServerSet {
    let addresses = ["camp.example.org:7443", "[2001:db8::7]:7443"];
    ServerSet { number: 3, addresses: addresses.map(|text| ServerAddress::parse(text).expect("an address")).to_vec() }
}

/// The authorities that a site has stored.
fn site_trust() -> SiteTrust {
    SiteTrust { trusted: vec![Pin::of(b"next"), Pin::of(b"current")], issuer: Some(Pin::of(b"current")) }
}

/// The authorities of a server.
fn authorities() -> AuthoritySet {
    let authority = |name: &str, cross: Option<&str>| TrustedAuthority {
        pin: Pin::of(name.as_bytes()),
        certificate: name.as_bytes().to_vec(),
        cross_certificate: cross.map(|cross| cross.as_bytes().to_vec()),
    };
    AuthoritySet {
        number: 2,
        authorities: vec![authority("next", Some("next by current")), authority("current", None)],
    }
}

/// A refusal.
pub(super) fn refusal() -> Refusal {
    Refusal::new(RefusalCode::Busy, "too many sites greet at once").retry_after(Duration::from_millis(12_500))
}

/// Every record of a site's database.
pub(super) fn site_records() -> Vec<(&'static str, SiteChange)> {
    let (site, host) = (DocumentKey::Site, DocumentKey::Host(HOST));
    let mut all = vec![
        (
            "origin",
            SiteChange::Origin(Some(SiteOrigin {
                status_incarnation: Incarnation(0x7777_7777_7777_7777),
                spec_incarnation: Incarnation(0x6666_6666_6666_6666),
                events_made: 42,
                events_dropped: 3,
                status_floor: Generation::ZERO,
            })),
        ),
        ("link-record", link_gap::record()),
        (
            "origin-floor",
            SiteChange::Origin(Some(SiteOrigin {
                status_incarnation: Incarnation(0x7777_7777_7777_7777),
                spec_incarnation: Incarnation(0x6666_6666_6666_6666),
                events_made: 42,
                events_dropped: 3,
                status_floor: Generation(6),
            })),
        ),
        ("spec-site", SiteChange::Spec(site, Some(site_spec()))),
        ("spec-host", SiteChange::Spec(host, Some(host_spec()))),
        ("spec-tombstone", SiteChange::Spec(host, Some(tombstone(20)))),
        ("status-site", SiteChange::Status(site, Some(site_status()))),
        ("status-host", SiteChange::Status(host, Some(host_status()))),
        ("status-tombstone", SiteChange::Status(host, Some(tombstone(9)))),
        ("labels-site", SiteChange::LocalLabels(Level::Site, Some(labels(&[("shift", "night")])))),
        ("labels-host", SiteChange::LocalLabels(Level::Host, Some(labels(&[("seat", "left")])))),
        ("file-labels-site", SiteChange::FileLabels(Level::Site, Some(labels(&[("shelf", "4")])))),
        ("event", SiteChange::Event(42, Some(event(None)))),
    ];
    all.extend(provider::site_records());
    all.extend(host::site_records());
    all
}
