//! Errors that name their cause once.

use crate::report::Report;
use crate::tree::rust_files;

/// A text that shows the cause of its error.
const CAUSES: [&str; 3] = ["{source}", "{source:", "{source."];

#[test]
fn an_error_does_not_repeat_its_cause() {
    let mut report = Report::default();
    for file in rust_files() {
        let lines: Vec<_> = file.text.lines().collect();
        for (index, _) in lines.iter().enumerate().filter(|(_, line)| line.trim_start().starts_with("#[error(")) {
            let end = index + lines[index..].iter().position(|line| line.ends_with(")]")).unwrap_or_default();
            let text = lines[index..=end].concat();
            let names_cause = CAUSES.iter().any(|cause| text.contains(cause));
            let shows_field = text.contains("{0}") && lines.get(end + 1).is_some_and(|line| has_cause(line));
            if names_cause || shows_field {
                report.add(&file.path, index + 1, text.trim());
            }
        }
    }
    report.finish(
        "leave the cause out of the text: `error_chain` appends it. A text that is only the cause: `transparent`.",
    );
}

/// Whether the first field of a variant is its cause.
fn has_cause(variant: &str) -> bool {
    variant.contains("(#[source]") || variant.contains("(#[from]")
}
