//! Reports of a run, for people and for programs.
//!
//! Every report is a pure function of [`Outcome`](crate::outcome::Outcome): it reads nothing, prints nothing and has no
//! clock. [`summary`] is printed after a run, [`Progress`] during it, [`junit()`] is for CI systems, and [`page`] shows
//! plots. JSON needs no code: it is the serialized outcome.
//!
//! Names and sentences come from a simulated world with hostile members, so they reach a report only through `plain`.
//! HTML and XML are written with `maud`, which escapes every value. Numbers may be missing or invalid (no samples,
//! NaN): they are shown as `-`, and nothing panics.

#[cfg(test)]
mod fixtures;
mod html;
mod junit;
mod progress;
mod sanitize;
mod summary;
mod terminal;
mod units;
#[cfg(test)]
mod xml_check;

pub use html::page;
pub use junit::junit;
pub use progress::Progress;
pub use terminal::summary;
