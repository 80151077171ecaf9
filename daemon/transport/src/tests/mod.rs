//! Tests of the public API over loopback.

mod amplification;
mod fixture;
mod gateway;
mod gateway_attacks;
mod https;
mod https_certificate;
mod identity;
mod link;
mod restart;
mod rotation;
mod simulated;
mod trust;
