//! Reproducible randomness for a simulator.
//!
//! A seed determines a sequence of numbers, and the sequence determines everything random about one machine: QUIC's
//! choices (pacing, ordering, packet numbers, retries), connection IDs, TLS nonces and ephemeral keys, and the keys and
//! serial numbers of certificates. Ed25519 signatures are deterministic, so two runs send the same bytes at the same
//! times.
//!
//! rustls takes its randomness from `&'static` objects, which cannot belong to one endpoint. Here they are proxies that
//! draw from the sequence *lent* to the current thread. A sequence is lent only while quinn calls into rustls, by a
//! wrapper around each endpoint's TLS sessions. Every endpoint therefore has its own sequence, nothing is leaked, and a
//! draw outside such a call fails the handshake instead of going unnoticed.
//!
//! The numbers are HMAC-SHA256 of a counter, keyed with the seed.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, Mutex};

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::crypto::{
    self, ExportKeyingMaterialError, HeaderKey, KeyPair as Pair, Keys, PacketKey, Session, UnsupportedVersion,
};
use quinn::{ClientConfig, ConnectError, ConnectionId, EndpointConfig, Side};
use quinn_proto::TransportError;
use quinn_proto::transport_parameters::TransportParameters;
use rcgen::{KeyPair, PKCS_ED25519};
use ring::hmac;
use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, GetRandomFailed, SecureRandom, SharedSecret, SupportedKxGroup,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{Error, NamedGroup, PeerMisbehaved};
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};

/// The prefix of the 32 bytes of an Ed25519 private key in PKCS #8 (RFC 8410).
const ED25519_PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Bytes of the initial connection ID that a client chooses for the server: as many as quinn uses.
const FIRST_CID_BYTES: usize = 20;

const X25519_BYTES: usize = 32;

/// A sequence of numbers determined by a seed. Clones share it.
#[derive(Clone)]
pub struct SeededSequence(Arc<Sequence>);

struct Sequence {
    key: hmac::Key,
    next: Mutex<u64>,
}

impl SeededSequence {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self(Arc::new(Sequence { key: hmac::Key::new(hmac::HMAC_SHA256, &seed), next: Mutex::new(0) }))
    }

    pub(super) fn fill(&self, bytes: &mut [u8]) {
        let mut next = self.0.next.lock().expect("no holder panics");
        for chunk in bytes.chunks_mut(ring::digest::SHA256_OUTPUT_LEN) {
            let block = hmac::sign(&self.0.key, &next.to_be_bytes());
            chunk.copy_from_slice(&block.as_ref()[..chunk.len()]);
            *next += 1;
        }
    }

    fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    pub(super) fn new_key(&self) -> Result<KeyPair, rcgen::Error> {
        let der = [&ED25519_PKCS8_PREFIX[..], &self.bytes::<32>()].concat();
        KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(der), &PKCS_ED25519)
    }

    pub(super) fn seed_endpoint(&self, mut config: EndpointConfig) -> EndpointConfig {
        config.rng_seed(Some(self.bytes()));
        config
    }

    pub(super) fn client(&self, crypto: QuicClientConfig) -> ClientConfig {
        let mut config = ClientConfig::new(Arc::new(SeededTls { inner: Arc::new(crypto), sequence: self.clone() }));
        let sequence = self.clone();
        config.initial_dst_cid_provider(Arc::new(move || ConnectionId::new(&sequence.bytes::<FIRST_CID_BYTES>())));
        config
    }

    pub(super) fn server(&self, crypto: QuicServerConfig) -> Arc<dyn crypto::ServerConfig> {
        Arc::new(SeededTls { inner: Arc::new(crypto), sequence: self.clone() })
    }

    /// Lends this sequence to rustls for the duration of one call.
    fn lend<T>(&self, call: impl FnOnce() -> T) -> T {
        let before = LENT.replace(Some(self.clone()));
        let returned = call();
        LENT.set(before);
        returned
    }
}

impl fmt::Debug for SeededSequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeededSequence")
    }
}

thread_local! {
    /// The sequence that rustls draws from during a call.
    static LENT: RefCell<Option<SeededSequence>> = const { RefCell::new(None) };
}

fn lent<const N: usize>() -> Result<[u8; N], GetRandomFailed> {
    let mut bytes = [0; N];
    LentRandom.fill(&mut bytes)?;
    Ok(bytes)
}

/// Returns the same cryptography, with randomness from the lent sequence.
pub(super) fn provider(provider: CryptoProvider) -> CryptoProvider {
    CryptoProvider { secure_random: &LentRandom, kx_groups: vec![&SeededX25519], ..provider }
}

/// Draws from the sequence lent to this thread.
#[derive(Debug)]
struct LentRandom;

impl SecureRandom for LentRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        LENT.with_borrow(|lent| lent.as_ref().map(|sequence| sequence.fill(bytes))).ok_or(GetRandomFailed)
    }
}

/// X25519 with an ephemeral key from the lent sequence; ring's implementation generates its own.
#[derive(Debug)]
struct SeededX25519;

impl SupportedKxGroup for SeededX25519 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let secret = lent()?;
        Ok(Box::new(Exchange { secret, public: x25519(secret, X25519_BASEPOINT_BYTES) }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

struct Exchange {
    secret: [u8; X25519_BYTES],
    public: [u8; X25519_BYTES],
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let peer = peer.try_into().map_err(|_| Error::from(PeerMisbehaved::InvalidKeyShare))?;
        let shared = x25519(self.secret, peer);
        // RFC 8446, section 7.4.2: a point of small order yields zeros.
        if shared == [0; X25519_BYTES] {
            return Err(PeerMisbehaved::InvalidKeyShare.into());
        }
        Ok(SharedSecret::from(&shared[..]))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// A TLS configuration or session that lends its endpoint's sequence to rustls during every call.
struct SeededTls<T: ?Sized> {
    sequence: SeededSequence,
    inner: T,
}

impl crypto::ClientConfig for SeededTls<Arc<QuicClientConfig>> {
    fn start_session(
        self: Arc<Self>,
        version: u32,
        server_name: &str,
        params: &TransportParameters,
    ) -> Result<Box<dyn Session>, ConnectError> {
        let inner = self.sequence.lend(|| Arc::clone(&self.inner).start_session(version, server_name, params))?;
        Ok(Box::new(SeededTls { sequence: self.sequence.clone(), inner }))
    }
}

impl crypto::ServerConfig for SeededTls<Arc<QuicServerConfig>> {
    fn initial_keys(&self, version: u32, dst_cid: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        self.inner.initial_keys(version, dst_cid)
    }

    fn retry_tag(&self, version: u32, orig_dst_cid: &ConnectionId, packet: &[u8]) -> [u8; 16] {
        self.inner.retry_tag(version, orig_dst_cid, packet)
    }

    fn start_session(self: Arc<Self>, version: u32, params: &TransportParameters) -> Box<dyn Session> {
        let inner = self.sequence.lend(|| Arc::clone(&self.inner).start_session(version, params));
        Box::new(SeededTls { sequence: self.sequence.clone(), inner })
    }
}

impl Session for SeededTls<Box<dyn Session>> {
    fn initial_keys(&self, dst_cid: &ConnectionId, side: Side) -> Keys {
        self.inner.initial_keys(dst_cid, side)
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        self.inner.handshake_data()
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        self.inner.peer_identity()
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        self.inner.early_crypto()
    }

    fn early_data_accepted(&self) -> Option<bool> {
        self.inner.early_data_accepted()
    }

    fn is_handshaking(&self) -> bool {
        self.inner.is_handshaking()
    }

    fn read_handshake(&mut self, bytes: &[u8]) -> Result<bool, TransportError> {
        self.sequence.lend(|| self.inner.read_handshake(bytes))
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        self.inner.transport_parameters()
    }

    fn write_handshake(&mut self, bytes: &mut Vec<u8>) -> Option<Keys> {
        self.sequence.lend(|| self.inner.write_handshake(bytes))
    }

    fn next_1rtt_keys(&mut self) -> Option<Pair<Box<dyn PacketKey>>> {
        self.inner.next_1rtt_keys()
    }

    fn is_valid_retry(&self, orig_dst_cid: &ConnectionId, header: &[u8], payload: &[u8]) -> bool {
        self.inner.is_valid_retry(orig_dst_cid, header, payload)
    }

    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        self.inner.export_keying_material(output, label, context)
    }
}
