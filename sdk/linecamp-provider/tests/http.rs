//! Outgoing requests, and the meaning of responses.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use linecamp_provider::http::{Auth, HttpError, HttpRequest, HttpResponse};
use linecamp_provider::prelude::*;
use linecamp_provider::{DnsError, Host, Level, TsigCode};

/// Returns the same response to every request, and records the requests.
#[derive(Clone)]
struct Script {
    response: Result<HttpResponse, HttpError>,
    asked: Rc<RefCell<Vec<HttpRequest>>>,
}

impl Host for Script {
    fn send_http(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        self.asked.borrow_mut().push(request.clone());
        self.response.clone()
    }

    fn send_dns(&self, _: &str, _: &[u8], _: Option<&Tsig>) -> Result<Vec<u8>, DnsError> {
        Err(DnsError::Tsig { code: TsigCode::BadKey, reason: "BADKEY".to_owned() })
    }

    fn log(&self, _: Level, _: &str) {}

    fn now_millis(&self) -> u64 {
        784_111_700_000
    }
}

fn answering(status: u16, headers: &[(&str, &str)], body: &str) -> Script {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let response = Ok(HttpResponse { status, headers, body: body.as_bytes().to_vec() });
    Script { response, asked: Rc::default() }
}

fn failure(script: Script) -> ProviderError {
    let cx = Context::new(script);
    cx.get("https://a.test/zones?token=x").send().and_then(Response::error_for_status).expect_err("it fails")
}

#[test]
fn a_request_is_put_together() {
    let script = answering(200, &[], "{}");
    let cx = Context::new(script.clone());
    let request = cx.put(url::join("https://a.test/v1/", &["zones", "a/b"]));
    let request = request.query("q", "a b&c").query("n", 1).header("x-y", 7).json(&[1, 2]).bearer("token");
    request.timeout(Duration::from_secs(3)).send().unwrap().error_for_status().unwrap();
    let expected = HttpRequest {
        method: linecamp_provider::http::Method::Put,
        url: "https://a.test/v1/zones/a%2Fb?q=a%20b%26c&n=1".to_owned(),
        headers: vec![("x-y".into(), "7".into()), ("content-type".into(), "application/json".into())],
        body: b"[1,2]".to_vec(),
        auth: Some(Auth::Bearer { secret: "token".into() }),
        timeout_millis: Some(3000),
    };
    assert_eq!(*script.asked.borrow(), [expected]);
}

#[test]
fn a_status_says_what_to_do() {
    let retry = |after: Option<u64>| {
        let after = after.map(Duration::from_secs);
        move |failure: &ProviderError| matches!(failure, ProviderError::Retry { after: found, .. } if *found == after)
    };
    let check = |script: Script, is_right: &dyn Fn(&ProviderError) -> bool, words: &str| {
        let failure = failure(script);
        assert!(is_right(&failure) && failure.reason().contains(words), "{failure:?}");
        assert!(!failure.reason().contains("token"), "the query is left out: {failure}");
    };
    let is_refused = |failure: &ProviderError| matches!(failure, ProviderError::Invalid { .. });
    let is_unauthorized = |failure: &ProviderError| matches!(failure, ProviderError::Unauthorized { .. });
    check(answering(401, &[], ""), &is_unauthorized, "GET https://a.test/zones returned 401");
    check(answering(403, &[], "{\"message\": \"no\"}"), &is_unauthorized, "403: no");
    check(answering(429, &[("retry-after", " 7 ")], ""), &retry(Some(7)), "429");
    check(answering(429, &[("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT")], ""), &retry(Some(77)), "429");
    check(answering(503, &[("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")], ""), &retry(Some(0)), "503");
    check(answering(503, &[("retry-after", "-1")], ""), &retry(None), "503");
    check(answering(500, &[], "<h1>Oh</h1>\n<p>no"), &retry(None), "500: Oh no");
    check(answering(422, &[], r#"{"errors": [{"detail": "a"}, {"detail": "b"}]}"#), &is_refused, "422: a; b");
    check(answering(302, &[("location", "/login")], ""), &is_refused, "/login");
    check(answering(404, &[], "x\u{1b}[31m"), &is_refused, "404: x [31m");
    check(answering(200, &[], " <!DOCTYPE html><title>Hi"), &retry(None), "web page");
}

#[test]
fn what_a_service_says_is_cut() {
    let failure = failure(answering(400, &[], &"ü".repeat(10_000)));
    assert!(failure.reason().len() < 400, "{failure}");
}

#[test]
fn an_answer_that_is_not_as_expected_is_tried_again() {
    let cx = Context::new(answering(200, &[("content-type", "text/plain")], "{\"a\": 1}"));
    let response = cx.get("https://a.test/x?y").send().unwrap();
    let failure = response.json::<Vec<u8>>().unwrap_err();
    assert!(matches!(failure, ProviderError::Retry { after: None, .. }));
    let words = "unexpected response from GET https://a.test/x (text/plain, 8 bytes): invalid type: map";
    assert!(failure.reason().starts_with(words), "{failure}");
}

#[test]
fn no_answer_is_a_failure_too() {
    let check = |error: HttpError, is_retry: bool| {
        let failure = failure(Script { response: Err(error), asked: Rc::default() });
        assert_eq!(matches!(failure, ProviderError::Retry { .. }), is_retry, "{failure}");
        assert!(failure.reason().starts_with("GET https://a.test/zones: "), "{failure}");
    };
    check(HttpError::Timeout, true);
    check(HttpError::Unreachable("no route".into()), true);
    check(HttpError::Protocol("no HTTP".into()), true);
    check(HttpError::Denied("no grant".into()), false);
    let denied = HttpError::Denied("no grant".into()).to_string();
    assert_eq!(
        (denied.as_str(), DnsError::Denied("no grant".into()).to_string()),
        ("denied by the sandbox: no grant", denied.clone())
    );
    check(HttpError::TooLarge(7), false);
    check(HttpError::LimitExceeded("requests".into()), false);
    let cx = Context::new(answering(200, &[], ""));
    let failure = ProviderError::from(cx.send_dns("ns.test:53", &[], None).unwrap_err());
    assert!(matches!(failure, ProviderError::Unauthorized { .. }), "{failure}");
}

#[test]
fn pages_without_an_end_are_refused() {
    let script = answering(200, &[], "");
    let cx = Context::new(script.clone());
    let turn = |page: u32| cx.get("https://a.test/").query("page", page);
    let mut page = 0;
    let endless = cx.paginate(turn(0), |_| {
        page += 1;
        Ok(Page { items: vec![()], next: Some(turn(page)) })
    });
    assert!(matches!(endless, Err(ProviderError::Invalid { .. })));
    assert_eq!(script.asked.borrow().len(), 1000);
    let again = cx.paginate(turn(0), |_| Ok(Page { items: vec![()], next: Some(turn(0)) }));
    assert!(again.unwrap_err().reason().contains("names itself as the next page"));
}
