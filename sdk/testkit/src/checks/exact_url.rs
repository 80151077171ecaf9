//! Checks that the provider and the fake server agree on exact URLs. A real service answers 404 for a path that only
//! almost fits; a fake server that accepts it hides the error until the provider runs at a site.

use linecamp_provider::http::Method;

use super::applying::all_calls;
use crate::fake_host::FaultPlan;
use crate::fake_service::Request;
use crate::harness::{Harness, NotPassed, Outcome, ensure};

pub(super) fn requests_exact_urls(harness: &Harness<'_>) -> Outcome {
    let mut count = 0;
    for index in 0..all_calls(harness, &harness.fixture()).len() {
        let fixture = harness.fixture();
        fixture.call(FaultPlan::NoFault, &all_calls(harness, &fixture)[index]);
        for request in fixture.answered_requests() {
            for url in almost(&request) {
                count += 1;
                let altered = Request::new(request.method, &url, request.headers.clone(), request.body.clone());
                // Another fixture: a lenient fake server would write.
                let status = harness.fixture().status(&altered);
                ensure(400 <= status, || {
                    let method = request.method.as_str();
                    format!("the fake server answers {method} {url} with {status}; a real service has no such path")
                })?;
            }
        }
    }
    let totals = harness.totals.borrow();
    let inexact: Vec<_> = totals.inexact_urls.iter().map(String::as_str).collect();
    ensure(inexact.is_empty(), || inexact.join("; "))?;
    match count {
        0 => Err(NotPassed::Skipped("it does not use HTTP".to_owned())),
        _ => Ok(format!("{count} URLs that almost fit, rejected by the fake server")),
    }
}

/// Returns URLs that differ from a request's only in a way that parsers easily overlook: a doubled slash, a slash at
/// the end, the query in the path, and escapes that are escaped again.
fn almost(request: &Request) -> Vec<String> {
    let (base, query) = match request.url.split_once('?') {
        Some((base, query)) => (base, format!("?{query}")),
        None => (request.url.as_str(), String::new()),
    };
    let Some(last) = base.rfind('/').filter(|at| !base[..*at].ends_with('/')) else { return Vec::new() };
    let mut urls = vec![format!("{}/{}{query}", &base[..last], &base[last..]), format!("{base}/{query}")];
    if !query.is_empty() {
        urls.push(format!("{base}%3F{}", &query[1..]));
    }
    if base.contains('%') && request.method == Method::Get {
        urls.push(format!("{}{query}", base.replace('%', "%25")));
    }
    urls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_almost_fit_differ_in_one_place() {
        let check = |url: &str, expected: &[&str]| {
            assert_eq!(almost(&Request::new(Method::Get, url, Vec::new(), Vec::new())), expected);
        };
        check("https://a.test/b/c", &["https://a.test/b//c", "https://a.test/b/c/"]);
        check("https://a.test/b?c=d", &["https://a.test//b?c=d", "https://a.test/b/?c=d", "https://a.test/b%3Fc=d"]);
        check("https://a.test/%2A", &["https://a.test//%2A", "https://a.test/%2A/", "https://a.test/%252A"]);
        check("https://a.test", &[]);
    }
}
