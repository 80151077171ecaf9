//! A certificate that the operator supplies for the API.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use linecamp_model::WallTime;
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::fixture::soon;
use crate::{
    ApiTrust, Authority, ClientTlsStream, DialError, HttpsCertificate, HttpsCertificateError, HttpsCertificates,
    SystemClock, TlsListener, WallClock as _, connect,
};

const HOST: &str = "localhost";

/// A company's authority, and the files of certificates that it issued.
struct Company {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    dir: TempDir,
}

/// The files of a certificate and its key.
struct Pair {
    certificate: PathBuf,
    key: PathBuf,
}

impl Company {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = named("Company CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem, dir: tempfile::tempdir().unwrap() }
    }

    /// Issues a certificate for `host`, valid for some `days` from now on: negative ones are over.
    fn issue(&self, name: &str, host: &str, days: i64) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = named(host);
        params.subject_alt_names = vec![rcgen::SanType::DnsName(host.try_into().unwrap())];
        let day = Duration::from_secs(24 * 3600);
        let now = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_millis(SystemClock.now().unix_millis());
        params.not_before = now - day * 400;
        let span = day * u32::try_from(days.abs()).unwrap();
        params.not_after = if days < 0 { now - span } else { now + span };
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let [file, key_file] = ["pem", "key"].map(|kind| self.dir.path().join(format!("{name}.{kind}")));
        fs::write(&file, format!("{}{}", certificate.pem(), self.pem)).unwrap();
        fs::write(&key_file, key.serialize_pem()).unwrap();
        Pair { certificate: file, key: key_file }
    }

    fn ca_file(&self) -> PathBuf {
        let path = self.dir.path().join("ca.pem");
        fs::write(&path, &self.pem).unwrap();
        path
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn load(pair: &Pair) -> Result<HttpsCertificate, HttpsCertificateError> {
    HttpsCertificate::load(&pair.certificate, &pair.key, HOST, SystemClock.now())
}

#[tokio::test]
async fn a_supplied_certificate_is_for_names_and_the_authoritys_own_for_pins() {
    let company = Company::new();
    let authority =
        Arc::new(Authority::generate(&[HOST.into()], SystemClock.now(), crate::RandomSource::System).unwrap());
    let pin = ApiTrust::Pin(authority.pin());
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let supplied = HttpsCertificates::default();
    let listener = TlsListener::bind_with(any_port, authority, Arc::new(SystemClock), supplied.clone()).await.unwrap();
    let port = listener.local_addr().port();
    tokio::spawn(async move {
        loop {
            let incoming = listener.accept().await;
            tokio::spawn(async move {
                let Ok(mut stream) = incoming.establish().await else { return };
                while let Ok(byte) = stream.read_u8().await {
                    stream.write_u8(byte + 1).await.unwrap();
                }
            });
        }
    });
    let file = ApiTrust::CaFile(company.ca_file());
    soon(connect(HOST, port, &pin)).await.unwrap();
    let error = soon(connect(HOST, port, &file)).await.unwrap_err();
    assert!(matches!(error, DialError::ForeignAuthority { .. }), "{error:?}");

    supplied.set(Some(load(&company.issue("first", HOST, 10)).unwrap()));
    let mut old = soon(connect(HOST, port, &file)).await.unwrap();
    answers(&mut old).await;
    soon(connect(HOST, port, &pin)).await.unwrap();

    let other = Company::new();
    supplied.set(Some(load(&other.issue("second", HOST, 10)).unwrap()));
    answers(&mut old).await;
    soon(connect(HOST, port, &file)).await.unwrap_err();
    answers(&mut soon(connect(HOST, port, &ApiTrust::CaFile(other.ca_file()))).await.unwrap()).await;
    soon(connect(HOST, port, &pin)).await.unwrap();
}

async fn answers(stream: &mut ClientTlsStream) {
    soon(async {
        stream.write_u8(41).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), 42);
    })
    .await;
}

#[test]
fn a_bad_pair_is_rejected_with_the_reason() {
    let company = Company::new();
    let good = company.issue("good", HOST, 10);
    let now = SystemClock.now();
    let certificate = load(&good).unwrap();
    let end = WallTime::from_unix_millis(now.unix_millis() + 10 * 24 * 3600 * 1000);
    assert!(certificate.not_after().distance(end) < Duration::from_secs(60));
    assert_eq!(
        format!("{certificate:?}"),
        format!("HttpsCertificate {{ not_after: {:?}, .. }}", certificate.not_after())
    );

    let check = |pair: &Pair, expected: &str| {
        let error = load(pair).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&company.issue("old", HOST, -1), "expired on");
    check(&company.issue("foreign", "other.example", 10), "is not for localhost, the host in server_url");
    let other = company.issue("other", HOST, 10);
    check(&Pair { certificate: good.certificate.clone(), key: other.key }, "is not that of the certificate");
    let error = HttpsCertificate::load(&good.certificate, &good.key, HOST, WallTime::EPOCH).unwrap_err();
    assert!(matches!(error, HttpsCertificateError::NotYetValid { .. }), "{error}");

    let write = |name: &str, text: &str| {
        let path = company.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let chain = fs::read_to_string(&good.certificate).unwrap();
    let (leaf, issuer) = chain.split_at(chain.len() - company.pem.len());
    let with = |certificate: PathBuf| Pair { certificate, key: good.key.clone() };
    check(&with(write("reversed.pem", &format!("{issuer}{leaf}"))), "wrong order");
    check(&with(write("empty.pem", "")), "contains no certificate");
    check(&with(write("half.pem", &leaf[..leaf.len() / 2])), "half.pem");
    check(&with(write("long.pem", &company.pem.repeat(11))), "more than 10 certificates");
    check(&with(company.dir.path().join("absent.pem")), "failed to read");
    let key = write("empty.key", "");
    check(&Pair { certificate: good.certificate, key }, "empty.key contains no unencrypted private key in PEM");
}
