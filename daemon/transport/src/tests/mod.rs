//! The crate as its callers see it, over loopback.

mod fixture;
mod https;
mod identity;
mod link;
mod restart;
mod simulated;
mod trust;
