//! Tests of a built component in the real host: the same checks, with the same sandbox as at a site.
//!
//! The kit replaces the network ([`network`]), so that requests allowed by the host reach the fake service with the
//! secrets in them. The clock is the machine's, and the limits are the host's own.

mod check;
mod hosted;
mod network;
mod sample;
mod signature;

pub use check::{CheckSetup, DescribedComponent, check_component, describe_component};
