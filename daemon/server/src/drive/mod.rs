//! The drivers: each carries out what the machine asks of one part of the world, and decides nothing.

pub(crate) mod https;
pub(crate) mod link;
pub(crate) mod plugin;
pub(crate) mod session;
pub(crate) mod store;
