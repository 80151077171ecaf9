//! The keys of a provider (RFC 7517, RFC 8037), and signatures (RFC 7518).

use data_encoding::BASE64URL_NOPAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;

use crate::metadata::parse;
use crate::refusal::Refusal;

/// Maximum number of keys of a provider. Further ones are ignored.
const KEYS_MAX: usize = 64;

/// The keys with which a provider signs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet(Vec<Key>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    id: Option<String>,
    public: PublicKey,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PublicKey {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// The algorithms of signatures that are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        match text {
            "RS256" => Ok(Self::Rs256),
            "ES256" => Ok(Self::Es256),
            "EdDSA" => Ok(Self::EdDsa),
            other => Err(Refusal::Algorithm { algorithm: linecamp_model::excerpt(other, 32) }),
        }
    }
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Parses a key set. Keys of other kinds and for other purposes are left out.
    ///
    /// # Errors
    /// [`Refusal::Document`].
    pub fn parse(json: &[u8]) -> Result<Self, Refusal> {
        let document: Document = parse(json, "key set")?;
        let jwks = document.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        Ok(Self(jwks.filter_map(Key::new).take(KEYS_MAX).collect()))
    }

    /// Verifies a signature over `message` with the key that the token names; without a name, with each key of its
    /// kind.
    pub(crate) fn verify(
        &self,
        key: Option<&str>,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Refusal> {
        let fits = |candidate: &&Key| {
            candidate.public.algorithm() == algorithm && key.is_none_or(|id| candidate.id.as_deref() == Some(id))
        };
        let mut candidates = self.0.iter().filter(fits).peekable();
        if candidates.peek().is_none() {
            return Err(Refusal::UnknownKey);
        }
        match candidates.any(|key| key.public.has_signed(message, signature)) {
            true => Ok(()),
            false => Err(Refusal::Signature),
        }
    }
}

impl Key {
    fn new(jwk: Jwk) -> Option<Self> {
        let bytes = |text: Option<String>| BASE64URL_NOPAD.decode(text?.as_bytes()).ok();
        if jwk.purpose.is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let public = match (&*jwk.kty, jwk.crv.as_deref()) {
            ("RSA", _) => PublicKey::Rsa { modulus: bytes(jwk.n)?, exponent: bytes(jwk.e)? },
            // SEC 1: an uncompressed point.
            ("EC", Some("P-256")) => PublicKey::P256([vec![4], bytes(jwk.x)?, bytes(jwk.y)?].concat()),
            ("OKP", Some("Ed25519")) => PublicKey::Ed25519(bytes(jwk.x)?),
            _ => return None,
        };
        Some(Self { id: jwk.kid, public })
    }
}

impl PublicKey {
    const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa { .. } => Algorithm::Rs256,
            Self::P256(_) => Algorithm::Es256,
            Self::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match self {
            Self::Rsa { modulus, exponent } => RsaPublicKeyComponents { n: modulus, e: exponent }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                message,
                signature,
            ),
            Self::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature),
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
        };
        verified.is_ok()
    }
}
