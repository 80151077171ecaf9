//! The fleet simulator runs hundreds of production [`Site`](linecamp_core::Site)s and one production
//! [`Fleet`](linecamp_core::Fleet) in a single thread, in virtual time, with every fault it knows injected from one
//! seed.
//!
//! ```text
//! scenario ─► plan ─► world ─► outcome ─► report
//!                      │ ▲
//!             outputs  ▼ │ arrivals        checkers watch both
//!                     transport            net: a model of links
//!                                          quic: the production transport over an in-memory network
//! ```
//!
//! A [`scenario`] sets the rates of faults and operator actions. With a seed it becomes a [`plan`], a list of acts. The
//! `world` drives the state machines through the interface their module docs describe, with disks that hold production
//! records, and carries out the plan. A `transport` connects the machines: the same world runs over modeled links,
//! which is fast, and over the real transport, which catches what the model leaves out. `check` watches every input and
//! output. A run produces an [`outcome`], the single input of every report.
//!
//! The seed determines everything: the only clock is the event queue's, the only randomness comes from the streams of
//! `sim_rng`, and iteration order never varies between runs. The same recipe and build give the same trace hash on
//! every machine.
//!
//! `real` is separate: it starts real processes, measures them, and sets no bounds.
//!
//! Without the feature `transport` there are only modeled links, and the crate needs only the machines: the mutation
//! suite builds it so.

#![forbid(unsafe_code)]

pub mod act_kind;
pub mod line_profile;
pub mod outcome;
pub mod plan;
#[cfg(feature = "transport")]
pub mod real;
pub mod recipe;
pub mod report;
pub mod run;
pub mod scenario;
pub mod search;
pub mod shrink;

mod check;
mod clock;
mod counters;
mod disk;
mod hostile_messages;
mod net;
mod queue;
#[cfg(feature = "transport")]
mod quic;
mod run_progress;
mod sim_rng;
mod trace;
mod transport;
mod world;

#[cfg(test)]
mod tests;
