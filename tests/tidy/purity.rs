//! What does nothing, and what does not wait.

use crate::report::Report;
use crate::rust::{paths, words};
use crate::tree::{SourceFile, rust_files};

/// Crates that do nothing by themselves.
const PURE: [&str; 2] = ["daemon/core/src/", "daemon/model/src/"];

/// What a pure crate must not name, and what stands in its place.
const BANNED_PATHS: [(&str, &str); 9] = [
    ("std::time::Instant", "time comes in as `now`"),
    ("std::time::SystemTime", "time comes in as `now`"),
    ("std::thread", "a machine is driven, it does not run"),
    ("std::fs", "ask for it with an output"),
    ("std::net", "ask for it with an output"),
    ("std::io", "ask for it with an output"),
    ("std::env", "the environment is read once, by a program"),
    ("std::process", "ask for it with an output"),
    ("tokio", "a machine is driven, it does not run"),
];
const BANNED_WORDS: [(&str, &str); 6] = [
    ("HashMap", "BTreeMap gives the same order in every run"),
    ("HashSet", "BTreeSet gives the same order in every run"),
    ("SystemTime", "time comes in as `now`"),
    ("thread_rng", "chance comes in as Rng"),
    ("getrandom", "chance comes in as Rng"),
    ("rand", "chance comes in as Rng"),
];

/// What a pure crate may name all the same.
const ALLOWED: [(&str, &str); 5] = [
    // Parsing an address opens no socket.
    ("daemon/model/src/", "std::net::IpAddr"),
    ("daemon/model/src/", "std::net::Ipv4Addr"),
    ("daemon/model/src/", "std::net::Ipv6Addr"),
    ("daemon/core/src/", "std::net::IpAddr"),
    ("daemon/core/src/", "std::net::SocketAddr"),
];

/// Where a test may sleep.
const SLEEPERS: [&str; 2] = [
    // The one loop that polls a process for a condition; everything else waits through it.
    "tests/harness/wait.rs",
    // A plugin that means harm by it.
    "tests/malicious/src/attempts.rs",
];

#[test]
fn the_pure_crates_name_no_clock_no_thread_no_io_and_no_random_order() {
    let mut report = Report::default();
    for file in rust_files().filter(|file| is_pure(file) && !file.is_test()) {
        let code = file.code_outside_tests();
        for (line, path) in paths(code) {
            let banned = BANNED_PATHS.iter().find(|(banned, _)| is_below(&path, banned));
            let is_allowed = ALLOWED.iter().any(|(place, name)| file.path.starts_with(place) && is_below(&path, name));
            if let Some((_, instead)) = banned.filter(|_| !is_allowed) {
                report.add(&file.path, line, format!("`{path}`: {instead}"));
            }
        }
        for (line, word) in words(code) {
            if let Some((_, instead)) = BANNED_WORDS.iter().find(|(banned, _)| *banned == word) {
                report.add(&file.path, line, format!("`{word}`: {instead}"));
            }
        }
    }
    report.finish("let the caller pass it in, or let the machine ask for it with an output.");
}

#[test]
fn no_test_and_no_pure_crate_sleeps() {
    let mut report = Report::default();
    for file in rust_files().filter(|file| !SLEEPERS.contains(&file.path.as_str())) {
        let all = file.code();
        let outside_tests = file.code_outside_tests();
        // A paused clock is moved, not waited for.
        let is_paused = file.text.contains("start_paused = true");
        let is_whole = (file.is_test() && !is_paused) || is_pure(file);
        for ((line, number), production) in all.lines().zip(1..).zip(outside_tests.lines()) {
            let is_in_test = !is_paused && !sleeps(production);
            if sleeps(line) && (is_whole || is_in_test) {
                report.add(&file.path, number, "sleeps");
            }
        }
    }
    report.finish("move the clock (`Pair`, tokio's paused time), or wait for a condition with the harness's wait_for.");
}

fn is_pure(file: &SourceFile) -> bool {
    PURE.iter().any(|place| file.path.starts_with(place))
}

fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn sleeps(line: &str) -> bool {
    words(line).any(|(_, word)| ["sleep", "sleep_until", "sleep_ms"].contains(&word)) && line.contains('(')
}
