//! Tests of the crate: real sessions over loopback, without a state machine.

mod idle_session;
mod newcomers;
