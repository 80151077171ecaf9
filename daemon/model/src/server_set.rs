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
    /// The set that the server told last, while no link shows that it is right: see [`KnownServers::candidates`].
    pub candidate: Option<ServerSet>,
}

impl KnownServers {
    /// Returns the addresses of a join token.
    pub const fn of_token(addresses: Vec<ServerAddress>) -> Self {
        Self { confirmed: ServerSet::of_token(addresses), candidate: None }
    }
    /// Returns the last set that the site was told.
    pub fn told(&self) -> &ServerSet {
        self.candidate.as_ref().unwrap_or(&self.confirmed)
    }

    /// Returns the addresses that confirm the candidate when they carry a link: those that are not in use yet, or, if
    /// there are none, all of the candidate.
    pub fn candidates(&self) -> impl Iterator<Item = &ServerAddress> {
        let told = self.candidate.as_ref().map_or(&[][..], |set| &set.addresses);
        let is_new = |address: &ServerAddress| !self.confirmed.addresses.contains(address);
        let has_new = told.iter().any(is_new);
        told.iter().filter(move |address| !has_new || is_new(address))
    }
}
