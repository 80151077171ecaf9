//! Violations, with the command that reproduces each.

use crate::outcome::{Outcome, Violation};
use crate::report::escape::markup;
use crate::report::figures::sites;
use crate::report::units::{count, counted, moment};

/// Maximum violations listed: more would hide the first, which matters most; the rest are counted.
const VIOLATIONS_MAX: usize = 50;

/// Returns the violations of a run, or an empty string.
pub(crate) fn list(outcome: &Outcome, run: usize) -> String {
    let violations = &outcome.violations;
    if violations.is_empty() {
        return String::new();
    }
    let title = counted(violations.len(), "violation", "violations");
    let mut text = format!("<div class=\"violations\" id=\"run-{run}-violations\"><h3>{title}</h3>\n");
    text.extend(violations.iter().take(VIOLATIONS_MAX).map(violation));
    match violations.len().saturating_sub(VIOLATIONS_MAX) {
        0 => {}
        left => text += &format!("<p class=\"none\">and {} more violations</p>\n", count(left as u64)),
    }
    text + "</div>\n"
}

fn violation(violation: &Violation) -> String {
    let names: Vec<String> = sites(violation).iter().map(|site| format!("<code>{}</code>", markup(site))).collect();
    let mut text = format!(
        "<article><h4>{}</h4><p class=\"what\">{}</p><p class=\"facts\">step {}, at {}{}{}</p>\n<p \
         class=\"label\">replay</p><pre class=\"replay\"><code>{}</code></pre>\n",
        markup(&violation.checker),
        markup(&violation.what),
        count(violation.step),
        moment(violation.at_seconds),
        if names.is_empty() { "" } else { ", " },
        names.join(", "),
        markup(&violation.replay),
    );
    if !violation.inputs.is_empty() {
        let inputs: Vec<String> = violation.inputs.iter().map(|input| markup(input)).collect();
        text += &format!("<p class=\"label\">the last inputs</p><pre>{}</pre>\n", inputs.join("\n"));
    }
    text + "</article>\n"
}
