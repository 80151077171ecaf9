use std::collections::BTreeMap;

use super::*;
use crate::FORMAT;
use crate::encryption::Passphrase;
use crate::manifest::{MemberName, checksum};
use linecamp_model::WallTime;

const SIZE_MAX: u64 = 1024 * 1024;

type Contents = BTreeMap<String, Vec<u8>>;

fn contents() -> Contents {
    let files = [("fleet.db", vec![7; 70_000]), ("ca/key.pem", b"key".to_vec()), ("server.toml", Vec::new())];
    files.map(|(name, bytes)| (name.to_owned(), bytes)).into()
}

fn manifest(contents: &Contents) -> Manifest {
    let entry = |(name, bytes): (&String, &Vec<u8>)| ManifestEntry {
        name: MemberName::parse(name).unwrap(),
        bytes: bytes.len() as u64,
        sha256: checksum(bytes),
    };
    let members = contents.iter().map(entry).collect();
    Manifest { server: "0.1.0".to_owned(), taken_at: WallTime::from_unix_millis(1_795_314_424_000), members }
}

fn written(lock: &Lock) -> Vec<u8> {
    let (contents, mut file) = (contents(), Vec::new());
    let source = |entry: &ManifestEntry| Ok(&contents[entry.name.as_str()][..]);
    write(&mut file, &manifest(&contents), lock, source).unwrap();
    file
}

fn read_all(file: &[u8], unlock: &Unlock) -> Result<(Opened, Contents), BackupError> {
    let mut found = Contents::new();
    let size_max = |name: &str| (name != "unknown").then_some(SIZE_MAX);
    let opened = read(file, unlock, size_max, |entry, contents| {
        let mut bytes = Vec::new();
        contents.read_to_end(&mut bytes)?;
        found.insert(entry.name.to_string(), bytes);
        Ok(())
    })?;
    Ok((opened, found))
}

/// An archive of these headers and contents, as an attacker would write it.
fn forged(members: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    for (name, kind, bytes) in members {
        let mut header = Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_entry_type(*kind);
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        archive.append(&header, *bytes).unwrap();
    }
    archive.into_inner().unwrap()
}

fn problem(file: &[u8]) -> String {
    read_all(file, &Unlock::Open).unwrap_err().to_string()
}

#[test]
fn a_backup_is_read_as_written() {
    let passphrase = Passphrase::of_text("a b").unwrap();
    let open = (Lock::Open, Unlock::Open);
    for (lock, unlock) in [open, (Lock::Passphrase(passphrase.clone()), Unlock::Passphrase(passphrase.clone()))] {
        let (opened, found) = read_all(&written(&lock), &unlock).unwrap();
        assert_eq!((opened.manifest, found), (manifest(&contents()), contents()));
        assert_eq!(opened.is_encrypted, matches!(lock, Lock::Passphrase(_)));
    }
    let error = read_all(&written(&Lock::Open), &Unlock::Passphrase(passphrase)).unwrap_err();
    assert!(matches!(error, BackupError::NotEncrypted));
}

#[test]
fn a_truncated_backup_is_rejected_wherever_it_ends() {
    let file = written(&Lock::Open);
    let end = file.len() - 1024;
    for length in (0..end).step_by(97).chain([511, 512, end - 1]) {
        assert!(read_all(&file[..length], &Unlock::Open).is_err(), "{length} of {} bytes", file.len());
    }
}

/// Only bytes that mean nothing may change: those of tar's headers that are not read, which its checksum protects, and
/// the padding.
#[test]
fn a_flipped_bit_is_rejected_or_means_nothing() {
    let file = written(&Lock::Open);
    for at in (0..4096).chain((4096..file.len()).step_by(501)) {
        let mut flipped = file.clone();
        flipped[at] ^= 0x10;
        match read_all(&flipped, &Unlock::Open) {
            Ok((_, found)) => assert_eq!(found, contents(), "byte {at}"),
            Err(error) => assert!(error.blames_file(), "byte {at}: {error}"),
        }
    }
}

#[test]
fn a_hostile_archive_is_rejected_with_the_reason() {
    let head = format!("linecamp-backup {FORMAT}\nserver 0.1.0\ntaken-at 5\n");
    let digest = data_encoding::HEXLOWER.encode(&checksum(b"x"));
    let manifest_of = |lines: &str| format!("{head}{lines}").into_bytes();
    let one = manifest_of(&format!("{digest} 1 fleet.db\n"));
    let regular = EntryType::Regular;
    let check = |members: &[(&str, EntryType, &[u8])], words: &str| {
        let error = problem(&forged(members));
        assert!(error.contains(words), "{error}");
    };
    check(&[], "not a backup");
    check(&[("fleet.db", regular, b"x")], "not a backup");
    check(&[("manifest", EntryType::Symlink, &one)], "not a backup");
    check(&[("manifest", regular, &vec![b'a'; 2 << 20])], "manifest has 2097152 bytes (maximum 1048576)");
    check(&[("manifest", regular, &one)], "truncated");
    check(&[("manifest", regular, &one), ("../fleet.db", regular, b"x")], "`../fleet.db` stands in place of fleet.db");
    check(&[("manifest", regular, &one), ("fleet.db", EntryType::Symlink, b"x")], "not a regular file");
    check(&[("manifest", regular, &one), ("fleet.db", regular, b"xx")], "the size of fleet.db");
    check(&[("manifest", regular, &one), ("fleet.db", regular, b"y")], "the checksum of fleet.db");
    check(&[("manifest", regular, &one), ("fleet.db", regular, b"x"), ("more", regular, b"x")], "does not list");
    check(&[("manifest", regular, &one), ("PaxHeader", EntryType::XHeader, b"x")], "`PaxHeader` stands in place");
    let unknown = manifest_of(&format!("{digest} 1 unknown\n"));
    check(&[("manifest", regular, &unknown)], "the name `unknown`, which no backup has");
    let huge = manifest_of(&format!("{digest} 99999999999 fleet.db\n"));
    check(&[("manifest", regular, &huge)], "fleet.db has 99999999999 bytes (maximum 1048576)");
    let newer = format!("linecamp-backup {}\n", FORMAT + 1);
    check(&[("manifest", regular, newer.as_bytes())], "newer than");
    assert!(problem(b"#!/bin/sh").contains("not a backup"));
    let after = [written(&Lock::Open), vec![0; 1 << 20]].concat();
    assert!(problem(&after).contains("after its end"));
}

#[test]
fn a_file_that_became_shorter_fails_the_backup() {
    let contents = contents();
    let source = |entry: &ManifestEntry| {
        let bytes = &contents[entry.name.as_str()];
        Ok(&bytes[..bytes.len().saturating_sub(1)])
    };
    let error = write(Vec::new(), &manifest(&contents), &Lock::Open, source).unwrap_err().to_string();
    assert_eq!(error, "a file became shorter while it was read");
}
