//! Runs as one HTML page.
//!
//! The page is a single file that loads nothing and runs no scripts: style and plots are inline, and its content
//! security policy forbids everything else, so that text that escaped escaping would still be only text. Templates
//! are compiled by `maud`, which escapes every value; text from the simulated world also passes through `plain`.
//! Violations come first, then the fleet over time, storms, the slowest sites, and all figures.

mod over_time;
mod plot;
mod storms;
mod tables;
mod violations;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::outcome::{Outcome, Verdict};
use crate::report::sanitize::plain;
use crate::report::summary::verdict;
use crate::report::units::{bytes, count, counted, duration, ratio, short};

/// The style sheet.
const STYLE: &str = include_str!("html/page.css");

/// A section is about 150 kB: more of them make a page that phones cannot open. The index lists every run.
const SECTIONS_MAX: usize = 30;

/// Returns a page about runs: an index if there are several, and a section for each.
///
/// With more than 30 runs, failed runs get a section first, then others while there is room.
pub fn page(outcomes: &[Outcome]) -> String {
    let title = match outcomes {
        [one] => format!("{} · seed {} · {}", plain(&one.scenario), one.seed, ending(verdict(one)).1),
        several => format!("Fleet simulation · {}", title_of(several)),
    };
    let shown = shown(outcomes);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    p.brand { b { "Linecamp" } " fleet simulation" }
                    @if outcomes.len() != 1 {
                        h1 { (title_of(outcomes)) }
                        (tables::index(outcomes, &shown))
                    }
                    @for run in &shown { (section(&outcomes[*run], run + 1)) }
                }
            }
        }
    };
    page.into_string()
}

/// Returns the runs that have a section: failed runs first.
fn shown(outcomes: &[Outcome]) -> Vec<usize> {
    let mut shown: Vec<usize> = (0..outcomes.len()).collect();
    shown.sort_by_key(|run| verdict(&outcomes[*run]) != Verdict::Failed);
    shown.truncate(SECTIONS_MAX);
    shown.sort_unstable();
    shown
}

/// Returns a summary of the verdicts.
fn title_of(outcomes: &[Outcome]) -> String {
    let ended = |end| outcomes.iter().filter(|outcome| verdict(outcome) == end).count();
    let parts = [(Verdict::Failed, "failed"), (Verdict::Interrupted, "interrupted"), (Verdict::Passed, "passed")];
    let parts = parts.map(|(end, word)| (ended(end), word)).into_iter().filter(|(number, _)| *number > 0);
    let parts: Vec<String> = parts.map(|(number, word)| format!("{number} {word}")).collect();
    let runs = counted(outcomes.len(), "run", "runs");
    if parts.is_empty() { runs } else { format!("{runs}: {}", parts.join(", ")) }
}

/// Returns the symbol and the word (also the CSS class) of a verdict.
const fn ending(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Passed => ("✓", "passed"),
        Verdict::Failed => ("✗", "failed"),
        Verdict::Interrupted => ("‖", "interrupted"),
    }
}

/// Returns the verdict of a run as a badge.
fn chip(outcome: &Outcome) -> Markup {
    let (sign, word) = ending(verdict(outcome));
    html! { span class={ "chip " (word) } { (sign) " " (word) } }
}

fn section(outcome: &Outcome, number: usize) -> Markup {
    html! {
        section id={ "run-" (number) } {
            header {
                (chip(outcome))
                h2 { (plain(&outcome.scenario)) }
                p.lead { (plain(&outcome.about)) }
                p.facts {
                    (plain(&outcome.mode)) " mode, seed " b { (outcome.seed) } ", " (count(outcome.sites.into()))
                    " sites, " (duration(outcome.virtual_seconds)) " simulated in " (duration(outcome.wall_seconds))
                }
            }
            (violations::list(outcome, number))
            (tiles(outcome))
            (over_time::plots(outcome))
            (storms::list(&outcome.storms))
            (tables::slowest(&outcome.slowest))
            (tables::figures(outcome))
        }
    }
}

/// Returns the four key figures by which runs are compared.
fn tiles(outcome: &Outcome) -> Markup {
    let (figures, wall) = (&outcome.figures, outcome.wall_seconds);
    let tile =
        |value: String, what: &str, note: String| html! { div { b { (value) } span { (what) } small { (note) } } };
    let converged = duration(figures.converged_after_seconds);
    let most = bytes(figures.bytes_per_site_month_max as f64);
    let speed = format!("{} in {}", duration(outcome.virtual_seconds), duration(wall));
    html! {
        div.tiles {
            (tile(converged, "until all sites converged", "after the last fault".into()))
            (tile(bytes(figures.bytes_per_site_month as f64), "per site and month", format!("{most} at most")))
            (tile(short(outcome.events as f64), "events", ratio(outcome.events as f64, wall, " a second")))
            (tile(ratio(outcome.virtual_seconds, wall, "×"), "faster than the clock", speed))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures;
    use crate::report::xml_check::elements;

    /// Checks the page's body, and returns the names of its elements: the head has tags without an end, which is HTML
    /// but not XML.
    fn body_elements(page: &str) -> Vec<String> {
        let (head, body) = page.split_once("<body>").expect("the page has a body");
        assert!(!head.contains("<script"), "{head}");
        elements(body.strip_suffix("</body></html>").expect("the page ends with its body"))
    }

    /// Checks that the page refers to nothing but itself.
    fn check_loads_nothing(page: &str) {
        for word in ["http://", "https://", " src=", "url(", "@import", "<script", "<link", "<img", "<iframe", " on"] {
            let found = page.match_indices(word).find(|_| word != " on").map(|(at, _)| &page[at..]);
            assert!(found.is_none(), "{word}: {:.80}", found.unwrap_or_default());
        }
        for (at, _) in page.match_indices("href=") {
            assert!(page[at..].starts_with("href=\"#"), "{:.80}", &page[at..]);
        }
    }

    #[test]
    fn a_page_is_well_formed_and_loads_nothing() {
        for outcomes in [vec![], vec![fixtures::passed()], vec![fixtures::failed(), fixtures::passed()]] {
            let page = page(&outcomes);
            body_elements(&page);
            check_loads_nothing(&page);
        }
    }

    #[test]
    fn hostile_text_is_escaped() {
        let page = page(&[fixtures::malicious(), fixtures::malicious()]);
        assert!(!body_elements(&page).iter().any(|element| element == "script"));
        check_loads_nothing(&page);
        assert!(page.chars().all(|letter| letter == '\n' || plain(&letter.to_string()) == letter.to_string()));
        assert!(!page.contains("NaN") && !page.contains(">inf"), "a mad number is shown");
    }

    #[test]
    fn an_empty_outcome_has_a_page() {
        let page = page(&[Outcome::default()]);
        body_elements(&page);
        assert!(page.contains("There are too few samples to plot."));
    }

    #[test]
    fn violations_come_first_with_their_replay() {
        let page = page(&[fixtures::failed()]);
        let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is missing"));
        assert!(at("acknowledged-writes-survive") < at("Over time"));
        assert!(at("linecamp-sim run scenarios/storms-and-partitions.toml --seed 42") < at("Over time"));
        assert!(at("Over time") < at("Slowest sites"));
    }

    #[test]
    fn of_many_runs_the_failed_ones_have_a_section() {
        let mut outcomes = vec![Outcome { sites: 3, ..Outcome::default() }; 100];
        outcomes[99].outcome = Verdict::Failed;
        let page = page(&outcomes);
        body_elements(&page);
        assert_eq!(page.matches("<section").count(), SECTIONS_MAX);
        assert!(page.contains("<section id=\"run-100\">") && page.contains("href=\"#run-100\""));
        assert!(!page.contains("<section id=\"run-99\">") && !page.contains("href=\"#run-99\""));
        assert_eq!(page.matches("</tr>").count(), 1 + 100 + SECTIONS_MAX * 11);
    }

    #[test]
    fn the_page_of_a_long_run_is_bounded() {
        let mut outcome = fixtures::failed();
        outcome.samples = outcome.samples.repeat(5);
        for (sample, second) in outcome.samples.iter_mut().zip(0_u32..) {
            sample.at_seconds = f64::from(second);
        }
        let bytes = page(&[outcome]).len();
        assert!(bytes < 400_000, "{bytes}");
    }

    /// `LINECAMP_SIM_PAGE=FILE cargo test -p fleet-sim a_page_can_be_written_for_viewing` writes a page to view; with
    /// `LINECAMP_SIM_PAGE_RUNS=several` it has an index, hostile text and an empty outcome.
    #[test]
    fn a_page_can_be_written_for_viewing() {
        let is_several = std::env::var_os("LINECAMP_SIM_PAGE_RUNS").is_some_and(|runs| runs == "several");
        let outcomes = match is_several {
            true => vec![fixtures::failed(), fixtures::passed(), fixtures::malicious(), Outcome::default()],
            false => vec![fixtures::failed()],
        };
        let page = page(&outcomes);
        if let Some(file) = std::env::var_os("LINECAMP_SIM_PAGE") {
            std::fs::write(file, &page).expect("the file named by LINECAMP_SIM_PAGE can be written");
        }
        body_elements(&page);
    }
}
