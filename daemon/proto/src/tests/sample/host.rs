//! Hosts that joined by themselves: their messages, documents and records.

use linecamp_model::{
    HostDaemon, HostLink, HostMember, HostMemberChange, HostMemberRegistration, HostMembership, HostToken, LinkGap,
    Parent, TokenHosts,
};

use super::*;

const HOST_TOKEN: TokenId = TokenId::from_bytes([0x35; 8]);

fn keys() -> BTreeSet<KeyFingerprint> {
    [0x41, 0x42].map(|byte| KeyFingerprint::from_bytes([byte; 32])).into()
}

fn spec() -> Document<SpecBody> {
    Document {
        generation: Generation(21),
        body: Some(SpecBody::Host(HostSpec {
            name: name("press-3"),
            origin: Origin::Custom,
            description: text("the third press"),
            target: Target::Active,
            assigned: labels(&[("line", "b")]),
            member: Some(HostMember {
                parent: Parent::Gateway,
                token: TokenId::from_bytes([6; 8]),
                keys: keys(),
                joined_at: WALL,
                local: labels(&[("door", "2")]),
                reported: labels(&[("arch", "x86_64")]),
            }),
        })),
    }
}

fn host_token() -> HostToken {
    HostToken {
        secret: SecretHash::from_bytes([0xab; 32]),
        created_at: WALL,
        expires_at: WallTime::from_unix_millis(1_795_400_824_000),
        uses_max: 20,
    }
}

fn host_token_spec() -> Document<SpecBody> {
    Document { generation: Generation(22), body: Some(SpecBody::HostToken(host_token())) }
}

fn daemon() -> HostDaemon {
    HostDaemon {
        version: text("0.2.0"),
        spec_incarnation: Incarnation(0x6666_6666_6666_6666),
        applied: Generation(21),
        conditions: vec![
            condition(ConditionKind::DiskFull, "the disk of /var/lib/linecamp is full"),
            condition(ConditionKind::FactsStale, "facts.d/10-press.sh takes too long"),
        ],
    }
}

fn membership() -> HostMembership {
    HostMembership {
        name: name("press-3"),
        token: HOST_TOKEN,
        keys: keys(),
        joined_at: WALL,
        removed_at: Some(LATER),
        link: HostLink { is_disconnected: true, since: LATER },
    }
}

fn status(membership: Option<HostMembership>) -> Document<StatusBody> {
    Document {
        generation: Generation(10),
        body: Some(StatusBody::Host(HostStatus {
            local: labels(&[("shift", "night")]),
            reported: labels(&[("io.linecamp.host.arch", "x86_64")]),
            daemon: Some(daemon()),
            membership,
        })),
    }
}

fn event_of_host(kind: EventKind, site: Option<SiteId>) -> Event {
    Event { at: WALL, kind, site, host: Some(HOST), text: text("press-3") }
}

/// The messages of a host, and of a gateway about its hosts.
pub(super) fn from_member() -> Vec<(&'static str, FromMember)> {
    let events = vec![event_of_host(EventKind::HostJoined, Some(SITE)), event_of_host(EventKind::DaemonStarted, None)];
    vec![
        (
            "join-host",
            FromMember::Join(JoinRequest {
                versions: VersionRange { min: 1, max: 2 },
                token: HOST_TOKEN,
                secret: JoinSecret::from_bytes([0x44; 16]),
                kind: MemberKind::Host,
                name: name("press-3"),
                site: Some(name("camp-042")),
                daemon_version: text("0.2.0"),
            }),
        ),
        (
            "status-host-member",
            FromMember::Status(delta(9, vec![(DocumentKey::Host(HOST), status(Some(membership())))])),
        ),
        ("events-of-hosts", FromMember::Events(EventBatch { first: 43, dropped: 3, events })),
    ]
}

/// The messages to a host, and to a gateway about its hosts.
pub(super) fn from_parent() -> Vec<(&'static str, FromParent)> {
    let documents = vec![
        (DocumentKey::Host(HOST), spec()),
        (DocumentKey::HostToken(HOST_TOKEN), host_token_spec()),
        (DocumentKey::HostToken(TOKEN), tombstone(23)),
    ];
    vec![
        (
            "identity-host",
            FromParent::Identity(IdentityGrant {
                kind: MemberKind::Host,
                name: name("press-3"),
                environment: name("default"),
                site: SITE,
                host: HOST,
                certificate: b"a certificate".to_vec(),
                gateway_chain: Vec::new(),
                authorities: vec![b"an authority".to_vec()],
            }),
        ),
        (
            "identity-gateway",
            FromParent::Identity(IdentityGrant {
                kind: MemberKind::Site,
                name: name("camp-042"),
                environment: name("default"),
                site: SITE,
                host: HOST,
                certificate: b"a certificate".to_vec(),
                gateway_chain: vec![b"another certificate".to_vec(), b"an authority".to_vec()],
                authorities: vec![b"an authority".to_vec()],
            }),
        ),
        ("spec-host-member", FromParent::Spec(delta(20, documents))),
    ]
}

/// What is stored of a host, with the name of each record.
fn member_records() -> [(&'static str, HostMemberChange); 6] {
    let gap = LinkGap {
        ended_at: LATER,
        times: link_gap::times(),
        refusal: Some(RefusalCode::Busy),
        last_error: text("no route to gateway.example:8443"),
        merged: 1,
    };
    [
        ("host-member", HostMemberChange::Registration(Some(registration()))),
        ("host-member-key", HostMemberChange::Key(KeyFingerprint::from_bytes([0x41; 32]), Some(WALL))),
        ("host-member-status", HostMemberChange::Status(DocumentKey::Host(HOST), Some(status(None)))),
        ("host-member-status-tombstone", HostMemberChange::Status(DocumentKey::Host(HOST), Some(tombstone(11)))),
        (
            "host-member-cursor",
            HostMemberChange::Cursor(Some(ReplicationCursor {
                status_incarnation: Incarnation(0x7777_7777_7777_7777),
                status_run: Some(RunId::from_bytes([0x55; 8])),
                events_held: 42,
                events_dropped: 3,
                spec_incarnation: Some(Incarnation(0x8888_8888_8888_8888)),
                spec_floor: Generation(17),
            })),
        ),
        ("host-member-gap", HostMemberChange::LinkGap(WALL, Some(gap))),
    ]
}

fn registration() -> HostMemberRegistration {
    HostMemberRegistration {
        name: name("press-3"),
        token: HOST_TOKEN,
        joined_at: WALL,
        link: HostLink { is_disconnected: true, since: LATER },
        recoveries: Recoveries { total: 4, today: 1, day: WALL },
        in_spec: true,
        removed_at: Some(LATER),
    }
}

/// The records of a site's database that are about hosts.
pub(super) fn site_records() -> Vec<(&'static str, SiteChange)> {
    let key = KeyFingerprint::from_bytes([0x43; 32]);
    let mut all = vec![
        ("revoked-host-key", SiteChange::RevokedHostKey(key, Some(LATER))),
        ("host-token", SiteChange::HostToken(HOST_TOKEN, Some(host_token()))),
        ("host-token-use", SiteChange::HostTokenUse(HOST_TOKEN, HOST, Some(WALL))),
        ("spec-host-member", SiteChange::Spec(DocumentKey::Host(HOST), Some(spec()))),
        ("spec-host-token", SiteChange::Spec(DocumentKey::HostToken(HOST_TOKEN), Some(host_token_spec()))),
        ("status-host-member", SiteChange::Status(DocumentKey::Host(HOST), Some(status(Some(membership()))))),
        ("event-of-a-host", SiteChange::Event(43, Some(event_of_host(EventKind::HostRemoved, Some(SITE))))),
    ];
    all.extend(member_records().map(|(name, change)| (name, SiteChange::Host(HOST, change))));
    all
}

/// The records of the fleet database that are about hosts.
pub(super) fn fleet_records() -> Vec<(&'static str, FleetChange)> {
    let event =
        LoggedEvent { event: event_of_host(EventKind::HostJoined, Some(SITE)), received_at: Some(LATER), actor: None };
    let mut all = vec![
        ("token-of-hosts", FleetChange::Token(HOST_TOKEN, Some(token()))),
        ("host-token-use", FleetChange::TokenUse(HOST_TOKEN, HOST.into(), Some(WALL))),
        ("site-spec-host-member", FleetChange::Spec(SITE, DocumentKey::Host(HOST), Some(spec()))),
        ("site-spec-host-token", FleetChange::Spec(SITE, DocumentKey::HostToken(HOST_TOKEN), Some(host_token_spec()))),
        ("event-of-a-host", FleetChange::Event(10, Some(event))),
    ];
    all.extend(member_records().map(|(name, change)| (name, FleetChange::HostMember(SITE, HOST, change))));
    all
}

fn token() -> Token {
    Token {
        secret: SecretHash::from_bytes([0xab; 32]),
        environment: name("default"),
        created_at: WALL,
        expires_at: WallTime::from_unix_millis(1_795_400_824_000),
        uses_max: 20,
        labels: labels(&[("line", "b")]),
        hosts: Some(TokenHosts { site: SITE, parent: Parent::Server }),
        revoked_at: None,
        replaces: None,
    }
}
