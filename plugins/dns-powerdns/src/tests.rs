//! Tests the provider against the fake server.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use linecamp_provider::http::{HttpError, HttpRequest, HttpResponse};
use linecamp_provider::prelude::*;
use linecamp_provider::{DnsError, Host, Level};
use linecamp_testkit::{Request, Service as _, Setup, conformance};

use crate::fake_server::{FakeServer, KEY};
use crate::{PowerDns, Settings};

const ZONE: &str = "example.org";

fn setup(server: fn(&str) -> FakeServer) -> Setup {
    Setup::new(ZONE, r#"{"api": "https://pdns.test:8443"}"#, move || server(ZONE)).secret("api-key", KEY)
}

#[test]
fn it_conforms_to_the_contract_with_an_old_server() {
    conformance::<PowerDns>(&setup(FakeServer::old)).assert();
}

#[test]
fn it_conforms_to_the_contract_with_a_new_server() {
    conformance::<PowerDns>(&setup(FakeServer::new)).assert();
}

#[test]
fn it_conforms_to_the_contract_with_a_server_without_search() {
    conformance::<PowerDns>(&setup(FakeServer::without_search)).assert();
}

/// A server, whether its full listings are too large, and the number of requests it received.
#[derive(Clone)]
struct FakeHost {
    server: Rc<RefCell<FakeServer>>,
    listing_is_too_large: bool,
    requests: Rc<Cell<usize>>,
}

impl FakeHost {
    fn new(server: FakeServer) -> Self {
        Self { server: Rc::new(RefCell::new(server)), listing_is_too_large: false, requests: Rc::default() }
    }

    fn observe(&self, names: &[&str]) -> Result<Vec<RecordSet>, ProviderError> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        PowerDns::observe(&settings(), &Context::new(self.clone()), ZONE, &names)
    }

    fn apply(&self, changes: &[Change]) -> Result<Vec<RecordSet>, ProviderError> {
        PowerDns::apply(&settings(), &Context::new(self.clone()), ZONE, "key", changes)
    }
}

fn settings() -> Settings {
    Settings { api: "https://pdns.test/api/v1/".to_owned(), server_id: crate::localhost() }
}

impl Host for FakeHost {
    fn send_http(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        self.requests.set(self.requests.get() + 1);
        if self.listing_is_too_large
            && !["rrset_name", "zone=", "search-data"].iter().any(|word| request.url.contains(word))
        {
            return Err(HttpError::TooLarge(1));
        }
        let key = vec![("x-api-key".to_owned(), KEY.to_owned())];
        let request = Request::new(request.method, &request.url, key, request.body.clone());
        Ok(self.server.borrow_mut().handle(&request))
    }

    fn send_dns(&self, _: &str, _: &[u8], _: Option<&Tsig>) -> Result<Vec<u8>, DnsError> {
        Err(DnsError::Timeout)
    }

    fn log(&self, _: Level, _: &str) {}

    fn now_millis(&self) -> u64 {
        0
    }
}

fn a(name: &str, value: &str) -> RecordSet {
    RecordSet::new(name, "A", 300, [value])
}

#[test]
fn an_old_server_lists_its_zone_once() {
    let host = FakeHost::new(FakeServer::old(ZONE));
    host.server.borrow_mut().seed(&a("b.example.org", "192.0.2.1"));
    assert_eq!(host.observe(&["a.example.org", "b.example.org"]), Ok(vec![a("b.example.org", "192.0.2.1")]));
    // A zone lookup for each name; one name, whose response lists more; and the whole zone.
    assert_eq!(host.requests.get(), 2 + 1 + 1);
}

#[test]
fn a_zone_too_large_to_list_is_read_name_by_name() {
    let host = FakeHost { listing_is_too_large: true, ..FakeHost::new(FakeServer::new(ZONE)) };
    let names: Vec<_> = (0..25).map(|index| format!("n{index}.example.org")).collect();
    host.server.borrow_mut().seed(&a(&names[24], "192.0.2.1"));
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    assert_eq!(host.observe(&names), Ok(vec![a(names[24], "192.0.2.1")]));
    // All zones, a lookup for each candidate zone, the whole zone, each name, and searches for each name and the zone's
    // own.
    assert_eq!(host.requests.get(), 1 + 25 + 1 + 25 + 26);
}

#[test]
fn a_comment_at_another_name_does_not_hide_a_record() {
    let host = FakeHost::new(FakeServer::new(ZONE));
    host.server.borrow_mut().send_unusual_responses();
    host.server.borrow_mut().seed(&a("b.example.org", "198.51.100.9"));
    assert_eq!(host.observe(&["a.example.org", "b.example.org"]), Ok(vec![a("b.example.org", "198.51.100.9")]));
    let claim = RecordSet::new("_linecamp-a.b.example.org", "TXT", 300, ["claim"]);
    let result = host.apply(&[Change::create(claim), Change::create(a("b.example.org", "192.0.2.1"))]);
    assert!(matches!(&result, Err(ProviderError::Conflict { name, .. }) if name == "b.example.org"), "{result:?}");
    assert_eq!(host.server.borrow().writes(), 0);
}

#[test]
fn a_disabled_record_is_observed() {
    let disabled = a("off.example.org", "198.51.100.20");
    let alias = RecordSet::new("www.example.org", "CNAME", 300, ["elsewhere.example"]);
    for server in [FakeServer::old, FakeServer::new, FakeServer::without_search] {
        let host = FakeHost::new(server(ZONE));
        host.server.borrow_mut().seed(&a("mixed.example.org", "192.0.2.9"));
        for set in [&disabled, &alias, &a("mixed.example.org", "198.51.100.23")] {
            host.server.borrow_mut().seed_disabled(set);
        }
        let names = ["absent.example.org", "mixed.example.org", "off.example.org", "www.example.org"];
        let seen = host.observe(&names).unwrap();
        let seen: Vec<_> = seen.iter().flat_map(|set| set.values.iter().map(|value| (&*set.name, &**value))).collect();
        let mut expected = vec![
            ("mixed.example.org", "192.0.2.9"),
            ("mixed.example.org", "198.51.100.23 (disabled)"),
            ("off.example.org", "198.51.100.20 (disabled)"),
            ("www.example.org", "elsewhere.example. (disabled)"),
        ];
        expected.sort_unstable();
        let mut sorted = seen.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, expected);
        // A disabled record is never overwritten, not even with the same value.
        let result = host.apply(&[Change::create(disabled.clone())]);
        assert!(
            matches!(&result, Err(ProviderError::Conflict { name, .. }) if name == "off.example.org"),
            "{result:?}"
        );
        assert_eq!((host.server.borrow().writes(), host.server.borrow().disabled().len()), (0, 3));
        // A record of ours is enabled again.
        let before = RecordSet { values: vec!["198.51.100.20 (disabled)".to_owned()], ..disabled.clone() };
        host.apply(&[Change::replace(before, disabled.clone())]).unwrap();
        assert_eq!(host.observe(&["off.example.org"]), Ok(vec![disabled.clone()]));
    }
}

#[test]
fn a_record_that_the_server_cannot_list_blocks_no_other_name() {
    let host = FakeHost::new(FakeServer::new(ZONE));
    host.server.borrow_mut().plant_unreadable();
    host.server.borrow_mut().seed(&a("a.example.org", "192.0.2.1"));
    assert!(matches!(host.observe(&[]), Err(ProviderError::Retry { .. })));
    assert_eq!(host.observe(&["a.example.org", "b.example.org"]), Ok(vec![a("a.example.org", "192.0.2.1")]));
    let many: Vec<_> = (0..40).map(|index| format!("n{index}.example.org")).chain(["a.example.org".into()]).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert_eq!(host.observe(&many), Ok(vec![a("a.example.org", "192.0.2.1")]));
}

#[test]
fn sixteen_names_are_read_within_the_requests_of_a_call() {
    let host = FakeHost::new(FakeServer::new(ZONE));
    let names: Vec<_> = (0..8).map(|index| format!("h-x{index}.a{index}.b.example.org")).collect();
    let claims: Vec<_> = names.iter().map(|name| format!("_linecamp-a.{name}")).collect();
    let names: Vec<_> = names.iter().chain(&claims).map(String::as_str).collect();
    assert_eq!(host.observe(&names), Ok(Vec::new()));
    assert!(host.requests.get() < 64, "{}", host.requests.get());
}

#[test]
fn a_delegation_and_a_dname_are_reported() {
    let host = FakeHost::new(FakeServer::new(ZONE));
    host.server.borrow_mut().seed(&RecordSet::new("sub.example.org", "NS", 300, ["ns1.elsewhere.example."]));
    host.server.borrow_mut().seed(&RecordSet::new("moved.example.org", "DNAME", 300, ["elsewhere.example."]));
    let refusal = |name: &str| match host.observe(&["a.example.org", name]) {
        Err(ProviderError::Invalid { reason, name: Some(blamed), .. }) if blamed == name => reason,
        other => panic!("{other:?}"),
    };
    assert!(refusal("sub.example.org").contains("is in the child zone sub.example.org"));
    assert!(refusal("a.b.sub.example.org").contains("is in the child zone sub.example.org"));
    assert!(refusal("a.moved.example.org").contains("under the DNAME record of moved.example.org"));
    assert_eq!(host.observe(&["moved.example.org"]).unwrap().len(), 1, "the owner itself is not redirected");
    // The closest zone is a separate one on the server.
    host.server.borrow_mut().delegate("b.sub.example.org");
    assert!(refusal("a.b.sub.example.org").contains("is in the child zone b.sub.example.org"));
    let many: Vec<_> = (0..25).map(|index| format!("n{index}.example.org")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).chain(["a.b.sub.example.org"]).collect();
    assert!(host.observe(&many).unwrap_err().reason().contains("is in the child zone b.sub.example.org"));
}

#[test]
fn a_secondary_zone_is_observed_and_not_written() {
    let host = FakeHost::new(FakeServer::secondary(ZONE));
    assert_eq!(host.observe(&["a.example.org"]), Ok(Vec::new()));
    let refusal = host.apply(&[Change::create(a("a.example.org", "192.0.2.1"))]).unwrap_err();
    assert!(refusal.reason().contains("secondary"), "{refusal}");
}

#[test]
fn an_error_states_the_rejected_name() {
    let host = FakeHost::new(FakeServer::new(ZONE));
    let claim = RecordSet::new("_linecamp-a.a.example.org", "TXT", 300, ["claim"]);
    let changes = [Change::create(claim), Change::create(a("a.example.org", "not-an-ip"))];
    match host.apply(&changes) {
        Err(ProviderError::Invalid { name: Some(name), reason, .. }) => {
            assert_eq!(name, "a.example.org");
            assert!(reason.contains("not-an-ip"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    assert!(host.server.borrow().records().is_empty(), "all or none");
}

#[test]
fn a_record_beside_an_alias_is_a_conflict() {
    let host = FakeHost::new(FakeServer::new(ZONE));
    host.server.borrow_mut().seed(&RecordSet::new("a.example.org", "CNAME", 300, ["b.example.org"]));
    let result = host.apply(&[Change::create(a("a.example.org", "192.0.2.1"))]);
    assert!(matches!(&result, Err(ProviderError::Conflict { name, .. }) if name == "a.example.org"), "{result:?}");
}

#[test]
fn a_missing_zone_is_reported_with_advice() {
    let host = FakeHost::new(FakeServer::new("example.net"));
    let refusal = host.observe(&["a.example.org"]).unwrap_err();
    assert!(refusal.reason().contains("no zone example.org: create it"), "{refusal}");
}
