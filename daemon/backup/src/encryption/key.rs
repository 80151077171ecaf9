//! Passphrases, public keys and identities, and the key of a file.

use std::fmt;

use zeroize::Zeroizing;

use super::bech32;

/// How a backup is encrypted.
#[derive(Clone, Debug)]
pub enum Lock {
    /// Not at all: its reader has the certificate authority's key.
    Open,
    /// With a passphrase.
    Passphrase(Passphrase),
    /// For these public keys, at least one: each of them can decrypt it.
    Recipients(Vec<Recipient>),
}

/// What decrypts a backup.
#[derive(Clone, Debug)]
pub enum Unlock {
    /// Nothing: the backup is not encrypted.
    Open,
    /// A passphrase.
    Passphrase(Passphrase),
    /// Identities, of which one must be a recipient.
    Identities(Vec<Identity>),
    /// The key of the file, for the process that wrote it.
    FileKey(FileKey),
}

/// A key or a passphrase cannot be used. The text does not contain it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyTextError {
    /// The passphrase is empty.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// The public key is invalid.
    #[error("not a public key: expected age1 and 58 characters, as printed by age-keygen")]
    BadRecipient,
    /// The file contains no identity.
    #[error("no identity in the file: expected a line AGE-SECRET-KEY-1…, as written by age-keygen")]
    NoIdentity,
    /// A line is not an identity.
    #[error("line {line} is not an identity: expected AGE-SECRET-KEY-1…, as written by age-keygen")]
    BadIdentity {
        /// The line, from 1.
        line: usize,
    },
}

/// A passphrase. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Reads the passphrase of a file: the first line.
    ///
    /// # Errors
    /// [`KeyTextError::EmptyPassphrase`].
    pub fn of_text(text: &str) -> Result<Self, KeyTextError> {
        match text.lines().next().unwrap_or_default() {
            "" => Err(KeyTextError::EmptyPassphrase),
            line => Ok(Self(Zeroizing::new(line.to_owned()))),
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// A public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipient([u8; 32]);

impl Recipient {
    /// Parses `age1…`.
    ///
    /// # Errors
    /// [`KeyTextError::BadRecipient`].
    pub fn parse(text: &str) -> Result<Self, KeyTextError> {
        bech32::decode(text, "age").map(Self).ok_or(KeyTextError::BadRecipient)
    }

    pub(super) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A private key. `Debug` hides it.
#[derive(Clone)]
pub struct Identity(Zeroizing<[u8; 32]>);

impl Identity {
    /// Reads the identities of a file: one per line, with comments after `#`.
    ///
    /// # Errors
    /// [`KeyTextError::NoIdentity`], [`KeyTextError::BadIdentity`].
    pub fn of_text(text: &str) -> Result<Vec<Self>, KeyTextError> {
        let lines = text.lines().map(str::trim).zip(1..);
        let lines = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
        let parse = |(line, number): (&str, usize)| {
            let bytes = bech32::decode(&Zeroizing::new(line.to_ascii_lowercase()), "age-secret-key-");
            bytes.map(|bytes| Self(Zeroizing::new(bytes))).ok_or(KeyTextError::BadIdentity { line: number })
        };
        let identities = lines.map(parse).collect::<Result<Vec<_>, _>>()?;
        match identities.is_empty() {
            true => Err(KeyTextError::NoIdentity),
            false => Ok(identities),
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The key of one file. `Debug` hides it.
#[derive(Clone)]
pub struct FileKey(Zeroizing<[u8; 16]>);

impl FileKey {
    pub(super) fn new(bytes: [u8; 16]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(super) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::new)
    }

    pub(super) fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

macro_rules! hidden {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("(hidden)")
            }
        }
    )*};
}

hidden!(Passphrase, Identity, FileKey);
