//! Attempts to exceed limits: on time, memory, stack, text, requests, bytes.

use std::time::{Duration, Instant};

use linecamp_model::{DnsRequest, Grant, ProviderRequest, ProviderSpec};

use super::fixture::{Bench, Names, Setup, check, domain, endpoint, resident_mib, spec, spec_of};
use super::service::{Say, Service, response};
use crate::Limits;

/// Limits short enough for a test to wait for.
fn short() -> Limits {
    Limits { call_time: Duration::from_secs(3), cpu_time: Duration::from_millis(500), ..Limits::default() }
}

fn bench() -> Bench {
    Setup { limits: short(), ..Setup::default() }.start()
}

#[tokio::test]
async fn a_plugin_in_an_endless_loop_is_stopped() {
    let mut bench = bench();
    let begun = Instant::now();
    let reason = bench.broken(&spec("spin"), ProviderRequest::Validate).await;
    assert!(reason.contains("exceeded 0.5 s of CPU time"), "{reason}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let request = ProviderRequest::Dns(DnsRequest::Observe { zone: domain("zone.example"), names: [].into() });
    let reason = bench.broken(&spec("spin"), request).await;
    assert!(reason.contains("of CPU time"), "{reason}");
    bench.goes_on().await;
}

#[tokio::test]
async fn a_busy_plugin_does_not_block_another() {
    let limits = Limits { call_time: Duration::from_secs(60), cpu_time: Duration::from_secs(50), ..Limits::default() };
    let mut bench = Setup { limits, ..Setup::default() }.start();
    bench.host.call(check(1_000, &spec("spin")));
    let begun = Instant::now();
    bench.goes_on().await;
    bench.goes_on().await;
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_sleeping_plugin_is_stopped_at_the_deadline() {
    let mut bench = bench();
    let begun = Instant::now();
    let reason = bench.broken(&spec("sleep"), ProviderRequest::Validate).await;
    assert!(reason.contains("did not finish within 3 s"), "{reason}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    bench.goes_on().await;
}

#[tokio::test]
async fn memory_is_limited_and_freed_after_the_call() {
    let limits = Limits { memory_bytes: 64 << 20, ..short() };
    let mut bench = Setup { limits, ..Setup::default() }.start();
    bench.goes_on().await;
    let before = resident_mib();
    for _ in 0..5 {
        let reason = bench.broken(&spec("allocate"), ProviderRequest::Validate).await;
        assert!(reason.contains("exceeded 64 MiB of memory"), "{reason}");
    }
    bench.goes_on().await;
    let after = resident_mib();
    // Other tests run in this process as well, so this is an upper bound and not a measurement.
    assert!(after < before + 200, "{before} MiB before, {after} MiB after");
}

#[tokio::test]
async fn endless_recursion_fails_the_call_without_a_crash() {
    let mut bench = bench();
    let reason = bench.broken(&spec("recurse"), ProviderRequest::Validate).await;
    assert!(reason.contains("stack"), "{reason}");
    bench.goes_on().await;
}

#[tokio::test]
async fn a_panic_is_reported_with_its_message() {
    let mut bench = bench();
    let reason = bench.broken(&spec("panic"), ProviderRequest::Validate).await;
    assert!(reason.contains("panicked") && reason.contains("a panic with a message"), "{reason}");
    let reason = bench.broken(&spec("exit"), ProviderRequest::Validate).await;
    assert!(reason.contains("exited with code"), "{reason}");
    bench.goes_on().await;
}

#[tokio::test]
async fn log_lines_are_truncated_counted_and_dropped() {
    let limits = Limits { call_time: Duration::from_secs(60), cpu_time: Duration::from_secs(50), ..Limits::default() };
    let mut bench = Setup { limits, ..Setup::default() }.start();
    assert_eq!(bench.attempt(&spec("huge-line")).await, "wrote");
    assert_eq!(bench.attempt(&spec("many-lines")).await, "wrote");
    let reason = bench.broken(&spec("handover"), ProviderRequest::Validate).await;
    assert!(reason.contains("passed more than 8 MiB in one host call"), "{reason}");
    bench.goes_on().await;
}

/// A provider that does `what` with the service, at its private address.
fn with(service: &Service, what: &str) -> ProviderSpec {
    let place = format!("service.example:{}", service.port());
    let grant = Grant { reach_private: [endpoint(&place)].into(), plain_http: true, ..Grant::default() };
    spec_of(&format!(r#"{{"do":"{what}","url":"http://{place}/"}}"#), &grant)
}

fn bench_with_service(limits: Limits) -> Bench {
    let outbound = Names::new(&[("service.example", &["127.0.0.1"])], None);
    Setup { limits, outbound, ..Setup::default() }.start()
}

#[tokio::test]
async fn an_oversized_answer_is_rejected() {
    let mut bench = bench_with_service(short());
    let flood = Service::start(Say::Flood).await;
    assert_eq!(bench.attempt(&with(&flood, "reach")).await, format!("too large: {}", 4 << 20));
    let announced = Say::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nabc".to_vec());
    let announced = Service::start(announced).await;
    assert_eq!(bench.attempt(&with(&announced, "reach")).await, format!("too large: {}", 4 << 20));
    let head = [b"HTTP/1.1 200 OK\r\nX-Long: ".to_vec(), vec![b'a'; 1 << 20], b"\r\n\r\n".to_vec()].concat();
    let head = Service::start(Say::Bytes(head)).await;
    let outcome = bench.attempt(&with(&head, "reach")).await;
    assert!(outcome.starts_with("protocol: "), "{outcome}");
    bench.goes_on().await;
}

#[tokio::test]
async fn a_slow_service_times_out_before_the_call_does() {
    let mut bench = bench_with_service(short());
    for say in [Say::Drip, Say::Silence] {
        let service = Service::start(say).await;
        let begun = Instant::now();
        assert_eq!(bench.attempt(&with(&service, "reach")).await, "timeout");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
    bench.goes_on().await;
}

#[tokio::test]
async fn a_service_that_does_not_speak_http_is_an_error() {
    let mut bench = bench_with_service(short());
    for bytes in
        [b"SSH-2.0-OpenSSH_9.2\r\n".as_slice(), b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", b"\xff\0"]
    {
        let service = Service::start(Say::Bytes(bytes.to_vec())).await;
        let outcome = bench.attempt(&with(&service, "reach")).await;
        assert!(outcome.starts_with("protocol: "), "{outcome}");
    }
    let gone = Service::start(Say::Echo).await;
    let spec = with(&gone, "reach");
    let place = format!("127.0.0.1:{}", gone.port());
    drop(gone);
    let outcome = bench.attempt(&spec).await;
    // The listener lives on in its task; either way, the plugin must get a result.
    assert!(outcome.contains("status") || outcome.contains(&place), "{outcome}");
}

#[tokio::test]
async fn requests_and_sent_bytes_are_limited() {
    let limits = Limits { requests: 5, call_time: Duration::from_secs(30), ..short() };
    let mut bench = bench_with_service(limits);
    let service = Service::start(response("200 OK", &[], b"abc")).await;
    let outcome = bench.attempt(&with(&service, "many-requests")).await;
    assert_eq!(outcome, "5 responses, then limit exceeded: the call has exceeded its limit on requests");
    assert_eq!(service.asked().len(), 5);
    let outcome = bench.attempt(&with(&service, "big-request")).await;
    assert_eq!(outcome, "limit exceeded: the call has exceeded its limit on bytes to send");
    assert_eq!(service.asked().len(), 5);
}

#[tokio::test]
async fn received_bytes_are_limited_across_answers() {
    let limits = Limits { received_bytes: 10, call_time: Duration::from_secs(30), ..short() };
    let mut bench = bench_with_service(limits);
    let service = Service::start(response("200 OK", &[], b"abcd")).await;
    let outcome = bench.attempt(&with(&service, "many-requests")).await;
    assert_eq!(outcome, "2 responses, then limit exceeded: the call has exceeded its limit on bytes to receive");
}

#[tokio::test]
async fn calls_beyond_the_limit_are_rejected_with_a_retry() {
    let mut bench = bench();
    let calls = 200;
    for call in 0..calls {
        bench.host.call(check(call, &spec("nothing")));
    }
    let (mut done, mut later) = (0, 0);
    for _ in 0..calls {
        match super::fixture::soon(bench.host.event()).await {
            crate::HostEvent::Replied { reply: linecamp_model::ProviderReply::Validated(_), .. } => done += 1,
            crate::HostEvent::Replied {
                reply: linecamp_model::ProviderReply::Failed(linecamp_model::ProviderFailure::Retry { .. }),
                plugin: None,
                ..
            } => later += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(32 <= done && 0 < later, "{done} done, {later} turned away");
    bench.goes_on().await;
}
