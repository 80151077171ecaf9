//! Encryption in the format `age-encryption.org/v1` (<https://c2sp.org/age>).
//!
//! A random file key encrypts the contents, and the header holds the file key, encrypted for each recipient. A MAC over
//! the header, and a stream of authenticated chunks with a marked last one, detect every change and every truncation.

mod bech32;
mod header;
mod key;
mod stream;

pub use self::key::{FileKey, Identity, KeyTextError, Lock, Passphrase, Recipient, Unlock};

pub(crate) use self::header::HEADER_MAGIC;
pub(crate) use self::stream::{DecryptReader, EncryptWriter};

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use crate::error::BackupError;

/// Bytes that authenticate an encrypted text.
const TAG_BYTES: usize = 16;

type SymmetricKey = Zeroizing<[u8; 32]>;

/// Derives a key.
fn derive(secret: &[u8], salt: &[u8], purpose: &str) -> SymmetricKey {
    let mut key = Zeroizing::new([0; 32]);
    let info = [purpose.as_bytes()];
    let extracted = Salt::new(HKDF_SHA256, salt).extract(secret);
    let expanded = extracted.expand(&info, HKDF_SHA256).expect("32 bytes are few enough");
    expanded.fill(&mut *key).expect("the lengths are equal");
    key
}

fn cipher(key: &SymmetricKey) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &**key).expect("the key has the length of the cipher"))
}

/// Encrypts a file key with a key that encrypts nothing else.
fn wrap(key: &SymmetricKey, file_key: &FileKey) -> Vec<u8> {
    let mut text = file_key.as_bytes().to_vec();
    let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
    cipher(key).seal_in_place_append_tag(nonce, Aad::empty(), &mut text).expect("a short text");
    text
}

/// Decrypts a file key; `None` if the key is another one.
fn unwrap(key: &SymmetricKey, wrapped: &[u8]) -> Option<FileKey> {
    let mut text = Zeroizing::new(wrapped.to_vec());
    let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
    let plain = cipher(key).open_in_place(nonce, Aad::empty(), &mut text).ok()?;
    FileKey::from_slice(plain)
}

fn random<const BYTES: usize>() -> Result<[u8; BYTES], BackupError> {
    let mut bytes = [0; BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| BackupError::NoRandomBytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
