//! Attempts to see a secret, or to leak it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use data_encoding::BASE64;
use linecamp_model::{Grant, ProviderRequest, ProviderSpec, SecretName};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use super::fixture::{Bench, Names, Setup, StaticSecrets, endpoint, spec_of};
use super::service::{Say, Service, response};
use crate::SecretUse::{self, Basic, Bearer, Header, SigV4, SigV4KeyId, SigV4SessionToken, Tsig};

const SECRET: &str = "an-api-key-drawn-at-random";

/// How the plugin uses a secret, and the corresponding uses in the host. For a signature, it uses one secret in all
/// three places.
const WAYS: [(&str, &[SecretUse]); 4] = [
    ("bearer", &[Bearer]),
    ("basic", &[Basic]),
    ("header", &[Header]),
    ("sigv4", &[SigV4, SigV4KeyId, SigV4SessionToken]),
];

fn bench() -> (Bench, Arc<StaticSecrets>) {
    let secrets = StaticSecrets::new(&[("site-key", SECRET), ("empty", ""), ("two-lines", "a\nb")]);
    let outbound = Names::new(&[("service.example", &["127.0.0.1"])], None);
    (Setup { secrets: Arc::clone(&secrets), outbound, ..Setup::default() }.start(), secrets)
}

/// A provider that has the service echo the secret `handle`, named `key` by the plugin, and then leaks it.
fn giving_away(service: &Service, what: &str, auth: &str) -> ProviderSpec {
    with_handle(service, &format!(r#""do":"{what}","auth":"{auth}","secret":"key""#), "site-key")
}

/// The service's host and port, as in grants and bindings.
fn place(service: &Service) -> String {
    format!("service.example:{}", service.port())
}

fn with_handle(service: &Service, config: &str, secret: &str) -> ProviderSpec {
    let place = place(service);
    let grant = Grant { reach_private: [endpoint(&place)].into(), plain_http: true, ..Grant::default() };
    let name = |text: &str| SecretName::parse(text).unwrap();
    let secrets = BTreeMap::from([(name("key"), name(secret))]);
    ProviderSpec { secrets, ..spec_of(&format!(r#"{{{config},"url":"http://{place}/x"}}"#), &grant) }
}

#[tokio::test]
async fn a_secret_reaches_the_service_and_not_the_plugin() {
    let (mut bench, secrets) = bench();
    let basic = format!("Basic {}", BASE64.encode(format!("user:{SECRET}").as_bytes()));
    let bearer = format!("authorization: Bearer {SECRET}\r\n");
    let header = format!("x-api-key: Key {SECRET}\r\n");
    let signed = format!("Credential={SECRET}/");
    let sent = [bearer, format!("authorization: {basic}\r\n"), header, signed];
    for ((auth, uses), sent) in WAYS.into_iter().zip(sent) {
        let service = Service::start(Say::Echo).await;
        secrets.bind("site-key", &place(&service), uses);
        let outcome = bench.attempt(&giving_away(&service, "echo-secret", auth)).await;
        let [asked] = service.asked().try_into().unwrap();
        assert!(asked.contains(&sent), "{auth}: {asked}");
        assert!(outcome.contains("[secret key]"), "{auth}: {outcome}");
        assert!(!outcome.contains(SECRET) && !outcome.contains(&basic), "{auth}: {outcome}");
    }
}

#[tokio::test]
async fn a_secret_that_the_plugin_prints_is_redacted() {
    let (mut bench, secrets) = bench();
    // So short that it may be a word of the response: the plugin sees it.
    secrets.rotate("site-key", "hunter2");
    let service = Service::start(Say::Echo).await;
    secrets.bind("site-key", &place(&service), &[Bearer]);
    let lines = Lines::default();
    let guard = tracing::subscriber::set_global_default(lines.clone());
    assert!(guard.is_ok(), "only one test listens to the log");

    let outcome = bench.attempt(&giving_away(&service, "echo-secret", "bearer")).await;
    assert!(outcome.contains("Bearer [secret key]") && !outcome.contains("hunter2"), "{outcome}");
    let reason = bench.broken(&giving_away(&service, "print-secret", "bearer"), ProviderRequest::Validate).await;
    assert!(reason.contains("[secret key]") && !reason.contains("hunter2"), "{reason}");

    let written = lines.0.lock().unwrap().clone();
    let of_plugin: Vec<_> = written.iter().filter(|line| line.contains("the-provider")).collect();
    assert!(of_plugin.iter().any(|line| line.contains("Bearer [secret key]")), "{of_plugin:?}");
    assert!(!written.iter().any(|line| line.contains("hunter2")), "{written:?}");
}

/// The service sends the secret in a form that the host does not recognize. The call itself does not use the secret.
#[tokio::test]
async fn a_disguised_secret_does_not_leave_the_sandbox() {
    let (mut bench, _) = bench();
    bench.is_local = true;
    let reversed: String = SECRET.chars().rev().collect();
    let service = Service::start(response("200 OK", &[], reversed.as_bytes())).await;
    let mut said = async |form: &str| {
        let config = format!(r#""do":"disguise-secret","form":"{form}""#);
        bench.attempt(&with_handle(&service, &config, "site-key")).await
    };
    for form in ["base64", "base64-of-more", "hex", "hex-pairs", "percent", "json", "bytes", "half"] {
        let outcome = said(form).await;
        let rest = outcome.replace("[secret key]", "");
        assert!(rest.len() + 8 < outcome.len() && rest.len() <= 12, "{form}: {outcome}");
    }
    assert_eq!(said("parts-of-9").await, "[secret key] | [secret key] | t-random");
    assert_eq!(said("parts-of-8").await, "an-api-k | ey-drawn | -at-rand | om", "too short to be recognized");
    let long = said("long").await;
    assert!(long.starts_with("xxx") && long.len() <= 256 + "…".len() && !long.contains("an"), "{long}");
}

#[tokio::test]
async fn a_secret_is_read_at_each_call() {
    let (mut bench, secrets) = bench();
    let service = Service::start(Say::Echo).await;
    secrets.bind("site-key", &place(&service), &[Bearer]);
    bench.attempt(&giving_away(&service, "echo-secret", "bearer")).await;
    secrets.rotate("site-key", "another-key-that-is-new\n");
    bench.attempt(&giving_away(&service, "echo-secret", "bearer")).await;
    let [first, second] = service.asked().try_into().unwrap();
    assert!(first.contains(SECRET), "{first}");
    assert!(second.contains("Bearer another-key-that-is-new\r\n"), "{second}");
}

#[tokio::test]
async fn a_handle_without_a_secret_is_denied() {
    let (mut bench, secrets) = bench();
    let service = Service::start(Say::Echo).await;
    for name in ["empty", "two-lines"] {
        secrets.bind(name, &place(&service), &[Bearer]);
    }
    let unknown = r#""do":"echo-secret","secret":"other""#;
    let odd = r#""do":"echo-secret","secret":"../../etc/passwd""#;
    let known = r#""do":"echo-secret","secret":"key""#;
    let cases = [
        (unknown, "site-key", "`other` is not assigned to the provider"),
        (odd, "site-key", "is not assigned to the provider"),
        (known, "absent", "does not bind it"),
        (known, "empty", "is empty"),
        (known, "two-lines", "line end"),
    ];
    for (config, secret, words) in cases {
        let outcome = bench.attempt(&with_handle(&service, config, secret)).await;
        assert!(outcome.starts_with("denied: ") && outcome.contains(words), "{outcome}");
    }
    assert!(service.asked().is_empty());
}

/// Checks that the plugin was denied the secret with this text, and that the service received nothing.
fn insist_denied(service: &Service, outcome: &str, words: &[&str]) {
    assert!(
        outcome.starts_with("denied: provider the-provider may not use the site's secret `site-key` as "),
        "{outcome}"
    );
    assert!(words.iter().all(|word| outcome.contains(word)), "{words:?} in: {outcome}");
    assert!(!outcome.contains(SECRET), "{outcome}");
    assert_eq!(service.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_central_provider_gets_no_unbound_secret() {
    let (mut bench, _) = bench();
    let service = Service::start(Say::Echo).await;
    for (auth, _) in WAYS {
        let outcome = bench.attempt(&giving_away(&service, "echo-secret", auth)).await;
        insist_denied(&service, &outcome, &["`hosts`, `use` and `providers`", "[secrets.site-key]"]);
    }
}

#[tokio::test]
async fn a_secret_is_not_sent_to_another_service() {
    let (mut bench, secrets) = bench();
    let service = Service::start(Say::Echo).await;
    for is_local in [false, true] {
        bench.is_local = is_local;
        for (auth, uses) in WAYS {
            secrets.bind("site-key", "other.example:443", uses);
            let outcome = bench.attempt(&giving_away(&service, "echo-secret", auth)).await;
            insist_denied(&service, &outcome, &[&place(&service), "to `hosts`"]);
        }
        secrets.bind("site-key", &place(&service), &[Tsig]);
        for (auth, uses) in WAYS {
            let outcome = bench.attempt(&giving_away(&service, "echo-secret", auth)).await;
            let used = uses.iter().find(|used| outcome.contains(&format!("`use` is tsig, not {used}")));
            insist_denied(&service, &outcome, &[&place(&service)]);
            assert!(used.is_some(), "{outcome}");
        }
    }
}

#[tokio::test]
async fn a_secret_is_available_only_to_its_bound_provider() {
    let (mut bench, secrets) = bench();
    let service = Service::start(Say::Echo).await;
    secrets.bind("site-key", &place(&service), &[Bearer]);
    let other = linecamp_model::Name::parse("another-provider").unwrap();
    let spec = ProviderSpec { name: other, ..giving_away(&service, "echo-secret", "bearer") };
    let outcome = bench.attempt(&spec).await;
    assert!(outcome.starts_with("denied: provider another-provider may not"), "{outcome}");
    assert!(outcome.contains("add `another-provider` to `providers` in [secrets.site-key]"), "{outcome}");
    assert!(service.asked().is_empty());
}

/// A secret used for signing is never sent, neither as the key ID of the signature nor as the session token.
#[tokio::test]
async fn a_signing_key_is_not_sent_elsewhere_in_the_signature() {
    let (mut bench, secrets) = bench();
    let service = Service::start(Say::Echo).await;
    let cases: [(&[SecretUse], &str); 3] = [
        (&[SigV4], "sigv4-session-token"),
        (&[SigV4, SigV4SessionToken], "sigv4-key-id"),
        (&[SigV4KeyId, SigV4SessionToken], "sigv4"),
    ];
    for (uses, denied) in cases {
        secrets.bind("site-key", &place(&service), uses);
        let outcome = bench.attempt(&giving_away(&service, "echo-secret", "sigv4")).await;
        insist_denied(&service, &outcome, &[&format!("not {denied}")]);
    }
}

/// A grant for plain HTTP alone does not allow a secret to be sent over it.
#[tokio::test]
async fn a_secret_is_sent_over_plain_http_only_if_its_binding_allows_it() {
    let (mut bench, _) = bench();
    let service = Service::start(Say::Echo).await;
    bench.is_local = true;
    for (auth, _) in WAYS {
        let outcome = bench.attempt(&giving_away(&service, "echo-secret", auth)).await;
        insist_denied(&service, &outcome, &["plain HTTP", "`plain_http`", "[secrets.site-key]"]);
    }
}

/// Collects every line of the log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Subscriber for Lines {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}

    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        struct Line(String);
        impl Visit for Line {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!("{field}={value:?} ");
            }
        }
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _span: &span::Id) {}

    fn exit(&self, _span: &span::Id) {}
}
