//! Records of the two databases.

use super::*;

fn spec_record() -> impl Strategy<Value = (DocumentKey, Document<SpecBody>)> {
    document(spec_body(), 0..=COUNTER_MAX)
}

pub(super) fn status_record() -> impl Strategy<Value = (DocumentKey, Document<StatusBody>)> {
    document(status_body(), 0..=COUNTER_MAX)
}

/// Any record of a site's database.
pub(crate) fn site_record() -> impl Strategy<Value = SiteChange> {
    let origin = (incarnation(), incarnation(), counter(), counter(), generation()).prop_map(
        |(status_incarnation, spec_incarnation, events_made, events_dropped, status_floor)| {
            let origin = SiteOrigin { status_incarnation, spec_incarnation, events_made, events_dropped, status_floor };
            SiteChange::Origin(Some(origin))
        },
    );
    prop_oneof![
        origin,
        spec_record().prop_map(|(key, document)| SiteChange::Spec(key, Some(document))),
        status_record().prop_map(|(key, document)| SiteChange::Status(key, Some(document))),
        (select(&[Level::Site, Level::Host]), labels())
            .prop_map(|(level, labels)| SiteChange::LocalLabels(level, Some(labels))),
        (select(&[Level::Site, Level::Host]), labels())
            .prop_map(|(level, labels)| SiteChange::FileLabels(level, Some(labels))),
        (counter(), event()).prop_map(|(number, event)| SiteChange::Event(number, Some(event))),
        provider::address().prop_map(|address| SiteChange::ObservedAddress(Some(address))),
        link_gap::record().prop_map(|record| SiteChange::LinkRecord(Some(Box::new(record)))),
        provider::held().prop_map(|(key, held)| SiteChange::OwnedRecord(key, Some(held))),
        host::site_record(),
    ]
}

fn life() -> impl Strategy<Value = Life> {
    let parts = (select(&Phase::ALL), wall(), generation());
    parts.prop_map(|(phase, since, requested_at)| Life { phase, since, requested_at })
}

pub(super) fn recoveries() -> impl Strategy<Value = Recoveries> {
    (any::<u32>(), any::<u32>(), wall()).prop_map(|(total, today, day)| Recoveries { total, today, day })
}

fn registration() -> impl Strategy<Value = Registration> {
    let origin = (host_id(), name(), token_id(), wall());
    let lives = (life(), option::of(wall()));
    (origin, lives, recoveries()).prop_map(|(origin, lives, recoveries)| Registration {
        gateway: origin.0,
        environment: origin.1,
        token: origin.2,
        joined_at: origin.3,
        life: lives.0,
        offline_since: lives.1,
        recoveries,
    })
}

fn token() -> impl Strategy<Value = Token> {
    let secret = uniform32(any::<u8>()).prop_map(SecretHash::from_bytes);
    let replaces = option::of(site_id());
    let about = (option::of(wall()), replaces, option::of(host::token_hosts()));
    (secret, name(), wall(), wall(), any::<u32>(), labels(), about).prop_map(
        |(secret, environment, created_at, expires_at, uses_max, labels, (revoked_at, replaces, hosts))| Token {
            secret,
            environment,
            created_at,
            expires_at,
            uses_max,
            labels,
            hosts,
            revoked_at,
            replaces,
        },
    )
}

pub(super) fn cursor() -> impl Strategy<Value = ReplicationCursor> {
    let run = option::of(uniform8(1..=u8::MAX).prop_map(RunId::from_bytes));
    (incarnation(), counter(), counter(), run, option::of((1..=u64::MAX).prop_map(Incarnation)), generation()).prop_map(
        |(status_incarnation, events_held, events_dropped, status_run, spec_incarnation, spec_floor)| {
            ReplicationCursor {
                status_incarnation,
                status_run,
                events_held,
                events_dropped,
                spec_incarnation,
                spec_floor,
            }
        },
    )
}

/// Any record of the fleet database.
pub(crate) fn fleet_record() -> impl Strategy<Value = FleetChange> {
    let environment =
        (any::<bool>(), any::<u32>(), duration()).prop_map(|(approval, recoveries_per_day_max, removed_keep)| {
            Environment { approval, recoveries_per_day_max, removed_keep }
        });
    let logged = (event(), option::of(wall()), option::of(audit::nonempty_text()))
        .prop_map(|(event, received_at, actor)| LoggedEvent { event, received_at, actor });
    let digest = || uniform32(any::<u8>());
    prop_oneof![
        incarnation().prop_map(|spec_incarnation| FleetChange::Origin(Some(FleetOrigin { spec_incarnation }))),
        (name(), environment).prop_map(|(name, body)| FleetChange::Environment(name, Some(body))),
        user::fleet_record(),
        bulk_action::fleet_record(),
        audit::fleet_record(),
        host::fleet_record(),
        (token_id(), token()).prop_map(|(id, body)| FleetChange::Token(id, Some(body))),
        (token_id(), site_id(), wall()).prop_map(|(id, site, at)| FleetChange::TokenUse(id, site.into(), Some(at))),
        (site_id(), registration()).prop_map(|(site, body)| FleetChange::Site(site, Some(body))),
        (site_id(), digest(), wall()).prop_map(|(site, key, at)| FleetChange::SiteKey(
            site,
            KeyFingerprint::from_bytes(key),
            Some(at)
        )),
        (site_id(), host_id(), life()).prop_map(|(site, host, life)| FleetChange::Host(
            site,
            host,
            Some(HostRegistration { life })
        )),
        (site_id(), spec_record()).prop_map(|(site, (key, body))| FleetChange::Spec(site, key, Some(body))),
        (site_id(), status_record()).prop_map(|(site, (key, body))| FleetChange::Status(site, key, Some(body))),
        (site_id(), cursor()).prop_map(|(site, body)| FleetChange::ReplicationCursor(site, Some(body))),
        (counter(), logged).prop_map(|(number, body)| FleetChange::Event(number, Some(body))),
        (digest(), wall()).prop_map(|(key, at)| FleetChange::RevokedKey(KeyFingerprint::from_bytes(key), Some(at))),
        (name(), provider::fleet_provider()).prop_map(|(environment, provider)| {
            FleetChange::Provider(environment, provider.spec.name.clone(), Some(Box::new(provider)))
        }),
        provider::plugin_file().prop_map(|(digest, file)| FleetChange::Plugin(digest, Some(file))),
        server_set().prop_map(|set| FleetChange::Servers(Some(set))),
        (site_id(), counter(), link_gap::gap()).prop_map(|(site, began_at, gap)| {
            FleetChange::LinkGap(site, WallTime::from_unix_millis(began_at), Some(gap))
        }),
        (authority_set(), wall())
            .prop_map(|(set, since)| FleetChange::Authorities(Some(FleetAuthorities { set, since }))),
        (site_id(), site_trust()).prop_map(|(site, trust)| FleetChange::SiteTrust(site, Some(trust))),
        (wall(), wall()).prop_map(|(taken_at, restored_at)| {
            FleetChange::Restored(Some(RestoredFrom { taken_at, restored_at }))
        }),
        (site_id(), incarnation(), generation()).prop_map(|(site, spec_incarnation, spec_generation)| {
            FleetChange::HeldSite(site, Some(HeldSite { spec_incarnation, spec_generation }))
        }),
        (token_id(), wall()).prop_map(|(id, at)| FleetChange::HeldToken(id, Some(at))),
        (digest(), wall()).prop_map(|(hash, at)| FleetChange::HeldApiKey(SecretHash::from_bytes(hash), Some(at))),
    ]
}
