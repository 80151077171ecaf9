//! What an error says about the addresses that were tried.

use super::*;

fn silent() -> DialError {
    DialError::Silent { server: "?".to_owned(), limit: Duration::from_secs(10), transport: "UDP" }
}

fn refused() -> DialError {
    DialError::Handshake { server: "?".to_owned(), source: "connection refused".into() }
}

fn foreign() -> DialError {
    DialError::ForeignAuthority { server: "?".to_owned(), parent: Parent::Server }
}

#[track_caller]
fn check(host: &str, failures: Vec<(&str, DialError)>, expected: &str) {
    let at = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 8443);
    let failures = failures.into_iter().map(|(ip, error)| (at(ip), error)).collect();
    assert_eq!(error_chain(&DialError::of_addresses(host, 8443, failures)), expected);
}

#[test]
fn a_failure_names_the_server_and_each_address_once() {
    let advice = "did not answer within 10 s; check the address, and that firewalls allow UDP";
    check("192.0.2.1", vec![("192.0.2.1", silent())], &format!("192.0.2.1:8443 {advice}"));
    check("2001:db8::1", vec![("2001:db8::1", silent())], &format!("[2001:db8::1]:8443 {advice}"));
    check("camp", vec![("192.0.2.1", refused())], "handshake with camp:8443 (192.0.2.1) failed: connection refused");
    check(
        "camp",
        vec![("2001:db8::2", silent()), ("192.0.2.1", silent()), ("2001:db8::1", silent())],
        &format!("camp:8443 (192.0.2.1, 2001:db8::1, 2001:db8::2) {advice}"),
    );
    check(
        "camp",
        vec![("192.0.2.3", silent()), ("192.0.2.2", refused()), ("192.0.2.1", silent())],
        &format!("camp:8443: 192.0.2.1, 192.0.2.3 {advice}; handshake with 192.0.2.2 failed: connection refused"),
    );
}

#[test]
fn a_failure_of_many_addresses_is_bounded() {
    let many = |cause: &dyn Fn(u8) -> DialError| {
        let failures = (1..=64).map(|number| (SocketAddr::from(([192, 0, 2, number], 8443)), cause(number)));
        error_chain(&DialError::of_addresses("camp", 8443, failures.collect()))
    };
    let text = many(&|_| silent());
    assert!(text.contains("192.0.2.8 and 56 more) did not answer") && text.len() < 256, "{text}");
    let cause = |number| DialError::Handshake { server: String::new(), source: format!("cause {number}").into() };
    let text = many(&cause);
    assert!(text.ends_with("; 60 more addresses failed for other reasons") && text.len() < 256, "{text}");
}

#[test]
fn an_operator_is_needed_only_if_a_wrong_server_answers_at_every_address() {
    let needs_operator = |second| {
        let failures = [foreign(), second].into_iter().zip(1..);
        let failures = failures.map(|(error, number)| (SocketAddr::from(([192, 0, 2, number], 8443)), error));
        DialError::of_addresses("camp", 8443, failures.collect()).needs_operator()
    };
    assert!(needs_operator(foreign()));
    let wrong_name =
        DialError::WrongName { server: String::new(), parent: Parent::Server, expected: "camp".to_owned() };
    assert!(needs_operator(wrong_name), "for different reasons");
    assert!(!needs_operator(silent()));
    assert!(!needs_operator(refused()));
}

#[test]
fn an_error_stands_for_a_cause_in_the_history_of_a_link() {
    let local = |kind: io::ErrorKind| DialError::Local { server: "?".to_owned(), source: io::Error::from(kind).into() };
    let resolve = DialError::Resolve { server: "?".to_owned(), source: io::ErrorKind::NotFound.into() };
    let no_route = || local(io::ErrorKind::NetworkUnreachable);
    assert_eq!(resolve.gap_cause(), GapCause::NameResolution);
    assert_eq!(no_route().gap_cause(), GapCause::NoRoute);
    assert_eq!(local(io::ErrorKind::OutOfMemory).gap_cause(), GapCause::Unknown);
    assert_eq!(silent().gap_cause(), GapCause::NoAnswer);
    assert_eq!(foreign().gap_cause(), GapCause::Tls);
    let reset = DialError::Handshake { server: "?".to_owned(), source: ConnectionError::Reset.into() };
    assert_eq!(reset.gap_cause(), GapCause::Unknown);
    let of_addresses = |errors: Vec<DialError>| {
        let failures = errors.into_iter().zip(1..);
        let failures = failures.map(|(error, number)| (SocketAddr::from(([192, 0, 2, number], 8443)), error));
        DialError::of_addresses("camp", 8443, failures.collect()).gap_cause()
    };
    assert_eq!(of_addresses(vec![no_route(), silent()]), GapCause::NoAnswer, "it came closer to a session");
    assert_eq!(of_addresses(vec![no_route(), no_route()]), GapCause::NoRoute);
}
