//! Tests of what is kept of a member's gaps.

use std::collections::BTreeMap;

use linecamp_model::limits::LINK_GAPS_PER_SITE_MAX;
use linecamp_model::{Generation, Incarnation, ReplicationCursor, RunId, StatusBody, Text, VersionRange};

use super::super::members::Standing;
use super::*;
use crate::document_sync::Documents;

const NOW: WallTime = WallTime::from_unix_millis(1_800_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn ago(time: Duration) -> WallTime {
    NOW.saturating_sub(time)
}

fn times(times: &[(GapCause, Duration)]) -> CauseTimes {
    times.iter().copied().collect()
}

/// A report of the gap that the hello ends.
fn report(began_at: Option<WallTime>, causes: &[(GapCause, Duration)]) -> GapReport {
    GapReport { began_at, times: times(causes), ..GapReport::default() }
}

fn absence(lost_at: Option<WallTime>, server_started: WallTime) -> Absence {
    Absence { lost_at, server_started, now: NOW }
}

/// Returns what is kept of the gaps that a member with these earlier ones reports.
fn kept(
    gaps: &BTreeMap<WallTime, LinkGap>,
    (reports, wall): (Vec<GapReport>, WallTime),
    absence: Absence,
) -> Vec<(WallTime, Option<LinkGap>)> {
    let status = Documents::<StatusBody>::default();
    let member = Member {
        standing: Standing::Accepted,
        spec_incarnation: Incarnation(1),
        status: &status,
        cursor: ReplicationCursor::default(),
        offline_since: None,
        joined_at: ago(10_000 * HOUR),
        gaps,
    };
    let hello = Hello {
        versions: VersionRange { min: 1, max: 1 },
        run: RunId::from_bytes([1; 8]),
        daemon_version: Text::default(),
        wall,
        spec_incarnation: Incarnation(1),
        spec_held: Generation::ZERO,
        status_incarnation: Incarnation(1),
        facts: BTreeMap::new(),
        target: None,
        gaps: reports,
    };
    let changes = record_gaps(member, &hello, absence);
    let gap = |change| match change {
        MemberChange::Gap(began_at, gap) => (began_at, gap),
        other => panic!("{other:?}"),
    };
    changes.into_iter().map(gap).collect()
}

fn one(reports: Vec<GapReport>, absence: Absence) -> (WallTime, CauseTimes) {
    match &kept(&BTreeMap::new(), (reports, NOW), absence)[..] {
        [(began_at, Some(gap))] if gap.ended_at == NOW => (*began_at, gap.times.clone()),
        other => panic!("one gap that ends now: {other:?}"),
    }
}

#[test]
fn a_gap_begins_when_the_server_saw_the_session_end() {
    let report = report(Some(ago(9 * HOUR)), &[(GapCause::NoRoute, HOUR)]);
    let (began_at, causes) = one(vec![report], absence(Some(ago(HOUR)), ago(99 * HOUR)));
    assert_eq!(began_at, ago(HOUR + DETECTION_LAG_MAX), "the member may have noticed it a little earlier");
    assert_eq!(causes.longest_first(), [(GapCause::NoRoute, HOUR + DETECTION_LAG_MAX)]);
}

#[test]
fn a_power_cut_gets_the_time_that_no_run_observed() {
    let report = report(None, &[(GapCause::PowerOff, Duration::ZERO), (GapCause::NoRoute, 10 * MINUTE)]);
    let (began_at, causes) = one(vec![report], absence(Some(ago(HOUR)), ago(99 * HOUR)));
    let expected = [(GapCause::PowerOff, 50 * MINUTE), (GapCause::NoRoute, 10 * MINUTE)];
    assert_eq!((began_at, causes.longest_first()), (ago(HOUR), expected.to_vec()));
}

#[test]
fn a_wrong_clock_between_two_runs_cannot_hide_what_was_observed() {
    let decades = 20 * 365 * 24 * HOUR;
    let report = report(Some(ago(decades)), &[(GapCause::PowerOff, decades), (GapCause::Tls, 30 * MINUTE)]);
    let (_, causes) = one(vec![report], absence(Some(ago(40 * MINUTE)), ago(99 * HOUR)));
    assert_eq!(causes.longest(), GapCause::Tls, "{causes:?}");
}

#[test]
fn silence_is_the_servers_while_it_was_not_running() {
    let report = report(Some(ago(HOUR)), &[(GapCause::NoAnswer, 40 * MINUTE), (GapCause::NoRoute, 20 * MINUTE)]);
    let (began_at, causes) = one(vec![report], absence(None, ago(MINUTE)));
    let expected = [(GapCause::ServerStopped, 40 * MINUTE), (GapCause::NoRoute, 20 * MINUTE)];
    assert_eq!((began_at, causes.longest_first()), (ago(HOUR), expected.to_vec()));
}

#[test]
fn a_server_is_not_blamed_for_the_time_in_which_it_was_running() {
    let report = report(Some(ago(HOUR)), &[(GapCause::ServerStopped, HOUR)]);
    let (_, causes) = one(vec![report], absence(None, ago(50 * MINUTE)));
    let expected = [(GapCause::NoAnswer, 50 * MINUTE), (GapCause::ServerStopped, 10 * MINUTE)];
    assert_eq!(causes.longest_first(), expected);
}

#[test]
fn a_gap_that_no_member_explains_has_an_unknown_cause() {
    let (began_at, causes) = one(Vec::new(), absence(Some(ago(HOUR)), ago(99 * HOUR)));
    assert_eq!((began_at, causes.longest_first()), (ago(HOUR), vec![(GapCause::Unknown, HOUR)]));
    assert_eq!(kept(&BTreeMap::new(), (Vec::new(), NOW), absence(None, ago(HOUR))), [], "nobody knows of one");
}

#[test]
fn a_gap_is_as_long_as_its_member_observed_although_neither_side_knows_when_it_began() {
    let report = report(None, &[(GapCause::DaemonCrash, Duration::ZERO), (GapCause::NoAnswer, 15 * MINUTE)]);
    let (began_at, causes) = one(vec![report], absence(None, ago(MINUTE)));
    assert_eq!(began_at, ago(15 * MINUTE), "the server started a minute ago");
    assert_eq!(causes.total(), 15 * MINUTE);
}

#[test]
fn a_short_gap_is_not_kept() {
    let report = report(Some(ago(2 * MINUTE)), &[(GapCause::NoRoute, 2 * MINUTE)]);
    assert_eq!(kept(&BTreeMap::new(), (vec![report], NOW), absence(Some(ago(2 * MINUTE)), ago(HOUR))), []);
}

#[test]
fn a_gap_that_is_reported_again_is_kept_once() {
    let waiting = GapReport { ended_at: Some(ago(HOUR)), ..report(Some(ago(2 * HOUR)), &[(GapCause::NoRoute, HOUR)]) };
    let current = report(Some(ago(2 * MINUTE)), &[]);
    let reports = vec![waiting.clone(), waiting, current];
    let first = kept(&BTreeMap::new(), (reports.clone(), NOW), absence(Some(ago(2 * MINUTE)), ago(HOUR)));
    let [(began_at, Some(gap))] = &first[..] else { panic!("one gap: {first:?}") };
    assert_eq!((*began_at, gap.ended_at), (ago(2 * HOUR), ago(HOUR)));
    let held = BTreeMap::from([(*began_at, gap.clone())]);
    assert_eq!(kept(&held, (reports, NOW), absence(Some(ago(2 * MINUTE)), ago(HOUR))), []);
    // The member did not hear that its gap is stored, and reports all of it again.
    let again = report(Some(ago(2 * HOUR)), &[(GapCause::NoRoute, 2 * HOUR)]);
    let [(began_at, Some(_))] = kept(&held, (vec![again], NOW), absence(None, ago(3 * HOUR)))[..] else {
        panic!("the rest of the gap")
    };
    assert_eq!(began_at, ago(HOUR));
}

#[test]
fn the_times_of_an_earlier_gap_are_corrected_by_the_clocks_of_the_hello() {
    let year = 365 * 24 * HOUR;
    let waiting =
        GapReport { ended_at: Some(ago(year + HOUR)), ..report(Some(ago(year + 2 * HOUR)), &[(GapCause::Tls, HOUR)]) };
    let kept = kept(&BTreeMap::new(), (vec![waiting], ago(year)), absence(Some(NOW), ago(HOUR)));
    let [(began_at, Some(gap))] = &kept[..] else { panic!("one gap: {kept:?}") };
    assert_eq!((*began_at, gap.ended_at), (ago(2 * HOUR), ago(HOUR)));
}

#[test]
fn the_oldest_gap_is_dropped_at_the_limit() {
    let count = u32::try_from(LINK_GAPS_PER_SITE_MAX).unwrap();
    let gap = |number: u32| {
        let report = report(None, &[(GapCause::NoRoute, HOUR)]);
        (ago(HOUR * (2 * number + 2)), gap_of(&report, ago(HOUR * (2 * number + 1))))
    };
    let held: BTreeMap<_, _> = (0..count).map(gap).collect();
    let current = report(Some(ago(HOUR / 2)), &[]);
    let kept = kept(&held, (vec![current], NOW), absence(Some(ago(HOUR / 2)), ago(99 * HOUR)));
    let oldest = *held.keys().next().unwrap();
    assert!(matches!(&kept[..], [(dropped, None), (_, Some(_))] if *dropped == oldest), "{kept:?}");
}
