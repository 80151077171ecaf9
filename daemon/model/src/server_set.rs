//! The addresses of a server, as it tells them to its sites, and what a site keeps of them.

use crate::token::ServerAddress;

/// The addresses of a server, as one numbered set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSet {
    /// Rises with every change of the addresses at one server. Zero: the addresses of a join token.
    pub number: u64,
    /// At least one and at most [`SERVERS_PER_SITE_MAX`](crate::limits::SERVERS_PER_SITE_MAX) addresses, in order.
    pub addresses: Vec<ServerAddress>,
}

impl ServerSet {
    /// Returns the addresses of a join token.
    pub const fn of_token(addresses: Vec<ServerAddress>) -> Self {
        Self { number: 0, addresses }
    }
}

/// The server addresses that a site keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownServers {
    /// The set in use: one of its addresses has carried a link.
    pub confirmed: ServerSet,
    /// The set that the server told last, while none of its addresses has carried a link yet.
    pub candidate: Option<ServerSet>,
}

impl KnownServers {
    /// Returns the addresses of a join token.
    pub const fn of_token(addresses: Vec<ServerAddress>) -> Self {
        Self { confirmed: ServerSet::of_token(addresses), candidate: None }
    }
}
