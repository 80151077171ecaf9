//! Saying that something could not be tested here.

use std::fs::OpenOptions;
use std::io::Write as _;

/// The variable naming the file that `cargo xtask test` reads at its end.
const SKIPPED: &str = "LINECAMP_SKIPPED";

/// Notes what a test leaves out on this machine, and why; `cargo xtask test` repeats it at its end.
pub fn skip(what: &str) {
    eprintln!("SKIPPED: {what}");
    if let Some(path) = std::env::var_os(SKIPPED) {
        let mut file = OpenOptions::new().append(true).create(true).open(path).expect("the list of what is skipped");
        // One write, so that lines of several tests do not mix.
        file.write_all(format!("{what}\n").as_bytes()).expect("the list of what is skipped takes a line");
    }
}
