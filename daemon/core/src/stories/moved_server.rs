//! The server's addresses: told to its sites, kept once they have carried a link, replaced by a join.

use std::time::Duration;

use linecamp_model::{KnownServers, ServerSet};

use crate::testing::{DAY, DiskFault, Pair, addresses};
use crate::{STORE_RETRY, ServerSource};

const MINUTE: Duration = Duration::from_secs(60);
const MS: Duration = Duration::from_millis(1);

fn tell(pair: &mut Pair, texts: &[&str]) {
    pair.fleet.handle_servers(addresses(texts));
    pair.run_for(Duration::from_secs(1));
}

fn set(number: u64, texts: &[&str]) -> ServerSet {
    ServerSet { number, addresses: addresses(texts) }
}

fn saved(pair: &Pair) -> KnownServers {
    pair.nodes[0].servers.clone().expect("the site has joined")
}

/// How many sites the server counts as having stored its present set.
fn stored(pair: &Pair) -> usize {
    pair.fleet.servers().expect("a set").1
}

/// A linked pair whose site knows the server's first set.
fn linked(seed: u64) -> Pair {
    let mut pair = Pair::linked(seed);
    tell(&mut pair, &["server:443"]);
    assert_eq!(saved(&pair).confirmed, set(1, &["server:443"]), "the address of the link is one of them");
    assert_eq!(stored(&pair), 1);
    pair
}

#[test]
fn a_site_follows_a_server_that_moves() {
    let mut pair = linked(1);
    tell(&mut pair, &["new:443"]);
    let expected = KnownServers { confirmed: set(1, &["server:443"]), candidate: Some(set(2, &["new:443"])) };
    assert_eq!((saved(&pair), stored(&pair)), (expected, 1), "kept beside the old ones until they carry a link");
    pair.move_fleet(&["new:443"]);
    pair.run_for(3 * MINUTE);
    assert!(pair.is_linked(), "{}", pair.trace());
    assert_eq!(saved(&pair), KnownServers { confirmed: set(2, &["new:443"]), candidate: None });
    assert_eq!(stored(&pair), 1);
}

#[test]
fn a_wrong_set_costs_no_site_its_link() {
    let mut pair = linked(2);
    tell(&mut pair, &["typo-1:443", "typo-2:443", "typo-3:443"]);
    assert!(pair.is_linked(), "the link stands");
    for _ in 0..5 {
        pair.stop_fleet();
        pair.start_fleet();
        pair.run_for(3 * MINUTE);
        assert!(pair.is_linked(), "one failed dial, then an address that is known to work: {}", pair.trace());
        assert_eq!(saved(&pair).confirmed, set(1, &["server:443"]));
    }
    tell(&mut pair, &["server:443"]);
    assert_eq!(saved(&pair), KnownServers { confirmed: set(3, &["server:443"]), candidate: None });
}

#[test]
fn a_server_that_returns_to_its_old_address_after_a_year_is_found() {
    let mut pair = linked(3);
    tell(&mut pair, &["typo:443"]);
    pair.stop_fleet();
    pair.run_for(365 * DAY);
    pair.start_fleet();
    pair.run_for(3 * MINUTE);
    assert!(pair.is_linked(), "{}", pair.trace());
}

#[test]
fn an_address_added_beside_the_old_one_is_confirmed_when_it_carries_a_link() {
    let mut pair = linked(4);
    let both = set(2, &["new:443", "server:443"]);
    tell(&mut pair, &["new:443", "server:443"]);
    let expected = KnownServers { confirmed: set(1, &["server:443"]), candidate: Some(both.clone()) };
    assert_eq!((saved(&pair), stored(&pair)), (expected, 1), "stored: counted before the move");
    pair.move_fleet(&["new:443"]);
    pair.run_for(3 * MINUTE);
    assert!(pair.is_linked());
    assert_eq!(saved(&pair), KnownServers { confirmed: both, candidate: None });
    tell(&mut pair, &["new:443"]);
    assert_eq!(saved(&pair), KnownServers { confirmed: set(3, &["new:443"]), candidate: None });
}

/// The old addresses are forgotten only when a new one has carried a link, though the set contains the link's own.
#[test]
fn a_wrong_address_beside_the_right_one_costs_no_other_address() {
    let mut pair = linked(18);
    tell(&mut pair, &["server:443", "second:443"]);
    pair.move_fleet(&["second:443"]);
    pair.run_for(3 * MINUTE);
    assert_eq!(saved(&pair).confirmed, set(2, &["server:443", "second:443"]));
    tell(&mut pair, &["second:443", "typo:443"]);
    pair.move_fleet(&["server:443"]);
    pair.run_for(5 * MINUTE);
    assert!(pair.is_linked(), "{}", pair.trace());
}

/// Either side is killed at every step of a move: the site is back in every case.
#[test]
fn a_crash_at_any_step_of_a_move_loses_no_site() {
    for steps in 0..40 {
        for kill in [Pair::crash_site, Pair::crash_fleet] {
            for told in ["new:443", "typo:443"] {
                let mut pair = linked(5);
                pair.fleet.handle_servers(addresses(&[told]));
                for _ in 0..steps {
                    pair.step();
                }
                kill(&mut pair);
                pair.fleet.handle_servers(addresses(&[told]));
                pair.run_for(3 * MINUTE);
                assert!(pair.is_linked(), "after {steps} steps: {}", pair.trace());
                pair.move_fleet(&[if told == "typo:443" { "server:443" } else { told }]);
                for _ in 0..steps {
                    pair.step();
                }
                kill(&mut pair);
                pair.run_for(5 * MINUTE);
                assert!(pair.is_linked(), "after {steps} steps of {told}: {}", pair.trace());
            }
        }
    }
}

#[test]
fn a_moved_server_survives_the_loss_of_the_sites_database() {
    let mut pair = linked(6);
    tell(&mut pair, &["new:443"]);
    pair.lose_site_database();
    pair.run_for(MINUTE);
    pair.move_fleet(&["new:443"]);
    pair.run_for(3 * MINUTE);
    assert!(pair.is_linked(), "{}", pair.trace());
    pair.lose_site_database();
    pair.run_for(3 * MINUTE);
    assert!(pair.is_linked(), "{}", pair.trace());
}

#[test]
fn a_full_disk_delays_only_the_report() {
    let mut pair = linked(7);
    pair.nodes[0].identity_disk_fault = DiskFault::Full;
    tell(&mut pair, &["new:443"]);
    pair.move_fleet(&["new:443"]);
    pair.run_for(3 * MINUTE);
    assert!(pair.is_linked(), "used from memory: {}", pair.trace());
    assert_eq!(
        (saved(&pair), stored(&pair)),
        (KnownServers { confirmed: set(1, &["server:443"]), candidate: None }, 0)
    );
    pair.nodes[0].identity_disk_fault = DiskFault::Well;
    pair.run_for(STORE_RETRY + Duration::from_secs(1));
    assert_eq!((saved(&pair).confirmed, stored(&pair)), (set(2, &["new:443"]), 1));
}

#[test]
fn a_server_restored_from_a_backup_is_followed_whatever_its_number() {
    let mut pair = linked(8);
    let backup = pair.backup_fleet();
    for number in 2..5 {
        tell(&mut pair, &["server:443", &format!("server:{number}")]);
    }
    assert_eq!(saved(&pair).told().number, 4);
    pair.restore_fleet(backup);
    pair.fleet.handle_servers(addresses(&["server:443", "other:443"]));
    pair.run_for(3 * MINUTE);
    assert_eq!(*saved(&pair).told(), set(2, &["server:443", "other:443"]), "a lower number with other contents");
}

#[test]
fn the_number_rises_only_when_the_addresses_change() {
    let mut pair = linked(9);
    let writes = (pair.nodes[0].writes, pair.fleet_writes);
    for _ in 0..3 {
        tell(&mut pair, &["server:443"]);
    }
    assert_eq!((pair.nodes[0].writes, pair.fleet_writes), writes);
    pair.crash_fleet();
    tell(&mut pair, &["server:443"]);
    assert_eq!(pair.fleet.servers().expect("a set").0.number, 1, "over a restart");
}

#[test]
fn a_server_whose_disk_is_full_tells_its_addresses_later() {
    let mut pair = linked(10);
    pair.fleet_disk_fault = DiskFault::Full;
    tell(&mut pair, &["new:443"]);
    assert_eq!(saved(&pair).candidate, None, "nothing is told that is not durable");
    pair.fleet_disk_fault = DiskFault::Well;
    pair.run_for(2 * MINUTE);
    assert_eq!(saved(&pair).candidate, Some(set(2, &["new:443"])));
}

#[test]
fn a_join_at_new_addresses_replaces_the_old_ones_once_they_carry_a_link() {
    let mut pair = linked(11);
    pair.join_again(&["typo:443"]);
    pair.run_for(3 * MINUTE);
    assert!(!pair.is_linked(), "only the addresses of the token are tried");
    assert_eq!(saved(&pair).confirmed, set(1, &["server:443"]), "nothing changed");
    pair.crash_site();
    pair.run_for(3 * MINUTE);
    assert!(pair.is_linked(), "the next run uses the addresses that are saved");
    pair.listens_at = addresses(&["new:443"]);
    pair.join_again(&["new:443"]);
    pair.run_for(3 * MINUTE);
    assert!(pair.is_linked(), "{}", pair.trace());
    let expected = KnownServers { confirmed: set(0, &["new:443"]), candidate: Some(set(1, &["server:443"])) };
    assert_eq!(saved(&pair), expected, "what the server tells stays a candidate");
}

#[test]
fn configured_addresses_are_the_only_ones_dialed() {
    let mut pair = linked(12);
    pair.nodes[0].config.servers = ServerSource::Configured(addresses(&["server:443"]));
    pair.crash_site();
    pair.run_for(MINUTE);
    tell(&mut pair, &["new:443"]);
    pair.listens_at = addresses(&["new:443"]);
    pair.crash_fleet();
    pair.run_for(5 * MINUTE);
    assert!(!pair.is_linked(), "the set is not used");
    pair.nodes[0].config.servers = ServerSource::Saved;
    pair.crash_site();
    pair.run_for(3 * MINUTE);
    assert!(pair.is_linked(), "and is known when the key is gone: {}", pair.trace());
}

#[test]
fn an_address_that_refuses_the_site_does_not_starve_the_others() {
    let mut pair = linked(13);
    tell(&mut pair, &["standby:443"]);
    pair.refuses_at = addresses(&["standby:443"]);
    pair.crash_site();
    pair.run_for(3 * MINUTE);
    assert!(pair.is_linked(), "{}", pair.trace());
}

/// A set is told after the welcome, which waits for the disk if the site was offline.
#[test]
fn a_set_that_changes_during_a_handshake_is_not_lost() {
    let returning = || {
        let mut pair = linked(17);
        pair.cut(0);
        pair.run_for(60 * MINUTE);
        pair.heal(0);
        pair
    };
    let (mut pair, mut until_linked) = (returning(), Duration::ZERO);
    while !pair.is_linked() {
        pair.run_for(MS);
        until_linked += MS;
    }
    for before in 0..100 {
        let mut pair = returning();
        pair.run_for(until_linked - MS * before);
        pair.fleet.handle_servers(addresses(&["server:443", "second:443"]));
        pair.run_for(Duration::from_secs(5));
        assert_eq!(*saved(&pair).told(), set(2, &["server:443", "second:443"]), "{before} ms before the link");
    }
}
