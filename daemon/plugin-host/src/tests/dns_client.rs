//! DNS messages of plugins: signatures, lost and truncated responses, forged responses.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr as _;
use std::sync::{Arc, Mutex};

use data_encoding::BASE64;
use domain::base::iana::{Rcode, TsigRcode};
use domain::base::{Message, MessageBuilder};
use domain::rdata::tsig::Time48;
use domain::tsig::{Algorithm, Key, KeyName, ServerTransaction};
use linecamp_model::{Grant, ProviderSpec, SecretName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

use super::fixture::{Bench, Names, Setup, StaticSecrets, endpoint, spec_of};
use crate::SecretUse;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// The behavior of a name server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Responds, and signs the response to a signed message.
    Proper,
    /// Does not respond to the first two attempts.
    Lossy,
    /// Never responds.
    Silent,
    /// Truncates responses over UDP.
    Cutting,
    /// Sends responses to other queries before its own.
    Muddled,
    /// Truncates over UDP, and then responds over TCP with other names.
    Lying,
    /// Does not sign.
    Unsigned,
    /// Does not know the key.
    Stranger,
    /// Its clock is an hour ahead.
    Ahead,
}

/// A name server, and the number of messages it received over UDP and over TCP.
struct NameServer {
    address: SocketAddr,
    asked: Arc<Mutex<(u32, u32)>>,
}

impl NameServer {
    async fn start(manner: Manner) -> Self {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = tcp.local_addr().unwrap();
        let udp = UdpSocket::bind(address).await.unwrap();
        let asked = Arc::new(Mutex::new((0, 0)));
        let counter = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            loop {
                let (bytes, from) = udp.recv_from(&mut buffer).await.unwrap();
                let times = {
                    let mut asked = counter.lock().unwrap();
                    asked.0 += 1;
                    asked.0
                };
                if manner == Manner::Silent || (manner == Manner::Lossy && times <= 2) {
                    continue;
                }
                for response in responses(&buffer[..bytes], manner, true) {
                    udp.send_to(&response, from).await.unwrap();
                }
            }
        });
        let counter = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = tcp.accept().await {
                counter.lock().unwrap().1 += 1;
                let mut question = vec![0; stream.read_u16().await.unwrap().into()];
                stream.read_exact(&mut question).await.unwrap();
                let response = responses(&question, manner, false).pop().unwrap();
                stream.write_u16(u16::try_from(response.len()).unwrap()).await.unwrap();
                stream.write_all(&response).await.unwrap();
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> (u32, u32) {
        *self.asked.lock().unwrap()
    }
}

fn key(algorithm: Algorithm) -> Arc<Key> {
    let name = KeyName::from_str("key.example").unwrap();
    Arc::new(Key::new(algorithm, SECRET, name, None, None).unwrap())
}

/// Returns the messages that the server sends back.
fn responses(question: &[u8], manner: Manner, is_udp: bool) -> Vec<Vec<u8>> {
    let mut question = Message::from_octets(question.to_vec()).unwrap();
    let algorithms = match manner {
        Manner::Stranger => Vec::new(),
        _ => vec![Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512],
    };
    let name = KeyName::from_str("key.example").unwrap();
    let known = algorithms.into_iter().map(|algorithm| ((name.clone(), algorithm), key(algorithm)));
    let keys: HashMap<_, _> = known.collect();
    let now = Time48::now();
    let now = if manner == Manner::Ahead { Time48::from_u64(u64::from(now) + 3600) } else { now };
    let transaction = match ServerTransaction::request(&keys, &mut question, now) {
        Ok(transaction) => transaction,
        Err(error) => {
            let unsigned = error.error() != TsigRcode::BADTIME;
            let mut refused = error.build_message(&question, MessageBuilder::new_vec()).unwrap().finish();
            // The library's server responds with FORMERR; others respond as RFC 8945 (5.3.1) requires.
            let place = refused.len() - 4;
            if unsigned && refused[place..] == [0, 1, 0, 0] {
                refused[place + 1] = 16;
            }
            return vec![refused];
        }
    };
    let mut response = MessageBuilder::new_vec().start_answer(&question, Rcode::NOERROR).unwrap().additional();
    response.header_mut().set_tc(is_udp && matches!(manner, Manner::Cutting | Manner::Lying));
    if let Some(transaction) = transaction.filter(|_| manner != Manner::Unsigned) {
        transaction.answer(&mut response, now).unwrap();
    }
    let response = response.finish();
    let with = |place: usize, bits: u8| {
        let mut other = response.clone();
        other[place] ^= bits;
        other
    };
    match manner {
        Manner::Muddled => vec![vec![], b"noise".to_vec(), with(0, 1), with(2, 0x80), with(13, 1), response],
        Manner::Lying if !is_udp => vec![with(13, 1)],
        _ => vec![response],
    }
}

/// A host whose callers are local providers, which may use the site's secrets without a binding.
fn own_bench() -> Bench {
    let mut bench = bench().0;
    bench.is_local = true;
    bench
}

fn bench() -> (Bench, Arc<StaticSecrets>) {
    let secret = BASE64.encode(SECRET);
    let other = BASE64.encode(b"another secret of the same kind!");
    let secrets = StaticSecrets::new(&[("key", &format!("{secret}\n")), ("other", &other), ("plain", "plain text!")]);
    let outbound = Names::new(&[("ns.example", &["127.0.0.1"])], None);
    (Setup { secrets: Arc::clone(&secrets), outbound, ..Setup::default() }.start(), secrets)
}

/// A provider that queries the server, signing with `secret` if it is not empty.
fn asking(server: &NameServer, secret: &str, algorithm: &str) -> ProviderSpec {
    let place = format!("ns.example:{}", server.address.port());
    let grant = Grant { reach_private: [endpoint(&place)].into(), ..Grant::default() };
    let name = |text: &str| SecretName::parse(text).unwrap();
    let secrets = match secret {
        "" => BTreeMap::new(),
        secret => BTreeMap::from([(name("tsig"), name(secret))]),
    };
    let handle = if secret.is_empty() { "" } else { "tsig" };
    let config = format!(r#"{{"do":"send-dns","server":"{place}","secret":"{handle}","algorithm":"{algorithm}"}}"#);
    ProviderSpec { secrets, ..spec_of(&config, &grant) }
}

/// What the plugin reports about a response: its full length, and the plugin's own ID.
const ANSWERED: &str = "received 27 bytes, id 1234";

#[tokio::test]
async fn a_secret_bound_elsewhere_signs_nothing() {
    let (mut bench, secrets) = bench();
    let server = NameServer::start(Manner::Proper).await;
    let place = format!("ns.example:{}", server.address.port());
    secrets.bind("key", &place, &[SecretUse::Tsig]);
    assert_eq!(bench.attempt(&asking(&server, "key", "hmac-sha256")).await, ANSWERED);
    let cases = [
        ("other", "", &[][..], "does not bind it"),
        ("key", "other.example:53", &[SecretUse::Tsig], "to `hosts` in [secrets.key]"),
        ("key", &place, &[SecretUse::Bearer, SecretUse::SigV4], "not tsig"),
    ];
    for (secret, bound_to, uses, words) in cases {
        if !bound_to.is_empty() {
            secrets.bind(secret, bound_to, uses);
        }
        let said = bench.attempt(&asking(&server, secret, "hmac-sha256")).await;
        assert!(said.contains("Denied") && said.contains(words), "{said}");
    }
    assert_eq!(server.asked(), (1, 0));
}

#[tokio::test]
async fn an_answer_is_received_over_udp() {
    let mut bench = own_bench();
    let server = NameServer::start(Manner::Proper).await;
    assert_eq!(bench.attempt(&asking(&server, "", "")).await, ANSWERED);
    assert_eq!(server.asked(), (1, 0));
}

#[tokio::test]
async fn a_signed_answer_is_verified_and_returned_without_its_signature() {
    let mut bench = own_bench();
    let server = NameServer::start(Manner::Proper).await;
    for algorithm in ["hmac-sha256", "HMAC-SHA384.", "hmac-sha512"] {
        assert_eq!(bench.attempt(&asking(&server, "key", algorithm)).await, ANSWERED, "{algorithm}");
    }
}

#[tokio::test]
async fn a_lost_answer_is_retried_and_a_truncated_one_is_requested_over_tcp() {
    let mut bench = own_bench();
    let lossy = NameServer::start(Manner::Lossy).await;
    assert_eq!(bench.attempt(&asking(&lossy, "key", "hmac-sha256")).await, ANSWERED);
    assert_eq!(lossy.asked(), (3, 0));
    let cutting = NameServer::start(Manner::Cutting).await;
    assert_eq!(bench.attempt(&asking(&cutting, "key", "hmac-sha256")).await, ANSWERED);
    assert_eq!(cutting.asked(), (1, 1));
    let silent = NameServer::start(Manner::Silent).await;
    assert_eq!(bench.attempt(&asking(&silent, "", "")).await, "DnsError::Timeout");
    assert_eq!(silent.asked(), (3, 0));
}

#[tokio::test]
async fn an_answer_to_another_question_is_ignored() {
    let mut bench = own_bench();
    let server = NameServer::start(Manner::Muddled).await;
    assert_eq!(bench.attempt(&asking(&server, "", "")).await, ANSWERED);
    assert_eq!(bench.attempt(&asking(&server, "key", "hmac-sha256")).await, ANSWERED);
    let lying = NameServer::start(Manner::Lying).await;
    let outcome = bench.attempt(&asking(&lying, "", "")).await;
    assert!(outcome.contains("Protocol") && outcome.contains("does not match the query"), "{outcome}");
}

#[tokio::test]
async fn a_signature_error_states_its_cause() {
    let mut bench = own_bench();
    let cases = [
        (Manner::Proper, "other", "hmac-sha256", "BADSIG"),
        (Manner::Stranger, "key", "hmac-sha256", "BADKEY"),
        (Manner::Proper, "plain", "hmac-sha256", "not base64"),
        (Manner::Proper, "key", "hmac-sha1", "hmac-sha256, hmac-sha384 or hmac-sha512"),
        (Manner::Proper, "key", "hmac-md5.sig-alg.reg.int", "unsupported algorithm"),
        (Manner::Unsigned, "key", "hmac-sha256", "is not signed"),
        (Manner::Ahead, "key", "hmac-sha256", "BADTIME: the server's clock is "),
    ];
    for (manner, secret, algorithm, words) in cases {
        let server = NameServer::start(manner).await;
        let outcome = bench.attempt(&asking(&server, secret, algorithm)).await;
        assert!(outcome.contains("Tsig") && outcome.contains(words), "{manner:?} {secret} {algorithm}: {outcome}");
    }
}
