//! The encoding of each message and record, pinned. `golden/v1` only grows: what a release wrote stays readable
//! forever.
//!
//! `LINECAMP_GOLDEN=write cargo test -p linecamp-proto golden` writes the files. A record's file holds its key, a line
//! feed, and its body.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::sample;
use crate::record::{fleet_change, fleet_record, site_change, site_record};
use crate::{
    decode_from_member, decode_from_parent, decode_refusal, encode_from_member, encode_from_parent, encode_refusal,
    refusal_code_number,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/v1")
}

/// Compares or writes one file, and returns its contents.
fn pinned(file: &str, bytes: &[u8]) -> Vec<u8> {
    let path = folder().join(file);
    if std::env::var_os("LINECAMP_GOLDEN").is_some_and(|verb| verb == "write") {
        fs::create_dir_all(folder()).expect("the folder can be made");
        fs::write(&path, bytes).expect("the file can be written");
    }
    let found = fs::read(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert_eq!(found, bytes, "{file}: the bytes have changed");
    found
}

fn record_of_file(found: &[u8]) -> (&[u8], &[u8]) {
    let end = found.iter().position(|byte| *byte == b'\n').expect("a key ends its line");
    (&found[..end], &found[end + 1..])
}

fn file_of_record(row: (Vec<u8>, Option<Vec<u8>>)) -> Vec<u8> {
    let (key, body) = row;
    [key, b"\n".to_vec(), body.expect("a record has a body")].concat()
}

#[test]
fn golden_messages_of_a_site_are_written_and_read() {
    for (name, message) in sample::from_member() {
        let found = pinned(&format!("from-member-{name}.bin"), &encode_from_member(&message));
        assert_eq!(decode_from_member(&found), Ok(message));
    }
}

#[test]
fn golden_messages_of_the_server_are_written_and_read() {
    for (name, message) in sample::from_parent() {
        let found = pinned(&format!("from-parent-{name}.bin"), &encode_from_parent(&message));
        assert_eq!(decode_from_parent(&found), Ok(message));
    }
}

#[test]
fn a_golden_refusal_is_written_and_read() {
    let refusal = sample::refusal();
    let found = pinned("refusal.bin", &encode_refusal(&refusal));
    assert_eq!(decode_refusal(refusal_code_number(refusal.code), &found), Some(refusal));
}

#[test]
fn golden_records_of_a_site_are_written_and_read() {
    for (name, record) in sample::site_records() {
        let found = pinned(&format!("site-record-{name}.bin"), &file_of_record(site_change(&record)));
        let (key, body) = record_of_file(&found);
        assert_eq!(site_record(key, body), Ok(record));
    }
}

#[test]
fn golden_records_of_the_fleet_are_written_and_read() {
    for (name, record) in sample::fleet_records() {
        let found = pinned(&format!("fleet-record-{name}.bin"), &file_of_record(fleet_change(&record)));
        let (key, body) = record_of_file(&found);
        assert_eq!(fleet_record(key, body), Ok(record));
    }
}

/// A golden file that no value produces would never be checked.
#[test]
fn every_golden_file_has_its_value() {
    let mut values = BTreeSet::from(["refusal.bin".to_owned()]);
    values.extend(sample::from_member().iter().map(|(name, _)| format!("from-member-{name}.bin")));
    values.extend(sample::from_parent().iter().map(|(name, _)| format!("from-parent-{name}.bin")));
    values.extend(sample::site_records().iter().map(|(name, _)| format!("site-record-{name}.bin")));
    values.extend(sample::fleet_records().iter().map(|(name, _)| format!("fleet-record-{name}.bin")));
    let files = fs::read_dir(folder()).expect("the folder can be read");
    let files = files.map(|file| file.expect("an entry can be read").file_name().into_string());
    let files: BTreeSet<_> = files.map(|file| file.expect("a name is text")).collect();
    assert_eq!(files, values);
}
