//! The header: the file key, encrypted for each recipient, and a MAC.

use std::io::{BufRead, Read as _};

use data_encoding::BASE64_NOPAD;
use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::hmac;
use ring::rand::SystemRandom;
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};
use zeroize::Zeroizing;

use super::key::{FileKey, Identity, Lock, Passphrase, Recipient, Unlock};
use super::{SymmetricKey, derive, random, unwrap, wrap};
use crate::error::BackupError;

/// The first line of an encrypted file.
pub(crate) const HEADER_MAGIC: &str = "age-encryption.org/v1\n";

/// The cost of deriving a key from a passphrase: 2^17 blocks of 1 KiB, so 128 MiB for half a second, which a small
/// server has. It is what OWASP recommends for passwords.
const SCRYPT_LOG_N: u8 = 17;

/// The highest cost that is accepted: what the `age` program uses, 256 MiB. A file that asks for more is rejected.
const SCRYPT_LOG_N_MAX: u8 = 18;

/// Maximum bytes of a header: a hundred recipients, with headroom. A file with more is rejected.
const HEADER_BYTES_MAX: u64 = 32 * 1024;

/// Characters of a full line of base64.
const LINE_CHARS: usize = 64;

const SALT_BYTES: usize = 16;
const SCRYPT_PURPOSE: &str = "age-encryption.org/v1/scrypt";
const X25519_PURPOSE: &str = "age-encryption.org/v1/X25519";

/// A file key, encrypted for one recipient.
#[derive(Debug)]
struct Stanza {
    words: Vec<String>,
    body: Vec<u8>,
}

/// Creates the header that holds `file_key`.
pub(super) fn seal(file_key: &FileKey, lock: &Lock) -> Result<String, BackupError> {
    let stanzas = match lock {
        Lock::Open => Vec::new(),
        Lock::Passphrase(passphrase) => vec![seal_passphrase(file_key, passphrase, cost())?],
        Lock::Recipients(recipients) => {
            recipients.iter().map(|recipient| seal_recipient(file_key, recipient)).collect::<Result<_, _>>()?
        }
    };
    let mut text = HEADER_MAGIC.to_owned();
    for Stanza { words, body } in stanzas {
        text += &format!("-> {}\n{}\n", words.join(" "), BASE64_NOPAD.encode(&body));
    }
    text += "---";
    let mac = hmac::sign(&mac_key(file_key), text.as_bytes());
    text += &format!(" {}\n", BASE64_NOPAD.encode(mac.as_ref()));
    Ok(text)
}

/// Reads a header and returns the file key.
pub(super) fn open(input: &mut impl BufRead, unlock: &Unlock) -> Result<FileKey, BackupError> {
    let mut input = input.take(HEADER_BYTES_MAX);
    let mut text = String::new();
    let mut stanzas = Vec::new();
    if line(&mut input, &mut text)? + "\n" != HEADER_MAGIC {
        return Err(BackupError::NotBackup);
    }
    loop {
        let begin = text.len();
        let read = line(&mut input, &mut text)?;
        if let Some(mac) = read.strip_prefix("--- ") {
            let mac = BASE64_NOPAD.decode(mac.as_bytes()).map_err(|_| bad_header())?;
            let file_key = find_key(&stanzas, unlock)?;
            let signed = &text.as_bytes()[..begin + "---".len()];
            return match hmac::verify(&mac_key(&file_key), signed, &mac) {
                Ok(()) => Ok(file_key),
                Err(_) => Err(bad_header()),
            };
        }
        let words = read.strip_prefix("-> ").ok_or_else(bad_header)?;
        let words = words.split(' ').map(str::to_owned).collect();
        let mut body = String::new();
        loop {
            let part = line(&mut input, &mut text)?;
            body += &part;
            match part.len() {
                LINE_CHARS => {}
                chars if chars < LINE_CHARS => break,
                _ => return Err(bad_header()),
            }
        }
        let body = BASE64_NOPAD.decode(body.as_bytes()).map_err(|_| bad_header())?;
        stanzas.push(Stanza { words, body });
    }
}

/// Reads a line, appends it to `text`, and returns it without its end.
fn line(input: &mut impl BufRead, text: &mut String) -> Result<String, BackupError> {
    let begin = text.len();
    let read = input.read_line(text).map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => bad_header(),
        _ => BackupError::Io(error),
    })?;
    match text[begin..].strip_suffix('\n') {
        Some(line) if 0 < read => Ok(line.to_owned()),
        _ => Err(BackupError::Truncated),
    }
}

fn find_key(stanzas: &[Stanza], unlock: &Unlock) -> Result<FileKey, BackupError> {
    let is_passphrase = stanzas.iter().any(|stanza| stanza.words.first().is_some_and(|kind| kind == "scrypt"));
    match (unlock, is_passphrase) {
        (Unlock::FileKey(key), _) => Ok(key.clone()),
        (Unlock::Passphrase(passphrase), true) => match stanzas {
            [stanza] => open_passphrase(stanza, passphrase),
            // The format has it so: otherwise one who knows the passphrase could replace the contents for others.
            _ => Err(bad_header()),
        },
        (Unlock::Identities(identities), false) => {
            let pairs = stanzas.iter().flat_map(|stanza| identities.iter().map(move |identity| (stanza, identity)));
            let mut keys = pairs.filter_map(|(stanza, identity)| open_recipient(stanza, identity));
            keys.next().ok_or(BackupError::WrongIdentity)
        }
        (Unlock::Open | Unlock::Identities(_), true) => Err(BackupError::NeedsPassphrase),
        (Unlock::Open | Unlock::Passphrase(_), false) => Err(BackupError::NeedsIdentity),
    }
}

fn seal_passphrase(file_key: &FileKey, passphrase: &Passphrase, log_n: u8) -> Result<Stanza, BackupError> {
    let salt = random::<SALT_BYTES>()?;
    let words = vec!["scrypt".to_owned(), BASE64_NOPAD.encode(&salt), log_n.to_string()];
    Ok(Stanza { words, body: wrap(&stretch(passphrase, &salt, log_n)?, file_key) })
}

fn open_passphrase(stanza: &Stanza, passphrase: &Passphrase) -> Result<FileKey, BackupError> {
    let [_, salt, log_n] = &stanza.words[..] else { return Err(bad_header()) };
    let salt = BASE64_NOPAD.decode(salt.as_bytes()).map_err(|_| bad_header())?;
    if salt.len() != SALT_BYTES {
        return Err(bad_header());
    }
    match log_n.parse::<u8>() {
        Ok(log_n @ 1..=SCRYPT_LOG_N_MAX) => {
            unwrap(&stretch(passphrase, &salt, log_n)?, &stanza.body).ok_or(BackupError::WrongPassphrase)
        }
        Ok(log_n) if SCRYPT_LOG_N_MAX < log_n => Err(BackupError::TooExpensive { log_n, max: SCRYPT_LOG_N_MAX }),
        Ok(_) | Err(_) => Err(bad_header()),
    }
}

/// Derives a key from a passphrase.
fn stretch(passphrase: &Passphrase, salt: &[u8], log_n: u8) -> Result<SymmetricKey, BackupError> {
    let params = scrypt::Params::new(log_n, 8, 1).map_err(|_| bad_header())?;
    let salt = [SCRYPT_PURPOSE.as_bytes(), salt].concat();
    let mut key = Zeroizing::new([0; 32]);
    scrypt::scrypt(passphrase.as_bytes(), &salt, &params, &mut *key).expect("32 bytes are an output length");
    Ok(key)
}

/// The cost of new backups. Unit tests are built without optimization.
const fn cost() -> u8 {
    if cfg!(test) { 4 } else { SCRYPT_LOG_N }
}

fn seal_recipient(file_key: &FileKey, recipient: &Recipient) -> Result<Stanza, BackupError> {
    let random = SystemRandom::new();
    let no_random_bytes = |_| BackupError::NoRandomBytes;
    let secret = EphemeralPrivateKey::generate(&X25519, &random).map_err(no_random_bytes)?;
    let share = secret.compute_public_key().map_err(no_random_bytes)?;
    let salt = [share.as_ref(), recipient.as_bytes()].concat();
    let peer = UnparsedPublicKey::new(&X25519, recipient.as_bytes());
    let key = agree_ephemeral(secret, &peer, |shared| derive(shared, &salt, X25519_PURPOSE))
        .map_err(|_| BackupError::corrupt("a public key is a point of low order"))?;
    let words = vec!["X25519".to_owned(), BASE64_NOPAD.encode(share.as_ref())];
    Ok(Stanza { words, body: wrap(&key, file_key) })
}

fn open_recipient(stanza: &Stanza, identity: &Identity) -> Option<FileKey> {
    let [kind, share] = &stanza.words[..] else { return None };
    let share: [u8; 32] = BASE64_NOPAD.decode(share.as_bytes()).ok()?.try_into().ok()?;
    let recipient = x25519(*identity.as_bytes(), X25519_BASEPOINT_BYTES);
    let shared = Zeroizing::new(x25519(*identity.as_bytes(), share));
    if kind != "X25519" || *shared == [0; 32] {
        return None;
    }
    let salt = [share, recipient].concat();
    unwrap(&derive(&*shared, &salt, X25519_PURPOSE), &stanza.body)
}

fn mac_key(file_key: &FileKey) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &*derive(file_key.as_bytes(), &[], "header"))
}

fn bad_header() -> BackupError {
    BackupError::corrupt("the header of its encryption is invalid")
}
