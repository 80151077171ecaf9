//! Attempts to escape: files, environment, hosts, addresses, names that resolve to private addresses.

use linecamp_model::{Grant, ProviderRequest};

use super::fixture::{Bench, Names, Setup, endpoint, spec, spec_of, spec_url};
use super::service::{Say, Service, response};

fn bench(names: &[(&'static str, &[&str])]) -> Bench {
    Setup { outbound: Names::new(names, None), ..Setup::default() }.start()
}

#[tokio::test]
async fn the_environment_is_empty_and_the_clock_is_coarse() {
    let mut bench = bench(&[]);
    assert_eq!(bench.attempt(&spec("environment")).await, "0 variables, 0 arguments");
    assert_eq!(bench.attempt(&spec("clock")).await, "coarse: true");
}

#[tokio::test]
async fn a_host_without_a_grant_is_not_reached() {
    let service = Service::start(response("200 OK", &[], b"inside")).await;
    let port = service.port();
    let mut bench = bench(&[("granted.example", &["1.1.1.1"]), ("other.example", &["127.0.0.1"])]);
    for url in [format!("http://other.example:{port}/"), format!("https://granted.example:{port}/")] {
        let outcome = bench.attempt(&spec_url("reach", &url, &["granted.example:443"])).await;
        assert!(outcome.starts_with("denied: the provider is not granted"), "{outcome}");
    }
    assert_eq!(bench.outbound.reached(), []);
    assert!(service.asked().is_empty());
    bench.goes_on().await;
}

#[tokio::test]
async fn an_address_without_a_grant_is_not_reached_in_any_notation() {
    let mut bench = bench(&[]);
    let hosts = [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.1",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "169.254.169.254",
        "0xa9fea9fe",
        "2852039166",
        "[fd00:ec2::254]",
        "granted.example@127.0.0.1",
        "127.0.0.1#granted.example",
        "granted.example:80@127.0.0.1",
    ];
    for host in hosts {
        let outcome = bench.attempt(&spec_url("reach", &format!("http://{host}/"), &["granted.example:80"])).await;
        assert!(outcome.starts_with("denied: "), "{host}: {outcome}");
    }
    assert_eq!(bench.outbound.reached(), []);
}

#[tokio::test]
async fn a_granted_name_with_a_private_address_is_not_reached() {
    let service = Service::start(response("200 OK", &[], b"inside")).await;
    let inside: [(&str, &[&str]); 6] = [
        ("loopback.example", &["127.0.0.1"]),
        ("private.example", &["192.168.0.10"]),
        ("metadata.example", &["169.254.169.254"]),
        ("mapped.example", &["::ffff:127.0.0.1"]),
        ("nat64.example", &["64:ff9b::7f00:1"]),
        ("both.example", &["1.1.1.1", "127.0.0.1"]),
    ];
    let mut bench = bench(&inside);
    for (name, _) in inside {
        let place = format!("{name}:{}", service.port());
        let outcome = bench.attempt(&spec_url("reach", &format!("http://{place}/"), &[&place])).await;
        assert!(outcome.contains("which is not a public address"), "{name}: {outcome}");
        assert!(outcome.contains("reach_private"), "{name}: {outcome}");
    }
    assert_eq!(bench.outbound.reached(), []);
    assert!(service.asked().is_empty());
}

#[tokio::test]
async fn a_private_name_is_reached_with_a_grant() {
    let service = Service::start(response("200 OK", &[], b"inside")).await;
    let place = format!("pdns.example:{}", service.port());
    let mut bench = bench(&[("pdns.example", &["127.0.0.1"])]);
    let grant = Grant { reach_private: [endpoint(&place)].into(), plain_http: true, ..Grant::default() };
    let spec = spec_of(&format!(r#"{{"do":"reach","url":"http://{place}/a?b=c"}}"#), &grant);
    assert_eq!(bench.attempt(&spec).await, "status 200 with 6 bytes");
    assert_eq!(bench.outbound.reached(), [service.address]);
    let [asked] = service.asked().try_into().unwrap();
    assert!(asked.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains(&format!("host: {place}\r\n")), "{asked}");

    let without_plain = Grant { plain_http: false, ..grant };
    let spec = spec_of(&format!(r#"{{"do":"reach","url":"http://{place}/"}}"#), &without_plain);
    let outcome = bench.attempt(&spec).await;
    assert!(outcome.contains("plain HTTP"), "{outcome}");
}

#[tokio::test]
async fn a_redirect_is_checked_like_any_request() {
    let secret = Service::start(response("200 OK", &[], b"inside")).await;
    let location = format!("Location: http://127.0.0.1:{}/", secret.port());
    let service = Service::start(response("302 Found", &[&location], b"")).await;
    let place = format!("pdns.example:{}", service.port());
    let mut bench = bench(&[("pdns.example", &["127.0.0.1"])]);
    let grant = Grant { reach_private: [endpoint(&place)].into(), plain_http: true, ..Grant::default() };
    let outcome = bench.attempt(&spec_of(&format!(r#"{{"do":"follow","url":"http://{place}/"}}"#), &grant)).await;
    assert!(outcome.starts_with("302, then denied: "), "{outcome}");
    assert!(secret.asked().is_empty());
}

#[tokio::test]
async fn reserved_headers_are_rejected() {
    let service = Service::start(Say::Echo).await;
    let place = format!("pdns.example:{}", service.port());
    let mut bench = bench(&[("pdns.example", &["127.0.0.1"])]);
    let grant = Grant { reach_private: [endpoint(&place)].into(), plain_http: true, ..Grant::default() };
    for header in ["Host", "Transfer-Encoding", "Content-Length", "Connection", "Proxy-Authorization", "Authorization"]
    {
        let config = format!(r#"{{"do":"set-header","url":"http://{place}/","header":"{header}","value":"evil"}}"#);
        let outcome = bench.attempt(&spec_of(&config, &grant)).await;
        assert!(outcome.starts_with("denied: "), "{header}: {outcome}");
    }
    assert!(service.asked().is_empty());
}

#[tokio::test]
async fn a_dns_server_without_a_grant_is_not_queried() {
    let mut bench = bench(&[("ns.example", &["127.0.0.1"])]);
    for server in ["127.0.0.1:53", "ns.example:53", "ns.example", "0x7f.1:53", "[::1]:53"] {
        let config = format!(r#"{{"do":"send-dns","server":"{server}"}}"#);
        let outcome = bench.attempt(&spec_of(&config, &Grant::default())).await;
        assert!(outcome.contains("Denied"), "{server}: {outcome}");
    }
    let grant = Grant { reach: [endpoint("ns.example:53")].into(), ..Grant::default() };
    let outcome = bench.attempt(&spec_of(r#"{"do":"send-dns","server":"ns.example:53"}"#, &grant)).await;
    assert!(outcome.contains("which is not a public address"), "{outcome}");
    assert_eq!(bench.outbound.reached(), []);
}

#[tokio::test]
async fn a_plugin_has_no_grants_while_it_describes_itself() {
    let service = Service::start(response("200 OK", &[], b"inside")).await;
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("malicious.wasm"), super::fixture::malicious_mode("reach")).unwrap();
    let setup = Setup { outbound: Names::new(&[("granted.example", &["127.0.0.1"])], None), ..Setup::default() };
    let mut bench = setup.start_in(directory);
    let grant = Grant { reach_private: [endpoint("granted.example:80")].into(), plain_http: true, ..Grant::default() };
    let reply = bench.ask(&spec_of(r#"{"do":"nothing"}"#, &grant), ProviderRequest::Validate).await;
    assert!(matches!(reply, linecamp_model::ProviderReply::Validated(_)), "{reply:?}");
    assert_eq!(bench.outbound.reached(), []);
    assert!(service.asked().is_empty());
}
