//! Samples of the records of the fleet database.

use super::*;

/// Every record of the fleet database.
pub(crate) fn fleet_records() -> Vec<(&'static str, FleetChange)> {
    let (site, host) = (DocumentKey::Site, DocumentKey::Host(HOST));
    let mut all = vec![
        ("origin", FleetChange::Origin(Some(FleetOrigin { spec_incarnation: Incarnation(0x6666_6666_6666_6666) }))),
        (
            "environment",
            FleetChange::Environment(
                name("default"),
                Some(Environment {
                    approval: true,
                    recoveries_per_day_max: 3,
                    removed_keep: Duration::from_secs(604_800),
                }),
            ),
        ),
        (
            "api-key",
            FleetChange::ApiKey(
                SecretHash::from_bytes([0x88; 32]),
                Some(ApiKey::of_console(SecretHash::from_bytes([0x88; 32]), name("night-shift"), WALL)),
            ),
        ),
        ("site-gap", link_gap::gap()),
        ("servers", FleetChange::Servers(Some(servers()))),
        ("authorities", FleetChange::Authorities(Some(FleetAuthorities { set: authorities(), since: WALL }))),
        ("site-trust", FleetChange::SiteTrust(SITE, Some(site_trust()))),
        ("restored", FleetChange::Restored(Some(RestoredFrom { taken_at: WALL, restored_at: WALL }))),
        (
            "held-site",
            FleetChange::HeldSite(
                SITE,
                Some(HeldSite {
                    spec_incarnation: Incarnation(0x6666_6666_6666_6666),
                    spec_generation: Generation(19),
                }),
            ),
        ),
        ("held-token", FleetChange::HeldToken(TOKEN, Some(WALL))),
        ("held-api-key", FleetChange::HeldApiKey(SecretHash::from_bytes([0x88; 32]), Some(WALL))),
        ("token", FleetChange::Token(TOKEN, Some(token()))),
        ("token-use", FleetChange::TokenUse(TOKEN, SITE.into(), Some(WALL))),
        ("site", FleetChange::Site(SITE, Some(registration()))),
        ("site-spec-site", FleetChange::Spec(SITE, site, Some(site_spec()))),
        ("site-spec-host", FleetChange::Spec(SITE, host, Some(host_spec()))),
        ("site-spec-tombstone", FleetChange::Spec(SITE, host, Some(tombstone(20)))),
        ("site-status-site", FleetChange::Status(SITE, site, Some(site_status()))),
        ("site-status-host", FleetChange::Status(SITE, host, Some(host_status()))),
        ("site-status-tombstone", FleetChange::Status(SITE, host, Some(tombstone(9)))),
        (
            "site-cursor",
            FleetChange::ReplicationCursor(
                SITE,
                Some(ReplicationCursor {
                    status_incarnation: Incarnation(0x7777_7777_7777_7777),
                    status_run: None,
                    events_held: 42,
                    events_dropped: 3,
                    spec_incarnation: None,
                    spec_floor: Generation::ZERO,
                }),
            ),
        ),
        (
            "site-cursor-incarnation",
            FleetChange::ReplicationCursor(
                SITE,
                Some(ReplicationCursor {
                    status_incarnation: Incarnation(0x7777_7777_7777_7777),
                    status_run: Some(RunId::from_bytes([0x55; 8])),
                    events_held: 42,
                    events_dropped: 3,
                    spec_incarnation: Some(Incarnation(0x8888_8888_8888_8888)),
                    spec_floor: Generation(17),
                }),
            ),
        ),
        (
            "event",
            FleetChange::Event(7, Some(LoggedEvent { event: event(Some(SITE)), received_at: None, actor: None })),
        ),
        (
            "event-of-a-site",
            FleetChange::Event(
                8,
                Some(LoggedEvent { event: event(Some(SITE)), received_at: Some(LATER), actor: None }),
            ),
        ),
        (
            "event-of-an-actor",
            FleetChange::Event(
                9,
                Some(LoggedEvent { event: event(Some(SITE)), received_at: None, actor: Some(text("user anna")) }),
            ),
        ),
        ("site-key", FleetChange::SiteKey(SITE, KeyFingerprint::from_bytes([0x11; 32]), Some(WALL))),
        ("host", FleetChange::Host(SITE, HOST, Some(HostRegistration { life: life(Phase::Deactivating, 19) }))),
        ("revoked-key", FleetChange::RevokedKey(KeyFingerprint::from_bytes([0x99; 32]), Some(LATER))),
    ];
    all.extend(provider::fleet_records());
    all.extend(user::fleet_records());
    all.extend(bulk_action::fleet_records());
    all.extend(audit::fleet_records());
    all.extend(host::fleet_records());
    all
}

fn token() -> Token {
    Token {
        secret: SecretHash::from_bytes([0xaa; 32]),
        environment: name("default"),
        created_at: WALL,
        expires_at: WallTime::from_unix_millis(1_795_400_824_000),
        uses_max: 50,
        labels: labels(&[("region", "eu")]),
        hosts: None,
        revoked_at: Some(LATER),
        replaces: Some(SITE),
    }
}

fn life(phase: Phase, requested_at: u64) -> Life {
    Life { phase, since: LATER, requested_at: Generation(requested_at) }
}

fn registration() -> Registration {
    Registration {
        gateway: HOST,
        environment: name("default"),
        token: TOKEN,
        joined_at: WALL,
        life: life(Phase::Active, 1),
        offline_since: Some(LATER),
        recoveries: Recoveries { total: 4, today: 1, day: WALL },
    }
}
