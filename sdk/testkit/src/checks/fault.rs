//! Checks of what a provider does when the service fails.

use std::time::Duration;

use linecamp_provider::ProviderError;

use super::applying::all_calls;
use crate::fake_host::{CallStats, FaultPlan};
use crate::fault::Fault;
use crate::harness::{Fixture, Harness, NotPassed, Outcome, describe, ensure};
use crate::under_test::{Call, CallResult};

pub(super) fn honors_retry_after(harness: &Harness<'_>) -> Outcome {
    let with_retry_after = |status, after: &str| Fault::Status { status, retry_after: Some(after.to_owned()) };
    let check = |fault: Fault, is_right: fn(Option<Duration>) -> bool| {
        let mut count = 0;
        sweep(harness, &fault, |call, result, stats, _| {
            if stats.http == 0 {
                return Ok(());
            }
            count += 1;
            match result {
                CallResult::Failed(ProviderError::Retry { after, .. }) if is_right(*after) => Ok(()),
                other => Err(NotPassed::Failed(format!("{}, {}: {other:?}", describe(call), fault.describe()))),
            }
        })?;
        Ok::<_, NotPassed>(count)
    };
    let mut count = check(with_retry_after(429, "7"), |after| after == Some(Duration::from_secs(7)))?;
    count += check(with_retry_after(503, "120"), |after| after == Some(Duration::from_secs(120)))?;
    // The clock advances while the calls run.
    let is_near = |after: Option<Duration>| after.is_some_and(|after| (60..=90).contains(&after.as_secs()));
    count += check(with_retry_after(429, &http_date(harness.under_test.now_millis() / 1000 + 90)), is_near)?;
    count += check(with_retry_after(429, "soon"), |_| true)?;
    count += check(Fault::status(429), |after| after.is_none())?;
    match count {
        0 => Err(NotPassed::Skipped("it does not use HTTP".to_owned())),
        _ => Ok(format!("{count} calls: seconds, a date, no value")),
    }
}

pub(super) fn asks_for_a_retry(harness: &Harness<'_>) -> Outcome {
    let faults = [500, 502, 503, 504].map(Fault::status);
    let mut count = 0;
    for fault in faults.into_iter().chain([Fault::Unreachable, Fault::Timeout]) {
        sweep(harness, &fault, |call, result, _, fixture| {
            count += 1;
            match result {
                CallResult::Failed(ProviderError::Retry { .. }) => Ok(()),
                CallResult::Done(_) if is_right(call, result, fixture) => Ok(()),
                other => Err(NotPassed::Failed(format!("{}, {}: {other:?}", describe(call), fault.describe()))),
            }
        })?;
    }
    skip_without_requests(count)?;
    Ok(format!("{count} calls: 500, 502, 503, 504, connection refused, timeout"))
}

pub(super) fn does_not_retry_itself(harness: &Harness<'_>) -> Outcome {
    let hosts = harness.endpoints.len().max(1);
    let mut count = 0;
    let fixture = harness.fixture();
    for call in all_calls(harness, &fixture) {
        let baseline = harness.fixture();
        let (_, usual) = baseline.call(FaultPlan::NoFault, &call);
        for fault in [Fault::status(500), Fault::status(429), Fault::Unreachable, Fault::Timeout] {
            let faulty = harness.fixture();
            let (_, stats) = faulty.call(FaultPlan::Always(fault.clone()), &call);
            count += 1;
            let limit = usual.requests() * hosts;
            ensure(stats.requests() <= limit, || {
                format!(
                    "{}, {}: {} requests, {limit} without the fault",
                    describe(&call),
                    fault.describe(),
                    stats.requests()
                )
            })?;
        }
    }
    Ok(format!("{count} calls, no additional requests"))
}

pub(super) fn reports_unauthorized(harness: &Harness<'_>) -> Outcome {
    let mut count = 0;
    for fault in [401, 403].map(Fault::status) {
        sweep(harness, &fault, |call, result, _, _| {
            count += 1;
            let is_said = matches!(result, CallResult::Failed(ProviderError::Unauthorized { .. }));
            ensure(is_said, || format!("{}, {}: {result:?}", describe(call), fault.describe()))
        })?;
    }
    skip_without_requests(count)?;
    Ok(format!("{count} calls"))
}

/// Skips the check for a provider that sends no requests.
fn skip_without_requests(count: usize) -> Result<(), NotPassed> {
    match count {
        0 => Err(NotPassed::Skipped("it sends no requests".to_owned())),
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

/// Makes each kind of call with the fault at each of its requests in turn, in a new fixture each time.
pub(super) fn sweep(
    harness: &Harness<'_>,
    fault: &Fault,
    mut check: impl FnMut(&Call, &CallResult, CallStats, &Fixture<'_>) -> Result<(), NotPassed>,
) -> Result<(), NotPassed> {
    for index in 0..all_calls(harness, &harness.fixture()).len() {
        let call = |fixture: &Fixture<'_>| all_calls(harness, fixture).swap_remove(index);
        sweep_one(harness, fault, &call, &mut check)?;
    }
    Ok(())
}

/// Makes one call with the fault at each of its requests in turn, until it sends fewer requests than that.
pub(super) fn sweep_one(
    harness: &Harness<'_>,
    fault: &Fault,
    prepare: &dyn Fn(&Fixture<'_>) -> Call,
    mut check: impl FnMut(&Call, &CallResult, CallStats, &Fixture<'_>) -> Result<(), NotPassed>,
) -> Result<(), NotPassed> {
    /// The number of requests per call at which the fault is injected. Later requests are not tested.
    const REQUESTS_MAX: usize = 50;
    for at in 0..REQUESTS_MAX {
        let fixture = harness.fixture();
        let call = prepare(&fixture);
        let (result, stats) = fixture.call(FaultPlan::At(at, fault.clone()), &call);
        if stats.requests() <= at {
            break;
        }
        if stats.is_injected {
            check(&call, &result, stats, &fixture)?;
        }
    }
    Ok(())
}

/// Whether a successful observation matches the zone's contents; `true` for all other calls.
pub(super) fn is_right(call: &Call, result: &CallResult, fixture: &Fixture<'_>) -> bool {
    let (Call::Observe { names, .. }, CallResult::Done(found)) = (call, result) else { return true };
    let truth: Vec<_> = fixture.truth().into_iter().filter(|set| names.contains(&set.name)).collect();
    crate::harness::compared(found.clone()) == truth
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_date_has_the_http_format() {
        let check = |seconds, text: &str| assert_eq!(super::http_date(seconds), text);
        check(0, "Thu, 01 Jan 1970 00:00:00 GMT");
        check(784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT");
        check(1_709_164_799, "Wed, 28 Feb 2024 23:59:59 GMT");
        check(1_709_208_000, "Thu, 29 Feb 2024 12:00:00 GMT");
        check(1_800_000_090, "Fri, 15 Jan 2027 08:01:30 GMT");
    }
}
