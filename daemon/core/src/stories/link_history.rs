//! Why a site was offline: one gap for each loss, with its cause, also across crashes on both sides.

use std::time::Duration;

use linecamp_model::limits::{LINK_GAP_KEEP, LINK_GAPS_WAITING_MAX};
use linecamp_model::{CauseTimes, GapCause, RefusalCode, Text, WallTime};

use crate::DISCONNECTED_AFTER;
use crate::testing::{DAY, DiskFault, Pair, addresses};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// How exact the length of a gap is: a session ends by the idle timeout, and a site redials within a minute.
const TOLERANCE: Duration = Duration::from_secs(150);

/// A linked site that has been up for a while.
fn linked(seed: u64) -> Pair {
    let mut pair = Pair::linked(seed);
    pair.run_for(HOUR);
    assert_eq!(pair.link_history(), [], "a join is no gap");
    pair
}

/// Cuts the first site's line for a while.
fn cut_for(pair: &mut Pair, time: Duration, obstacle: GapCause) {
    pair.nodes[0].obstacle = Some(obstacle);
    pair.cut(0);
    pair.run_for(time);
    pair.heal(0);
    pair.run_for(3 * MINUTE);
}

/// Checks that the history has one gap that took about this long, and returns its causes.
fn one_gap(pair: &Pair, length: Duration) -> CauseTimes {
    let [(began_at, gap)] = &pair.link_history()[..] else { panic!("one gap: {:#?}", pair.link_history()) };
    let found = gap.ended_at.saturating_since(*began_at);
    assert!(found.abs_diff(length) <= TOLERANCE, "{found:?} is not about {length:?}: {gap:?}");
    assert!(gap.times.total().abs_diff(found) < SECOND, "the causes explain the gap: {gap:?}");
    gap.times.clone()
}

#[test]
fn a_gap_has_the_cause_that_the_attempts_observed() {
    for cause in [GapCause::NoRoute, GapCause::NameResolution, GapCause::NoAnswer, GapCause::Tls] {
        let mut pair = linked(1);
        cut_for(&mut pair, 20 * MINUTE, cause);
        let times = one_gap(&pair, 20 * MINUTE);
        assert_eq!((times.longest(), times.len()), (cause, 1), "{times:?}");
    }
}

#[test]
fn the_cause_that_lasted_longest_comes_first_and_the_others_are_named() {
    let mut pair = linked(2);
    pair.nodes[0].obstacle = Some(GapCause::NameResolution);
    pair.cut(0);
    pair.run_for(20 * MINUTE);
    pair.nodes[0].obstacle = Some(GapCause::NoRoute);
    pair.run_for(40 * MINUTE);
    pair.heal(0);
    pair.run_for(3 * MINUTE);
    let times = one_gap(&pair, HOUR).longest_first();
    assert!(matches!(times[..], [(GapCause::NoRoute, _), (GapCause::NameResolution, _)]), "{times:?}");
    assert!(times[1].1.abs_diff(20 * MINUTE) <= TOLERANCE, "{times:?}");
    let (_, gap) = &pair.link_history()[0];
    assert_eq!(gap.last_error, Text::lossy("server:443: no-route"));
}

#[test]
fn a_power_cut_while_linked_begins_when_the_server_noticed() {
    let mut pair = linked(3);
    pair.kill_node(0);
    pair.run_for(2 * HOUR);
    pair.reboot_node(0);
    pair.run_for(3 * MINUTE);
    assert_eq!(one_gap(&pair, 2 * HOUR).longest(), GapCause::PowerOff);
}

#[test]
fn a_power_cut_while_offline_is_part_of_the_same_gap() {
    let mut pair = linked(4);
    pair.nodes[0].obstacle = Some(GapCause::NoRoute);
    pair.cut(0);
    pair.run_for(5 * HOUR + 30 * MINUTE);
    pair.kill_node(0);
    pair.run_for(HOUR);
    pair.reboot_node(0);
    pair.run_for(10 * MINUTE);
    pair.heal(0);
    pair.run_for(3 * MINUTE);
    let times = one_gap(&pair, 6 * HOUR + 40 * MINUTE).longest_first();
    let [(GapCause::NoRoute, no_route), (GapCause::PowerOff, off)] = times[..] else { panic!("{times:?}") };
    assert!(5 * HOUR <= no_route, "what was noted every hour is kept: {no_route:?}");
    assert!(HOUR <= off && off <= 2 * HOUR, "the rest of the hour counts for the power cut: {off:?}");
}

#[test]
fn a_crash_is_told_from_a_restart_an_update_and_a_reboot() {
    let check = |is_stopped: bool, is_rebooted: bool, version: &str, expected| {
        let mut pair = linked(5);
        if is_stopped {
            pair.stop_node(0);
        } else {
            pair.kill_node(0);
        }
        pair.run_for(HOUR);
        pair.nodes[0].config.daemon_version = Text::lossy(version);
        if is_rebooted {
            pair.reboot_node(0);
        } else {
            pair.start_node(0);
        }
        pair.run_for(3 * MINUTE);
        assert_eq!(one_gap(&pair, HOUR).longest(), expected);
    };
    check(false, false, "0.1.0", GapCause::DaemonCrash);
    check(true, false, "0.1.0", GapCause::DaemonRestart);
    check(true, false, "0.2.0", GapCause::DaemonUpdate);
    check(true, true, "0.1.0", GapCause::PowerOff);
    check(false, true, "0.2.0", GapCause::PowerOff);
}

#[test]
fn a_server_that_stops_for_an_hour_is_the_cause() {
    let mut pair = linked(6);
    pair.close_fleet();
    pair.run_for(HOUR);
    pair.start_fleet();
    pair.run_for(3 * MINUTE);
    assert_eq!(one_gap(&pair, HOUR).longest(), GapCause::ServerStopped);
}

#[test]
fn a_server_that_crashes_for_an_hour_is_the_cause() {
    let mut pair = linked(7);
    pair.stop_fleet();
    pair.run_for(HOUR);
    pair.start_fleet();
    pair.run_for(3 * MINUTE);
    assert_eq!(one_gap(&pair, HOUR).longest(), GapCause::ServerStopped);
}

#[test]
fn a_line_that_is_dead_when_the_server_is_back_belongs_to_the_same_gap() {
    for is_restarted in [false, true] {
        let mut pair = linked(18);
        pair.close_fleet();
        pair.run_for(HOUR);
        pair.cut(0);
        pair.nodes[0].obstacle = Some(GapCause::NoRoute);
        pair.start_fleet();
        pair.run_for(20 * MINUTE);
        if is_restarted {
            pair.crash_fleet();
        }
        pair.heal(0);
        pair.run_for(3 * MINUTE);
        let history = pair.link_history();
        let [(_, gap)] = &history[..] else { panic!("one gap: {history:?}") };
        assert!(gap.times.iter().any(|(cause, _)| cause == GapCause::NoRoute), "{gap:?}");
        assert_eq!(gap.times.longest(), GapCause::ServerStopped, "{gap:?}");
    }
}

#[test]
fn a_refusal_is_kept_with_its_code() {
    let mut pair = linked(8);
    pair.refuses_at = addresses(&["server:443"]);
    pair.cut(0);
    pair.run_for(MINUTE);
    pair.heal(0);
    pair.run_for(HOUR);
    pair.refuses_at.clear();
    pair.run_for(2 * HOUR);
    let [(_, gap)] = &pair.link_history()[..] else { panic!("one gap: {:?}", pair.link_history()) };
    assert_eq!((gap.times.longest(), gap.refusal), (GapCause::Refused, Some(RefusalCode::NotRegistered)));
}

#[test]
fn a_thousand_short_losses_write_nothing() {
    let mut pair = linked(9);
    let (at_site, at_server) = (pair.nodes[0].writes, pair.fleet_writes);
    for _ in 0..1_000 {
        cut_for(&mut pair, 10 * SECOND, GapCause::NoRoute);
    }
    assert_eq!((pair.nodes[0].writes, pair.fleet_writes), (at_site, at_server));
    assert_eq!(pair.link_history(), []);
}

#[test]
fn a_long_loss_writes_at_most_once_an_hour() {
    let mut pair = linked(10);
    pair.nodes[0].obstacle = Some(GapCause::NoRoute);
    let before = pair.nodes[0].writes;
    pair.cut(0);
    pair.run_for(100 * HOUR);
    let writes = pair.nodes[0].writes - before;
    assert!((99..=101).contains(&writes), "{writes} writes");
}

#[test]
fn a_gap_is_stored_with_the_return_and_survives_a_crash_of_either_side() {
    // Wherever one side crashes on the return, the history has the gap once, up to the crash.
    for step in 0..40 {
        for is_site in [true, false] {
            let mut pair = linked(11);
            pair.nodes[0].obstacle = Some(GapCause::NoRoute);
            pair.cut(0);
            pair.run_for(HOUR);
            pair.heal(0);
            (0..step).for_each(|_| pair.step());
            if is_site {
                pair.crash_site();
            } else {
                pair.crash_fleet();
            }
            pair.run_for(10 * MINUTE);
            let times = one_gap(&pair, HOUR);
            assert_eq!(times.longest(), GapCause::NoRoute, "{is_site} {step}: {times:?}");
        }
    }
}

/// Cuts the first site's line a number of times, with a server of an earlier release, which takes no gaps. Then the
/// server is one of this release, with the database from before.
fn cut_before_the_servers_update(pair: &mut Pair, count: u32) {
    let backup = pair.backup_fleet();
    for _ in 0..count {
        pair.forge_handshake(0, |hello| hello.gaps.clear(), |welcome| welcome.gaps_stored = false);
        cut_for(pair, 10 * MINUTE, GapCause::NoRoute);
    }
    pair.restore_fleet(backup);
    pair.run_for(3 * MINUTE);
}

#[test]
fn a_gap_waits_until_a_server_takes_it() {
    let mut pair = linked(12);
    cut_before_the_servers_update(&mut pair, 3);
    let history = pair.link_history();
    let causes: Vec<_> = history.iter().map(|(_, gap)| gap.times.longest()).collect();
    assert_eq!(causes, [GapCause::NoRoute; 3]);
    pair.crash_site();
    pair.run_for(3 * MINUTE);
    assert_eq!(pair.link_history(), history, "each is reported once");
}

#[test]
fn the_oldest_waiting_gaps_are_merged_and_counted() {
    let mut pair = linked(13);
    let count = u32::try_from(LINK_GAPS_WAITING_MAX).expect("few") + 10;
    cut_before_the_servers_update(&mut pair, count);
    let history = pair.link_history();
    assert_eq!(history.len(), LINK_GAPS_WAITING_MAX - 1);
    assert_eq!(history.iter().map(|(_, gap)| gap.merged + 1).sum::<u32>(), count);
    assert_eq!(history[0].1.merged, 11);
}

#[test]
fn a_full_disk_does_not_lose_a_gap_of_the_same_run() {
    let mut pair = linked(14);
    pair.nodes[0].disk_fault = DiskFault::Full;
    cut_for(&mut pair, 3 * HOUR, GapCause::NoRoute);
    assert_eq!(one_gap(&pair, 3 * HOUR).longest(), GapCause::NoRoute);
    pair.nodes[0].disk_fault = DiskFault::Well;
    pair.run_for(5 * MINUTE);
    pair.crash_site();
    pair.run_for(3 * MINUTE);
    one_gap(&pair, 3 * HOUR);
}

#[test]
fn a_site_whose_clock_is_wrong_has_the_right_history() {
    let mut pair = linked(15);
    pair.nodes[0].clock_behind = 400 * DAY;
    cut_for(&mut pair, HOUR, GapCause::Tls);
    pair.kill_node(0);
    pair.nodes[0].clock_behind = Duration::ZERO;
    pair.nodes[0].clock_ahead = 400 * DAY;
    pair.run_for(HOUR);
    pair.reboot_node(0);
    pair.run_for(3 * MINUTE);
    let history = pair.link_history();
    let [(began_at, first), (_, second)] = &history[..] else { panic!("two gaps: {history:#?}") };
    assert!(pair.now().wall.saturating_since(*began_at) < 3 * HOUR, "the times are the server's: {history:?}");
    assert_eq!([first.times.longest(), second.times.longest()], [GapCause::Tls, GapCause::PowerOff]);
}

#[test]
fn the_history_is_kept_for_thirty_days() {
    let mut pair = linked(16);
    cut_for(&mut pair, 20 * MINUTE, GapCause::NoRoute);
    let ended_at = pair.link_history()[0].1.ended_at;
    let is_kept = |pair: &Pair| !pair.link_history().is_empty();
    let until = |pair: &Pair, at: WallTime| at.saturating_since(pair.now().wall);
    let time = until(&pair, ended_at + LINK_GAP_KEEP) - MINUTE;
    pair.run_for(time);
    assert!(is_kept(&pair));
    pair.run_for(DAY);
    assert!(!is_kept(&pair));
}

#[test]
fn a_loss_shorter_than_three_minutes_is_no_gap() {
    let mut pair = linked(17);
    cut_for(&mut pair, DISCONNECTED_AFTER - MINUTE, GapCause::NoRoute);
    assert_eq!(pair.link_history(), []);
}
