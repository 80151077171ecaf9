//! The drivers: they carry out the state machine's outputs and make no decisions.

pub(crate) mod facts;
pub(crate) mod identity;
pub(crate) mod lan;
pub(crate) mod lan_install;
pub(crate) mod link;
pub(crate) mod plugins;
pub(crate) mod pushed_plugins;
pub(crate) mod secrets;
pub(crate) mod store;
