//! Names that show that something is unbounded, unfinished, or has two purposes.

use crate::report::Report;
use crate::rust::{without_strings, words};
use crate::tree::{files, rust_files};

/// A module with such a name has more than one purpose.
const EMPTY_NAMES: [&str; 7] = ["util", "utils", "helper", "helpers", "common", "misc", "manager"];
/// Markers of unfinished work.
const MARKERS: [&str; 3] = ["TODO", "FIXME", "XXX"];
/// Files that may contain a marker, besides Rust.
const MARKED: [&str; 5] = [".proto", ".sql", ".toml", ".wit", ".ci/run"];

#[test]
fn every_queue_has_a_bound() {
    let mut report = Report::default();
    // Collections in tests are bounded by the test.
    for file in rust_files().filter(|file| !file.is_test()) {
        let code = file.code_outside_tests();
        for (line, number) in code.lines().zip(1..) {
            let line = line.replace(' ', "");
            let is_unbounded =
                line.contains("unbounded_channel") || line.contains("unbounded(") || is_std_channel(&line);
            if is_unbounded {
                report.add(&file.path, number, "a queue without a bound");
            }
        }
    }
    report.finish(
        "take `channel(N)` of tokio or `sync_channel(N)` of std; N is a constant that says what happens at it.",
    );
}

#[test]
fn nothing_is_left_for_later() {
    let mut report = Report::default();
    for file in files() {
        let text = if file.is_rust() {
            without_strings(&file.text)
        } else if MARKED.iter().any(|ending| file.path.ends_with(ending)) {
            file.text.clone()
        } else {
            continue;
        };
        for (line, word) in words(&text) {
            if MARKERS.contains(&word) {
                report.add(&file.path, line, word);
            }
        }
        let code = if file.is_rust() { file.code() } else { "" };
        for (line, number) in code.lines().zip(1..) {
            let dense = line.replace(' ', "");
            if ["todo!", "unimplemented!", "#[ignore"].iter().any(|marker| dense.contains(marker)) {
                report.add(&file.path, number, line.trim());
            }
        }
    }
    report.finish(
        "finish it or take it out; an idea goes to the issues, a test that cannot run here says so at run time.",
    );
}

#[test]
fn every_module_is_named_after_what_it_holds() {
    let mut report = Report::default();
    for file in rust_files() {
        let mut parts = file.path.split(['/', '.', '_', '-']);
        if let Some(part) = parts.find(|part| EMPTY_NAMES.contains(part)) {
            report.add(&file.path, 1, format!("`{part}` says nothing"));
        }
        for (line, number) in file.code().lines().zip(1..) {
            let name = line.split_once("mod ").map(|(_, name)| name.trim_end_matches([';', '{', ' ']));
            if name.is_some_and(|name| name.split('_').any(|part| EMPTY_NAMES.contains(&part))) {
                report.add(&file.path, number, line.trim());
            }
        }
    }
    report.finish("it holds two things, or one that has a better name: see packaging/docs/glossary.md.");
}

/// Only the unbounded constructor of std's channel takes no argument.
fn is_std_channel(line: &str) -> bool {
    line.match_indices("channel").any(|(at, word)| {
        let rest = &line[at + word.len()..];
        let rest = match rest.strip_prefix("::<") {
            Some(types) => types.find(">(").map_or(types, |end| &types[end + 1..]),
            None => rest,
        };
        rest.starts_with("()") && line[..at].ends_with("mpsc::")
    })
}
