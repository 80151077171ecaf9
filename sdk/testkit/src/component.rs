//! A built component in the real host: the same checks, behind the same gate as at a site.
//!
//! The kit takes the network's place ([`stage`]), so that what the gate let through reaches the model service with the
//! secrets in it. The clock is the machine's, and the limits are the host's own.

mod check;
mod play;
mod sample;
mod signature;
mod stage;

pub use check::{CheckSetup, check_component};
