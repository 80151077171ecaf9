//! Hosts that joined by themselves, and the tokens that hosts join with.

use linecamp_model::limits::{KEYS_PER_HOST_MAX, TOKEN_USES_MAX};
use linecamp_model::{
    HostDaemon, HostLink, HostMember, HostMemberChange, HostMemberRegistration, HostMembership, HostToken, Parent,
    TokenHosts,
};

use super::*;

fn fingerprint() -> impl Strategy<Value = KeyFingerprint> {
    uniform32(any::<u8>()).prop_map(KeyFingerprint::from_bytes)
}

fn keys() -> impl Strategy<Value = BTreeSet<KeyFingerprint>> {
    btree_set(fingerprint(), 1..=KEYS_PER_HOST_MAX)
}

fn parent() -> impl Strategy<Value = Parent> {
    select(&[Parent::Server, Parent::Gateway])
}

/// The spec of a host, of a gateway too.
pub(super) fn spec() -> impl Strategy<Value = SpecBody> {
    let origin = select(&[Origin::Gateway, Origin::Custom, Origin::Provider]);
    let member = (parent(), token_id(), keys(), wall(), labels(), labels()).prop_map(
        |(parent, token, keys, joined_at, local, reported)| HostMember {
            parent,
            token,
            keys,
            joined_at,
            local,
            reported,
        },
    );
    (name(), origin, text(), target(), labels(), option::of(member)).prop_map(
        |(name, origin, description, target, assigned, member)| {
            SpecBody::Host(HostSpec { name, origin, description, target, assigned, member })
        },
    )
}

/// A token that hosts join with.
pub(super) fn token() -> impl Strategy<Value = HostToken> {
    let secret = uniform32(any::<u8>()).prop_map(SecretHash::from_bytes);
    (secret, wall(), wall(), 0..=TOKEN_USES_MAX).prop_map(|(secret, created_at, expires_at, uses_max)| HostToken {
        secret,
        created_at,
        expires_at,
        uses_max,
    })
}

/// A token in a spec, or its tombstone.
pub(super) fn token_spec() -> BoxedStrategy<Keyed<SpecBody>> {
    let id = token_id().prop_map(DocumentKey::HostToken);
    (id, option::of(token().prop_map(SpecBody::HostToken))).boxed()
}

/// The hosts that join with a token of the fleet.
pub(super) fn token_hosts() -> impl Strategy<Value = TokenHosts> {
    (site_id(), parent()).prop_map(|(site, parent)| TokenHosts { site, parent })
}

/// The status of a host, of a gateway too.
pub(super) fn status() -> impl Strategy<Value = StatusBody> {
    (labels(), labels(), option::of(daemon()), option::of(membership())).prop_map(
        |(local, reported, daemon, membership)| StatusBody::Host(HostStatus { local, reported, daemon, membership }),
    )
}

fn daemon() -> impl Strategy<Value = HostDaemon> {
    (text(), incarnation(), generation(), conditions()).prop_map(|(version, spec_incarnation, applied, conditions)| {
        HostDaemon { version, spec_incarnation, applied, conditions }
    })
}

fn membership() -> impl Strategy<Value = HostMembership> {
    (name(), token_id(), keys(), wall(), option::of(wall()), link()).prop_map(
        |(name, token, keys, joined_at, removed_at, link)| HostMembership {
            name,
            token,
            keys,
            joined_at,
            removed_at,
            link,
        },
    )
}

fn link() -> impl Strategy<Value = HostLink> {
    (any::<bool>(), wall()).prop_map(|(is_disconnected, since)| HostLink { is_disconnected, since })
}

fn registration() -> impl Strategy<Value = HostMemberRegistration> {
    (name(), token_id(), wall(), link(), record::recoveries(), any::<bool>(), option::of(wall())).prop_map(
        |(name, token, joined_at, link, recoveries, in_spec, removed_at)| HostMemberRegistration {
            name,
            token,
            joined_at,
            link,
            recoveries,
            in_spec,
            removed_at,
        },
    )
}

/// A record of a host, in the database of its parent.
fn member_change() -> impl Strategy<Value = HostMemberChange> {
    prop_oneof![
        registration().prop_map(|body| HostMemberChange::Registration(Some(body))),
        (fingerprint(), wall()).prop_map(|(key, at)| HostMemberChange::Key(key, Some(at))),
        record::status_record().prop_map(|(key, document)| HostMemberChange::Status(key, Some(document))),
        record::cursor().prop_map(|body| HostMemberChange::Cursor(Some(body))),
        (counter(), link_gap::gap())
            .prop_map(|(began_at, gap)| HostMemberChange::LinkGap(WallTime::from_unix_millis(began_at), Some(gap))),
    ]
}

/// A record of a site's database that is about hosts.
pub(super) fn site_record() -> impl Strategy<Value = SiteChange> {
    prop_oneof![
        3 => (host_id(), member_change()).prop_map(|(host, change)| SiteChange::Host(host, change)),
        1 => (fingerprint(), wall()).prop_map(|(key, at)| SiteChange::RevokedHostKey(key, Some(at))),
        1 => (token_id(), token()).prop_map(|(id, token)| SiteChange::HostToken(id, Some(token))),
        1 => (token_id(), host_id(), wall()).prop_map(|(id, host, at)| SiteChange::HostTokenUse(id, host, Some(at))),
    ]
}

/// A record of the fleet database that is about hosts.
pub(super) fn fleet_record() -> impl Strategy<Value = FleetChange> {
    let change = (site_id(), host_id(), member_change());
    prop_oneof![
        3 => change.prop_map(|(site, host, change)| FleetChange::HostMember(site, host, change)),
        1 => (token_id(), host_id(), wall())
            .prop_map(|(id, host, at)| FleetChange::TokenUse(id, host.into(), Some(at))),
    ]
}
