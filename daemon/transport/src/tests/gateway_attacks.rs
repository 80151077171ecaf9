//! What nobody accepts: a gateway as a server, a server as a gateway, and the gateway of another site.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use linecamp_model::Parent;
use rcgen::{CertificateParams, DistinguishedName, DnType, Issuer, KeyPair, PKCS_ED25519};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::fixture::{SITE, START, Server, Site, certified, grant, impostor, issue, servers, soon};
use super::gateway::{OTHER_SITE, gateway_certificate, issue_gateway, join, server_authority};
use crate::identity::gateway_name;
use crate::{
    ApiTrust, Authority, Credential, DialError, Expected, RandomSource, SiteCredentials, SiteIdentity, Trust, connect,
    error_chain, tls,
};

/// Returns what presents the gateway certificate of [`SITE`] for the key of `machine`.
fn certified_gateway(server: &Authority, machine: &Site) -> CertifiedKey {
    certified(issue_gateway(server, machine, SITE), server.issuing_chain(), machine)
}

/// Dials without a certificate, and returns why the peer is rejected.
async fn rejection(from: &Site, address: SocketAddr, trust: &Trust, expected: Expected) -> DialError {
    soon(from.dialer.dial(address, from.self_made(), trust, expected)).await.unwrap_err()
}

#[track_caller]
fn is_wrong_name(error: &DialError, of: Parent) {
    assert!(matches!(error, DialError::WrongName { parent, .. } if *parent == of), "{error:?}");
}

#[tokio::test]
async fn a_site_does_not_accept_a_gateway_as_its_server() {
    let (server, site, machine) = (server_authority(), Site::start(), Site::start());
    let gateway = Server::start_gateway(SITE);
    let (pin, authorities) = (Trust::Pin(server.pin()), site.adopt(&server).trust());
    let expected = Expected::Server;

    // Its own certificate.
    let error = rejection(&site, gateway.address(), &pin, expected).await;
    assert!(matches!(error, DialError::WrongPin { parent: Parent::Server, .. }), "{error:?}");
    let error = rejection(&site, gateway.address(), &authorities, expected).await;
    assert!(matches!(error, DialError::ForeignAuthority { parent: Parent::Server, .. }), "{error:?}");
    is_wrong_name(&rejection(&site, gateway.address(), &gateway.pin(), expected).await, Parent::Server);
    // Its own certificate, with the server's authority above it.
    let leaf = gateway.authority.server_leaf(None, START).unwrap();
    let chain = [leaf.cert[0].clone(), server.certificates()[0].clone()].into();
    let with_the_server = impostor(CertifiedKey::new(chain, Arc::clone(&leaf.key)));
    let error = rejection(&site, with_the_server, &pin, expected).await;
    assert!(matches!(error, DialError::ForeignAuthority { .. }), "{error:?}");

    // Its gateway certificate.
    gateway.listener.set_gateway_certificate(Some(gateway_certificate(&server, &machine, SITE)));
    is_wrong_name(&rejection(&site, gateway.address(), &authorities, expected).await, Parent::Server);
    let presents_it_always = impostor(certified_gateway(&server, &machine));
    for trust in [pin, authorities] {
        is_wrong_name(&rejection(&site, presents_it_always, &trust, expected).await, Parent::Server);
    }
}

#[tokio::test]
async fn a_host_does_not_accept_the_gateway_of_another_site() {
    let (server, host, machine) = (server_authority(), Site::start(), Site::start());
    let identity = join(&host, &Server::start_gateway(SITE).authority, &server);
    let other = Server::start_gateway(OTHER_SITE);
    let expected = Expected::Gateway(Some(SITE));
    other.listener.set_gateway_certificate(Some(gateway_certificate(&server, &machine, OTHER_SITE)));
    let error = rejection(&host, other.address(), &identity.trust(), expected).await;
    is_wrong_name(&error, Parent::Gateway);
    assert!(error.to_string().contains("the gateway of another site"), "{error}");
    assert!(error.to_string().contains(&gateway_name(SITE)) && error.needs_operator(), "{error}");
    // With a pin, too.
    is_wrong_name(&rejection(&host, other.address(), &other.pin(), expected).await, Parent::Gateway);
}

#[tokio::test]
async fn a_host_does_not_accept_a_server_or_a_site_as_its_gateway() {
    let (server, host, thief) = (Server::start(), Site::start(), Site::start());
    let identity = join(&host, &Server::start_gateway(SITE).authority, &server.authority);
    let expected = Expected::Gateway(Some(SITE));
    is_wrong_name(&rejection(&host, server.address(), &identity.trust(), expected).await, Parent::Gateway);
    let of_site = issue(&server.authority, &thief.key);
    let address = impostor(certified(of_site, server.authority.issuing_chain(), &thief));
    is_wrong_name(&rejection(&host, address, &identity.trust(), expected).await, Parent::Gateway);
}

/// The pin in a host's token is of the gateway's own authority: any gateway of the server could present its gateway
/// certificate otherwise.
#[tokio::test]
async fn a_gateway_certificate_is_not_accepted_in_a_join() {
    let (server, host, machine) = (server_authority(), Site::start(), Site::start());
    let address = impostor(certified_gateway(&server, &machine));
    let trust = Trust::Pin(server.pin());
    is_wrong_name(&rejection(&host, address, &trust, Expected::Gateway(None)).await, Parent::Gateway);
}

/// A stolen gateway has the key of its gateway certificate.
#[tokio::test]
async fn a_gateway_certificate_issues_nothing() {
    let (server, host, machine, thief) = (server_authority(), Site::start(), Site::start(), Site::start());
    let identity = join(&host, &Server::start_gateway(OTHER_SITE).authority, &server);
    let issuer = {
        let (_, PrivateKeyDer::Pkcs8(key)) = machine.self_made().client_chain(&RandomSource::System).unwrap() else {
            panic!("keys are PKCS #8")
        };
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, gateway_name(SITE));
        Issuer::new(params, KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ED25519).unwrap())
    };
    let forged = |name: String| {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let mut params = CertificateParams::new(vec![name]).unwrap();
        // The chain is verified at this time, and valid then.
        params.not_before = rcgen::date_time_ymd(2026, 11, 23);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let above = std::iter::once(issue_gateway(&server, &machine, SITE)).chain(server.issuing_chain());
        let chain = std::iter::once(certificate.der().clone()).chain(above.map(Into::into)).collect();
        let key = PrivateKeyDer::Pkcs8(key.serialized_der().to_vec().into());
        CertifiedKey::from_der(chain, key, &tls::link_provider(&RandomSource::System)).unwrap()
    };
    let of_other_site = impostor(forged(gateway_name(OTHER_SITE)));
    let expected = Expected::Gateway(Some(OTHER_SITE));
    let error = rejection(&host, of_other_site, &identity.trust(), expected).await;
    assert!(error_chain(&error).contains("EndEntityUsedAsCa"), "{error:?}");
    let of_server = impostor(forged(crate::identity::SERVER_NAME.to_owned()));
    for trust in [Trust::Pin(server.pin()), thief.adopt(&server).trust()] {
        let error = rejection(&thief, of_server, &trust, Expected::Server).await;
        assert!(error_chain(&error).contains("EndEntityUsedAsCa"), "{error:?}");
    }
}

/// Neither a server nor a gateway recognizes the gateway certificate of one of its own members.
#[tokio::test]
async fn a_gateway_certificate_is_not_accepted_as_that_of_a_member() {
    let (mut server, mut gateway, machine) = (Server::start(), Server::start_gateway(SITE), Site::start());
    for issuer in [Arc::clone(&server.authority), Arc::clone(&gateway.authority)] {
        let certificate = issue_gateway(&issuer, &machine, SITE);
        let identity = SiteIdentity::adopt(&machine.dir, &grant(&issuer, certificate), &servers()).unwrap();
        for parent in [&mut server, &mut gateway] {
            let pin = parent.pin();
            let linked = parent.link(&machine, SiteCredentials::Issued(&identity), &pin).await.unwrap();
            assert_eq!(linked.peer.credential, Credential::Foreign);
        }
    }
}

#[tokio::test]
async fn a_client_of_the_api_does_not_accept_a_gateway_certificate_as_the_server() {
    let (server, machine, dir) = (server_authority(), Site::start(), tempfile::tempdir().unwrap());
    let certified = Arc::new(SingleCertAndKey::from(certified_gateway(&server, &machine)));
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(tls::api_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(certified);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(acceptor.accept(stream).await);
        }
    });
    let file = dir.path().join("ca.pem");
    let encoded = data_encoding::BASE64.encode(&server.certificate_der());
    fs::write(&file, format!("-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----\n")).unwrap();
    for trust in [ApiTrust::Pin(server.pin()), ApiTrust::CaFile(file)] {
        let error = soon(connect("127.0.0.1", port, &trust)).await.unwrap_err();
        is_wrong_name(&error, Parent::Server);
    }
}
