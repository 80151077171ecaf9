//! Tests of a built component in the real host: the same checks, behind the same gate as at a site.
//!
//! The kit replaces the network ([`stage`]), so that requests allowed by the gate reach the fake service with the
//! secrets in them. The clock is the machine's, and the limits are the host's own.

mod check;
mod play;
mod sample;
mod signature;
mod stage;

pub use check::{CheckSetup, check_component};
