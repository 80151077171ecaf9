//! Tests that the simulator can fail: each known bug is planted and must be detected by its checker.
//!
//! The bugs are in `mutants.toml`. No production code contains them: they are planted in a copy, which is built once
//! for all of them.

mod build;
mod table;

use std::collections::BTreeSet;
use std::process::Command;

use self::build::{VARIABLE, package, program};
use self::table::mutants;
use super::run_alone;
use crate::outcome::{Outcome, Verdict};

/// Maximum seeds that may pass before a bug is found.
const SEEDS_MAX: u64 = 12;

/// Runs a recipe in the mutated simulator, with a bug planted.
fn run_planted(name: &str, line: &str) -> Outcome {
    let mut replay = Command::new(program());
    replay.args(["replay", "--output", "json", line]).env(VARIABLE, name).current_dir(package());
    let output = replay.output().expect("the mutated simulator starts");
    let message = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{name}, {line}: {error}\n{message}"))
}

fn check_detected(name: &str) {
    let mutants = mutants();
    let mutant = mutants.iter().find(|mutant| mutant.name == name).expect("mutants.toml has the bug");
    for seed in 1..=SEEDS_MAX {
        let outcome = run_planted(name, &format!("{} seed={seed}", mutant.scenario));
        if let Some(violation) = outcome.violations.first() {
            assert!(mutant.detected_by.contains(&violation.checker), "{name} seed {seed}: {violation:#?}");
            assert_eq!(outcome.outcome, Verdict::Failed);
            return;
        }
    }
    panic!("{name} survived {SEEDS_MAX} seeds of {}. {}", mutant.scenario, mutant.about);
}

macro_rules! mutants {
    ($($test:ident: $mutant:literal,)*) => {
        $(
            #[test]
            fn $test() {
                check_detected($mutant);
            }
        )*

        #[test]
        fn every_mutant_has_its_test() {
            let mutants = mutants();
            let names: BTreeSet<_> = mutants.iter().map(|mutant| mutant.name.as_str()).collect();
            assert_eq!(names.len(), mutants.len(), "each bug has its own name");
            assert_eq!(names, BTreeSet::from([$($mutant,)*]));
        }
    };
}

/// A violation in the mutated simulator is due to the bug, not to the copy.
#[test]
fn the_mutated_simulator_without_a_bug_matches_the_original() {
    let line = "smoke seed=1 sites=10 days=0.2";
    let (mutated, own) = (run_planted("", line), run_alone(line));
    assert_eq!((mutated.outcome, mutated.trace_hash), (Verdict::Passed, own.trace_hash));
}

mutants! {
    an_acknowledgement_before_the_write_is_detected: "acknowledge-before-persist",
    an_accepted_older_generation_is_detected: "older-generation",
    a_close_by_site_instead_of_by_session_is_detected: "close-by-site",
    an_unbounded_outbox_is_detected: "unbounded-outbox",
    redials_without_jitter_are_detected: "no-jitter",
    addresses_dropped_before_the_new_ones_carried_a_link_are_detected: "unproven-addresses",
    a_certificate_for_a_removed_site_is_detected: "recover-revoked",
    a_label_under_the_wrong_owner_is_detected: "label-writer-mixed-up",
    a_lost_tombstone_is_detected: "lost-tombstone",
    a_token_used_too_often_is_detected: "token-used-twice",
    an_event_without_a_cause_is_detected: "restless-outbox",
    an_ignored_foreign_claim_is_detected: "foreign-claim-ignored",
    a_record_forgotten_too_early_is_detected: "forgotten-too-early",
    an_unchecked_generation_is_detected: "unchecked-claim",
    unbounded_status_is_detected: "unbounded-status",
    a_rate_limit_shared_by_sites_is_detected: "shared-rate-limit",
    an_accepted_report_of_a_pending_site_is_detected: "pending-speaks",
    an_event_forged_in_the_servers_name_is_detected: "forged-origin",
    a_power_cut_that_is_seen_as_a_crash_is_detected: "power-cut-seen-as-crash",
    a_gap_that_is_forgotten_is_detected: "gap-forgotten",
}
