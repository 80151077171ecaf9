//! The drivers: they carry out what the machine asks for, and decide nothing.

pub(crate) mod facts;
pub(crate) mod identity;
pub(crate) mod link;
pub(crate) mod plugins;
pub(crate) mod pushed;
pub(crate) mod secrets;
pub(crate) mod store;
