//! The drivers: each performs the state machine's outputs for one part of the outside world, and decides nothing.

pub(crate) mod https;
pub(crate) mod link;
pub(crate) mod plugin;
pub(crate) mod session;
pub(crate) mod store;
