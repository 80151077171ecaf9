//! Tests the provider against the fake server.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use linecamp_provider::http::{HttpError, HttpRequest, HttpResponse};
use linecamp_provider::prelude::*;
use linecamp_provider::{ExchangeError, Level, Outside};
use linecamp_testkit::{DnsRequest, Service as _, Setup, conformance};

use crate::model::{KEY, Model, SECRET};
use crate::{Algorithm, Rfc2136, Settings};

const ZONE: &str = "example.org";

/// The opcode of an update.
const UPDATE: u8 = 5;

#[test]
fn it_keeps_the_contract() {
    let config = r#"{"server": "ns1.test:53", "key_name": "linecamp", "algorithm": "hmac-sha512"}"#;
    let setup = Setup::new(ZONE, config, || Model::new(ZONE)).secret("tsig", SECRET);
    conformance::<Rfc2136>(&setup).assert();
}

/// A server, the number of messages it received, and the error with which signed exchanges fail, if any.
#[derive(Clone)]
struct Stage {
    model: Rc<RefCell<Model>>,
    instead: Option<ExchangeError>,
    /// What another party writes just before the provider does.
    meanwhile: Option<RecordSet>,
    messages: Rc<Cell<usize>>,
}

impl Stage {
    fn new() -> Self {
        let model = Rc::new(RefCell::new(Model::new(ZONE)));
        Self { model, instead: None, meanwhile: None, messages: Rc::default() }
    }

    fn ending(words: &str) -> Self {
        Self { instead: Some(ExchangeError::Tsig(words.to_owned())), ..Self::new() }
    }

    fn plant(&self, name: &str, rtype: &str, values: &[&str]) {
        self.model.borrow_mut().hold(&RecordSet::new(name, rtype, 300, values.iter().copied()));
    }

    fn observe_in(&self, zone: &str, names: &[&str]) -> Result<Vec<RecordSet>, Failure> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        Rfc2136::observe(&settings(), &Context::new(self.clone()), zone, &names)
    }

    fn apply(&self, changes: &[Change]) -> Result<Vec<RecordSet>, Failure> {
        Rfc2136::apply(&settings(), &Context::new(self.clone()), ZONE, "key", changes)
    }
}

fn settings() -> Settings {
    Settings { server: "ns1.test:53".to_owned(), key_name: KEY.to_owned(), algorithm: Algorithm::default() }
}

impl Outside for Stage {
    fn send(&self, _: &HttpRequest) -> Result<HttpResponse, HttpError> {
        Err(HttpError::Timeout)
    }

    fn exchange(&self, server: &str, message: &[u8], sign: Option<&Tsig>) -> Result<Vec<u8>, ExchangeError> {
        self.messages.set(self.messages.get() + 1);
        if let Some(set) = self.meanwhile.as_ref().filter(|_| message[2] >> 3 & 0xf == UPDATE) {
            self.model.borrow_mut().hold(set);
        }
        match &self.instead {
            Some(error) if sign.is_some() => Err(error.clone()),
            _ => {
                let request = DnsRequest { server: server.to_owned(), message: message.to_vec(), sign: sign.cloned() };
                Ok(self.model.borrow_mut().handle_dns(&request))
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
fn what_a_wildcard_stands_for_is_not_there() {
    let stage = Stage::new();
    stage.plant("*.example.org", "A", &["192.0.2.1"]);
    stage.plant("*.example.org", "TXT", &["v=spf1 -all"]);
    stage.plant("b.example.org", "A", &["192.0.2.1"]);
    let names = ["_linecamp-a.x.example.org", "a.example.org", "b.example.org", "c.example.org"];
    assert_eq!(stage.observe_in(ZONE, &names), Ok(vec![a("b.example.org", "192.0.2.1")]));
    stage.apply(&[Change::create(a("a.example.org", "192.0.2.9"))]).unwrap();
    assert_eq!(stage.observe_in(ZONE, &names[1..2]), Ok(vec![a("a.example.org", "192.0.2.9")]));
}

#[test]
fn a_site_is_observed_with_few_messages() {
    let stage = Stage::new();
    let names = ["gw.example.org", "_linecamp-a.gw.example.org", "new.example.org", "_linecamp-a.new.example.org"];
    stage.plant(names[0], "A", &["192.0.2.1"]);
    stage.plant(names[1], "TXT", &["claim"]);
    assert_eq!(stage.observe_in(ZONE, &names).unwrap().len(), 2);
    // Three for a host, one for its ownership TXT record, one each for names that do not exist, one for those that do.
    assert_eq!(stage.messages.get(), 3 + 1 + 1 + 1 + 1);
}

#[test]
fn a_delegation_and_a_dname_are_named() {
    let stage = Stage::new();
    stage.plant("sub.example.org", "NS", &["ns1.elsewhere.example"]);
    stage.plant("moved.example.org", "DNAME", &["elsewhere.example"]);
    stage.plant("www.example.org", "CNAME", &["foreign.elsewhere.example"]);
    stage.plant("*.wild.example.org", "CNAME", &["foreign.elsewhere.example"]);
    let refusal = |name: &str| match stage.observe_in(ZONE, &["a.example.org", name]) {
        Err(Failure::Refused { reason, name: Some(blamed), .. }) if blamed == name => reason,
        other => panic!("{other:?}"),
    };
    assert!(refusal("sub.example.org").contains("lies in zone sub.example.org"));
    assert!(refusal("a.b.sub.example.org").contains("lies in zone sub.example.org"));
    assert!(refusal("a.moved.example.org").contains("below the DNAME record of moved.example.org"));
    // An alias does not tell which zone it is in; the names above it do.
    let aliases = stage.observe_in(ZONE, &["www.example.org", "x.wild.example.org", "moved.example.org"]);
    assert_eq!(aliases.map(|sets| sets.len()), Ok(1));
}

#[test]
fn what_a_zone_below_holds_is_not_taken_for_the_zones() {
    let stage = Stage::new();
    let (claim, record) = ("_linecamp-a.gw.sub.example.org", a("gw.sub.example.org", "192.0.2.1"));
    stage.plant("gw.sub.example.org", "A", &["192.0.2.1"]);
    stage.plant(claim, "TXT", &["ours"]);
    stage.model.borrow_mut().delegate("sub.example.org");
    let ending = stage.apply(&[Change::create(a("gw.sub.example.org", "192.0.2.9"))]);
    assert!(matches!(&ending, Err(Failure::Refused { name: Some(_), .. })), "{ending:?}");
    // Together with a change elsewhere, and a second time.
    let claim = RecordSet::new(claim, "TXT", 300, ["ours"]);
    let step = [Change::delete(record), Change::create(a("new.example.org", "192.0.2.9")), Change::delete(claim)];
    for _ in 0..2 {
        assert_eq!(stage.apply(&step), Ok(vec![a("new.example.org", "192.0.2.9")]));
        assert_eq!(stage.model.borrow().zone(), [a("new.example.org", "192.0.2.9")]);
    }
    assert_eq!(stage.model.borrow().writes(), 1);
}

#[test]
fn a_claim_that_is_taken_meanwhile_stops_the_change_beside_it() {
    let claim = |owner| RecordSet::new("_linecamp-a.gw.example.org", "TXT", 300, [owner]);
    let stage = Stage { meanwhile: Some(claim("theirs")), ..Stage::new() };
    stage.plant("gw.example.org", "A", &["192.0.2.1"]);
    stage.plant("_linecamp-a.gw.example.org", "TXT", &["ours"]);
    let record = Change::replace(a("gw.example.org", "192.0.2.1"), a("gw.example.org", "192.0.2.2"));
    let ending = stage.apply(&[Change::replace(claim("ours"), claim("ours")), record]);
    assert!(matches!(&ending, Err(Failure::Conflict { .. })), "{ending:?}");
    assert_eq!(stage.observe_in(ZONE, &["gw.example.org"]), Ok(vec![a("gw.example.org", "192.0.2.1")]));
}

#[test]
fn an_alias_takes_no_name_that_is_in_use() {
    let stage = Stage::new();
    stage.plant("mail.example.org", "MX", &["10 a.example.org"]);
    let ending = stage.apply(&[Change::create(alias("mail.example.org", "b.example.org"))]);
    assert!(matches!(&ending, Err(Failure::Conflict { name, .. }) if name == "mail.example.org"), "{ending:?}");
    let claim = RecordSet::new("_linecamp-cname.mail.example.org", "TXT", 300, ["ours"]);
    let ending = stage.apply(&[Change::create(claim), Change::create(alias("mail.example.org", "b.example.org"))]);
    let Err(Failure::Conflict { name, owner }) = &ending else { panic!("{ending:?}") };
    assert!(name == "mail.example.org" && owner.contains("MX is there"), "{name}: {owner}");
    // Nor can an address be added next to an alias: the server would silently ignore it.
    stage.plant("www.example.org", "CNAME", &["c.example.org"]);
    let ending = stage.apply(&[Change::create(a("www.example.org", "192.0.2.1"))]);
    assert!(matches!(&ending, Err(Failure::Conflict { .. })), "{ending:?}");
    assert_eq!(stage.model.borrow().writes(), 0);
}

#[test]
fn an_alias_that_was_left_out_is_not_called_done() {
    let stage = Stage::new();
    stage.plant("www.example.org", "A", &["192.0.2.1"]);
    stage.plant("www.example.org", "MX", &["10 a.example.org"]);
    let changes =
        [Change::delete(a("www.example.org", "192.0.2.1")), Change::create(alias("www.example.org", "b.example.org"))];
    let ending = stage.apply(&changes);
    assert!(matches!(&ending, Err(Failure::Conflict { owner, .. }) if owner.contains("another type")), "{ending:?}");
}

#[test]
fn a_txt_value_is_compared_as_the_server_cut_it() {
    let stage = Stage::new();
    stage.model.borrow_mut().hold_strings("note.example.org", &["one ", "two"]);
    let before = RecordSet::new("note.example.org", "TXT", 300, ["one two"]);
    stage.apply(&[Change::delete(before)]).unwrap();
    assert!(stage.model.borrow().zone().is_empty());
}

#[test]
fn what_a_server_says_of_a_signature_decides() {
    let ending = |words: &str, zone: &str| Stage::ending(words).observe_in(zone, &["a.example.org"]).unwrap_err();
    assert!(matches!(ending("BADKEY: no such key", ZONE), Failure::Unauthorized { .. }));
    assert!(matches!(ending("BADTIME: clocks differ", ZONE), Failure::Retry { .. }));
    assert!(matches!(ending("the answer is not signed", ZONE), Failure::Unauthorized { .. }));
    let absent = ending("the answer is not signed", "example.net");
    assert!(absent.reason().contains("not the primary server of example.net"), "{absent}");
    let check = |words: &str| Rfc2136::check(&settings(), &Context::new(Stage::ending(words)));
    assert_eq!(check("the answer is not signed"), Ok(()));
    assert!(check("BADSIG: another secret").is_err());
}

#[test]
fn a_zone_or_a_name_of_others_is_refused() {
    let stage = Stage::new();
    let absent = stage.observe_in("example.net", &["a.example.net"]).unwrap_err();
    assert!(absent.reason().contains("not the primary server of example.net"), "{absent}");
    let ending = stage.observe_in(ZONE, &[&"a".repeat(64)]);
    assert!(matches!(&ending, Err(Failure::Refused { name: Some(_), .. })), "{ending:?}");
    assert!(matches!(stage.observe_in(ZONE, &[]), Err(Failure::Refused { .. })));
}
