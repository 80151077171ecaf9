//! What a run came to, for people and for machines.
//!
//! Every report is a pure function of [`Outcome`](crate::outcome::Outcome): nothing here reads, prints or asks for the
//! time. [`summary`] is for the person who waited, [`Progress`] for the one who still waits, [`junit`] for what counts
//! tests, [`page`] for who wants to see. JSON needs no code: an outcome is its own.
//!
//! Names and sentences come out of a simulated world that may be hostile. They reach a report only through `escape`.
//! Numbers may be missing or mad (no samples, not a number): they are shown as `-`, and nothing panics.

mod escape;
mod figures;
mod html;
mod junit;
mod progress;
#[cfg(test)]
mod specimen;
mod terminal;
mod units;
#[cfg(test)]
mod wellformed;

pub use html::page;
pub use junit::junit;
pub use progress::Progress;
pub use terminal::summary;
