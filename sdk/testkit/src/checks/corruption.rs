//! Checks of what a provider does with corrupt responses.

use super::fault::{is_right, sweep};
use super::recovery::finishes_a_lifecycle;
use crate::fault::{Corruption, Fault};
use crate::harness::{Harness, NotPassed, Outcome, describe, ensure};
use crate::under_test::{Call, CallResult};

pub(super) fn fails_on_corruption(harness: &Harness<'_>) -> Outcome {
    let mut count = 0;
    for fault in Corruption::ALL.map(Fault::Corrupt).into_iter().chain([Fault::Intermediary]) {
        sweep(harness, &fault, |call, result, _, fixture| {
            count += 1;
            let message = || format!("{}, {}: {result:?}", describe(call), fault.describe());
            ensure(!matches!(result, CallResult::Broken(_)), message)?;
            ensure(is_right(call, result, fixture), message)
        })?;
    }
    Ok(format!("{count} corrupt responses, of {} kinds", Corruption::ALL.len() + 1))
}

pub(super) fn finishes_after_corruption(harness: &Harness<'_>) -> Outcome {
    let mut count = 0;
    for fault in Corruption::ALL.map(Fault::Corrupt).into_iter().chain([Fault::Intermediary]) {
        count += finishes_a_lifecycle(harness, &fault)?;
    }
    Ok(format!("{count} corrupt responses"))
}

pub(super) fn survives_unexpected_responses(harness: &Harness<'_>) -> Outcome {
    let unexpected = [204, 301, 302, 304, 400, 404, 405, 409, 410, 418, 422, 451, 507, 599].map(Fault::status);
    let mut count = 0;
    for fault in unexpected.into_iter().chain([Fault::TooLarge]) {
        sweep(harness, &fault, |call, result, _, _| {
            count += 1;
            let message = || format!("{}, {}: {result:?}", describe(call), fault.describe());
            ensure(!matches!(result, CallResult::Broken(_)), message)?;
            let is_lost = fault == Fault::TooLarge && matches!(call, Call::Observe { .. });
            ensure(!is_lost || !matches!(result, CallResult::Done(_)), message)
        })?;
    }
    match count {
        0 => Err(NotPassed::Skipped("it sends no requests".to_owned())),
        _ => Ok(format!("{count} responses")),
    }
}
