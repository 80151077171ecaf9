//! A gateway as the parent of its hosts: its authority, how hosts join, and how they follow to another machine.

use std::path::Path;

use linecamp_model::{HostId, IdentityGrant, MemberId, Parent, Pin, RotationStep, SiteId};
use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::ParsedCertificate;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::fixture::{DAY, SITE, START, Server, Site, authority, grant, servers, soon};
use crate::identity::{GATEWAY_NAME, SERVER_NAME, gateway_name};
use crate::{
    Authority, Credential, DialError, Expected, GatewayCertificate, RandomSource, SiteCredentials, SiteIdentity,
    TransportError, Trust,
};

pub(super) const OTHER_SITE: SiteId = SiteId::from_bytes([0x33; 16]);
const HOST: HostId = HostId::from_bytes([0x44; 16]);

/// Joins `host` to a gateway of this authority. It trusts `server` as well.
pub(super) fn join(host: &Site, gateway: &Authority, server: &Authority) -> SiteIdentity {
    let validity = START..START + 30 * DAY;
    let certificate = gateway.issue_member(host.key.public_key(), MemberId::Host(HOST), validity).unwrap();
    let authorities = vec![gateway.certificate_der(), server.certificate_der()];
    let grant = IdentityGrant { authorities, ..grant(gateway, certificate) };
    SiteIdentity::adopt(&host.dir, &grant, &servers()).unwrap()
}

/// Issues the gateway certificate of `site` to the key of `machine`.
pub(super) fn issue_gateway(server: &Authority, machine: &Site, site: SiteId) -> Vec<u8> {
    server.issue_gateway(machine.key.public_key(), site, START..START + 30 * DAY).unwrap()
}

pub(super) fn gateway_certificate(server: &Authority, machine: &Site, site: SiteId) -> GatewayCertificate {
    GatewayCertificate::new(&issue_gateway(server, machine, site), &server.issuing_chain(), &machine.key).unwrap()
}

/// Creates the authority of a server.
pub(super) fn server_authority() -> Authority {
    Authority::generate(&["localhost".to_owned()], START, RandomSource::System).unwrap()
}

/// Returns the DNS names in a certificate.
fn names_in(certificate: &[u8]) -> Vec<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).unwrap();
    let names = parsed.subject_alternative_name().unwrap().unwrap().value.general_names.iter();
    names.map(|name| name.to_string()).collect()
}

fn has_name(certificate: &[u8], name: &str) -> bool {
    let certificate = certificate.to_vec().into();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    verify_server_name(&ParsedCertificate::try_from(&certificate).unwrap(), &name).is_ok()
}

/// Dials as the host of [`SITE`] that has this identity.
async fn dial(host: &Site, identity: &SiteIdentity, gateway: &Server) -> Result<(), DialError> {
    let (credentials, expected) = (SiteCredentials::Issued(identity), Expected::Gateway(Some(SITE)));
    soon(host.dialer.dial(gateway.address(), credentials, &identity.trust(), expected)).await.map(drop)
}

#[tokio::test]
async fn the_certificate_of_a_gateway_has_the_names_of_its_site_and_never_that_of_the_server() {
    let made = Authority::generate_gateway(SITE, START, RandomSource::System).unwrap();
    for name in ["camp.example", SERVER_NAME, GATEWAY_NAME] {
        let error = made.add_name(name).unwrap_err();
        assert!(matches!(error, TransportError::FixedNames { .. }), "{error:?}");
    }
    let leaf = made.server_leaf(None, START).unwrap().cert[0].to_vec();
    assert_eq!(names_in(&leaf).len(), 2);
    assert!(has_name(&leaf, GATEWAY_NAME) && has_name(&leaf, &gateway_name(SITE)));
    assert!(!has_name(&leaf, SERVER_NAME) && !has_name(&leaf, &gateway_name(OTHER_SITE)));
    assert!(!String::from_utf8_lossy(&leaf).contains(SERVER_NAME), "not as the common name either");

    let issued = issue_gateway(&server_authority(), &Site::start(), SITE);
    assert_eq!(names_in(&issued).len(), 1);
    assert!(has_name(&issued, &gateway_name(SITE)) && !has_name(&issued, GATEWAY_NAME));
}

#[test]
fn the_authority_of_a_gateway_is_made_once_and_loaded_only_for_its_site() {
    let dir = tempfile::tempdir().unwrap();
    let [lan, ca] = ["lan", "ca"].map(|name| dir.path().join(name));
    let made = Authority::create_gateway(&lan, SITE, START).unwrap();
    let error = Authority::create_gateway(&lan, SITE, START).unwrap_err();
    assert!(error.to_string().ends_with("would lock out every host"), "{error}");
    let loaded = Authority::load_gateway(&lan, SITE).unwrap();
    assert_eq!(loaded.pin(), made.pin());
    let leaf = loaded.server_leaf(None, START).unwrap().cert[0].clone();
    assert!(has_name(&leaf, &gateway_name(SITE)) && !has_name(&leaf, SERVER_NAME));

    authority(&ca);
    let is_corrupt = |loaded: Result<Authority, TransportError>, file: &Path| {
        let error = loaded.unwrap_err();
        assert!(matches!(&error, TransportError::Corrupt { path, .. } if path == file), "{error:?}");
    };
    is_corrupt(Authority::load(&lan), &lan.join("names"));
    is_corrupt(Authority::load_gateway(&lan, OTHER_SITE), &lan.join("names"));
    is_corrupt(Authority::load_gateway(&ca, SITE), &ca.join("names"));

    for step in [RotationStep::Add, RotationStep::Switch, RotationStep::Retire] {
        loaded.rotate(step, START).unwrap();
        let after = Authority::load_gateway(&lan, SITE).unwrap();
        assert_eq!(after.rotation(), loaded.rotation(), "{step:?}");
    }
}

#[tokio::test]
async fn a_host_joins_by_the_pin_of_its_gateway() {
    let (mut gateway, host) = (Server::start_gateway(SITE), Site::start());
    let (address, pin) = (gateway.address(), gateway.pin());
    let linked = gateway.link(&host, host.self_made(), &pin).await.unwrap();
    assert_eq!(linked.peer.credential, Credential::SelfMade);

    let expected = Expected::Gateway(None);
    soon(host.dialer.dial(address, host.self_made(), &pin, expected)).await.unwrap();
    for wrong in [Pin::of(b"another authority"), server_authority().pin()] {
        let trust = Trust::Pin(wrong);
        let dialed = host.dialer.dial(address, host.self_made(), &trust, expected);
        let error = soon(dialed).await.unwrap_err();
        assert!(matches!(error, DialError::WrongPin { parent: Parent::Gateway, .. }), "{error:?}");
        assert!(error.to_string().contains("at the right gateway") && !error.to_string().contains("server"), "{error}");
    }
}

/// The machine of the gateway is replaced twice; the last time, the server's certificate comes after the listener runs.
#[tokio::test]
async fn a_host_follows_its_gateway_to_another_machine() {
    let (server, host, machine) = (server_authority(), Site::start(), Site::start());
    let mut old = Server::start_gateway(SITE);
    let identity = join(&host, &old.authority, &server);
    let credentials = SiteCredentials::Issued(&identity);
    // A host that trusts the gateway's own authority never sees the gateway certificate, which would not be accepted.
    old.listener.set_gateway_certificate(Some(gateway_certificate(&server, &machine, OTHER_SITE)));
    let linked = old.link(&host, credentials, &identity.trust()).await.unwrap();
    assert!(matches!(linked.peer.credential, Credential::Issued { .. }));

    let mut new = Server::start_gateway(SITE);
    let error = dial(&host, &identity, &new).await.unwrap_err();
    assert!(matches!(error, DialError::ForeignAuthority { parent: Parent::Gateway, .. }), "{error:?}");
    assert!(error.to_string().contains("the gateway was replaced"), "{error}");
    new.arrival().await.unwrap_err();
    new.listener.set_gateway_certificate(Some(gateway_certificate(&server, &machine, SITE)));
    let linked = new.link(&host, credentials, &identity.trust()).await.unwrap();
    assert_eq!(linked.peer.credential, Credential::Foreign, "the host presents what the old gateway issued");
    // A host that joins by the pin of the new authority is not affected.
    new.link(&host, host.self_made(), &new.pin()).await.unwrap();

    new.listener.set_gateway_certificate(None);
    let error = dial(&host, &identity, &new).await.unwrap_err();
    assert!(matches!(error, DialError::ForeignAuthority { .. }), "{error:?}");
}

/// The host slept through the replacement of the server's authority and through that of its gateway.
#[tokio::test]
async fn a_host_that_trusts_only_the_replaced_authority_of_the_server_follows_too() {
    let (server, host, machine) = (server_authority(), Site::start(), Site::start());
    let identity = join(&host, &Server::start_gateway(SITE).authority, &server);
    let mut new = Server::start_gateway(SITE);
    // The clock of the server was set back after the step.
    server.rotate(RotationStep::Add, START + 10 * DAY).unwrap();
    for step in [RotationStep::Switch, RotationStep::Retire] {
        server.rotate(step, START).unwrap();
        let certificate = gateway_certificate(&server, &machine, SITE);
        assert!(START + 9 * DAY < certificate.validity().start, "the chain is not valid before");
        new.listener.set_gateway_certificate(Some(certificate));
        new.link(&host, SiteCredentials::Issued(&identity), &identity.trust()).await.unwrap();
    }
}

#[tokio::test]
async fn a_gateway_presents_its_own_certificate_also_while_its_authority_is_replaced() {
    let (server, host) = (server_authority(), Site::start());
    let mut gateway = Server::start_gateway(SITE);
    // It would not be accepted.
    gateway.listener.set_gateway_certificate(Some(gateway_certificate(&server, &host, OTHER_SITE)));
    let identity = join(&host, &gateway.authority, &server);
    let credentials = SiteCredentials::Issued(&identity);
    let next = |identity: &SiteIdentity| {
        let authorities = gateway.authority.rotation().authorities;
        let told = linecamp_model::AuthoritySet { number: 2, authorities: authorities[1..].to_vec() };
        identity.with_authorities(None, &told).unwrap().trust()
    };
    gateway.authority.rotate(RotationStep::Add, START).unwrap();
    let next = next(&identity);
    gateway.link(&host, credentials, &identity.trust()).await.unwrap();
    gateway.link(&host, credentials, &next).await.unwrap();
    gateway.authority.rotate(RotationStep::Switch, START).unwrap();
    gateway.link(&host, credentials, &identity.trust()).await.unwrap();
    gateway.link(&host, credentials, &next).await.unwrap();
}

#[tokio::test]
async fn a_listener_recognizes_only_the_members_of_its_own_authority() {
    let (mut server, mut gateway) = (Server::start(), Server::start_gateway(SITE));
    let (site, host) = (Site::start(), Site::start());
    let of_site = site.adopt(&server.authority);
    let of_host = join(&host, &gateway.authority, &server.authority);
    for (parent, own) in [(&mut server, &site), (&mut gateway, &host)] {
        for (member, identity) in [(&site, &of_site), (&host, &of_host)] {
            let pin = parent.pin();
            let linked = parent.link(member, SiteCredentials::Issued(identity), &pin).await.unwrap();
            let is_own = std::ptr::eq(member, own);
            assert_eq!(matches!(linked.peer.credential, Credential::Issued { .. }), is_own);
            assert_eq!(linked.peer.credential == Credential::Foreign, !is_own);
        }
    }
}

#[tokio::test]
async fn a_gateway_certificate_that_cannot_be_presented_is_rejected() {
    let (server, machine) = (server_authority(), Site::start());
    let certificate = issue_gateway(&server, &machine, SITE);
    let chain = server.issuing_chain();
    let good = GatewayCertificate::new(&certificate, &chain, &machine.key).unwrap();
    assert_eq!(good.validity(), START..START + 30 * DAY);
    for (certificate, chain, key) in [
        (&certificate[1..], chain.clone(), &machine.key),
        (&certificate, vec![b"no certificate".to_vec()], &machine.key),
        (&certificate, vec![chain[0].clone(); 5], &machine.key),
        (&certificate, chain.clone(), &Site::start().key),
    ] {
        let error = GatewayCertificate::new(certificate, &chain, key).unwrap_err();
        assert!(matches!(error, TransportError::BadCertificate { .. }), "{error:?}");
    }
    let error = server.issue_gateway(b"no key", SITE, START..START + DAY).unwrap_err();
    assert!(matches!(error, TransportError::BadPublicKey { .. }), "{error:?}");
}

#[test]
fn a_seed_determines_the_authority_of_a_gateway() {
    let made = |seed| {
        let authority = Authority::generate_gateway(SITE, START, RandomSource::seeded([seed; 32])).unwrap();
        (authority.certificate_der(), authority.server_leaf(None, START).unwrap().cert.clone())
    };
    assert_eq!(made(1), made(1));
    assert_ne!(made(1), made(2));
}
