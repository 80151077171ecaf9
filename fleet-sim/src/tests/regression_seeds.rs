//! Every seed that ever failed, and one run of each kind.

use super::check_passes;
use crate::recipe::Recipe;

#[test]
fn every_regression_seed_passes() {
    let recipes = Recipe::parse_list("seeds.txt", include_str!("../../seeds.txt")).expect("every line is a recipe");
    assert!(!recipes.is_empty());
    for recipe in recipes {
        check_passes(&recipe.to_string());
    }
}

#[test]
fn a_day_with_most_kinds_of_faults_passes() {
    let outcome = check_passes("smoke seed=2");
    assert!(500 < outcome.figures.faults, "{:?}", outcome.figures);
    assert!(outcome.figures.requests_refused < outcome.figures.requests / 4, "most requests are accepted");
}

#[test]
fn a_day_over_the_real_transport_passes() {
    let outcome = check_passes("smoke seed=2 sites=12 mode=quic");
    assert!(outcome.wire_hash.is_some());
}

/// Acceptance test: 99 % of 500 sites reconnect within 30 s of the server's restart, however long it was down, without
/// a second peak above half of the first. The scenario expects that; this test verifies that the storms took place.
#[test]
fn five_hundred_sites_reconnect_within_thirty_seconds() {
    let outcome = check_passes("reconnect-storm");
    assert_eq!(outcome.storms.len(), 4, "{:#?}", outcome.storms);
    for storm in &outcome.storms {
        assert_eq!(storm.lost, 500, "{storm:?}");
        assert!(storm.back_99_seconds.is_some_and(|back| back <= 30.0), "{storm:?}");
        assert!(storm.second_peak * 2 <= storm.first_peak, "{storm:?}");
    }
}

/// A wrong set of addresses costs no site its link, and a right one takes all sites to the server's new address.
#[test]
fn five_hundred_sites_follow_a_moved_server_and_survive_a_wrong_address() {
    let outcome = check_passes("moved-server");
    assert_eq!(outcome.storms.len(), 4, "{:#?}", outcome.storms);
    for storm in &outcome.storms {
        assert_eq!(storm.lost, 500, "{storm:?}");
        assert!(storm.back_99_seconds.is_some_and(|back| back <= 60.0), "{storm:?}");
    }
}

/// The server replaces its certificate authority twice; no site is lost, neither one that slept through all of it.
#[test]
fn three_hundred_sites_follow_the_replacement_of_the_certificate_authority() {
    check_passes("ca-rotation");
}

/// The same with the certificates and handshakes of the production transport.
#[test]
fn sites_follow_the_replacement_of_the_certificate_authority_over_the_real_transport() {
    check_passes("ca-rotation seed=2 sites=12 mode=quic");
}

#[test]
fn clones_revocations_and_partitions_pass() {
    check_passes("clone-attack seed=2 sites=20 days=1");
    check_passes("revoke-under-fire seed=2 sites=40 days=1");
    check_passes("rolling-partition seed=2 sites=40 days=1");
    check_passes("chaos seed=2");
}

#[test]
fn hostile_members_do_no_harm() {
    let outcome = check_passes("hostile seed=2 days=0.25");
    assert!(100 < outcome.figures.faults, "{:?}", outcome.figures);
}

#[test]
fn hostile_members_over_the_real_transport_do_no_harm() {
    check_passes("hostile seed=2 sites=6 days=0.1 mode=quic");
}

#[test]
fn a_metered_month_stays_within_its_budget() {
    let outcome = check_passes("metered sites=10");
    assert!(0 < outcome.figures.bytes_per_site_month && outcome.figures.bytes_per_site_month < 6_000_000);
}

#[test]
fn sites_offline_for_400_days_recover() {
    let outcome = check_passes("year-offline sites=2");
    assert!(400.0 * 86_400.0 < outcome.virtual_seconds);
}
