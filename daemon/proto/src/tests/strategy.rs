//! Arbitrary valid values. Lists are mostly short and occasionally of the maximum length.

mod audit;
mod bulk_action;
mod host;
mod link_gap;
mod provider;
mod record;
mod user;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use linecamp_model::limits::{
    AUTHORITIES_PER_SET_MAX, CONDITIONS_MAX, EVENTS_PER_MESSAGE_MAX, GATEWAY_CHAIN_MAX, LABEL_KEY_BYTES_MAX,
    LABEL_VALUE_BYTES_MAX, LABELS_PER_OWNER_MAX, LINK_GAPS_WAITING_MAX, NAME_BYTES_MAX, SERVERS_PER_SITE_MAX,
    TEXT_BYTES_MAX,
};
use linecamp_model::{
    ApiKey, AuthoritySet, Condition, ConditionKind, Delta, Document, DocumentKey, Environment, Event, EventBatch,
    EventKind, FleetAuthorities, FleetChange, FleetOrigin, FromMember, FromParent, Generation, HeldSite, Hello, HostId,
    HostRegistration, HostSpec, HostStatus, IdentityGrant, Incarnation, JoinRequest, JoinSecret, KeyFingerprint,
    LabelEntry, LabelKey, LabelSet, LabelValue, Level, Life, LoggedEvent, MemberKind, Name, Origin, Phase, Pin,
    Recoveries, Refusal, RefusalCode, Registration, ReplicationCursor, RestoredFrom, RunId, SecretHash, ServerAddress,
    ServerSet, SessionId, SiteChange, SiteId, SiteOrigin, SiteSpec, SiteStatus, SiteTrust, SpecBody, SpecDelta,
    StatusBody, StatusDelta, Target, Text, Token, TokenId, TrustReport, TrustedAuthority, VersionRange, WallTime,
    Welcome,
};
use proptest::array::{uniform8, uniform16, uniform32};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::limits::{AUTHORITIES_MAX, COUNTER_MAX, DOCUMENTS_MAX};

pub(super) use self::record::{fleet_record, site_record};

/// The usual maximum length of lists and texts: generating every character of every label is slow.
const SHORT: usize = 4;

fn length(max: usize) -> impl Strategy<Value = usize> {
    prop_oneof![19 => 0..=SHORT.min(max), 1 => Just(max)]
}

/// Texts from `alphabet`: mostly short, occasionally of exactly `bytes_max` bytes or a little less.
fn word(alphabet: &'static [char], bytes_max: usize) -> impl Strategy<Value = String> {
    let short = vec(select(alphabet), 0..=SHORT).prop_map(String::from_iter);
    let long = vec(select(alphabet), SHORT).prop_map(move |chars| {
        let mut text = String::new();
        for c in chars.iter().cycle() {
            if bytes_max < text.len() + c.len_utf8() {
                break;
            }
            text.push(*c);
        }
        text
    });
    prop_oneof![9 => short, 1 => long]
}

fn name() -> impl Strategy<Value = Name> {
    let inner = word(&['a', 'z', '0', '9', '-'], NAME_BYTES_MAX - 2);
    inner.prop_map(|inner| Name::parse(&format!("a{inner}9")).expect("a name"))
}

fn text() -> impl Strategy<Value = Text> {
    word(&['a', ' ', '"', '\\', '\u{e9}', '\u{1f3d5}'], TEXT_BYTES_MAX)
        .prop_map(|text| Text::parse(&text).expect("a text"))
}

fn label_key() -> impl Strategy<Value = LabelKey> {
    let inner = word(&['a', 'Z', '0', '9', '.', '_', '/', ':', '-'], LABEL_KEY_BYTES_MAX - 2);
    inner.prop_map(|inner| LabelKey::parse(&format!("K{inner}0")).expect("a key"))
}

fn label_value() -> impl Strategy<Value = LabelValue> {
    let text = word(&['a', ' ', '=', '\u{e9}', '\u{1f3d5}'], LABEL_VALUE_BYTES_MAX);
    text.prop_map(|text| LabelValue::parse(&text).expect("a value"))
}

fn labels() -> impl Strategy<Value = LabelSet> {
    let held = || (label_value(), wall()).prop_map(|(value, since)| LabelEntry { value, since });
    length(LABELS_PER_OWNER_MAX)
        .prop_flat_map(move |count| btree_map(label_key(), held(), 0..=count))
        .prop_map(|labels| LabelSet::from_map(labels).expect("few"))
}

fn counter() -> impl Strategy<Value = u64> {
    prop_oneof![0..100_u64, 0..=COUNTER_MAX, Just(COUNTER_MAX)]
}

fn generation() -> impl Strategy<Value = Generation> {
    counter().prop_map(Generation)
}

fn incarnation() -> impl Strategy<Value = Incarnation> {
    any::<u64>().prop_map(Incarnation)
}

fn wall() -> impl Strategy<Value = WallTime> {
    any::<u64>().prop_map(WallTime::from_unix_millis)
}

fn duration() -> impl Strategy<Value = Duration> {
    any::<u64>().prop_map(Duration::from_millis)
}

fn site_id() -> impl Strategy<Value = SiteId> {
    uniform16(any::<u8>()).prop_map(SiteId::from_bytes)
}

fn host_id() -> impl Strategy<Value = HostId> {
    uniform16(any::<u8>()).prop_map(HostId::from_bytes)
}

fn token_id() -> impl Strategy<Value = TokenId> {
    uniform8(any::<u8>()).prop_map(TokenId::from_bytes)
}

fn condition(kind: ConditionKind) -> impl Strategy<Value = Condition> {
    (wall(), text()).prop_map(move |(since, detail)| Condition { kind, since, detail })
}

fn conditions() -> impl Strategy<Value = Vec<Condition>> {
    let kinds = ConditionKind::ALL.to_vec();
    let count_max = kinds.len().min(CONDITIONS_MAX);
    subsequence(kinds, 0..=count_max)
        .prop_shuffle()
        .prop_flat_map(|kinds| kinds.into_iter().map(condition).collect::<Vec<_>>())
}

fn event() -> impl Strategy<Value = Event> {
    let parts = (wall(), select(EventKind::ALL), option::of(site_id()), option::of(host_id()), text());
    parts.prop_map(|(at, kind, site, host, text)| Event { at, kind, site, host, text })
}

fn target() -> impl Strategy<Value = Target> {
    select(&[Target::Pending, Target::Active, Target::Inactive, Target::Removed])
}

fn site_spec() -> impl Strategy<Value = SpecBody> {
    (name(), name(), text(), target(), labels()).prop_map(|(name, environment, description, target, assigned)| {
        SpecBody::Site(SiteSpec { name, environment, description, target, assigned })
    })
}

fn site_status() -> impl Strategy<Value = StatusBody> {
    (text(), incarnation(), generation(), generation(), labels(), conditions()).prop_map(
        |(daemon_version, spec_incarnation, applied, converged, local, conditions)| {
            StatusBody::Site(SiteStatus { daemon_version, spec_incarnation, applied, converged, local, conditions })
        },
    )
}

type Keyed<B> = (DocumentKey, Option<B>);

fn spec_body() -> BoxedStrategy<Keyed<SpecBody>> {
    let hosts = keyed(option::of(site_spec()).boxed(), option::of(host::spec()).boxed());
    let providers = provider::provider_spec_body();
    prop_oneof![4 => hosts, 1 => providers, 1 => provider::gone(), 1 => host::token_spec()].boxed()
}

fn status_body() -> BoxedStrategy<Keyed<StatusBody>> {
    let hosts = keyed(option::of(site_status()).boxed(), option::of(host::status()).boxed());
    prop_oneof![4 => hosts, 1 => provider::provider_status_body(), 1 => provider::gone()].boxed()
}

fn keyed<B: std::fmt::Debug + Clone + 'static>(
    site: BoxedStrategy<Option<B>>,
    host: BoxedStrategy<Option<B>>,
) -> BoxedStrategy<Keyed<B>> {
    let id = host_id().prop_map(DocumentKey::Host);
    prop_oneof![(Just(DocumentKey::Site), site), (id, host)].boxed()
}

fn document<B: std::fmt::Debug + 'static>(
    body: BoxedStrategy<Keyed<B>>,
    generations: RangeInclusive<u64>,
) -> BoxedStrategy<(DocumentKey, Document<B>)> {
    let generation = generations.prop_map(Generation);
    (body, generation).prop_map(|((key, body), generation)| (key, Document { generation, body })).boxed()
}

fn delta<B: std::fmt::Debug + Clone + 'static>(body: BoxedStrategy<Keyed<B>>) -> BoxedStrategy<Delta<B>> {
    let span = prop_oneof![
        (1..COUNTER_MAX).prop_map(|to| (0, to, true)),
        (0..COUNTER_MAX - 1, 1..1_000_u64, Just(false)).prop_map(|(base, more, snapshot)| (
            base,
            base.saturating_add(more).min(COUNTER_MAX),
            snapshot
        )),
    ];
    (span, length(DOCUMENTS_MAX), any::<bool>())
        .prop_flat_map(move |((base, to, snapshot), count, more)| {
            let documents = vec(document(body.clone(), base + 1..=to), count);
            documents.prop_map(move |documents| Delta {
                base: Generation(base),
                to: Generation(to),
                snapshot,
                more: more && !documents.is_empty(),
                documents: documents.into_iter().collect::<BTreeMap<_, _>>(),
            })
        })
        .boxed()
}

/// Any spec delta, or a part of one.
pub(super) fn spec_delta() -> BoxedStrategy<SpecDelta> {
    delta(spec_body())
}

/// Any status delta, or a part of one.
pub(super) fn status_delta() -> BoxedStrategy<StatusDelta> {
    delta(status_body())
}

fn versions() -> impl Strategy<Value = VersionRange> {
    (1..=u32::MAX).prop_flat_map(|min| (min..=u32::MAX).prop_map(move |max| VersionRange { min, max }))
}

fn member_kind() -> impl Strategy<Value = MemberKind> {
    select(&[MemberKind::Site, MemberKind::Host])
}

fn join() -> impl Strategy<Value = JoinRequest> {
    let secret = uniform16(any::<u8>()).prop_map(JoinSecret::from_bytes);
    (versions(), token_id(), secret, member_kind(), name(), option::of(name()), text()).prop_map(
        |(versions, token, secret, kind, name, site, daemon_version)| JoinRequest {
            versions,
            token,
            secret,
            kind,
            name,
            site,
            daemon_version,
        },
    )
}

fn hello() -> impl Strategy<Value = Hello> {
    let run = uniform8(any::<u8>()).prop_map(RunId::from_bytes);
    let facts = labels().prop_map(|set| set.iter().map(|(key, held)| (key.clone(), held.value.clone())).collect());
    let gaps = vec(link_gap::report(), 0..=LINK_GAPS_WAITING_MAX);
    let about = (facts, gaps, option::of(target()));
    (versions(), run, text(), wall(), incarnation(), generation(), incarnation(), about).prop_map(
        |(versions, run, daemon_version, wall, spec_incarnation, spec_held, status_incarnation, about)| Hello {
            versions,
            run,
            daemon_version,
            wall,
            spec_incarnation,
            spec_held,
            status_incarnation,
            facts: about.0,
            gaps: about.1,
            target: about.2,
        },
    )
}

fn batch() -> impl Strategy<Value = EventBatch> {
    let events = length(EVENTS_PER_MESSAGE_MAX).prop_flat_map(|count| vec(event(), count));
    (counter(), counter(), events).prop_map(|(first, dropped, events)| {
        let first = first.clamp(1, COUNTER_MAX - events.len() as u64);
        EventBatch { first, dropped, events }
    })
}

/// Any message from a site.
pub(super) fn from_member() -> impl Strategy<Value = FromMember> {
    prop_oneof![
        1 => join().prop_map(FromMember::Join),
        1 => hello().prop_map(FromMember::Hello),
        1 => generation().prop_map(FromMember::SpecAck),
        3 => status_delta().prop_map(FromMember::Status),
        1 => batch().prop_map(FromMember::Events),
        1 => Just(FromMember::Renew),
        1 => Just(FromMember::Alive),
        1 => Just(FromMember::Leave),
        1 => provider::want().prop_map(FromMember::WantPlugin),
        1 => conditions().prop_map(|mut all| {
            all.retain(|condition| condition.kind.is_of_storage());
            FromMember::Storage(all)
        }),
        1 => counter().prop_map(FromMember::ServersStored),
        1 => (1..=COUNTER_MAX, site_trust())
            .prop_map(|(number, trust)| FromMember::Trust(TrustReport { number, trust })),
    ]
}

fn grant() -> impl Strategy<Value = IdentityGrant> {
    let certificate = || vec(any::<u8>(), 1..400);
    let ids = (site_id(), host_id());
    let certificates = (certificate(), vec(certificate(), 0..=GATEWAY_CHAIN_MAX));
    (member_kind(), name(), name(), ids, certificates, vec(certificate(), 1..=AUTHORITIES_MAX)).prop_map(
        |(kind, name, environment, (site, host), (certificate, gateway_chain), authorities)| IdentityGrant {
            kind,
            name,
            environment,
            site,
            host,
            certificate,
            gateway_chain,
            authorities,
        },
    )
}

fn welcome() -> impl Strategy<Value = Welcome> {
    let session = counter().prop_map(SessionId);
    let address = (text(), any::<bool>(), any::<bool>());
    (1..=u32::MAX, session, wall(), incarnation(), generation(), counter(), duration(), address).prop_map(
        |(version, session, wall, spec_incarnation, status_held, events_held, redial_spread, address)| Welcome {
            version,
            session,
            wall,
            spec_incarnation,
            status_held,
            events_held,
            redial_spread,
            observed_address: address.0,
            pending: address.1,
            gaps_stored: address.2,
        },
    )
}

fn server_set() -> impl Strategy<Value = ServerSet> {
    let address = |port: u16| ServerAddress::parse(&format!("camp.example:{port}")).unwrap();
    let addresses = btree_set(1..=u16::MAX, 1..=SERVERS_PER_SITE_MAX);
    (1..=COUNTER_MAX, addresses).prop_map(move |(number, ports)| {
        let addresses = ports.into_iter().map(address).collect();
        ServerSet { number, addresses }
    })
}

fn pin() -> impl Strategy<Value = Pin> {
    any::<[u8; 32]>().prop_map(Pin::from_bytes)
}

fn site_trust() -> impl Strategy<Value = SiteTrust> {
    (btree_set(pin(), 0..=AUTHORITIES_PER_SET_MAX), option::of(pin()))
        .prop_map(|(trusted, issuer)| SiteTrust { trusted: trusted.into_iter().collect(), issuer })
}

fn authority_set() -> impl Strategy<Value = AuthoritySet> {
    let der = || vec(any::<u8>(), 1..400);
    let parts = (der(), option::of(der()));
    let authorities = btree_map(any::<[u8; 32]>(), parts, 1..=AUTHORITIES_PER_SET_MAX);
    (1..=COUNTER_MAX, authorities).prop_map(|(number, found)| {
        let authority = |(pin, (certificate, cross_certificate))| TrustedAuthority {
            pin: Pin::from_bytes(pin),
            certificate,
            cross_certificate,
        };
        AuthoritySet { number, authorities: found.into_iter().map(authority).collect() }
    })
}

/// Any message from the server.
pub(super) fn from_parent() -> impl Strategy<Value = FromParent> {
    prop_oneof![
        1 => grant().prop_map(FromParent::Identity),
        1 => welcome().prop_map(FromParent::Welcome),
        3 => spec_delta().prop_map(FromParent::Spec),
        1 => generation().prop_map(FromParent::StatusAck),
        1 => counter().prop_map(FromParent::EventsAck),
        1 => Just(FromParent::Probe),
        1 => provider::piece().prop_map(FromParent::Plugin),
        1 => server_set().prop_map(FromParent::Servers),
        1 => authority_set().prop_map(FromParent::Authorities),
    ]
}

/// Any refusal.
pub(super) fn refusal() -> impl Strategy<Value = Refusal> {
    let parts = (select(RefusalCode::ALL), text(), option::of(duration()));
    parts.prop_map(|(code, text, retry_after)| Refusal { code, text, retry_after })
}
