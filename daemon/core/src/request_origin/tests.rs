use ForwardingHeader::{For, Forwarded, ForwardedHost, Host, Port, Proto, RealIp};
use proptest::prelude::*;

use super::*;

const PROXY: &str = "10.0.0.1";
const STRANGER: &str = "203.0.113.9";

fn trusted() -> IpNetworks {
    IpNetworks::parse(&["10.0.0.0/8", "fd00::/8"]).unwrap()
}

fn peer(address: &str) -> RequestPeer<'static> {
    let address = address.parse().unwrap();
    RequestPeer { address, scheme: Scheme::Http, server_host: "camp.example", server_port: 8443 }
}

fn origin(address: &str, headers: &[(ForwardingHeader, &str)]) -> RequestOrigin {
    RequestOrigin::evaluate(peer(address), headers, &trusted())
}

fn reasons(origin: &RequestOrigin) -> Vec<Option<IgnoredReason>> {
    origin.headers.iter().map(|verdict| verdict.ignored).collect()
}

const FOUR: [(ForwardingHeader, &str); 4] =
    [(Host, "fleet.example"), (Proto, "https"), (Port, "9443"), (For, "198.51.100.7")];

#[test]
fn the_four_headers_of_a_trusted_proxy_count() {
    let origin = origin(PROXY, &FOUR);
    assert_eq!(origin.to_string(), "https://fleet.example:9443");
    assert_eq!((origin.client.to_string(), origin.proxy.map(|proxy| proxy.to_string())), {
        ("198.51.100.7".to_owned(), Some(PROXY.to_owned()))
    });
    assert!(origin.is_https());
    assert_eq!(reasons(&origin), [None; 4]);
}

#[test]
fn the_same_headers_of_anyone_else_change_nothing() {
    let (with, without) = (origin(STRANGER, &FOUR), origin(STRANGER, &[]));
    assert_eq!(RequestOrigin { headers: Vec::new(), ..with.clone() }, without);
    assert_eq!(with.to_string(), "http://camp.example:8443");
    assert_eq!(with.client.to_string(), STRANGER);
    assert_eq!(reasons(&with), [Some(IgnoredReason::UntrustedSender); 4]);
}

#[test]
fn the_client_is_the_rightmost_address_that_is_not_a_proxy() {
    let check = |lines: &[&str], expected: &str| {
        let headers: Vec<_> = lines.iter().map(|line| (For, *line)).collect();
        assert_eq!(origin(PROXY, &headers).client.to_string(), expected, "{lines:?}");
    };
    check(&[], PROXY);
    check(&["198.51.100.7"], "198.51.100.7");
    check(&["192.0.2.1, 198.51.100.7"], "198.51.100.7");
    check(&["192.0.2.1, 198.51.100.7, 10.9.9.9"], "198.51.100.7");
    check(&["192.0.2.1", "198.51.100.7", "10.9.9.9, fd00::2"], "198.51.100.7");
    check(&["10.9.9.8,10.9.9.9"], "10.9.9.8");
    check(&["192.0.2.1, unknown"], PROXY);
    check(&["192.0.2.1, unknown, 10.9.9.9"], "10.9.9.9");
    check(&["198.51.100.7:4711"], "198.51.100.7");
    check(&["[2001:db8::7]:4711"], "2001:db8::7");
    check(&["[2001:db8::7]"], "2001:db8::7");
    check(&["2001:db8::7"], "2001:db8::7");
    check(&["::ffff:198.51.100.7"], "198.51.100.7");
    check(&[""], PROXY);
    check(&["198.51.100.7,"], PROXY);
    let long = format!("198.51.100.7{}", ", 10.0.0.2".repeat(HOPS_MAX));
    check(&[&long], "10.0.0.2");
}

#[test]
fn only_one_known_scheme_counts() {
    let check = |values: &[&str], expected: Scheme, reason: Option<IgnoredReason>| {
        let headers: Vec<_> = values.iter().map(|value| (Proto, *value)).collect();
        let origin = origin(PROXY, &headers);
        assert_eq!(origin.scheme, expected, "{values:?}");
        assert!(reasons(&origin).iter().all(|found| *found == reason), "{origin:?}");
    };
    check(&["https"], Scheme::Https, None);
    check(&["HTTPS"], Scheme::Https, None);
    check(&["http"], Scheme::Http, None);
    check(&["wss"], Scheme::Http, Some(IgnoredReason::OtherScheme));
    check(&[""], Scheme::Http, Some(IgnoredReason::OtherScheme));
    check(&["https, http"], Scheme::Http, Some(IgnoredReason::Repeated));
    check(&["https", "https"], Scheme::Http, Some(IgnoredReason::Repeated));
}

/// A proxy that connects over TLS states the client's scheme too; an unknown one leaves the connection's.
#[test]
fn a_connection_over_tls_is_https_unless_the_proxy_says_http() {
    let check = |headers: &[(ForwardingHeader, &str)], expected: Scheme| {
        let peer = RequestPeer { scheme: Scheme::Https, ..peer(PROXY) };
        assert_eq!(RequestOrigin::evaluate(peer, headers, &trusted()).scheme, expected, "{headers:?}");
    };
    check(&[], Scheme::Https);
    check(&[(Proto, "http")], Scheme::Http);
    check(&[(Proto, "wss")], Scheme::Https);
}

#[test]
fn host_and_port_come_from_the_proxy_or_the_server_url() {
    let check = |headers: &[(ForwardingHeader, &str)], expected: &str| {
        assert_eq!(origin(PROXY, headers).to_string(), expected, "{headers:?}");
    };
    check(&[], "http://camp.example:8443");
    check(&[(Host, "fleet.example")], "http://fleet.example");
    check(&[(Host, "fleet.example"), (Proto, "https")], "https://fleet.example");
    check(&[(Host, "fleet.example:9443"), (Proto, "https")], "https://fleet.example:9443");
    check(&[(Host, "fleet.example:9443"), (Proto, "https"), (Port, "443")], "https://fleet.example");
    check(&[(Host, "[2001:db8::1]:9443")], "http://[2001:db8::1]:9443");
    check(&[(Host, "[2001:db8::1]")], "http://[2001:db8::1]");
    check(&[(Port, "9443")], "http://camp.example:9443");
    for bad in ["0", "65536", "-1", "+443", "", "443, 80", "a"] {
        check(&[(Host, "fleet.example:9443"), (Port, bad)], "http://fleet.example:9443");
    }
    for bad in ["", "a b", "user@fleet.example", "fleet.example/path", "fleet.example:0", "a, b", "ä.example"] {
        check(&[(Host, bad)], "http://camp.example:8443");
    }
}

#[test]
fn other_headers_for_the_same_facts_never_count() {
    let headers = [(Forwarded, "for=192.0.2.1;proto=https"), (ForwardedHost, "evil.example"), (RealIp, "192.0.2.1")];
    for address in [PROXY, STRANGER] {
        let found = origin(address, &headers);
        assert_eq!(reasons(&found), [Some(IgnoredReason::NotUsed); 3]);
        assert_eq!(found.to_string(), "http://camp.example:8443");
        assert_eq!(found.client.to_string(), address);
    }
}

fn any_header() -> impl Strategy<Value = (ForwardingHeader, String)> {
    let address = any::<u32>().prop_map(|bits| std::net::Ipv4Addr::from_bits(bits).to_string());
    let proxy = (0_u8..=255).prop_map(|last| format!("10.0.0.{last}"));
    let list = prop::collection::vec(prop_oneof![address, proxy, "[a-z0-9:.,\\[\\]]{0,12}"], 0..6);
    let value = prop_oneof![list.prop_map(|entries| entries.join(", ")), "(https?|wss|[0-9]{0,6}|[a-z.:]{0,20})"];
    (prop::sample::select(ForwardingHeader::ALL.to_vec()), value)
}

proptest! {
    /// Whatever an untrusted address sends, its request has the origin of a request without headers.
    #[test]
    fn forged_headers_change_nothing(bits: u32, headers in prop::collection::vec(any_header(), 0..20), tls: bool) {
        let address = IpAddr::from(std::net::Ipv4Addr::from_bits(bits));
        prop_assume!(!trusted().contains(address));
        let scheme = if tls { Scheme::Https } else { Scheme::Http };
        let peer = RequestPeer { address, scheme, ..peer(STRANGER) };
        let headers: Vec<_> = headers.iter().map(|(header, value)| (*header, &**value)).collect();
        let found = RequestOrigin::evaluate(peer, &headers, &trusted());
        prop_assert!(found.headers.iter().all(|verdict| verdict.ignored.is_some()));
        let bare = RequestOrigin::evaluate(peer, &[], &trusted());
        prop_assert_eq!(RequestOrigin { headers: Vec::new(), ..found }, bare);
    }

    /// A client behind a proxy that appends to `X-Forwarded-For` cannot choose its own address, and what a proxy sends
    /// yields a URL that parses.
    #[test]
    fn a_client_behind_a_proxy_cannot_choose_its_address(
        bits: u32,
        headers in prop::collection::vec(any_header(), 0..8),
    ) {
        let client = IpAddr::from(std::net::Ipv4Addr::from_bits(bits));
        prop_assume!(!trusted().contains(client));
        let mut headers: Vec<_> = headers.iter().map(|(header, value)| (*header, &**value)).collect();
        let appended = client.to_string();
        headers.push((For, &appended));
        let found = origin(PROXY, &headers);
        prop_assert_eq!(found.client, client);
        let url = found.to_string();
        let authority = url.split_once("://").unwrap().1;
        let has_port = authority.rsplit_once(':').is_some_and(|(host, _)| !host.starts_with('[') || host.ends_with(']'));
        let address = if has_port { authority.to_owned() } else { format!("{authority}:443") };
        prop_assert!(ServerAddress::parse(&address).is_ok(), "{}", url);
    }
}
