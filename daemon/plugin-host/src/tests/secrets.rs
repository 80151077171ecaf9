//! Attempts to see a secret, and to give it away.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use data_encoding::BASE64;
use linecamp_model::{Grant, ProviderRequest, ProviderSpec, SecretName};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use super::bench::{Bench, Known, Names, Setup, endpoint, spec_of};
use super::service::{Say, Service};

const SECRET: &str = "an-api-key-drawn-at-random";

fn bench() -> (Bench, Arc<Known>) {
    let secrets = Known::new(&[("site-key", SECRET), ("empty", ""), ("two-lines", "a\nb")]);
    let outbound = Names::new(&[("service.example", &["127.0.0.1"])], None);
    (Setup { secrets: Arc::clone(&secrets), outbound, ..Setup::default() }.start(), secrets)
}

/// A provider that has the secret `handle`, which it calls `key`, echoed by the service, and gives it away.
fn giving_away(service: &Service, what: &str, auth: &str) -> ProviderSpec {
    with_handle(service, &format!(r#""do":"{what}","auth":"{auth}","secret":"key""#), "site-key")
}

fn with_handle(service: &Service, config: &str, secret: &str) -> ProviderSpec {
    let place = format!("service.example:{}", service.port());
    let grant = Grant { reach_private: [endpoint(&place)].into(), plain_http: true, ..Grant::default() };
    let name = |text: &str| SecretName::parse(text).unwrap();
    let secrets = BTreeMap::from([(name("key"), name(secret))]);
    ProviderSpec { secrets, ..spec_of(&format!(r#"{{{config},"url":"http://{place}/x"}}"#), &grant) }
}

#[tokio::test]
async fn a_secret_goes_to_the_service_and_not_to_the_plugin() {
    let (mut bench, _) = bench();
    let basic = format!("Basic {}", BASE64.encode(format!("user:{SECRET}").as_bytes()));
    let bearer = format!("authorization: Bearer {SECRET}\r\n");
    let header = format!("x-api-key: Key {SECRET}\r\n");
    let signed = format!("Credential={SECRET}/");
    let ways =
        [("bearer", bearer), ("basic", format!("authorization: {basic}\r\n")), ("header", header), ("sigv4", signed)];
    for (auth, sent) in ways {
        let service = Service::start(Say::Echo).await;
        let told = bench.attempt(&giving_away(&service, "echo-secret", auth)).await;
        let [asked] = service.asked().try_into().unwrap();
        assert!(asked.contains(&sent), "{auth}: {asked}");
        assert!(told.contains("[secret key]"), "{auth}: {told}");
        assert!(!told.contains(SECRET) && !told.contains(&basic), "{auth}: {told}");
    }
}

#[tokio::test]
async fn a_secret_that_the_plugin_prints_is_blotted_out() {
    let (mut bench, secrets) = bench();
    // So short that it may be a word of the answer, which the plugin then sees.
    secrets.rotate("site-key", "hunter2");
    let service = Service::start(Say::Echo).await;
    let lines = Lines::default();
    let guard = tracing::subscriber::set_global_default(lines.clone());
    assert!(guard.is_ok(), "only one test listens to the log");

    let told = bench.attempt(&giving_away(&service, "echo-secret", "bearer")).await;
    assert!(told.contains("Bearer [secret key]") && !told.contains("hunter2"), "{told}");
    let reason = bench.broken(&giving_away(&service, "print-secret", "bearer"), ProviderRequest::Check).await;
    assert!(reason.contains("[secret key]") && !reason.contains("hunter2"), "{reason}");

    let written = lines.0.lock().unwrap().clone();
    let of_plugin: Vec<_> = written.iter().filter(|line| line.contains("the-provider")).collect();
    assert!(of_plugin.iter().any(|line| line.contains("Bearer [secret key]")), "{of_plugin:?}");
    assert!(!written.iter().any(|line| line.contains("hunter2")), "{written:?}");
}

#[tokio::test]
async fn a_secret_is_read_at_each_call() {
    let (mut bench, secrets) = bench();
    let service = Service::start(Say::Echo).await;
    bench.attempt(&giving_away(&service, "echo-secret", "bearer")).await;
    secrets.rotate("site-key", "another-key-that-is-new\n");
    bench.attempt(&giving_away(&service, "echo-secret", "bearer")).await;
    let [first, second] = service.asked().try_into().unwrap();
    assert!(first.contains(SECRET), "{first}");
    assert!(second.contains("Bearer another-key-that-is-new\r\n"), "{second}");
}

#[tokio::test]
async fn a_handle_that_leads_to_no_secret_is_denied() {
    let (mut bench, _) = bench();
    let service = Service::start(Say::Echo).await;
    let unknown = r#""do":"echo-secret","secret":"other""#;
    let odd = r#""do":"echo-secret","secret":"../../etc/passwd""#;
    let known = r#""do":"echo-secret","secret":"key""#;
    let cases = [
        (unknown, "site-key", "`other` is not among the provider's secrets"),
        (odd, "site-key", "is not among the provider's secrets"),
        (known, "absent", "the site has no secret `absent`"),
        (known, "empty", "is empty"),
        (known, "two-lines", "line end"),
    ];
    for (config, secret, words) in cases {
        let told = bench.attempt(&with_handle(&service, config, secret)).await;
        assert!(told.starts_with("denied: ") && told.contains(words), "{told}");
    }
    assert!(service.asked().is_empty());
}

/// Keeps every line of the log.
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
