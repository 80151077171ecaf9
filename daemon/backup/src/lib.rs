//! The format of backup files: named members with checksums in one file, encrypted if asked.
//!
//! A backup is a tar archive. Its first member, `manifest`, lists the others in order, each with its size and SHA-256.
//! An encrypted backup is that archive in the format `age-encryption.org/v1`, which other programs can read:
//! `age --decrypt backup.age | tar -t`. Encryption is by a passphrase (scrypt), or to public keys (X25519), whose
//! private key the server never has.
//!
//! [`write()`] writes a backup. [`read`] checks one completely while it passes the contents of each member on: the
//! caller uses nothing before `read` has returned without an error. The file is hostile: every size is bounded before
//! anything is read, names are restricted to [`MemberName`], only regular members are accepted, and an encrypted file
//! that is truncated or modified anywhere is rejected.
//!
//! What it does not do: it does not know what the members mean, and it opens no file. Without encryption, the checksums
//! detect corruption and not forgery.
//!
//! Why the format of `age` is implemented here: the `age` crate brings fifty crates, most of them for translated
//! messages, and a second implementation of the ciphers that ring has. What is needed of the format is small, and a
//! test reads a file that `age` itself wrote.

#![forbid(unsafe_code)]

mod archive;
mod encryption;
mod error;
mod manifest;

pub use archive::{Opened, is_encrypted, read, write};
pub use encryption::{FileKey, Identity, KeyTextError, Lock, Passphrase, Recipient, Unlock};
pub use error::BackupError;
pub use manifest::{MEMBERS_MAX, Manifest, ManifestEntry, MemberName, checksum};

/// The version of the format. A reader rejects a newer one.
pub const FORMAT: u32 = 1;
