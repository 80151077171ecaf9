//! Why a backup cannot be written or read.

use std::io;

use crate::FORMAT;

/// Why a backup cannot be written or read. The texts do not contain the path.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is something else.
    #[error("not a backup of linecamp-server")]
    NotBackup,
    /// A newer version wrote the file.
    #[error("the backup has format {found}, newer than {FORMAT}, which this version supports; upgrade this program")]
    TooNew {
        /// The format of the file.
        found: u32,
    },
    /// The file ends too early.
    #[error("the backup is truncated")]
    Truncated,
    /// The file is corrupt.
    #[error("the backup is corrupt: {problem}")]
    Corrupt {
        /// What is wrong.
        problem: String,
    },
    /// A member is larger than allowed.
    #[error("the backup is rejected: {name} has {bytes} bytes (maximum {max})")]
    TooLarge {
        /// The member.
        name: String,
        /// Its size, as stated.
        bytes: u64,
        /// The maximum.
        max: u64,
    },
    /// A member has an invalid name.
    #[error("the backup is rejected: a member has the name `{name}`, which no backup has")]
    BadName {
        /// The name, printable.
        name: String,
    },
    /// The passphrase is wrong.
    #[error("wrong passphrase")]
    WrongPassphrase,
    /// The identity is not one of the recipients.
    #[error("the backup is encrypted for other keys than this identity")]
    WrongIdentity,
    /// The file is encrypted with a passphrase, and none was given.
    #[error("the backup is encrypted with a passphrase; give it with --passphrase-file FILE")]
    NeedsPassphrase,
    /// The file is encrypted for public keys, and no identity was given.
    #[error("the backup is encrypted for a public key; give its identity with --identity-file FILE")]
    NeedsIdentity,
    /// A passphrase or an identity was given for a file that is not encrypted.
    #[error("the backup is not encrypted; leave out the passphrase or identity")]
    NotEncrypted,
    /// The key derivation asks for more memory than allowed.
    #[error("the backup is rejected: its passphrase needs 2^{log_n} rounds of scrypt (maximum 2^{max})")]
    TooExpensive {
        /// The exponent in the file.
        log_n: u8,
        /// The maximum.
        max: u8,
    },
    /// The operating system has no random bytes.
    #[error("the operating system has no random bytes")]
    NoRandomBytes,
}

impl BackupError {
    /// Creates an error about corruption.
    pub(crate) fn corrupt(problem: impl Into<String>) -> Self {
        Self::Corrupt { problem: problem.into() }
    }

    /// Restores the error that a reader of this crate put into an I/O error.
    pub(crate) fn of_io(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(inner) => inner,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Self::Truncated,
            Err(error) => Self::Io(error),
        }
    }

    /// Puts the error into an I/O error.
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Self::Io(error) => error,
            other => io::Error::other(other),
        }
    }

    /// Returns whether the contents of the file are at fault, and not how it was read.
    pub const fn blames_file(&self) -> bool {
        match self {
            Self::NotBackup
            | Self::TooNew { .. }
            | Self::Truncated
            | Self::Corrupt { .. }
            | Self::TooLarge { .. }
            | Self::BadName { .. }
            | Self::TooExpensive { .. } => true,
            Self::Io(_)
            | Self::WrongPassphrase
            | Self::WrongIdentity
            | Self::NeedsPassphrase
            | Self::NeedsIdentity
            | Self::NotEncrypted
            | Self::NoRandomBytes => false,
        }
    }
}
