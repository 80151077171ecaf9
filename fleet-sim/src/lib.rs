//! The fleet simulator: the production [`Site`](linecamp_core::Site) and [`Fleet`](linecamp_core::Fleet), hundreds of
//! them, in one thread, under a time of its own, and everything that can go wrong, from one seed.
//!
//! ```text
//! scenario ─► plan ─► world ─► outcome ─► report
//!                      │ ▲
//!             outputs  ▼ │ arrivals        checkers look at both
//!                     carrier              net: a model of links
//!                                          quic: the production transport, on a network in memory
//! ```
//!
//! A [`scenario`] says how often what goes wrong; with a seed it becomes a [`plan`], a list of acts. The `world` drives
//! the machines as their own essay says, with disks that hold the production records, and carries out the plan. What
//! is between the machines is a `carrier`: the same world runs over modelled links, which is fast, and over the real
//! transport, which catches what a model leaves out. `check` looks at every input and output. A run comes to an
//! [`outcome`], the one thing all reports are made of.
//!
//! One seed decides everything: there is no clock here but the queue's, no chance but the streams of `chance`, and no
//! order that differs from run to run. The same recipe and build give the same trace hash on every machine.
//!
//! Beside it, [`real`] starts real processes and measures them. It decides nothing.

#![forbid(unsafe_code)]

pub mod kind;
pub mod line;
pub mod outcome;
pub mod plan;
pub mod real;
pub mod recipe;
pub mod report;
pub mod run;
pub mod scenario;
pub mod search;
pub mod shrink;

mod carrier;
mod chance;
mod check;
mod clock;
mod disk;
mod lie;
mod meter;
mod net;
mod pass;
mod queue;
mod quic;
mod trace;
mod world;

#[cfg(test)]
mod tests;
