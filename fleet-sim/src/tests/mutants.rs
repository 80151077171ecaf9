//! Tests that the simulator can fail: each known bug is injected and must be found by its checker.

use linecamp_core::mutants::{Mutant, plant};

use super::run_alone;
use crate::outcome::Verdict;

/// Maximum seeds that may pass before a bug is found.
const SEEDS_MAX: u64 = 12;

/// Returns the scenario that exposes a bug, and the checkers that find it.
const fn seen_by(mutant: Mutant) -> (&'static str, &'static [&'static str]) {
    match mutant {
        Mutant::AcknowledgeBeforePersist => ("smoke sites=10", &["durable-before-told"]),
        Mutant::OlderGeneration => ("smoke sites=20", &["generations-rise"]),
        Mutant::CloseBySite => ("smoke sites=20", &["one-session"]),
        Mutant::UnboundedOutbox => ("src/tests/outbox.toml", &["within-limits"]),
        Mutant::NoJitter => ("reconnect-storm", &["storm"]),
        Mutant::RecoverRevoked => ("revoke-under-fire sites=40 days=1", &["removed-stays-removed"]),
        Mutant::LabelWriterMixedUp => ("smoke sites=10", &["label-owners"]),
        Mutant::LostTombstone => ("smoke sites=20", &["durable-before-told", "told-is-kept"]),
        Mutant::TokenUsedTwice => ("smoke sites=20", &["token-rules"]),
        Mutant::RestlessOutbox => ("smoke sites=5 days=0.2", &["converges", "quiet"]),
        Mutant::ForeignClaimIgnored => ("dns sites=10 days=0.2", &["foreign-untouched"]),
        Mutant::ForgottenTooEarly => ("dns sites=10 days=1", &["no-leak", "converges"]),
        Mutant::UncheckedClaim => ("hostile sites=8 days=0.2", &["restarts"]),
        Mutant::UnboundedStatus => ("hostile sites=8 days=0.2", &["bounded"]),
        Mutant::SharedPace => ("hostile sites=8 days=0.2", &["served"]),
        Mutant::PendingSpeaks => ("hostile sites=8 days=0.2", &["waits"]),
        Mutant::ForgedOrigin => ("hostile sites=8 days=0.2", &["own-words"]),
    }
}

fn check_seen(mutant: Mutant) {
    let (scenario, checkers) = seen_by(mutant);
    let mut seen = Vec::new();
    for seed in 1..=SEEDS_MAX {
        plant(Some(mutant));
        let outcome = run_alone(&format!("{scenario} seed={seed}"));
        plant(None);
        if let Some(violation) = outcome.violations.first() {
            assert!(checkers.contains(&violation.checker.as_str()), "{mutant:?} seed {seed}: {violation:#?}");
            assert_eq!(outcome.outcome, Verdict::Failed);
            return;
        }
        seen.push(seed);
    }
    panic!("{mutant:?} survived the seeds {seen:?} of {scenario}");
}

macro_rules! mutants {
    ($($test:ident: $mutant:ident,)*) => {
        $(
            #[test]
            fn $test() {
                check_seen(Mutant::$mutant);
            }
        )*

        #[test]
        fn every_mutant_has_its_test() {
            assert_eq!(Mutant::ALL.as_slice(), &[$(Mutant::$mutant,)*]);
        }
    };
}

mutants! {
    an_acknowledgement_before_the_disk_is_seen: AcknowledgeBeforePersist,
    an_older_generation_that_is_taken_is_seen: OlderGeneration,
    a_close_by_site_instead_of_by_session_is_seen: CloseBySite,
    an_outbox_without_a_bound_is_seen: UnboundedOutbox,
    redials_without_jitter_are_seen: NoJitter,
    a_certificate_for_a_removed_site_is_seen: RecoverRevoked,
    a_label_writer_mixed_up_is_seen: LabelWriterMixedUp,
    a_lost_tombstone_is_seen: LostTombstone,
    a_token_used_once_too_often_is_seen: TokenUsedTwice,
    an_event_that_is_made_for_nothing_is_seen: RestlessOutbox,
    a_foreign_claim_that_is_ignored_is_seen: ForeignClaimIgnored,
    a_record_that_is_forgotten_too_early_is_seen: ForgottenTooEarly,
    a_number_made_of_a_claim_and_not_checked_is_seen: UncheckedClaim,
    status_without_a_bound_is_seen: UnboundedStatus,
    a_flood_that_others_pay_for_is_seen: SharedPace,
    a_pending_site_that_is_heard_is_seen: PendingSpeaks,
    words_of_a_site_in_the_servers_name_are_seen: ForgedOrigin,
}
