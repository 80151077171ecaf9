//! Log lines that a peer can cause without a credential are limited: their event has a name that begins with `peer: `
//! (`daemon/service/src/log_limit.rs`).

use crate::report::Report;
use crate::tree::{SourceFile, file};

/// The files that serve connections before their peer has authenticated.
const FILES: [&str; 7] = [
    "daemon/downlink/src/session.rs",
    "daemon/linecampd/src/local_api/connection.rs",
    "daemon/linecampd/src/local_api/listener.rs",
    "daemon/server/src/drivers/http_connection.rs",
    "daemon/server/src/drivers/https.rs",
    "daemon/transport/src/https.rs",
    "daemon/transport/src/identity/resolver.rs",
];

/// The macros that log, without `tracing::`.
const MACROS: [&str; 5] = ["trace!(", "debug!(", "info!(", "warn!(", "error!("];

/// Lines that only a bug causes, by a part of them.
const BUGS: [&str; 1] = ["an API connection panicked"];

#[test]
fn log_lines_of_peers_without_a_credential_are_limited() {
    let mut report = Report::default();
    for path in FILES {
        let file = file(path).unwrap_or_else(|| panic!("{path} moved: correct the list"));
        for line in unlimited(file) {
            report.add(path, line, "logs without a limit");
        }
    }
    report.finish("begin the event with `name: \"peer: KIND\"`, so that a flood of it cannot fill the log.");
}

/// Returns the numbers of the lines that log an event without the name.
fn unlimited(file: &SourceFile) -> Vec<usize> {
    let calls = file.text.match_indices("tracing::").filter_map(|(at, found)| {
        let rest = &file.text[at + found.len()..];
        let event = MACROS.iter().find_map(|name| rest.strip_prefix(name))?.trim_start();
        let statement = event.split_once(';').map_or(event, |(statement, _)| statement);
        let is_limited = event.starts_with("name: \"peer: ") || BUGS.iter().any(|bug| statement.contains(bug));
        (!is_limited).then(|| file.text[..at].lines().count().max(1))
    });
    calls.collect()
}

#[test]
fn an_unlimited_line_is_found() {
    let check =
        |text: &str, expected: &[usize]| assert_eq!(unlimited(&SourceFile::of("x.rs", text)), expected, "{text}");
    check("tracing::debug!(\n    name: \"peer: x\", \"y\");", &[]);
    check("fn f() {\n    tracing::warn!(%error, \"y\");\n}", &[2]);
    check("let span = tracing::debug_span!(\"session\");", &[]);
}
