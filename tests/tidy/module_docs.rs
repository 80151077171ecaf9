//! Crate roots and state machines begin with an essay: what the file is for.

use crate::report::Report;
use crate::tree::{SourceFile, rust_files};

/// Fewer lines are a title, not an essay.
const ESSAY_LINES_MIN: usize = 4;

#[test]
fn every_crate_and_every_machine_opens_with_an_essay() {
    let mut report = Report::default();
    for file in rust_files().filter(|file| !file.is_test()) {
        let written = file.text.lines().take_while(|line| line.starts_with("//!")).count();
        let wanted = if needs_essay(file) { ESSAY_LINES_MIN } else { 1 };
        if written < wanted {
            report.add(&file.path, 1, format!("opens with {written} line(s) of `//!`, and {wanted} are the least"));
        }
    }
    report.finish(
        "write what it is for, its phases, its invariants, the constants that govern it, and what it does not do; a \
         small file needs a sentence.",
    );
}

/// Crate roots and state machines: files at the top level of core with a `handle_` input.
fn needs_essay(file: &SourceFile) -> bool {
    let is_entrance = file.path.ends_with("/src/lib.rs") || file.path.ends_with("/src/main.rs");
    let is_top_of_core = file.path.strip_prefix("daemon/core/src/").is_some_and(|rest| !rest.contains('/'));
    is_entrance || (is_top_of_core && file.text.contains("pub fn handle_"))
}
