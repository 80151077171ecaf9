//! Records that something could not be tested here.

use std::fs::OpenOptions;
use std::io::Write as _;

/// Names the file that `cargo xtask test` reads at its end. `sdk/testkit/tests/component.rs` and xtask have the same
/// value.
const SKIPPED: &str = "LINECAMP_SKIPPED";

/// Variables in which the test runner names the current test: its executable, and its name within.
const RUNNING: [&str; 2] = ["NEXTEST_BINARY_ID", "NEXTEST_TEST_NAME"];

/// Records that a test is skipped on this machine: the requirement that is not met, by its name in
/// `tests/may-skip.toml`, and the reason. A requirement without an entry there fails a strict run.
///
/// `cargo xtask test` lists it at its end, with the promises that are left untested.
pub fn skip(need: &str, why: &str) {
    eprintln!("SKIPPED: {need}: {why}");
    if let Some(path) = std::env::var_os(SKIPPED) {
        let mut file = OpenOptions::new().append(true).create(true).open(path).expect("the list of skipped tests");
        let [binary, test] = RUNNING.map(|name| std::env::var(name).unwrap_or_default());
        // One line in one write, so that lines of several tests do not mix.
        let line = [&binary, &test, need, why].map(|word| word.split_whitespace().collect::<Vec<_>>().join(" "));
        let line = format!("{}\n", line.join("\t"));
        file.write_all(line.as_bytes()).expect("the list of skipped tests can be appended to");
    }
}
