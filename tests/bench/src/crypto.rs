//! What the cryptography of one handshake costs on this machine right now: a lower bound for a handshake.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey as UnparsedShare, X25519, agree_ephemeral};
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

/// Bytes to sign: slightly more than a transcript's hash.
const SIGNED: [u8; 150] = [7; 150];
/// Number of rounds; the mean is reported.
const ROUNDS: u32 = 500;

/// Returns the time of one signature, two verifications (certificate and handshake) and one key exchange: one side of a
/// handshake with Ed25519 and X25519.
pub(crate) fn handshake_floor() -> anyhow::Result<Duration> {
    let random = SystemRandom::new();
    let unspecified = |_| anyhow!("the cryptography refused its own keys");
    let key = Ed25519KeyPair::generate_pkcs8(&random).map_err(unspecified)?;
    let key = Ed25519KeyPair::from_pkcs8(key.as_ref()).map_err(|error| anyhow!("a new key does not read: {error}"))?;
    let signature = key.sign(&SIGNED);
    let public_key = UnparsedPublicKey::new(&ED25519, key.public_key());
    let mut began = Instant::now();
    for round in 0..2 * ROUNDS {
        // The first half is the warm-up.
        if round == ROUNDS {
            began = Instant::now();
        }
        std::hint::black_box(key.sign(&SIGNED));
        for _ in 0..2 {
            public_key.verify(&SIGNED, signature.as_ref()).map_err(unspecified)?;
        }
        let ours = EphemeralPrivateKey::generate(&X25519, &random).map_err(unspecified)?;
        let share = ours.compute_public_key().map_err(unspecified)?;
        agree_ephemeral(ours, &UnparsedShare::new(&X25519, share), |secret| {
            std::hint::black_box(secret[0]);
        })
        .map_err(unspecified)?;
    }
    Ok(began.elapsed() / ROUNDS)
}
