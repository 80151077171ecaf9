//! Checks of what a provider does with damaged responses.

use super::fault::{is_right, sweep};
use super::recovery::finishes_a_life;
use crate::bench::{Bench, Outcome, Trouble, ensure, words};
use crate::fault::{Damage, Fault};
use crate::subject::{Ask, Ending};

pub(super) fn is_not_misled(bench: &Bench<'_>) -> Outcome {
    let mut count = 0;
    for fault in Damage::ALL.map(Fault::Damaged).into_iter().chain([Fault::Impostor]) {
        sweep(bench, &fault, |ask, ending, _, room| {
            count += 1;
            let said = || format!("{}, {}: {ending:?}", words(ask), fault.words());
            ensure(!matches!(ending, Ending::Broken(_)), said)?;
            ensure(is_right(ask, ending, room), said)
        })?;
    }
    Ok(format!("{count} answers in {} ways", Damage::ALL.len() + 1))
}

pub(super) fn finishes_what_was_damaged(bench: &Bench<'_>) -> Outcome {
    let mut count = 0;
    for fault in Damage::ALL.map(Fault::Damaged).into_iter().chain([Fault::Impostor]) {
        count += finishes_a_life(bench, &fault)?;
    }
    Ok(format!("{count} answers damaged"))
}

pub(super) fn ends_at_strange_answers(bench: &Bench<'_>) -> Outcome {
    let strange = [204, 301, 302, 304, 400, 404, 405, 409, 410, 418, 422, 451, 507, 599].map(Fault::status);
    let mut count = 0;
    for fault in strange.into_iter().chain([Fault::TooLarge]) {
        sweep(bench, &fault, |ask, ending, _, _| {
            count += 1;
            let said = || format!("{}, {}: {ending:?}", words(ask), fault.words());
            ensure(!matches!(ending, Ending::Broken(_)), said)?;
            let is_lost = fault == Fault::TooLarge && matches!(ask, Ask::Observe { .. });
            ensure(!is_lost || !matches!(ending, Ending::Done(_)), said)
        })?;
    }
    match count {
        0 => Err(Trouble::Skipped("it asks nobody".to_owned())),
        _ => Ok(format!("{count} answers")),
    }
}
