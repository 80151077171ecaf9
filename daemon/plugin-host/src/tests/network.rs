//! The real network: TLS with the checked name, and unreachable names.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use linecamp_model::Grant;
use linecamp_transport::{Authority, SystemClock, TlsListener, WallClock as _, error_chain};
use tempfile::TempDir;
use tokio::net::UdpSocket;

use super::fixture::{Names, Setup, endpoint, soon, spec_of};
use super::service::{response, serve};
use crate::{Network, Outbound as _, Target};

/// Starts a TLS service whose certificate is for `localhost` and issued by a private CA. Returns its port and the
/// directory of the CA file.
async fn private_service() -> (u16, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let names = ["localhost".to_owned()];
    let authority = Authority::create(&directory.path().join("ca"), &names, SystemClock.now()).unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = TlsListener::bind(address, Arc::new(authority), Arc::new(SystemClock)).await.unwrap();
    let port = listener.local_addr().port();
    tokio::spawn(async move {
        loop {
            let incoming = listener.accept().await;
            tokio::spawn(async move {
                // A client that does not trust the certificate closes the connection.
                if let Ok(stream) = incoming.establish().await {
                    serve(stream, response("200 OK", &[], b"private"), Arc::default()).await;
                }
            });
        }
    });
    (port, directory)
}

#[tokio::test]
async fn a_configured_private_authority_is_trusted() {
    let (port, directory) = private_service().await;
    let ca_file = directory.path().join("ca/certificate.pem");
    let names: [(&str, &[&str]); 2] = [("localhost", &["127.0.0.1"]), ("other.example", &["127.0.0.1"])];
    let spec = |host: &str| {
        let place = format!("{host}:{port}");
        let grant = Grant { reach_private: [endpoint(&place)].into(), ..Grant::default() };
        spec_of(&format!(r#"{{"do":"reach","url":"https://{place}/"}}"#), &grant)
    };

    let mut bench = Setup { outbound: Names::new(&names, Some(&ca_file)), ..Setup::default() }.start();
    assert_eq!(bench.attempt(&spec("localhost")).await, "status 200 with 7 bytes");
    let outcome = bench.attempt(&spec("other.example")).await;
    assert!(outcome.starts_with("unreachable: TLS handshake with other.example"), "{outcome}");

    let mut bench = Setup { outbound: Names::new(&names, None), ..Setup::default() }.start();
    let outcome = bench.attempt(&spec("localhost")).await;
    assert!(outcome.contains("UnknownIssuer") && outcome.contains("CA file"), "{outcome}");
}

#[tokio::test]
async fn a_ca_file_without_a_certificate_is_an_error_at_startup() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("empty.pem");
    std::fs::write(&path, "").unwrap();
    let error = Network::new(Some(&path)).unwrap_err();
    let words = error_chain(&error);
    assert!(words.contains("empty.pem"), "{words}");
}

#[tokio::test]
async fn names_of_the_local_machine_are_resolved() {
    let network = Network::new(None).unwrap();
    let found = soon(network.resolve(&endpoint("localhost:80"))).await.unwrap();
    assert!(found.iter().all(|address| address.is_loopback()) && !found.is_empty(), "{found:?}");
    let error = soon(network.resolve(&endpoint("no-such-name.invalid:80"))).await.unwrap_err();
    assert!(error.to_string().contains("no-such-name.invalid"), "{error}");
}

#[tokio::test]
async fn the_fourth_address_of_a_name_server_is_queried() {
    let server = UdpSocket::bind("127.0.0.4:0").await.unwrap();
    let port = server.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut message = [0; 512];
        let (bytes, from) = server.recv_from(&mut message).await.unwrap();
        // The bit that makes it a response.
        message[2] |= 0x80;
        server.send_to(&message[..bytes], from).await.unwrap();
    });
    let addresses = (1..=4).map(|number| SocketAddr::from(([127, 0, 0, number], port))).collect();
    let target = Target { endpoint: endpoint(&format!("ns.example:{port}")), addresses, is_tls: false };
    let query = Bytes::from_static(b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01");

    let response = soon(Network::new(None).unwrap().send_dns(&target, query.clone())).await.unwrap();

    assert_eq!((&response[..2], &response[3..]), (&query[..2], &query[3..]));
}
