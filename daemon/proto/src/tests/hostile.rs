//! Hostile or corrupt input from a peer or a disk, and the errors it causes.

mod authorities;
mod host;
mod provider;

use linecamp_model::{
    DocumentKey, FleetChange, FromMember, FromParent, GapCause, HostId, KeyFingerprint, Salvage, SiteId, TokenId,
    WallTime,
};
use prost::Message;

use super::sample;
use crate::convert::Wire;
use crate::record::{fleet_change, fleet_record, salvage_fleet_record, site_change, site_record};
use crate::wire::link::v1::{self as wire, event, from_member, from_parent, status_document};
use crate::wire::record::v1 as record;
use crate::{
    AUTHORITIES_MAX, CERTIFICATE_BYTES_MAX, COUNTER_MAX, DOCUMENTS_MAX, ProtoError, decode_from_member,
    decode_from_parent, decode_refusal,
};

/// Encodes a sample message from a site after `change` modified it.
fn site_message(name: &str, change: impl FnOnce(&mut from_member::Kind)) -> Vec<u8> {
    let messages = sample::from_member();
    let (_, message) = messages.iter().find(|(found, _)| *found == name).expect("a sample");
    let mut message = wire::FromMember::from_model(message);
    change(message.kind.as_mut().expect("a kind"));
    message.encode_to_vec()
}

fn server_message(name: &str, change: impl FnOnce(&mut from_parent::Kind)) -> Vec<u8> {
    let messages = sample::from_parent();
    let (_, message) = messages.iter().find(|(found, _)| *found == name).expect("a sample");
    let mut message = wire::FromParent::from_model(message);
    change(message.kind.as_mut().expect("a kind"));
    message.encode_to_vec()
}

fn check_site(bytes: &[u8], path_and_problem: &str) {
    let error = decode_from_member(bytes).expect_err(path_and_problem);
    assert_eq!(error.to_string(), format!("refused a message from a site: {path_and_problem}"));
}

fn check_server(bytes: &[u8], path_and_problem: &str) {
    let error = decode_from_parent(bytes).expect_err(path_and_problem);
    assert_eq!(error.to_string(), format!("refused a message from the server: {path_and_problem}"));
}

fn check_status(change: impl FnOnce(&mut wire::StatusDelta), path_and_problem: &str) {
    let bytes = site_message("status-snapshot", |kind| match kind {
        from_member::Kind::Status(delta) => change(delta),
        other => panic!("{other:?} is no status"),
    });
    check_site(&bytes, path_and_problem);
}

fn site_status(delta: &mut wire::StatusDelta) -> &mut wire::SiteStatus {
    match delta.documents[0].document.as_mut().and_then(|document| document.body.as_mut()) {
        Some(status_document::Body::Site(site)) => site,
        other => panic!("{other:?} is no site's status"),
    }
}

fn host_status(delta: &mut wire::StatusDelta) -> &mut wire::HostStatus {
    match delta.documents[1].document.as_mut().and_then(|document| document.body.as_mut()) {
        Some(status_document::Body::Host(host)) => host,
        other => panic!("{other:?} is no host's status"),
    }
}

fn label(key: &str, value: &str) -> wire::Label {
    wire::Label { key: key.to_owned(), value: value.to_owned(), since_millis: 0 }
}

#[test]
fn a_message_of_an_unknown_or_missing_kind_is_rejected() {
    let problem = "kind: is absent, or of a kind that this build does not know";
    check_site(&[], problem);
    check_server(&[], problem);
    let unknown = [&[0xfa_u8, 0x01][..], &[0]].concat();
    check_site(&unknown, problem);
    check_server(&unknown, problem);
}

#[test]
fn malformed_bytes_are_rejected() {
    assert!(matches!(decode_from_member(&[0xff]), Err(ProtoError::Malformed { .. })));
    assert!(matches!(decode_from_parent(b"GET / HTTP/1.1"), Err(ProtoError::Malformed { .. })));
}

#[test]
fn an_invalid_label_is_rejected_with_its_location() {
    check_status(
        |delta| host_status(delta).reported[1].key = "-a".to_owned(),
        "status.documents[1].host.reported[1].key: label key `-a`: column 1 is `-`; \
         a key has letters, digits and . _ / : -, with a letter or digit at both ends",
    );
    check_status(
        |delta| host_status(delta).local[0].value = "x\u{1b}[31m".to_owned(),
        "status.documents[1].host.local[0].value: \
         a label's value has no control or format characters: column 2 of the value is U+001B",
    );
    check_status(
        |delta| host_status(delta).local.push(label("seat", "right")),
        "status.documents[1].host.local[1].key: `seat` comes twice",
    );
    check_status(
        |delta| site_status(delta).local = (0..65).map(|index| label(&format!("k{index}"), "")).collect(),
        "status.documents[0].site.local: has 65 elements; at most 64 are allowed",
    );
}

#[test]
fn an_error_about_a_text_has_no_control_characters() {
    let bytes = site_message("status-snapshot", |kind| match kind {
        from_member::Kind::Status(delta) => host_status(delta).local[0].key = "a\n2026 ERROR forged\u{7}".to_owned(),
        other => panic!("{other:?} is no status"),
    });
    let text = decode_from_member(&bytes).expect_err("hostile").to_string();
    assert!(!text.contains(linecamp_model::is_invisible), "{text:?}");
}

#[test]
fn invalid_conditions_are_rejected() {
    check_status(
        |delta| site_status(delta).conditions[1].kind = 0,
        "status.documents[0].site.conditions[1].kind: number 0 has no meaning in this build",
    );
    check_status(
        |delta| site_status(delta).conditions[1].kind = site_status(delta).conditions[0].kind,
        "status.documents[0].site.conditions[1].kind: `clock-skew` comes twice",
    );
    check_status(
        |delta| site_status(delta).conditions = vec![wire::Condition::default(); 33],
        "status.documents[0].site.conditions: has 33 elements; at most 32 are allowed",
    );
    check_status(
        |delta| site_status(delta).conditions[0].detail = "x".repeat(513),
        "status.documents[0].site.conditions[0].detail: a text has at most 512 bytes, not 513",
    );
}

/// Conditions that belong to the status must be durable first: a storage report does not accept them.
#[test]
fn a_storage_report_has_each_storage_condition_at_most_once() {
    let check = |spoil: fn(&mut wire::StorageReport), problem: &str| {
        let bytes = site_message("storage", |kind| match kind {
            from_member::Kind::Storage(report) => spoil(report),
            other => panic!("{other:?} is no report of storage"),
        });
        check_site(&bytes, problem);
    };
    check(|report| report.conditions[1].kind = 2, "storage.conditions[1].kind: `clock-skew` is not about storage");
    check(
        |report| report.conditions[1].kind = report.conditions[0].kind,
        "storage.conditions[1].kind: `disk-full` comes twice",
    );
    check(
        |report| report.conditions = vec![wire::Condition::default(); 33],
        "storage.conditions: has 33 elements; at most 32 are allowed",
    );
}

#[test]
fn an_inconsistent_delta_is_rejected() {
    check_status(|delta| delta.to = 6, "status.documents[0].generation: 7 is not above 0 and up to 6");
    check_status(|delta| (delta.base, delta.to) = (9, 8), "status.to: 8 is below the base 9");
    check_status(|delta| delta.base = 1, "status.base: a snapshot has none, not 1");
    check_status(
        |delta| (delta.snapshot, delta.base) = (false, 7),
        "status.documents[0].generation: 7 is not above 7 and up to 8",
    );
    check_status(|delta| delta.to = COUNTER_MAX + 1, "status.to: 9223372036854775808 cannot be: nothing counts so far");
    check_status(
        |delta| delta.documents = vec![wire::StatusEntry::default(); DOCUMENTS_MAX + 1],
        "status.documents: has 402 elements; at most 401 are allowed",
    );
}

#[test]
fn a_document_under_a_wrong_key_is_rejected() {
    check_status(
        |delta| delta.documents[1].key = Vec::new(),
        "status.documents[1].body: is of a site under a host's key, or the reverse",
    );
    check_status(
        |delta| delta.documents[0].key = vec![1; 16],
        "status.documents[0].body: is of a site under a host's key, or the reverse",
    );
    check_status(|delta| delta.documents[1].key.truncate(15), "status.documents[1].key: has 15 bytes, not 16");
    check_status(|delta| delta.documents.push(delta.documents[1].clone()), "status.documents[2].key: comes twice");
}

/// An older build must not mistake a body of a later kind for a deletion.
#[test]
fn a_document_without_a_body_is_not_a_tombstone() {
    check_status(
        |delta| (delta.documents, delta.more) = (Vec::new(), true),
        "status.documents: are absent, and more parts follow",
    );
    check_status(|delta| delta.documents[1].document = None, "status.documents[1].document: is absent");
    check_status(
        |delta| delta.documents[1].document.as_mut().expect("a document").body = None,
        "status.documents[1].body: is absent, or of a kind that this build does not know",
    );
}

#[test]
fn an_invalid_hello_is_rejected() {
    let hello = |change: fn(&mut wire::Hello)| {
        site_message("hello", |kind| match kind {
            from_member::Kind::Hello(hello) => change(hello),
            other => panic!("{other:?} is no hello"),
        })
    };
    check_site(&hello(|hello| hello.versions = None), "hello.versions: is absent");
    check_site(
        &hello(|hello| hello.versions = Some(wire::VersionRange { min: 2, max: 1 })),
        "hello.versions.max: 2 to 1 is not a range of versions",
    );
    check_site(
        &hello(|hello| hello.versions = Some(wire::VersionRange { min: 0, max: 1 })),
        "hello.versions.max: 0 to 1 is not a range of versions",
    );
    check_site(&hello(|hello| hello.run.clear()), "hello.run: has 0 bytes, not 8");
    check_site(
        &hello(|hello| hello.spec_held = u64::MAX),
        "hello.spec_held: 18446744073709551615 cannot be: nothing counts so far",
    );
}

#[test]
fn invalid_gaps_are_rejected_and_an_unknown_cause_is_not() {
    let gaps = |change: fn(&mut Vec<wire::LinkGap>)| {
        site_message("hello-gaps", |kind| match kind {
            from_member::Kind::Hello(hello) => change(&mut hello.gaps),
            other => panic!("{other:?} is no hello"),
        })
    };
    check_site(
        &gaps(|gaps| gaps[1].last_error = "e".repeat(193)),
        "hello.gaps[1].last_error: has 193 bytes; at most 192 are allowed",
    );
    check_site(
        &gaps(|gaps| gaps[0].times = vec![gaps[0].times[0]; 65]),
        "hello.gaps[0].times: has 65 elements; at most 64 are allowed",
    );
    check_site(&gaps(|gaps| *gaps = vec![gaps[0].clone(); 65]), "hello.gaps: has 65 elements; at most 64 are allowed");
    let newer = decode_from_member(&gaps(|gaps| {
        (gaps[0].times[1].cause, gaps[0].refusal) = (99, 99);
    }));
    let Ok(FromMember::Hello(hello)) = newer else { panic!("a hello: {newer:?}") };
    assert_eq!((hello.gaps[0].times.longest(), hello.gaps[0].refusal), (GapCause::Unknown, None));
}

#[test]
fn an_invalid_join_is_rejected_without_its_secret() {
    let join = |change: fn(&mut wire::JoinRequest)| {
        site_message("join", |kind| match kind {
            from_member::Kind::Join(join) => change(join),
            other => panic!("{other:?} is no join"),
        })
    };
    check_site(&join(|join| join.secret.push(1)), "join.secret: has 17 bytes, not 16");
    check_site(&join(|join| join.token.clear()), "join.token: has 0 bytes, not 8");
    check_site(
        &join(|join| join.name = "Camp".to_owned()),
        "join.name: a name has only a-z, 0-9 and `-`: column 1 is `C`",
    );
}

#[test]
fn invalid_events_are_rejected() {
    let events = |change: fn(&mut wire::EventBatch)| {
        site_message("events", |kind| match kind {
            from_member::Kind::Events(batch) => change(batch),
            other => panic!("{other:?} are no events"),
        })
    };
    check_site(
        &events(|batch| batch.events = vec![wire::Event::default(); 65]),
        "events.events: has 65 elements; at most 64 are allowed",
    );
    check_site(
        &events(|batch| batch.events[1].kind = 99),
        "events.events[1].kind: number 99 has no meaning in this build",
    );
    check_site(
        &events(|batch| batch.events[0].about = Some(event::About::Site(vec![1; 3]))),
        "events.events[0].site: has 3 bytes, not 16",
    );
    check_site(
        &events(|batch| batch.first = u64::MAX),
        "events.first: 18446744073709551615 cannot be: nothing counts so far",
    );
    check_site(&events(|batch| batch.first = 0), "events.first: events are numbered from 1");
    check_site(&events(|batch| batch.first = COUNTER_MAX), "events.first: 9223372036854775807 is out of range");
}

#[test]
fn an_invalid_grant_is_rejected() {
    let grant = |change: fn(&mut wire::IdentityGrant)| {
        server_message("identity", |kind| match kind {
            from_parent::Kind::Identity(grant) => change(grant),
            other => panic!("{other:?} is no grant"),
        })
    };
    check_server(
        &grant(|grant| grant.certificate = vec![0; CERTIFICATE_BYTES_MAX + 1]),
        "identity.certificate: a certificate has 1 to 16384 bytes, not 16385",
    );
    check_server(
        &grant(|grant| grant.gateway_chain = vec![Vec::new()]),
        "identity.gateway_chain[0]: a certificate has 1 to 16384 bytes, not 0",
    );
    check_server(
        &grant(|grant| grant.authorities[1].clear()),
        "identity.authorities[1]: a certificate has 1 to 16384 bytes, not 0",
    );
    check_server(&grant(|grant| grant.authorities.clear()), "identity.authorities: is empty: nobody would be trusted");
    check_server(
        &grant(|grant| grant.authorities = vec![vec![1]; AUTHORITIES_MAX + 1]),
        "identity.authorities: has 9 elements; at most 8 are allowed",
    );
}

#[test]
fn invalid_messages_of_the_server_are_rejected() {
    let welcome = server_message("welcome", |kind| match kind {
        from_parent::Kind::Welcome(welcome) => welcome.version = 0,
        other => panic!("{other:?} is no welcome"),
    });
    check_server(&welcome, "welcome.version: there is no version 0");
    let ack = server_message("events-ack", |kind| match kind {
        from_parent::Kind::EventsAck(ack) => ack.last = u64::MAX,
        other => panic!("{other:?} is no acknowledgement"),
    });
    check_server(&ack, "events_ack.last: 18446744073709551615 cannot be: nothing counts so far");
}

#[test]
fn an_invalid_set_of_server_addresses_is_rejected() {
    let check = |number, addresses: &[&str], path_and_problem: &str| {
        let bytes = server_message("servers", |kind| {
            let from_parent::Kind::Servers(set) = kind else { panic!("a set of servers") };
            set.number = number;
            set.addresses = addresses.iter().map(|&text| text.to_owned()).collect();
        });
        check_server(&bytes, path_and_problem);
    };
    check(0, &["a:1"], "servers.number: sets are numbered from 1");
    check(1, &[], "servers.addresses: is empty: nothing could be dialed");
    check(1, &["a:1"; 9], "servers.addresses: has 9 elements; at most 8 are allowed");
    check(1, &["a:1", "a:1"], "servers.addresses[1]: `a:1` comes twice");
    let problem = "`b` is not a server address; write HOST:PORT, or [IPV6]:PORT";
    check(1, &["a:1", "b"], &format!("servers.addresses[1]: {problem}"));
}

#[test]
fn a_close_without_a_refusal_has_none() {
    assert_eq!(decode_refusal(0, b""), None, "a plain close of the transport");
    assert_eq!(decode_refusal(1, b"bye"), None, "words of another protocol");
}

#[test]
fn an_unknown_refusal_is_retryable_and_keeps_its_code() {
    let reason = wire::Refusal { text: "the moon\nis full".to_owned(), retry_after_millis: Some(5) };
    let refusal = decode_refusal(99, &reason.encode_to_vec()).expect("a refusal");
    assert_eq!(refusal.to_string(), "refusal 99, unknown to this build: the moon is full (busy)");
    assert!(!refusal.code.is_final_for_join() && !refusal.code.forgets_registration());
    assert!(refusal.retry_after.is_some());
}

#[test]
fn an_unknown_record_key_is_rejected() {
    let check = |key: &[u8], shown: &str| {
        for error in [site_record(key, b"").err(), fleet_record(key, b"").err()] {
            assert_eq!(error.map(|error| error.to_string()), Some(format!("`{shown}` is not the key of a record")));
        }
    };
    check(b"", "");
    check(b"origin/", "origin/");
    check(b"event/42", "event/42");
    check(b"event/+0000000000000000042", "event/+0000000000000000042");
    check(b"event/99999999999999999999", "event/99999999999999999999");
    check(b"spec/host/AB", "spec/host/AB");
    check(b"site/0/mark", "site/0/mark");
    check(b"a\nb\xff", "a b\u{fffd}");
}

#[test]
fn a_corrupt_record_is_rejected_with_its_key() {
    let check =
        |error: Option<ProtoError>, text: &str| assert_eq!(error.map(|error| error.to_string()), Some(text.to_owned()));
    check(
        fleet_record(b"token/0000000000000000", b"").err(),
        "refused record token/0000000000000000: secret: has 0 bytes, not 32",
    );
    check(site_record(b"origin", b"\xff").err(), "failed to decode record origin");
    let (_, body) = site_change(&sample::named(sample::site_records(), "spec-host"));
    check(
        site_record(b"spec/site", &body.expect("a record")).err(),
        "refused record spec/site: body: is of a site under a host's key, or the reverse",
    );
    let life = record::Life { phase: 10, ..record::Life::default() };
    assert!(life.into_model().is_err());
}

/// One corrupt record costs at most one site, never the fleet; records that protect the fleet work without their body.
#[test]
fn an_unreadable_record_affects_at_most_one_site() {
    let (site, token, digest) = ("11".repeat(16), "33".repeat(8), "99".repeat(32));
    let id = SiteId::from_bytes([0x11; 16]);
    let check = |key: &str, salvage: Salvage| assert_eq!(salvage_fleet_record(key.as_bytes()), salvage, "{key}");
    let status = |key| Salvage::Remove(FleetChange::Status(id, key, None));
    check(&format!("site/{site}/status/site"), status(DocumentKey::Site));
    check(
        &format!("site/{site}/status/host/{}", "22".repeat(16)),
        status(DocumentKey::Host(HostId::from_bytes([0x22; 16]))),
    );
    check(&format!("site/{site}"), Salvage::Quarantine(id));
    check(&format!("site/{site}/cursor"), Salvage::Quarantine(id));
    check(&format!("site/{site}/spec/site"), Salvage::Quarantine(id));
    check(&format!("site/{site}/what/is/this"), Salvage::Quarantine(id));
    check("event/00000000000000000007", Salvage::Remove(FleetChange::Event(7, None)));
    let gap = FleetChange::LinkGap(id, WallTime::from_unix_millis(7), None);
    check(&format!("gap/{site}/00000000000000000007"), Salvage::Remove(gap));
    let departed = FleetChange::RevokedKey(KeyFingerprint::from_bytes([0x99; 32]), Some(WallTime::EPOCH));
    check(&format!("revoked-key/{digest}"), Salvage::Keep(departed));
    let used = FleetChange::TokenUse(TokenId::from_bytes([0x33; 8]), id.into(), Some(WallTime::EPOCH));
    check(&format!("token-use/{token}/{site}"), Salvage::Keep(used));
    for key in ["origin", "environment/default", "token/33", "event/7", "site/0", "", "a/b/c"] {
        check(key, Salvage::Ignore);
    }
}

/// Fields that a later release adds to a message are skipped.
#[test]
fn an_unknown_field_is_ignored() {
    let message = sample::named(sample::from_member(), "spec-ack");
    let wire::FromMember { kind } = wire::FromMember::from_model(&message);
    let Some(from_member::Kind::SpecAck(ack)) = kind else { panic!("no acknowledgement") };
    let inner = [ack.encode_to_vec(), vec![0xfa, 0x01, 1, 7]].concat();
    let length = u8::try_from(inner.len()).expect("short");
    let bytes = [vec![0x1a, length], inner].concat();
    assert_eq!(decode_from_member(&bytes), Ok(message));
}
