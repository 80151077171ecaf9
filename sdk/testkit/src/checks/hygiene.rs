//! Checks of the observations from all rooms.

use crate::bench::{Bench, Outcome, Trouble, ensure};
use crate::world::secret_in_config;

pub(super) fn leaves_foreign_records(bench: &Bench<'_>) -> Outcome {
    let count = bench.room_size();
    let tally = bench.tally.borrow();
    let changed: Vec<_> = tally.foreign_changed.iter().map(String::as_str).collect();
    ensure(changed.is_empty(), || format!("changed: {}", changed.join(", ")))?;
    Ok(format!("{count} record sets in each of {} services", tally.foreign_rooms))
}

pub(super) fn is_discreet(bench: &Bench<'_>) -> Outcome {
    if let Some(secret) = secret_in_config(bench.setup) {
        return Err(Trouble::Failed(format!("the config holds the secret `{secret}`: use a handle")));
    }
    let tally = bench.tally.borrow();
    let offences: Vec<_> = tally.offences.iter().map(String::as_str).collect();
    ensure(offences.is_empty(), || offences.join("; "))?;
    Ok(format!("{} calls, at most {} requests in one", tally.calls, tally.requests_max))
}

pub(super) fn stays_whole(bench: &Bench<'_>) -> Outcome {
    let tally = bench.tally.borrow();
    let broken: Vec<_> = tally.broken.iter().map(String::as_str).collect();
    ensure(broken.is_empty(), || broken.join("; "))?;
    Ok(format!("{} calls", tally.calls))
}
