//! The drivers: each performs the state machine's outputs for one part of the outside world, and decides nothing.

mod http1;
pub(crate) mod http2;
pub(crate) mod http_connection;
pub(crate) mod https;
mod lingering;
pub(crate) mod plugin;
pub(crate) mod request_permit;
pub(crate) mod store;
