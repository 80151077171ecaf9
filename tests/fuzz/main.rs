//! Replays every corpus on every test run, and mutates each entry, the same way each time.
//!
//! A corpus is grown with `cargo +nightly fuzz run TARGET --fuzz-dir tests/fuzz`; what it finds is committed.

mod targets;

use std::fs;
use std::path::PathBuf;

use targets::TARGETS;

/// Mutations per corpus entry.
const MUTATIONS: u64 = 400;

#[test]
fn every_corpus_entry_is_accepted_or_rejected_without_a_panic() {
    for (name, target) in TARGETS {
        let entries = corpus(name);
        assert!(!entries.is_empty(), "tests/fuzz/corpus/{name} has entries");
        entries.iter().for_each(|entry| target(entry));
    }
}

#[test]
fn a_mutated_corpus_entry_is_accepted_or_rejected_without_a_panic() {
    for (name, target) in TARGETS {
        let entries = corpus(name);
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        for entry in &entries {
            for _ in 0..MUTATIONS {
                target(&mutated(entry, &entries, &mut random));
            }
        }
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo names the package's directory");
    let folder = PathBuf::from(manifest).join("fuzz/corpus").join(name);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("the folder can be listed").path())
        .collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("an entry can be read")).collect()
}

/// Flips, truncates, inserts, repeats or joins bytes.
fn mutated(entry: &[u8], entries: &[Vec<u8>], random: &mut u64) -> Vec<u8> {
    let mut draw = |below: usize| {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        usize::try_from(*random % u64::try_from(below.max(1)).expect("small")).expect("small")
    };
    let mut bytes = entry.to_vec();
    for _ in 0..=draw(3) {
        let at = draw(bytes.len());
        match draw(5) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at.min(bytes.len()), u8::try_from(draw(256)).expect("a byte")),
            2 => bytes.extend_from_within(at..),
            3 => bytes.extend_from_slice(&entries[draw(entries.len())]),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << draw(8);
                }
            }
        }
        bytes.truncate(64 * 1024);
    }
    bytes
}
