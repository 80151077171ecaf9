//! Checks over the whole test run: foreign records unchanged, only declared endpoints called, no secret leaked.

use crate::fake_host::secret_in_config;
use crate::harness::{Harness, NotPassed, Outcome, ensure};

pub(super) fn leaves_foreign_records(harness: &Harness<'_>) -> Outcome {
    let count = harness.foreign_count();
    let totals = harness.totals.borrow();
    let changed: Vec<_> = totals.foreign_changed.iter().map(String::as_str).collect();
    ensure(changed.is_empty(), || format!("changed: {}", changed.join(", ")))?;
    Ok(format!("{count} record sets in each of {} services", totals.fixtures))
}

pub(super) fn leaks_nothing(harness: &Harness<'_>) -> Outcome {
    if let Some(secret) = secret_in_config(harness.setup) {
        return Err(NotPassed::Failed(format!(
            "the config contains the secret `{secret}`; refer to it by name instead"
        )));
    }
    let totals = harness.totals.borrow();
    let violations: Vec<_> = totals.violations.iter().map(String::as_str).collect();
    ensure(violations.is_empty(), || violations.join("; "))?;
    Ok(format!("{} calls, at most {} requests in one", totals.calls, totals.requests_max))
}

pub(super) fn does_not_break(harness: &Harness<'_>) -> Outcome {
    let totals = harness.totals.borrow();
    let broken: Vec<_> = totals.broken.iter().map(String::as_str).collect();
    ensure(broken.is_empty(), || broken.join("; "))?;
    Ok(format!("{} calls", totals.calls))
}
