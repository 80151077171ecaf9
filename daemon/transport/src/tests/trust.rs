//! Which servers and sites are accepted, and the errors that the others get.

use std::sync::Arc;

use linecamp_model::{Pin, WallTime};
use quinn::crypto::rustls::QuicClientConfig;
use rustls::pki_types::{DnsName, ServerName};

use super::fixture::{
    DAY, ManualClock, SITE, START, Server, Site, authority, certified, grant, impostor, issue, loopback, platform,
    servers, soon,
};
use crate::clock::TlsClock;
use crate::identity::SERVER_NAME;
use crate::random::RandomSource;
use crate::server_verifier::{Roots, ServerVerifier};
use crate::{
    Credential, DialError, Expected, ExpiryFloor, Listener, ListenerSettings, SiteCredentials, SiteIdentity,
    TransportError, Trust, tls,
};

#[tokio::test]
async fn a_site_that_joins_by_the_pin_arrives_as_self_made() {
    let (mut server, site) = (Server::start(), Site::start());
    let linked = server.link(&site, site.self_made(), &server.pin()).await.unwrap();
    assert_eq!(linked.peer.credential, Credential::SelfMade);
    assert_eq!(linked.peer.fingerprint, site.key.fingerprint());
    assert_eq!(linked.peer.public_key, site.key.public_key());
}

#[tokio::test]
async fn a_wrong_pin_is_refused_and_both_are_named() {
    let (server, site) = (Server::start(), Site::start());
    let wrong = Pin::of(b"another authority");
    let trust = Trust::Pin(wrong);
    let dialed = site.dialer.dial(server.address(), site.self_made(), &trust, Expected::Server);
    let error = soon(dialed).await.unwrap_err();
    assert!(matches!(error, DialError::WrongPin { .. }), "{error:?}");
    assert!(error.needs_operator());
    for part in [wrong.to_string(), server.authority.pin().to_string(), server.address().to_string()] {
        assert!(error.to_string().contains(&part), "{error}");
    }
}

#[tokio::test]
async fn a_server_of_a_foreign_authority_is_refused() {
    let (server, site) = (Server::start(), Site::start());
    let dir = tempfile::tempdir().unwrap();
    let identity = site.adopt(&authority(&dir.path().join("ca")));
    let (credentials, trust) = (SiteCredentials::Issued(&identity), identity.trust());
    let dialed = site.dialer.dial(server.address(), credentials, &trust, Expected::Server);
    let error = soon(dialed).await.unwrap_err();
    assert!(matches!(error, DialError::ForeignAuthority { .. }), "{error:?}");
    assert!(error.needs_operator());
}

#[tokio::test]
async fn an_issued_certificate_is_recognized_until_it_expires() {
    let (mut server, site) = (Server::start(), Site::start());
    let identity = site.adopt(&server.authority);
    let credentials = SiteCredentials::Issued(&identity);
    let (not_before, not_after) = (START, START + 30 * DAY);

    let linked = server.link(&site, credentials, &identity.trust()).await.unwrap();
    assert_eq!(linked.peer.credential, Credential::Issued { not_before, not_after });
    assert_eq!(linked.peer.fingerprint, identity.fingerprint());

    server.clock.set(START + 400 * DAY);
    let linked = server.link(&site, credentials, &identity.trust()).await.unwrap();
    assert_eq!(linked.peer.credential, Credential::Expired { not_after });
    assert_eq!(linked.peer.fingerprint, identity.fingerprint());
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_foreign() {
    let (mut server, site) = (Server::start(), Site::start());
    let dir = tempfile::tempdir().unwrap();
    let identity = site.adopt(&authority(&dir.path().join("ca")));
    let credentials = SiteCredentials::Issued(&identity);
    let linked = server.link(&site, credentials, &server.pin()).await.unwrap();
    assert_eq!(linked.peer.credential, Credential::Foreign);
}

#[tokio::test]
async fn a_site_that_booted_in_1970_connects() {
    let (mut server, site) = (Server::start(), Site::start());
    let identity = site.adopt(&server.authority);
    site.clock.set(WallTime::EPOCH);
    for (credentials, trust) in
        [(site.self_made(), server.pin()), (SiteCredentials::Issued(&identity), identity.trust())]
    {
        server.link(&site, credentials, &trust).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_in_1970_refuses_to_start_and_one_that_falls_back_goes_on() {
    let mut server = Server::start();
    let clock = ManualClock::at(WallTime::EPOCH);
    let settings = ListenerSettings::default();
    let error = Listener::bind(loopback(), Arc::clone(&server.authority), settings, platform(&clock)).unwrap_err();
    assert!(matches!(error, TransportError::ClockBeforeAuthority { .. }), "{error:?}");

    let site = Site::start();
    let identity = site.adopt(&server.authority);
    let credentials = SiteCredentials::Issued(&identity);
    // The new leaf expires in spring 1970, so the site's clock has to be equally wrong.
    server.clock.set(WallTime::EPOCH);
    site.clock.set(WallTime::EPOCH);
    let linked = server.link(&site, credentials, &identity.trust()).await.unwrap();
    assert!(matches!(linked.peer.credential, Credential::Issued { .. }));
}

#[tokio::test]
async fn a_clock_past_the_end_of_the_servers_certificate_connects() {
    let (mut server, site) = (Server::start(), Site::start());
    let identity = site.adopt(&server.authority);
    for days in [91, 100, 20 * 365] {
        site.clock.set(START + days * DAY);
        for (credentials, trust) in
            [(site.self_made(), server.pin()), (SiteCredentials::Issued(&identity), identity.trust())]
        {
            server.link(&site, credentials, &trust).await.unwrap();
        }
    }
}

/// The leaf is a replay from before the site's own certificate was issued, and the site's clock agrees.
#[tokio::test]
async fn a_server_certificate_that_ended_before_the_sites_own_started_is_refused() {
    let (mut server, site) = (Server::start(), Site::start());
    let renewed = START + 91 * DAY;
    let certificate =
        server.authority.issue_member(site.key.public_key(), SITE.into(), renewed..renewed + 30 * DAY).unwrap();
    let identity = SiteIdentity::adopt(&site.dir, &grant(&server.authority, certificate), &servers()).unwrap();
    let credentials = SiteCredentials::Issued(&identity);
    site.clock.set(renewed);
    let error =
        soon(site.dialer.dial(server.address(), credentials, &identity.trust(), Expected::Server)).await.unwrap_err();
    assert!(matches!(error, DialError::Expired { .. }), "{error:?}");
    assert!(!error.needs_operator());
    server.arrival().await.unwrap_err();
    // A certificate from the future of the site's clock was written by a server whose clock was ahead.
    site.clock.set(START);
    server.link(&site, credentials, &identity.trust()).await.unwrap();
}

/// The certificates that a server wrote while its clock was wrong lock out no site when it is right again.
#[tokio::test]
async fn sites_connect_before_during_and_after_a_jump_of_the_servers_clock() {
    let (mut server, site) = (Server::start(), Site::start());
    let years = 20 * 365 * DAY;
    let identity_from = |server: &Server, start| {
        let certificate =
            server.authority.issue_member(site.key.public_key(), SITE.into(), start..start + 30 * DAY).unwrap();
        SiteIdentity::adopt(&site.dir, &grant(&server.authority, certificate), &servers()).unwrap()
    };
    let identity = identity_from(&server, START);
    server.clock.set(START + years);
    let linked = server.link(&site, SiteCredentials::Issued(&identity), &identity.trust()).await.unwrap();
    assert!(matches!(linked.peer.credential, Credential::Expired { .. }));
    let recovered = identity_from(&server, START + years);
    server.clock.set(START);
    let linked = server.link(&site, SiteCredentials::Issued(&recovered), &recovered.trust()).await.unwrap();
    assert!(matches!(linked.peer.credential, Credential::Issued { .. }));

    // Twenty years back, the leaf looks like a replay until the clock is right again.
    let before = WallTime::from_unix_millis(START.unix_millis() - u64::try_from(years.as_millis()).unwrap());
    let credentials = SiteCredentials::Issued(&identity);
    server.clock.set(before);
    let error =
        soon(site.dialer.dial(server.address(), credentials, &identity.trust(), Expected::Server)).await.unwrap_err();
    assert!(matches!(error, DialError::Expired { .. }), "{error:?}");
    server.arrival().await.unwrap_err();
    server.clock.set(START);
    server.link(&site, credentials, &identity.trust()).await.unwrap();
}

#[tokio::test]
async fn the_server_shows_a_new_leaf_every_day() {
    let server = Server::start();
    let leaf = |time| server.authority.server_leaf(None, time).unwrap().cert[0].clone();
    assert_eq!(leaf(START), leaf(START + DAY));
    assert_ne!(leaf(START), leaf(START + 2 * DAY));
    assert_ne!(leaf(START), leaf(WallTime::EPOCH));
}

/// A stolen or malicious site has a certificate of the right authority, but cannot act as a server.
#[tokio::test]
async fn a_site_cannot_impersonate_the_server() {
    let (server, thief, site) = (Server::start(), Site::start(), Site::start());
    let certificate = issue(&server.authority, &thief.key);
    let address = impostor(certified(certificate, server.authority.issuing_chain(), &thief));
    for trust in [server.pin(), site.adopt(&server.authority).trust()] {
        let error = soon(site.dialer.dial(address, site.self_made(), &trust, Expected::Server)).await.unwrap_err();
        assert!(matches!(error, DialError::WrongName { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused_in_the_handshake() {
    let mut server = Server::start();
    let clock: Arc<dyn crate::WallClock> = ManualClock::at(START);
    let verifier = Arc::new(ServerVerifier::new(
        Roots::of(&server.pin()),
        ServerName::DnsName(DnsName::try_from(SERVER_NAME).unwrap()),
        ExpiryFloor::Unknown,
        Arc::clone(&clock),
        tls::link_provider(&RandomSource::System),
    ));
    let provider = tls::link_provider(&RandomSource::System);
    let mut crypto = tls::client_config(provider, TlsClock(clock), verifier, None).unwrap();
    crypto.alpn_protocols = vec![tls::LINK_PROTOCOL.to_vec()];
    let crypto = QuicClientConfig::try_from(crypto).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(crypto));
    let endpoint = quinn::Endpoint::client(loopback()).unwrap();
    let connecting = endpoint.connect_with(config, server.address(), SERVER_NAME).unwrap();
    let (_connected, arrived) = tokio::join!(connecting, server.arrival());
    let error = arrived.unwrap_err();
    assert!(matches!(error, TransportError::Handshake { .. }), "{error:?}");
}
