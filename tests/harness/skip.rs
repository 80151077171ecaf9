//! Saying that something could not be tested here.

use std::fs::OpenOptions;
use std::io::Write as _;

/// The variable naming the file that `cargo xtask test` reads at its end. `sdk/testkit/tests/component.rs` and xtask
/// say the same.
const SKIPPED: &str = "LINECAMP_SKIPPED";

/// What the test runner calls the test that runs: its executable, and its name in there.
const RUNNING: [&str; 2] = ["NEXTEST_BINARY_ID", "NEXTEST_TEST_NAME"];

/// Notes that a test leaves something out on this machine: the need that is not met, by its name in
/// `tests/may-skip.toml`, and why it is not. A need without an entry there fails a strict run.
///
/// `cargo xtask test` repeats it at its end, with the promises that are not shown for it.
pub fn skip(need: &str, why: &str) {
    eprintln!("SKIPPED: {need}: {why}");
    if let Some(path) = std::env::var_os(SKIPPED) {
        let mut file = OpenOptions::new().append(true).create(true).open(path).expect("the list of what is skipped");
        let [binary, test] = RUNNING.map(|name| std::env::var(name).unwrap_or_default());
        // One line, and one write, so that lines of several tests do not mix.
        let line = [&binary, &test, need, why].map(|word| word.split_whitespace().collect::<Vec<_>>().join(" "));
        let line = format!("{}\n", line.join("\t"));
        file.write_all(line.as_bytes()).expect("the list of what is skipped takes a line");
    }
}
