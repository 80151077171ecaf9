//! Link history: what the server keeps about the time a member had no session, when it is back.
//!
//! The server knows when a member was gone, if it ran at the time; the member knows why. So a gap begins when the
//! server saw the session end. The member's own beginning counts only if the server was not running, and to the extent
//! that a member notices the loss earlier than the server. Of the causes, those that a member observed while it ran are
//! exact; a cause between two runs of its daemon, which its clock can only estimate, gets the rest of the gap.
//!
//! The gaps of a member never overlap, so a report that arrives twice is kept once. Members' clocks and times are not
//! trusted: whatever they say, a gap lies between the previous one and now.
//!
//! Constants: [`DETECTION_LAG_MAX`], [`DISCONNECTED_AFTER`], [`LINK_GAPS_PER_SITE_MAX`].

use std::time::Duration;

use linecamp_model::limits::LINK_GAPS_PER_SITE_MAX;
use linecamp_model::{CauseTimes, GapCause, GapReport, Hello, LinkGap, WallTime};

use super::members::{Member, MemberChange};
use crate::{CLOCK_SKEW_MAX, DISCONNECTED_AFTER};

/// How much later than its member the server may notice that a session is over: the idle timeout of a metered line,
/// with a margin.
const DETECTION_LAG_MAX: Duration = Duration::from_secs(300);

/// What the server knows of a member's absence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Absence {
    /// When the server saw the member's last session end; `None` if it was not running.
    pub(super) lost_at: Option<WallTime>,
    /// When the server started.
    pub(super) server_started: WallTime,
    /// The time.
    pub(super) now: WallTime,
}

/// Returns the changes that record what a member reports in its hello. At the limit its oldest gaps are dropped.
pub(super) fn record_gaps(member: Member<'_>, hello: &Hello, absence: Absence) -> Vec<MemberChange> {
    let is_waiting = |gap: &&GapReport| gap.ended_at.is_some();
    let waiting = hello.gaps.iter().filter(is_waiting).filter_map(|report| earlier_gap(report, hello, absence));
    let current = hello.gaps.iter().rfind(|report| report.ended_at.is_none());
    let mut kept: Vec<(WallTime, LinkGap)> = Vec::new();
    for (began_at, gap) in waiting.chain(current_gap(member, current, hello, absence)) {
        let is_free = |(begin, other): (&WallTime, &LinkGap)| other.ended_at <= began_at || gap.ended_at <= *begin;
        let is_new = member.gaps.iter().all(is_free) && kept.iter().all(|(begin, other)| is_free((begin, other)));
        if is_new && member.joined_at <= began_at {
            kept.push((began_at, gap));
        }
    }
    let surplus = (member.gaps.len() + kept.len()).saturating_sub(LINK_GAPS_PER_SITE_MAX);
    let dropped = member.gaps.keys().take(surplus).map(|begin| MemberChange::Gap(*begin, None));
    dropped.chain(kept.into_iter().map(|(begin, gap)| MemberChange::Gap(begin, Some(gap)))).collect()
}

/// Returns the gap that the hello ends; `None` if it is too short to be kept.
fn current_gap(
    member: Member<'_>,
    report: Option<&GapReport>,
    hello: &Hello,
    Absence { lost_at, server_started, now }: Absence,
) -> Option<(WallTime, LinkGap)> {
    let reported = report.and_then(|report| report.began_at).map(|began_at| hello.wall.saturating_since(began_at));
    let since_start = now.saturating_since(server_started);
    let length = match (lost_at.map(|lost_at| now.saturating_since(lost_at)), report) {
        (Some(seen), _) => reported.map_or(seen, |length| length.clamp(seen, seen + DETECTION_LAG_MAX)),
        // A member that does not know when it began knows how long it has observed the gap.
        (None, Some(report)) => reported.unwrap_or_else(|| since_start.max(report.times.total())),
        // Nobody knows of a gap: a member without a recorder, or one that never had a session.
        (None, None) => return None,
    };
    let newest = member.gaps.values().next_back().map(|gap| gap.ended_at).filter(|ended_at| *ended_at <= now);
    let began_at = now.saturating_sub(length).max(member.joined_at).max(newest.unwrap_or_default());
    let length = now.saturating_since(began_at);
    if length < DISCONNECTED_AFTER {
        return None;
    }
    let unknown = GapReport::default();
    let report = report.unwrap_or(&unknown);
    let times = distribute(&report.times, length);
    let times = blame_server(&times, length.saturating_sub(since_start), lost_at.is_some());
    Some((began_at, LinkGap { times, ..gap_of(report, now) }))
}

/// Returns a gap that ended with an earlier session, whose server did not take it. Its times are by the member's clock,
/// which the hello compares with the server's.
fn earlier_gap(report: &GapReport, hello: &Hello, Absence { now, .. }: Absence) -> Option<(WallTime, LinkGap)> {
    let ended_at = report.ended_at?;
    let began_at = report.began_at.unwrap_or_else(|| ended_at.saturating_sub(report.times.total()));
    let is_skewed = CLOCK_SKEW_MAX < hello.wall.distance(now);
    let moved = |at: WallTime| match is_skewed {
        true => now.saturating_sub(hello.wall.saturating_since(at)),
        false => at.min(now),
    };
    let (began_at, ended_at) = (moved(began_at), moved(ended_at));
    (DISCONNECTED_AFTER <= ended_at.saturating_since(began_at)).then(|| (began_at, gap_of(report, ended_at)))
}

fn gap_of(report: &GapReport, ended_at: WallTime) -> LinkGap {
    LinkGap {
        ended_at,
        times: report.times.clone(),
        refusal: report.refusal,
        last_error: report.last_error.clone(),
        merged: report.merged,
    }
}

/// Distributes the length of a gap over its causes: what was observed in a run keeps its time, and what ended a run
/// gets the rest.
fn distribute(reported: &CauseTimes, length: Duration) -> CauseTimes {
    let (between, within): (Vec<_>, Vec<_>) =
        reported.longest_first().into_iter().partition(|(cause, _)| cause.is_between_runs());
    let mut times = scaled(within, length);
    times.add_all(&scaled(between, length.saturating_sub(times.total())));
    let left = length.saturating_sub(times.total());
    let end_of_run = times.longest_first().into_iter().find(|(cause, _)| cause.is_between_runs());
    let cause = match end_of_run {
        Some((cause, _)) => cause,
        // The server noticed the loss before the member did.
        None if left <= DETECTION_LAG_MAX => times.longest(),
        None => GapCause::Unknown,
    };
    if !left.is_zero() {
        times.add(cause, left);
    }
    times
}

/// Shortens the times of causes in proportion if they do not fit.
fn scaled(times: Vec<(GapCause, Duration)>, length: Duration) -> CauseTimes {
    let times: CauseTimes = times.into_iter().collect();
    let total = times.total();
    if total <= length {
        return times;
    }
    let fit = |time: Duration| {
        let millis = time.as_millis().saturating_mul(length.as_millis()) / total.as_millis().max(1);
        Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    };
    times.iter().map(|(cause, time)| (cause, fit(time))).collect()
}

/// Ascribes silence to the server for as long as it was not running, and no longer. A member that was told that the
/// server stops cannot know when it is back. If the server saw the session end, it was running, and other silence has
/// other causes.
fn blame_server(times: &CauseTimes, server_down: Duration, was_running: bool) -> CauseTimes {
    let mut left = server_down;
    let mut blame = |time: Duration| {
        let blamed = time.min(left);
        left -= blamed;
        (blamed, time - blamed)
    };
    let mut blamed = CauseTimes::default();
    for (cause, time) in times.longest_first() {
        let (servers, rest) = match cause {
            GapCause::ServerStopped => blame(time),
            GapCause::NoAnswer | GapCause::Unknown if !was_running => blame(time),
            _ => (Duration::ZERO, time),
        };
        let others = if cause == GapCause::ServerStopped { GapCause::NoAnswer } else { cause };
        let parts = [(GapCause::ServerStopped, servers), (others, rest)];
        parts.into_iter().filter(|(_, time)| !time.is_zero()).for_each(|(cause, time)| blamed.add(cause, time));
    }
    blamed
}

#[cfg(test)]
mod tests;
