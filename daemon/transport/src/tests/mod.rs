//! Tests of the public API over loopback.

mod amplification;
mod fixture;
mod https;
mod identity;
mod link;
mod restart;
mod simulated;
mod trust;
