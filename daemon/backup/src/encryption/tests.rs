use std::io::{Read as _, Write as _};

use super::*;
use crate::error::BackupError;

/// Written by `age` 1.1.1, with the identity and the passphrase below.
const TO_KEY: &[u8] = include_bytes!("samples/x25519.age");
const WITH_PASSPHRASE: &[u8] = include_bytes!("samples/scrypt.age");
const IDENTITY: &str = "AGE-SECRET-KEY-13DRJ8KRFM77F8RTXS3VQG2T0KW8ES0ZNASVMGFQ6NN5HTY3QZDTSSVUQJG";
const RECIPIENT: &str = "age14n5yhmefxe2g3w8wcpr8rtlq4ckl7xk7vrf72z2d8jqlscv4xgssensnla";
const TEXT: &[u8] = b"hello from age\n";

fn passphrase(text: &str) -> Passphrase {
    Passphrase::of_text(text).unwrap()
}

fn identities() -> Unlock {
    Unlock::Identities(Identity::of_text(&format!("# created: 2026\n{IDENTITY}\n")).unwrap())
}

fn encrypt(text: &[u8], lock: &Lock) -> Vec<u8> {
    let (mut writer, _) = EncryptWriter::begin(Vec::new(), lock).unwrap();
    writer.write_all(text).unwrap();
    writer.finish().unwrap()
}

fn decrypt(file: &[u8], unlock: &Unlock) -> Result<Vec<u8>, BackupError> {
    let mut text = Vec::new();
    DecryptReader::begin(file, unlock)?.read_to_end(&mut text).map_err(BackupError::of_io)?;
    Ok(text)
}

#[test]
fn files_of_the_age_program_are_read() {
    assert_eq!(decrypt(TO_KEY, &identities()).unwrap(), TEXT);
    assert_eq!(decrypt(WITH_PASSPHRASE, &Unlock::Passphrase(passphrase("correct horse\n"))).unwrap(), TEXT);
}

#[test]
fn contents_of_every_length_are_decrypted_as_written() {
    let locks = [
        (Lock::Passphrase(passphrase("a b")), Unlock::Passphrase(passphrase("a b"))),
        (Lock::Recipients(vec![Recipient::parse(RECIPIENT).unwrap()]), identities()),
    ];
    for (lock, unlock) in &locks {
        for bytes in [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000] {
            let text: Vec<u8> = (0..bytes).map(|at| (at % 251).try_into().unwrap()).collect();
            assert_eq!(decrypt(&encrypt(&text, lock), unlock).unwrap(), text, "{bytes}");
        }
    }
}

#[test]
fn another_key_is_refused_by_its_name() {
    let with_passphrase = encrypt(TEXT, &Lock::Passphrase(passphrase("right")));
    let check = |file: &[u8], unlock: &Unlock, words: &str| {
        let error = decrypt(file, unlock).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    check(&with_passphrase, &Unlock::Passphrase(passphrase("wrong")), "wrong passphrase");
    check(&with_passphrase, &identities(), "encrypted with a passphrase");
    check(&with_passphrase, &Unlock::Open, "encrypted with a passphrase");
    check(TO_KEY, &Unlock::Passphrase(passphrase("right")), "encrypted for a public key");
    let other = Identity::of_text(&bech32::encode(&[7; 32], "age-secret-key-")).unwrap();
    check(TO_KEY, &Unlock::Identities(other), "for other keys");
}

/// Every prefix, and every flipped bit of a small file.
#[test]
fn a_truncated_or_modified_file_is_rejected() {
    let lock = Lock::Recipients(vec![Recipient::parse(RECIPIENT).unwrap()]);
    let file = encrypt(TEXT, &lock);
    for length in 0..file.len() {
        assert!(decrypt(&file[..length], &identities()).is_err(), "{length} of {} bytes", file.len());
    }
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut flipped = file.clone();
            flipped[at] ^= 1 << bit;
            assert!(decrypt(&flipped, &identities()).is_err(), "bit {bit} of byte {at}");
        }
    }
    let longer = [&file[..], b"x"].concat();
    assert!(decrypt(&longer, &identities()).is_err());
}

/// Chunks that are removed, repeated or reordered, each of them intact.
#[test]
fn the_order_and_the_number_of_chunks_are_authenticated() {
    let lock = Lock::Recipients(vec![Recipient::parse(RECIPIENT).unwrap()]);
    let chunk = 65_536 + TAG_BYTES;
    let file = encrypt(&vec![7; 3 * 65_536], &lock);
    let begin = file.len() - 3 * chunk;
    let part = |number: usize| &file[begin + number * chunk..begin + (number + 1) * chunk];
    let whole: Vec<&[u8]> = vec![&file[..begin], part(0), part(1), part(2)];
    assert!(decrypt(&whole.concat(), &identities()).is_ok());
    for order in [&[0, 1][..], &[0, 2], &[1, 0, 2], &[0, 1, 1, 2], &[0], &[]] {
        let file = std::iter::once(&file[..begin]).chain(order.iter().map(|number| part(*number)));
        assert!(decrypt(&file.collect::<Vec<_>>().concat(), &identities()).is_err(), "{order:?}");
    }
}

#[test]
fn a_header_that_asks_for_too_much_memory_is_rejected() {
    let file = String::from_utf8_lossy(&encrypt(TEXT, &Lock::Passphrase(passphrase("a")))).into_owned();
    let dear = file.replacen(" 4\n", " 30\n", 1);
    let error = decrypt(dear.as_bytes(), &Unlock::Passphrase(passphrase("a"))).unwrap_err();
    assert!(matches!(error, BackupError::TooExpensive { log_n: 30, .. }), "{error}");
    let long = format!("{HEADER_MAGIC}-> X25519 {}", "a".repeat(1 << 20));
    assert!(matches!(decrypt(long.as_bytes(), &identities()), Err(BackupError::Truncated)));
}

#[test]
fn keys_are_parsed_strictly_and_not_shown() {
    assert!(Recipient::parse(RECIPIENT).is_ok());
    for bad in ["", "age1", &RECIPIENT[1..], &RECIPIENT.replacen('q', "p", 1), &RECIPIENT.to_uppercase(), IDENTITY] {
        assert!(Recipient::parse(bad).is_err(), "{bad}");
    }
    assert_eq!(bech32::encode(Recipient::parse(RECIPIENT).unwrap().as_bytes(), "age"), RECIPIENT);
    assert_eq!(Identity::of_text("# none\n").unwrap_err(), KeyTextError::NoIdentity);
    assert_eq!(Identity::of_text("\nage1x\n").unwrap_err(), KeyTextError::BadIdentity { line: 2 });
    assert_eq!(Passphrase::of_text("\nx").unwrap_err(), KeyTextError::EmptyPassphrase);
    let shown = format!("{:?} {:?}", passphrase("secret"), identities());
    assert!(!shown.contains("secret") && shown.contains("(hidden)"), "{shown}");
}

#[test]
fn a_reader_that_failed_returns_nothing_more() {
    let mut file = encrypt(&[7; 200_000], &Lock::Passphrase(passphrase("right")));
    let at = file.len() - 100_000;
    file[at] ^= 1;
    let mut reader = DecryptReader::begin(&file[..], &Unlock::Passphrase(passphrase("right"))).unwrap();
    let mut text = Vec::new();
    assert!(reader.read_to_end(&mut text).is_err());
    let authentic = text.len();
    for _ in 0..3 {
        assert!(reader.read_to_end(&mut text).is_err());
    }
    assert_eq!(text.len(), authentic);
}
