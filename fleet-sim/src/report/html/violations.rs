//! Violations, with the command that reproduces each.

use maud::{Markup, html};

use crate::outcome::{Outcome, Violation};
use crate::report::sanitize::plain;
use crate::report::summary::sites;
use crate::report::units::{count, counted, moment};

/// Maximum violations listed: more would hide the first, which matters most; the rest are counted.
const VIOLATIONS_MAX: usize = 50;

/// Returns the violations of a run, or nothing.
pub(crate) fn list(outcome: &Outcome, run: usize) -> Markup {
    let violations = &outcome.violations;
    let left = violations.len().saturating_sub(VIOLATIONS_MAX);
    html! {
        @if !violations.is_empty() {
            div.violations id={ "run-" (run) "-violations" } {
                h3 { (counted(violations.len(), "violation", "violations")) }
                @for one in violations.iter().take(VIOLATIONS_MAX) { (violation(one)) }
                @if left > 0 { p.none { "and " (count(left as u64)) " more violations" } }
            }
        }
    }
}

fn violation(violation: &Violation) -> Markup {
    let inputs: Vec<String> = violation.inputs.iter().map(|input| plain(input)).collect();
    html! {
        article {
            h4 { (plain(&violation.checker)) }
            p.what { (plain(&violation.what)) }
            p.facts {
                "step " (count(violation.step)) ", at " (moment(violation.at_seconds))
                @for site in sites(violation) { ", " code { (plain(&site)) } }
            }
            p.label { "replay" }
            pre.replay { code { (plain(&violation.replay)) } }
            @if !inputs.is_empty() {
                p.label { "the last inputs" }
                pre { (inputs.join("\n")) }
            }
        }
    }
}
