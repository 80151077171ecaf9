//! Tests the provider against the fake server.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use linecamp_provider::http::{HttpError, HttpRequest, HttpResponse};
use linecamp_provider::prelude::*;
use linecamp_provider::{DnsError, Host, Level, TsigCode};
use linecamp_testkit::{DnsRequest, Service as _, Setup, conformance};

use crate::fake_server::{FakeServer, KEY, SECRET};
use crate::{Algorithm, Rfc2136, Settings};

const ZONE: &str = "example.org";

/// The opcode of an update.
const UPDATE: u8 = 5;

#[test]
fn it_conforms_to_the_contract() {
    let config = r#"{"server": "ns1.test:53", "key_name": "linecamp", "algorithm": "hmac-sha512"}"#;
    let setup = Setup::new(ZONE, config, || FakeServer::new(ZONE)).secret("tsig", SECRET);
    conformance::<Rfc2136>(&setup).assert();
}

/// A server, the number of messages it received, and the error with which signed exchanges fail, if any.
#[derive(Clone)]
struct FakeHost {
    server: Rc<RefCell<FakeServer>>,
    instead: Option<DnsError>,
    /// What another party writes just before the provider does.
    meanwhile: Option<RecordSet>,
    messages: Rc<Cell<usize>>,
}

impl FakeHost {
    fn new() -> Self {
        let server = Rc::new(RefCell::new(FakeServer::new(ZONE)));
        Self { server, instead: None, meanwhile: None, messages: Rc::default() }
    }

    fn rejecting(code: TsigCode) -> Self {
        Self { instead: Some(DnsError::Tsig { code, reason: "a reason".to_owned() }), ..Self::new() }
    }

    fn seed(&self, name: &str, rtype: &str, values: &[&str]) {
        self.server.borrow_mut().hold(&RecordSet::new(name, rtype, 300, values.iter().copied()));
    }

    fn observe_in(&self, zone: &str, names: &[&str]) -> Result<Vec<RecordSet>, ProviderError> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        Rfc2136::observe(&settings(), &Context::new(self.clone()), zone, &names)
    }

    fn apply(&self, changes: &[Change]) -> Result<Vec<RecordSet>, ProviderError> {
        Rfc2136::apply(&settings(), &Context::new(self.clone()), ZONE, "key", changes)
    }
}

fn settings() -> Settings {
    Settings { server: "ns1.test:53".to_owned(), key_name: KEY.to_owned(), algorithm: Algorithm::default() }
}

impl Host for FakeHost {
    fn send_http(&self, _: &HttpRequest) -> Result<HttpResponse, HttpError> {
        Err(HttpError::Timeout)
    }

    fn send_dns(&self, server: &str, message: &[u8], sign: Option<&Tsig>) -> Result<Vec<u8>, DnsError> {
        self.messages.set(self.messages.get() + 1);
        if let Some(set) = self.meanwhile.as_ref().filter(|_| message[2] >> 3 & 0xf == UPDATE) {
            self.server.borrow_mut().hold(set);
        }
        match &self.instead {
            Some(error) if sign.is_some() => Err(error.clone()),
            _ => {
                let request = DnsRequest { server: server.to_owned(), message: message.to_vec(), sign: sign.cloned() };
                Ok(self.server.borrow_mut().handle_dns(&request))
            }
        }
    }

    fn log(&self, _: Level, _: &str) {}

    fn now_millis(&self) -> u64 {
        0
    }
}

fn a(name: &str, value: &str) -> RecordSet {
    RecordSet::new(name, "A", 300, [value])
}

fn alias(name: &str, target: &str) -> RecordSet {
    RecordSet::new(name, "CNAME", 300, [target])
}

#[test]
fn names_matched_by_a_wildcard_are_observed_as_absent() {
    let host = FakeHost::new();
    host.seed("*.example.org", "A", &["192.0.2.1"]);
    host.seed("*.example.org", "TXT", &["v=spf1 -all"]);
    host.seed("b.example.org", "A", &["192.0.2.1"]);
    let names = ["_linecamp-a.x.example.org", "a.example.org", "b.example.org", "c.example.org"];
    assert_eq!(host.observe_in(ZONE, &names), Ok(vec![a("b.example.org", "192.0.2.1")]));
    host.apply(&[Change::create(a("a.example.org", "192.0.2.9"))]).unwrap();
    assert_eq!(host.observe_in(ZONE, &names[1..2]), Ok(vec![a("a.example.org", "192.0.2.9")]));
}

#[test]
fn a_site_is_observed_with_few_messages() {
    let host = FakeHost::new();
    let names = ["gw.example.org", "_linecamp-a.gw.example.org", "new.example.org", "_linecamp-a.new.example.org"];
    host.seed(names[0], "A", &["192.0.2.1"]);
    host.seed(names[1], "TXT", &["claim"]);
    assert_eq!(host.observe_in(ZONE, &names).unwrap().len(), 2);
    // Three for a host, one for its ownership TXT record, one each for names that do not exist, one for those that do.
    assert_eq!(host.messages.get(), 3 + 1 + 1 + 1 + 1);
}

#[test]
fn a_delegation_and_a_dname_are_reported() {
    let host = FakeHost::new();
    host.seed("sub.example.org", "NS", &["ns1.elsewhere.example"]);
    host.seed("moved.example.org", "DNAME", &["elsewhere.example"]);
    host.seed("www.example.org", "CNAME", &["foreign.elsewhere.example"]);
    host.seed("*.wild.example.org", "CNAME", &["foreign.elsewhere.example"]);
    let refusal = |name: &str| match host.observe_in(ZONE, &["a.example.org", name]) {
        Err(ProviderError::Invalid { reason, name: Some(blamed), .. }) if blamed == name => reason,
        other => panic!("{other:?}"),
    };
    assert!(refusal("sub.example.org").contains("is in the child zone sub.example.org"));
    assert!(refusal("a.b.sub.example.org").contains("is in the child zone sub.example.org"));
    assert!(refusal("a.moved.example.org").contains("under the DNAME record of moved.example.org"));
    // An alias does not tell which zone it is in; the names above it do.
    let aliases = host.observe_in(ZONE, &["www.example.org", "x.wild.example.org", "moved.example.org"]);
    assert_eq!(aliases.map(|sets| sets.len()), Ok(1));
}

#[test]
fn records_of_a_child_zone_are_not_taken_for_the_zones() {
    let host = FakeHost::new();
    let (claim, record) = ("_linecamp-a.gw.sub.example.org", a("gw.sub.example.org", "192.0.2.1"));
    host.seed("gw.sub.example.org", "A", &["192.0.2.1"]);
    host.seed(claim, "TXT", &["ours"]);
    host.server.borrow_mut().delegate("sub.example.org");
    let result = host.apply(&[Change::create(a("gw.sub.example.org", "192.0.2.9"))]);
    assert!(matches!(&result, Err(ProviderError::Invalid { name: Some(_), .. })), "{result:?}");
    // Together with a change not_served, and a second time.
    let claim = RecordSet::new(claim, "TXT", 300, ["ours"]);
    let step = [Change::delete(record), Change::create(a("new.example.org", "192.0.2.9")), Change::delete(claim)];
    for _ in 0..2 {
        assert_eq!(host.apply(&step), Ok(vec![a("new.example.org", "192.0.2.9")]));
        assert_eq!(host.server.borrow().records(), [a("new.example.org", "192.0.2.9")]);
    }
    assert_eq!(host.server.borrow().writes(), 1);
}

#[test]
fn a_claim_taken_by_another_owner_stops_the_change_beside_it() {
    let claim = |owner| RecordSet::new("_linecamp-a.gw.example.org", "TXT", 300, [owner]);
    let host = FakeHost { meanwhile: Some(claim("theirs")), ..FakeHost::new() };
    host.seed("gw.example.org", "A", &["192.0.2.1"]);
    host.seed("_linecamp-a.gw.example.org", "TXT", &["ours"]);
    let record = Change::replace(a("gw.example.org", "192.0.2.1"), a("gw.example.org", "192.0.2.2"));
    let result = host.apply(&[Change::replace(claim("ours"), claim("ours")), record]);
    assert!(matches!(&result, Err(ProviderError::Conflict { .. })), "{result:?}");
    assert_eq!(host.observe_in(ZONE, &["gw.example.org"]), Ok(vec![a("gw.example.org", "192.0.2.1")]));
}

#[test]
fn an_alias_is_not_created_at_a_name_in_use() {
    let host = FakeHost::new();
    host.seed("mail.example.org", "MX", &["10 a.example.org"]);
    let result = host.apply(&[Change::create(alias("mail.example.org", "b.example.org"))]);
    assert!(matches!(&result, Err(ProviderError::Conflict { name, .. }) if name == "mail.example.org"), "{result:?}");
    let claim = RecordSet::new("_linecamp-cname.mail.example.org", "TXT", 300, ["ours"]);
    let result = host.apply(&[Change::create(claim), Change::create(alias("mail.example.org", "b.example.org"))]);
    let Err(ProviderError::Conflict { name, found }) = &result else { panic!("{result:?}") };
    assert!(name == "mail.example.org" && found.contains("found MX"), "{name}: {found}");
    // Nor can an address be added next to an alias: the server would silently ignore it.
    host.seed("www.example.org", "CNAME", &["c.example.org"]);
    let result = host.apply(&[Change::create(a("www.example.org", "192.0.2.1"))]);
    assert!(matches!(&result, Err(ProviderError::Conflict { .. })), "{result:?}");
    assert_eq!(host.server.borrow().writes(), 0);
}

#[test]
fn an_alias_that_the_server_skipped_is_not_reported_as_applied() {
    let host = FakeHost::new();
    host.seed("www.example.org", "A", &["192.0.2.1"]);
    host.seed("www.example.org", "MX", &["10 a.example.org"]);
    let changes =
        [Change::delete(a("www.example.org", "192.0.2.1")), Change::create(alias("www.example.org", "b.example.org"))];
    let result = host.apply(&changes);
    assert!(
        matches!(&result, Err(ProviderError::Conflict { found, .. }) if found.contains("another type")),
        "{result:?}"
    );
}

#[test]
fn a_txt_value_is_compared_without_its_division_into_strings() {
    let host = FakeHost::new();
    host.server.borrow_mut().hold_strings("note.example.org", &["one ", "two"]);
    let before = RecordSet::new("note.example.org", "TXT", 300, ["one two"]);
    host.apply(&[Change::delete(before)]).unwrap();
    assert!(host.server.borrow().records().is_empty());
}

#[test]
fn a_signature_error_of_the_server_decides_the_result() {
    let error = |code, zone: &str| FakeHost::rejecting(code).observe_in(zone, &["a.example.org"]).unwrap_err();
    assert!(matches!(error(TsigCode::BadKey, ZONE), ProviderError::Unauthorized { .. }));
    assert!(matches!(error(TsigCode::InvalidKey, "example.net"), ProviderError::Unauthorized { .. }));
    assert!(matches!(error(TsigCode::BadTime, ZONE), ProviderError::Retry { .. }));
    assert!(matches!(error(TsigCode::Unverified, ZONE), ProviderError::Unauthorized { .. }));
    let absent = error(TsigCode::Unverified, "example.net");
    assert!(absent.reason().contains("not the primary server of example.net"), "{absent}");
    let validate = |code| Rfc2136::validate(&settings(), &Context::new(FakeHost::rejecting(code)));
    assert_eq!(validate(TsigCode::Unverified), Ok(()));
    assert!(validate(TsigCode::BadSignature).is_err());
    assert!(validate(TsigCode::InvalidKey).is_err());
}

#[test]
fn an_unserved_zone_or_an_invalid_name_is_rejected() {
    let host = FakeHost::new();
    let absent = host.observe_in("example.net", &["a.example.net"]).unwrap_err();
    assert!(absent.reason().contains("not the primary server of example.net"), "{absent}");
    let result = host.observe_in(ZONE, &[&"a".repeat(64)]);
    assert!(matches!(&result, Err(ProviderError::Invalid { name: Some(_), .. })), "{result:?}");
    assert!(matches!(host.observe_in(ZONE, &[]), Err(ProviderError::Invalid { .. })));
}
