//! Tests the provider against the fake server.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use linecamp_provider::http::{Auth, HttpError, HttpRequest, HttpResponse};
use linecamp_provider::prelude::*;
use linecamp_provider::{DnsError, Host, Level};
use linecamp_testkit::{Request, Service as _, Setup, conformance, reply};

use crate::fake_server::{ACCESS_KEY_ID, FakeServer, SECRET_ACCESS_KEY, ZONE_ID};
use crate::{Route53, Settings};

const ZONE: &str = "example.org";

#[test]
fn it_conforms_to_the_contract() {
    let config = r#"{"endpoint": "https://route53.test", "temporary": true}"#;
    let setup = Setup::new(ZONE, config, || FakeServer::new(ZONE))
        .secret("access-key-id", ACCESS_KEY_ID)
        .secret("secret-access-key", SECRET_ACCESS_KEY)
        .secret("session-token", "FwoGZXIvYXdzEXAMPLETOKEN");
    conformance::<Route53>(&setup).assert();
}

/// A fake account, the number of requests it received, and an optional fixed response.
#[derive(Clone)]
struct FakeHost {
    server: Rc<RefCell<FakeServer>>,
    instead: Option<HttpResponse>,
    requests: Rc<Cell<usize>>,
}

impl FakeHost {
    fn new(server: FakeServer) -> Self {
        Self { server: Rc::new(RefCell::new(server)), instead: None, requests: Rc::default() }
    }

    fn answering(status: u16, body: &str) -> Self {
        Self { instead: Some(reply::body(status, "text/xml", body)), ..Self::new(FakeServer::new(ZONE)) }
    }

    fn observe(&self, settings: &Settings, names: &[String]) -> Result<Vec<RecordSet>, ProviderError> {
        Route53::observe(settings, &Context::new(self.clone()), ZONE, names)
    }

    fn apply(&self, changes: &[Change]) -> Result<Vec<RecordSet>, ProviderError> {
        Route53::apply(&settings(), &Context::new(self.clone()), ZONE, "key", changes)
    }
}

fn settings() -> Settings {
    Settings {
        region: crate::us_east_1(),
        endpoint: crate::default_endpoint(),
        zone_ids: [("Example.org.".to_owned(), ZONE_ID.to_owned())].into(),
        temporary: false,
    }
}

impl Host for FakeHost {
    fn send_http(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        self.requests.set(self.requests.get() + 1);
        assert!(matches!(&request.auth, Some(Auth::Sigv4(sign)) if sign.service == "route53"), "each is signed");
        if let Some(response) = &self.instead {
            return Ok(response.clone());
        }
        let authorization = format!("AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/x");
        let headers = vec![("authorization".to_owned(), authorization)];
        let request = Request::new(request.method, &request.url, headers, request.body.clone());
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
fn names_of_one_site_are_one_request() {
    let host = FakeHost::new(FakeServer::new(ZONE));
    for index in 0..1000 {
        host.server.borrow_mut().seed(&a(&format!("other{index}.example.org"), "192.0.2.1"));
    }
    let mut names = Vec::new();
    for host in ["gw", "h1", "h2", "h3"] {
        names.extend(["", "_linecamp-a.", "_linecamp-aaaa."].map(|head| format!("{head}{host}.camp.example.org")));
    }
    host.server.borrow_mut().seed(&a("gw.camp.example.org", "192.0.2.7"));
    assert_eq!(host.observe(&settings(), &names), Ok(vec![a("gw.camp.example.org", "192.0.2.7")]));
    assert_eq!(host.requests.get(), 1);
}

#[test]
fn names_with_an_uncertain_sort_order_are_found() {
    let host = FakeHost::new(FakeServer::new(ZONE));
    host.server.borrow_mut().set_page_size(1);
    let labels = ["a", "a-b", "x.a", "x.a-b", "*", "0", "z", "*.a", "-.a", "_linecamp-a.a", "_linecamp-a-any"];
    let sets = labels.map(|label| a(&format!("{label}.example.org"), "192.0.2.1"));
    for set in &sets {
        host.server.borrow_mut().seed(set);
    }
    let names: Vec<_> = sets.iter().map(|set| set.name.clone()).collect();
    let mut found: Vec<_> = host.observe(&settings(), &names).unwrap();
    found.sort_by_key(|set| names.iter().position(|name| *name == set.name));
    assert_eq!(found, sets);
}

#[test]
fn a_delegation_is_reported_and_its_hidden_records_are_deleted() {
    let host = FakeHost::new(FakeServer::new(ZONE));
    let left = a("gw.camp.example.org", "192.0.2.7");
    host.server.borrow_mut().seed(&left);
    host.server.borrow_mut().delegate("camp.example.org");
    let names = ["a.example.org".to_owned(), left.name.clone()];
    let refusal = host.observe(&settings(), &names).unwrap_err();
    assert!(refusal.reason().contains("is in the child zone camp.example.org"), "{refusal}");
    let result = host.apply(&[Change::replace(left.clone(), a("gw.camp.example.org", "192.0.2.8"))]);
    assert!(
        matches!(&result, Err(ProviderError::Invalid { name: Some(name), .. }) if *name == left.name),
        "{result:?}"
    );
    assert_eq!(host.apply(&[Change::delete(left)]), Ok(Vec::new()));
    assert_eq!(host.observe(&settings(), &[]).unwrap().len(), 1, "the delegation");
}

#[test]
fn a_private_child_zone_is_reported() {
    let by_name = Settings { zone_ids: Default::default(), ..settings() };
    let names = ["gw.camp.example.org".to_owned()];
    let host = FakeHost::new(FakeServer::with_private(ZONE, true, &["other.example.org", "camp.example.org"]));
    let refusal = host.observe(&by_name, &names).unwrap_err();
    assert!(refusal.reason().contains("is in the child zone camp.example.org"), "{refusal}");
    assert_eq!(host.observe(&by_name, &["gw.example.org".to_owned()]), Ok(Vec::new()));
    // A public zone is served only where it is delegated to.
    let host = FakeHost::new(FakeServer::with_private(ZONE, false, &["camp.example.org"]));
    assert_eq!(host.observe(&by_name, &names), Ok(Vec::new()));
}

#[test]
fn an_incomplete_or_unordered_listing_is_an_error() {
    let set = "<ResourceRecordSet><Name>b.</Name><Type>A</Type></ResourceRecordSet>";
    let check = |sets: &str, end: &str| {
        let body = format!(
            "<ListResourceRecordSetsResponse><ResourceRecordSets>{sets}</ResourceRecordSets>{end}\
             </ListResourceRecordSetsResponse>"
        );
        let result = FakeHost::answering(200, &body).observe(&settings(), &["a.example.org".to_owned()]);
        assert!(matches!(result, Err(ProviderError::Retry { .. })), "{body}: {result:?}");
    };
    check("", "");
    check("", "<IsTruncated>true</IsTruncated>");
    check("<ResourceRecordSet><Name>b.</Name></ResourceRecordSet>", "<IsTruncated>false</IsTruncated>");
    // Not in the order on which the detection of absent names relies.
    check(&format!("{set}{}", set.replace("b.", "a.")), "<IsTruncated>false</IsTruncated>");
}

#[test]
fn a_name_shared_by_two_hosted_zones_requires_an_id() {
    let host = FakeHost::new(FakeServer::twice(ZONE));
    let unsure = Settings { zone_ids: Default::default(), ..settings() };
    match host.observe(&unsure, &["a.example.org".to_owned()]) {
        Err(ProviderError::Invalid { reason, field: Some(field), .. }) => {
            assert_eq!(field, "zone_ids");
            assert!(reason.contains("Z0123456789ABC, ZPRIVATE"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(host.observe(&settings(), &["a.example.org".to_owned()]), Ok(Vec::new()));
}

#[test]
fn an_error_states_the_rejected_name() {
    let host = FakeHost::new(FakeServer::new(ZONE));
    let claim = RecordSet::new("_linecamp-a.a.example.org", "TXT", 300, ["claim"]);
    host.server.borrow_mut().seed(&RecordSet::new("b.example.org", "MX", 300, ["10 mail.example.org."]));
    let result = host.apply(&[
        Change::create(claim),
        Change::create(RecordSet::new("b.example.org", "CNAME", 300, ["c.example.org"])),
    ]);
    assert!(matches!(&result, Err(ProviderError::Conflict { name, .. }) if name == "b.example.org"), "{result:?}");
    let result = host.apply(&[Change::create(a("a.example.org", "not-an-ip"))]);
    assert!(
        matches!(&result, Err(ProviderError::Invalid { name: Some(name), .. }) if name == "a.example.org"),
        "{result:?}"
    );
    assert_eq!(host.server.borrow().records().len(), 1);
}

#[test]
fn an_error_code_takes_precedence_over_an_ambiguous_status() {
    let check = |status, code: &str, message: &str| {
        let body =
            format!("<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>");
        FakeHost::answering(status, &body).observe(&settings(), &["a.example.org".to_owned()]).unwrap_err()
    };
    assert!(matches!(check(400, "Throttling", "Rate exceeded"), ProviderError::Retry { .. }));
    assert!(matches!(check(400, "PriorRequestNotComplete", ""), ProviderError::Retry { .. }));
    assert!(matches!(check(500, "InternalFailure", ""), ProviderError::Retry { .. }));
    assert!(matches!(check(403, "AccessDenied", "not authorized"), ProviderError::Unauthorized { .. }));
    assert!(
        check(403, "SignatureDoesNotMatch", "Signature expired: x is now earlier")
            .reason()
            .contains("check the site's clock")
    );
    let absent = check(404, "NoSuchHostedZone", "No hosted zone found with ID: Z1");
    assert!(matches!(&absent, ProviderError::Invalid { field: Some(field), .. } if field == "zone_ids"), "{absent:?}");
    assert!(matches!(FakeHost::answering(200, "<html>").observe(&settings(), &[]), Err(ProviderError::Retry { .. })));
}

#[test]
fn an_endless_listing_is_aborted() {
    let body = "<ListResourceRecordSetsResponse><ResourceRecordSets/><IsTruncated>true</IsTruncated><NextRecordName>a.</NextRecordName>\
                <NextRecordType>A</NextRecordType></ListResourceRecordSetsResponse>";
    let result = FakeHost::answering(200, body).observe(&settings(), &[]);
    assert!(matches!(result, Err(ProviderError::Invalid { .. })), "{result:?}");
}
