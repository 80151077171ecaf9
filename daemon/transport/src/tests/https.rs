//! The TLS of the API, as seen by its clients.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use linecamp_model::{Pin, WallTime};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::fixture::{ManualClock, soon};
use crate::{ApiTrust, Authority, DialError, SystemClock, TlsListener, WallClock, connect, error_chain};

const DAY_MILLIS: u64 = 24 * 3600 * 1000;

struct Api {
    authority: Arc<Authority>,
    port: u16,
    dir: TempDir,
}

/// Starts a server that answers each byte with its successor.
async fn api() -> Api {
    api_at(Arc::new(SystemClock)).await
}

async fn api_at(clock: Arc<dyn WallClock>) -> Api {
    let dir = tempfile::tempdir().unwrap();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let authority = Arc::new(Authority::create(&dir.path().join("ca"), &names, clock.now()).unwrap());
    let every_address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let listener = TlsListener::bind(every_address, Arc::clone(&authority), clock).await.unwrap();
    let port = listener.local_addr().port();
    tokio::spawn(async move {
        loop {
            let incoming = listener.accept().await;
            tokio::spawn(async move {
                let Ok(mut stream) = incoming.establish().await else { return };
                let byte = stream.read_u8().await.unwrap();
                stream.write_u8(byte + 1).await.unwrap();
                stream.shutdown().await.unwrap();
            });
        }
    });
    Api { authority, port, dir }
}

async fn ask(host: &str, port: u16, trust: &ApiTrust) -> Result<u8, DialError> {
    soon(async {
        let mut stream = connect(host, port, trust).await?;
        stream.write_u8(41).await.unwrap();
        Ok(stream.read_u8().await.unwrap())
    })
    .await
}

#[tokio::test]
async fn a_client_trusts_only_the_pin_or_the_file() {
    let api = api().await;
    let pin = ApiTrust::Pin(api.authority.pin());
    let file = ApiTrust::CaFile(api.dir.path().join("ca/certificate.pem"));
    assert_eq!(ask("127.0.0.1", api.port, &pin).await.unwrap(), 42);
    assert_eq!(ask("127.0.0.1", api.port, &file).await.unwrap(), 42);
    assert_eq!(ask("localhost", api.port, &file).await.unwrap(), 42);

    let error = ask("127.0.0.2", api.port, &file).await.unwrap_err();
    assert!(matches!(error, DialError::WrongName { .. }), "{error:?}");
    let error = ask("127.0.0.1", api.port, &ApiTrust::Pin(Pin::of(b"x"))).await.unwrap_err();
    assert!(matches!(error, DialError::WrongPin { .. }), "{error:?}");
}

/// The clock of one of the two is wrong: the pin suffices, and a public certificate is evaluated as in a browser.
#[tokio::test]
async fn a_client_with_a_pin_accepts_a_certificate_that_its_clock_calls_expired() {
    let past = WallTime::from_unix_millis(SystemClock.now().unix_millis() - 100 * DAY_MILLIS);
    let api = api_at(ManualClock::at(past)).await;
    assert_eq!(ask("127.0.0.1", api.port, &ApiTrust::Pin(api.authority.pin())).await.unwrap(), 42);
    let file = ApiTrust::CaFile(api.dir.path().join("ca/certificate.pem"));
    let error = ask("127.0.0.1", api.port, &file).await.unwrap_err();
    assert!(matches!(error, DialError::Expired { .. }), "{error:?}");
}

#[tokio::test]
async fn a_file_without_certificates_is_named() {
    let api = api().await;
    let path = api.dir.path().join("empty.pem");
    fs::write(&path, "").unwrap();
    for path in [path, api.dir.path().join("absent.pem")] {
        let error = ask("127.0.0.1", api.port, &ApiTrust::CaFile(path.clone())).await.unwrap_err();
        assert!(matches!(error, DialError::CaFile { .. }), "{error:?}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
}

#[tokio::test]
async fn slow_clients_do_not_hold_up_others() {
    let api = api().await;
    let mut slow = Vec::new();
    for _ in 0..32 {
        slow.push(TcpStream::connect(("127.0.0.1", api.port)).await.unwrap());
    }
    let pin = ApiTrust::Pin(api.authority.pin());
    assert_eq!(ask("127.0.0.1", api.port, &pin).await.unwrap(), 42);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_reported_with_the_cause_of_the_resolver() {
    let error = ask("camp.invalid", 8443, &ApiTrust::Pin(Pin::of(b"x"))).await.unwrap_err();
    assert!(matches!(error, DialError::Resolve { .. }), "{error:?}");
    let text = error_chain(&error);
    assert!(text.starts_with("cannot resolve camp.invalid:8443; check the name"), "{text}");
    assert!(!text.contains("handshake") && !text.contains("firewall"), "{text}");
}
