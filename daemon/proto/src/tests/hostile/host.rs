//! Hosts that joined by themselves, as a peer or a disk may corrupt them.

use linecamp_model::limits::{KEYS_PER_HOST_MAX, TOKEN_USES_MAX};
use linecamp_model::{HostMemberChange, MemberKind};

use super::*;
use crate::wire::link::v1::spec_document;

/// The indexes of the documents of the sample `spec-host-member`, which are sorted by their keys.
const HOST: usize = 0;
const TOMBSTONE: usize = 1;
const TOKEN: usize = 2;

fn check_entry(index: usize, change: impl FnOnce(&mut wire::SpecEntry), path_and_problem: &str) {
    let bytes = server_message("spec-host-member", |kind| match kind {
        from_parent::Kind::Spec(delta) => change(&mut delta.documents[index]),
        other => panic!("{other:?} is no spec"),
    });
    check_server(&bytes, &format!("spec.documents[{index}].{path_and_problem}"));
}

fn body(entry: &mut wire::SpecEntry) -> &mut spec_document::Body {
    entry.document.as_mut().and_then(|document| document.body.as_mut()).expect("a body")
}

fn check_member(change: impl FnOnce(&mut wire::HostMember), problem: &str) {
    let change = |entry: &mut wire::SpecEntry| match body(entry) {
        spec_document::Body::Host(host) => change(host.member.as_mut().expect("a member")),
        other => panic!("{other:?} is no host"),
    };
    check_entry(HOST, change, &format!("host.member.{problem}"));
}

fn check_token(change: impl FnOnce(&mut wire::HostToken), problem: &str) {
    let change = |entry: &mut wire::SpecEntry| match body(entry) {
        spec_document::Body::HostToken(token) => change(token),
        other => panic!("{other:?} is no token"),
    };
    check_entry(TOKEN, change, &format!("host_token.{problem}"));
}

fn check_host_status(change: impl FnOnce(&mut wire::HostStatus), problem: &str) {
    let bytes = site_message("status-host-member", |kind| match kind {
        from_member::Kind::Status(delta) => {
            match delta.documents[0].document.as_mut().and_then(|document| document.body.as_mut()) {
                Some(status_document::Body::Host(host)) => change(host),
                other => panic!("{other:?} is no host's status"),
            }
        }
        other => panic!("{other:?} is no status"),
    });
    check_site(&bytes, &format!("status.documents[0].host.{problem}"));
}

fn check_daemon(change: impl FnOnce(&mut wire::HostDaemon), problem: &str) {
    check_host_status(|host| change(host.daemon.as_mut().expect("a daemon")), &format!("daemon.{problem}"));
}

fn check_membership(change: impl FnOnce(&mut wire::HostMembership), problem: &str) {
    let change = |host: &mut wire::HostStatus| change(host.membership.as_mut().expect("a membership"));
    check_host_status(change, &format!("membership.{problem}"));
}

fn many_keys() -> Vec<Vec<u8>> {
    vec![vec![1; 32]; KEYS_PER_HOST_MAX + 1]
}

/// A message of a peer that knows no hosts has no kind.
#[test]
fn a_member_without_a_kind_is_a_site_and_one_of_an_unknown_kind_is_rejected() {
    let join = |kind: i32| {
        site_message("join-host", |found| match found {
            from_member::Kind::Join(join) => join.kind = kind,
            other => panic!("{other:?} is no join"),
        })
    };
    let grant = |kind: i32| {
        server_message("identity-host", |found| match found {
            from_parent::Kind::Identity(grant) => grant.kind = kind,
            other => panic!("{other:?} is no grant"),
        })
    };
    for (number, kind) in [(0, MemberKind::Site), (1, MemberKind::Site), (2, MemberKind::Host)] {
        let found = decode_from_member(&join(number));
        assert!(matches!(&found, Ok(FromMember::Join(join)) if join.kind == kind), "{number}: {found:?}");
        let found = decode_from_parent(&grant(number));
        assert!(matches!(&found, Ok(FromParent::Identity(grant)) if grant.kind == kind), "{number}: {found:?}");
    }
    check_site(&join(3), "join.kind: number 3 has no meaning in this build");
    check_server(&grant(3), "identity.kind: number 3 has no meaning in this build");
}

#[test]
fn an_invalid_join_or_grant_of_a_host_is_rejected() {
    let join = site_message("join-host", |kind| match kind {
        from_member::Kind::Join(join) => join.site = Some(String::new()),
        other => panic!("{other:?} is no join"),
    });
    check_site(&join, "join.site: a name cannot be empty");
    let grant = server_message("identity-host", |kind| match kind {
        from_parent::Kind::Identity(grant) => grant.host.truncate(15),
        other => panic!("{other:?} is no grant"),
    });
    check_server(&grant, "identity.host: has 15 bytes, not 16");
}

#[test]
fn an_invalid_registration_in_a_spec_is_rejected() {
    check_member(|member| member.parent = 0, "parent: number 0 has no meaning in this build");
    check_member(|member| member.parent = 3, "parent: number 3 has no meaning in this build");
    check_member(|member| member.keys.clear(), "keys: is empty: a host has a key");
    check_member(|member| member.keys = many_keys(), "keys: has 5 elements; at most 4 are allowed");
    check_member(|member| member.keys[1].push(1), "keys[1]: has 33 bytes, not 32");
    check_member(|member| member.keys[1] = member.keys[0].clone(), "keys[1]: comes twice");
}

#[test]
fn an_invalid_host_token_is_rejected() {
    check_token(|token| token.secret.truncate(31), "secret: has 31 bytes, not 32");
    check_token(|token| token.uses_max = TOKEN_USES_MAX + 1, "uses_max: is 100001; at most 100000 are allowed");
}

#[test]
fn a_host_token_under_a_wrong_key_is_rejected() {
    let other = "body: is of a host token under another key";
    check_entry(TOKEN, |entry| entry.key.clear(), other);
    check_entry(TOKEN, |entry| entry.key = vec![1; 16], other);
    check_entry(TOKEN, |entry| (entry.key, entry.provider) = (Vec::new(), vec![1; 16]), other);
    check_entry(TOKEN, |entry| entry.key.truncate(7), "key: has 7 bytes, not 16");
    check_entry(TOKEN, |entry| entry.provider = vec![1; 16], "provider: cannot stand beside a host's key");
    check_entry(HOST, |entry| entry.key.truncate(8), "body: is of something else under a host token's key");
    check_entry(TOMBSTONE, |entry| entry.key = vec![0x35; 7], "key: has 7 bytes, not 16");
}

/// A status has nothing to say about a token, and deletes none.
#[test]
fn a_status_under_the_key_of_a_host_token_is_rejected() {
    let problem = "key: is of a host token, which has no status";
    for tombstone in [false, true] {
        let bytes = site_message("status-host-member", |kind| {
            let from_member::Kind::Status(delta) = kind else { panic!("a status") };
            delta.documents[0].key.truncate(8);
            if tombstone {
                let document = delta.documents[0].document.as_mut().expect("a document");
                document.body = Some(status_document::Body::Tombstone(wire::Tombstone {}));
            }
        });
        check_site(&bytes, &format!("status.documents[0].{problem}"));
    }
    let (_, body) = site_change(&sample::named(sample::site_records(), "status-tombstone"));
    let key = format!("status/host-token/{}", "35".repeat(8));
    let error = site_record(key.as_bytes(), &body.expect("a record")).expect_err("a status").to_string();
    assert_eq!(error, format!("refused record {key}: {problem}"));
}

#[test]
fn an_invalid_status_of_a_host_is_rejected() {
    check_daemon(|daemon| daemon.version = "x".repeat(513), "version: a text has at most 512 bytes, not 513");
    check_daemon(
        |daemon| daemon.applied = COUNTER_MAX + 1,
        "applied: 9223372036854775808 cannot be: nothing counts so far",
    );
    check_daemon(
        |daemon| daemon.conditions[1].kind = daemon.conditions[0].kind,
        "conditions[1].kind: `disk-full` comes twice",
    );
    check_daemon(
        |daemon| daemon.conditions = vec![wire::Condition::default(); 33],
        "conditions: has 33 elements; at most 32 are allowed",
    );
    check_membership(|found| found.name.clear(), "name: a name cannot be empty");
    check_membership(|found| found.token.push(1), "token: has 9 bytes, not 8");
    check_membership(|found| found.keys.clear(), "keys: is empty: a host has a key");
    check_membership(|found| found.keys = many_keys(), "keys: has 5 elements; at most 4 are allowed");
    check_membership(|found| found.keys[0].clear(), "keys[0]: has 0 bytes, not 32");
    check_membership(|found| found.keys[1] = found.keys[0].clone(), "keys[1]: comes twice");
    check_membership(|found| found.link = None, "link: is absent");
}

#[test]
fn an_invalid_host_of_an_event_is_rejected() {
    let check = |site: usize, host: usize, problem: &str| {
        let bytes = site_message("events-of-hosts", |kind| {
            let from_member::Kind::Events(batch) = kind else { panic!("events") };
            let about = wire::EventHost { site: vec![1; site], host: vec![1; host] };
            batch.events[0].about = Some(event::About::Host(Box::new(about)));
        });
        check_site(&bytes, &format!("events.events[0].host.{problem}"));
    };
    check(15, 16, "site: has 15 bytes, not 16");
    check(16, 0, "host: has 0 bytes, not 16");
    check(0, 17, "host: has 17 bytes, not 16");
}

#[test]
fn an_invalid_record_of_a_host_is_rejected() {
    let (site, host) = ("11".repeat(16), "22".repeat(16));
    let check = |key: &str, body: Vec<u8>, problem: &str| {
        let found = match key.starts_with("site/") || key.starts_with("token/") || key.starts_with("event/") {
            true => fleet_record(key.as_bytes(), &body).err(),
            false => site_record(key.as_bytes(), &body).err(),
        };
        let error = found.map(|error| error.to_string());
        assert_eq!(error, Some(format!("refused record {key}: {problem}")));
    };
    let member = record::HostMemberRegistration { name: "a".to_owned(), token: vec![1; 8], ..Default::default() };
    for key in [format!("host/{host}/member"), format!("site/{site}/host/{host}/member")] {
        check(&key, Vec::new(), "name: a name cannot be empty");
        check(&key, member.encode_to_vec(), "link: is absent");
        let member = record::HostMemberRegistration { token: vec![1; 7], ..member.clone() };
        check(&key, member.encode_to_vec(), "token: has 7 bytes, not 8");
    }
    let token = record::Token { secret: vec![1; 32], environment: "a".to_owned(), ..Default::default() };
    let hosts = record::TokenHosts { site: vec![1; 15], parent: 1 };
    let with = |hosts| record::Token { hosts: Some(hosts), ..token.clone() }.encode_to_vec();
    let key = format!("token/{}", "33".repeat(8));
    check(&key, with(hosts.clone()), "hosts.site: has 15 bytes, not 16");
    let hosts = record::TokenHosts { site: vec![1; 16], parent: 0 };
    check(&key, with(hosts), "hosts.parent: number 0 has no meaning in this build");
    let event = record::LoggedEvent { kind: 1, host: vec![1; 3], ..Default::default() };
    check("event/00000000000000000007", event.encode_to_vec(), "host: has 3 bytes, not 16");
    let (_, site_status) = site_change(&sample::named(sample::site_records(), "status-site"));
    check(
        &format!("host/{host}/status/host/{host}"),
        site_status.expect("a record"),
        "body: is of a site under a host's key, or the reverse",
    );
}

#[test]
fn the_key_of_a_record_of_a_host_has_one_form() {
    let (site, host, digest) = ("11".repeat(16), "22".repeat(16), "99".repeat(32));
    let check = |key: &str| {
        let expected = format!("`{key}` is not the key of a record");
        for error in [site_record(key.as_bytes(), b"").err(), fleet_record(key.as_bytes(), b"").err()] {
            assert_eq!(error.map(|error| error.to_string()), Some(expected.clone()));
        }
    };
    check(&format!("host/{host}"));
    check(&format!("host/{host}/what"));
    check(&format!("host/{host}/member/"));
    check("host/2/cursor");
    check(&format!("host/{host}/key/{}", &digest[1..]));
    check(&format!("gap/{host}/7"));
    check(&format!("gap/{site}/{host}/7"));
    check(&format!("gap/{site}/{host}/00000000000000000007/"));
    check(&format!("site/{site}/host/{host}/what"));
    check("revoked-host-key/99");
    check("host-token/33");
    check("spec/host-token/33");
    check(&format!("host-token-use/33/{host}"));
    check(&format!("host-token-use/{}", "33".repeat(8)));
}

/// As with the records of a site: what comes again is removed, what protects the site is kept.
#[test]
fn an_unreadable_record_of_a_host_affects_at_most_its_site() {
    let (site, host) = ("11".repeat(16), "22".repeat(16));
    let (site_id, host_id) = (SiteId::from_bytes([0x11; 16]), HostId::from_bytes([0x22; 16]));
    let check = |key: &str, salvage: Salvage| assert_eq!(salvage_fleet_record(key.as_bytes()), salvage, "{key}");
    let removed = |change| Salvage::Remove(FleetChange::HostMember(site_id, host_id, change));
    let path = format!("site/{site}/host/{host}");
    check(&path, Salvage::Quarantine(site_id));
    check(&format!("{path}/member"), Salvage::Quarantine(site_id));
    check(&format!("{path}/key/{}", "99".repeat(32)), Salvage::Quarantine(site_id));
    check(&format!("{path}/cursor"), Salvage::Quarantine(site_id));
    let status = HostMemberChange::Status(DocumentKey::Host(host_id), None);
    check(&format!("{path}/status/host/{host}"), removed(status));
    let gap = HostMemberChange::LinkGap(WallTime::from_unix_millis(7), None);
    check(&format!("gap/{site}/{host}/00000000000000000007"), removed(gap));
    let used = FleetChange::TokenUse(TokenId::from_bytes([0x33; 8]), host_id.into(), Some(WallTime::EPOCH));
    check(&format!("host-token-use/{}/{host}", "33".repeat(8)), Salvage::Keep(used));
    for key in [format!("gap/{site}/0/7"), format!("host-token-use/33/{host}"), format!("{path}/status/0")] {
        check(&key, Salvage::Ignore);
    }
}
