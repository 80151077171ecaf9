//! Checks of what a provider does when the service fails.

use std::time::Duration;

use linecamp_provider::Failure;

use super::applying::all_asks;
use crate::bench::{Bench, Outcome, Room, Trouble, ensure, words};
use crate::fault::Fault;
use crate::subject::{Ask, Ending};
use crate::world::{Plan, Seen};

pub(super) fn comes_back_when_told(bench: &Bench<'_>) -> Outcome {
    let told = |status, after: &str| Fault::Status { status, retry_after: Some(after.to_owned()) };
    let check = |fault: Fault, is_right: fn(Option<Duration>) -> bool| {
        let mut count = 0;
        sweep(bench, &fault, |ask, ending, seen, _| {
            if seen.http == 0 {
                return Ok(());
            }
            count += 1;
            match ending {
                Ending::Failed(Failure::Retry { after, .. }) if is_right(*after) => Ok(()),
                other => Err(Trouble::Failed(format!("{}, {}: {other:?}", words(ask), fault.words()))),
            }
        })?;
        Ok::<_, Trouble>(count)
    };
    let mut count = check(told(429, "7"), |after| after == Some(Duration::from_secs(7)))?;
    count += check(told(503, "120"), |after| after == Some(Duration::from_secs(120)))?;
    // The clock advances while the calls run.
    let is_near = |after: Option<Duration>| after.is_some_and(|after| (60..=90).contains(&after.as_secs()));
    count += check(told(429, &http_date(bench.subject.now_millis() / 1000 + 90)), is_near)?;
    count += check(told(429, "soon"), |_| true)?;
    count += check(Fault::status(429), |after| after.is_none())?;
    match count {
        0 => Err(Trouble::Skipped("it speaks no HTTP".to_owned())),
        _ => Ok(format!("{count} calls: seconds, a date, nothing")),
    }
}

pub(super) fn tries_again(bench: &Bench<'_>) -> Outcome {
    let faults = [500, 502, 503, 504].map(Fault::status);
    let mut count = 0;
    for fault in faults.into_iter().chain([Fault::Unreachable, Fault::Timeout]) {
        sweep(bench, &fault, |ask, ending, _, room| {
            count += 1;
            match ending {
                Ending::Failed(Failure::Retry { .. }) => Ok(()),
                Ending::Done(_) if is_right(ask, ending, room) => Ok(()),
                other => Err(Trouble::Failed(format!("{}, {}: {other:?}", words(ask), fault.words()))),
            }
        })?;
    }
    asked(count)?;
    Ok(format!("{count} calls: 500, 502, 503, 504, refused, too late"))
}

pub(super) fn does_not_retry_itself(bench: &Bench<'_>) -> Outcome {
    let hosts = bench.reaches.len().max(1);
    let mut count = 0;
    let room = bench.room();
    for ask in all_asks(bench, &room) {
        let calm = bench.room();
        let (_, usual) = calm.call(Plan::Calm, &ask);
        for fault in [Fault::status(500), Fault::status(429), Fault::Unreachable, Fault::Timeout] {
            let troubled = bench.room();
            let (_, seen) = troubled.call(Plan::Always(fault.clone()), &ask);
            count += 1;
            let most = usual.requests() * hosts;
            ensure(seen.requests() <= most, || {
                format!("{}, {}: {} requests, {most} without", words(&ask), fault.words(), seen.requests())
            })?;
        }
    }
    Ok(format!("{count} calls, no request more than without the fault"))
}

pub(super) fn says_unauthorized(bench: &Bench<'_>) -> Outcome {
    let mut count = 0;
    for fault in [401, 403].map(Fault::status) {
        sweep(bench, &fault, |ask, ending, _, _| {
            count += 1;
            let is_said = matches!(ending, Ending::Failed(Failure::Unauthorized { .. }));
            ensure(is_said, || format!("{}, {}: {ending:?}", words(ask), fault.words()))
        })?;
    }
    asked(count)?;
    Ok(format!("{count} calls"))
}

/// Skips the check for a provider that sends no requests.
fn asked(count: usize) -> Result<(), Trouble> {
    match count {
        0 => Err(Trouble::Skipped("it asks nobody".to_owned())),
        _ => Ok(()),
    }
}

/// Formats seconds since the Unix epoch as an HTTP date: `Fri, 15 Jan 2027 08:01:30 GMT`.
fn http_date(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (mut year, mut month, mut day) = (1970, 0, days);
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    while day >= lengths[month] {
        day -= lengths[month];
        month += 1;
    }
    let weekday = DAYS[usize::try_from(days % 7).expect("less than seven")];
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{weekday}, {:02} {} {year} {hour:02}:{minute:02}:{second:02} GMT", day + 1, MONTHS[month])
}

/// Makes each kind of call with the fault at each of its requests in turn, in a new room each time.
pub(super) fn sweep(
    bench: &Bench<'_>,
    fault: &Fault,
    mut judge: impl FnMut(&Ask, &Ending, Seen, &Room<'_>) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    for index in 0..all_asks(bench, &bench.room()).len() {
        let ask = |room: &Room<'_>| all_asks(bench, room).swap_remove(index);
        sweep_one(bench, fault, &ask, &mut judge)?;
    }
    Ok(())
}

/// Makes one call with the fault at each of its requests in turn, until it sends fewer requests than that.
pub(super) fn sweep_one(
    bench: &Bench<'_>,
    fault: &Fault,
    prepare: &dyn Fn(&Room<'_>) -> Ask,
    mut judge: impl FnMut(&Ask, &Ending, Seen, &Room<'_>) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    /// The number of requests per call at which the fault is injected. Later requests are not tested.
    const REQUESTS_MAX: usize = 50;
    for at in 0..REQUESTS_MAX {
        let room = bench.room();
        let ask = prepare(&room);
        let (ending, seen) = room.call(Plan::At(at, fault.clone()), &ask);
        if seen.requests() <= at {
            break;
        }
        if seen.is_struck {
            judge(&ask, &ending, seen, &room)?;
        }
    }
    Ok(())
}

/// Whether a successful observation matches the zone's contents; `true` for all other calls.
pub(super) fn is_right(ask: &Ask, ending: &Ending, room: &Room<'_>) -> bool {
    let (Ask::Observe { names, .. }, Ending::Done(found)) = (ask, ending) else { return true };
    let truth: Vec<_> = room.truth().into_iter().filter(|set| names.contains(&set.name)).collect();
    crate::bench::compared(found.clone()) == truth
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_date_is_written_as_http_does() {
        let check = |seconds, text: &str| assert_eq!(super::http_date(seconds), text);
        check(0, "Thu, 01 Jan 1970 00:00:00 GMT");
        check(784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT");
        check(1_709_164_799, "Wed, 28 Feb 2024 23:59:59 GMT");
        check(1_709_208_000, "Thu, 29 Feb 2024 12:00:00 GMT");
        check(1_800_000_090, "Fri, 15 Jan 2027 08:01:30 GMT");
    }
}
