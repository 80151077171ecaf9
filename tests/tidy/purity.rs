//! Purity: crates without side effects.

use crate::report::Report;
use crate::rust::{paths, words};
use crate::tree::{SourceFile, rust_files};

/// Crates without side effects.
const PURE: [&str; 2] = ["daemon/core/src/", "daemon/model/src/"];

/// What a pure crate must not use, and the replacement.
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

/// Exceptions that a pure crate may use.
const ALLOWED: [(&str, &str); 5] = [
    // Parsing an address opens no socket.
    ("daemon/model/src/", "std::net::IpAddr"),
    ("daemon/model/src/", "std::net::Ipv4Addr"),
    ("daemon/model/src/", "std::net::Ipv6Addr"),
    ("daemon/core/src/", "std::net::IpAddr"),
    ("daemon/core/src/", "std::net::SocketAddr"),
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

pub(crate) fn is_pure(file: &SourceFile) -> bool {
    PURE.iter().any(|place| file.path.starts_with(place))
}

fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}
