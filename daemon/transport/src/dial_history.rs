//! What earlier dials to one server found: the address that worked, and the addresses tried since.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::address_schedule::dial_order;

/// The memory between the dials to one server.
///
/// A *round* tries each address of the server's name once. It may take several dials: each continues where the last one
/// ended. A new round starts after a success, or when every address was tried. The memory holds at most
/// [`ADDRESSES_MAX`](crate::ADDRESSES_MAX) addresses.
#[derive(Debug, Default)]
pub struct DialHistory {
    last_good: Option<SocketAddr>,
    /// The addresses tried in this round, and whether another server answered there.
    tried: BTreeMap<SocketAddr, bool>,
}

impl DialHistory {
    /// Returns the addresses that this round has not tried yet, in the order to try them: the one that worked last is
    /// the first of a round. `resolved` is what the name resolves to now.
    pub fn remaining(&mut self, resolved: &[SocketAddr]) -> Vec<SocketAddr> {
        let mut order = dial_order(resolved, self.last_good);
        self.tried.retain(|address, _| order.contains(address));
        if self.tried.len() == order.len() {
            self.tried.clear();
        }
        order.retain(|address| !self.tried.contains_key(address));
        order
    }

    /// Records that an attempt started. An attempt that is canceled counts as tried.
    pub fn attempt_started(&mut self, address: SocketAddr) {
        self.tried.insert(address, false);
    }

    /// Records that an attempt failed. `is_wrong_server` tells that a server answered, but not the expected one.
    pub fn attempt_failed(&mut self, address: SocketAddr, is_wrong_server: bool) {
        self.tried.insert(address, is_wrong_server);
    }

    /// Records the address that worked. The round is over.
    pub fn connected(&mut self, address: SocketAddr) {
        *self = Self { last_good: Some(address), tried: BTreeMap::new() };
    }

    /// Whether this round tried every address, and another server answered at each: a retry is pointless until an
    /// operator intervenes.
    pub fn is_wrong_server_everywhere(&self, resolved: &[SocketAddr]) -> bool {
        dial_order(resolved, None).iter().all(|address| self.tried.get(address) == Some(&true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, number], 8443))
    }

    #[test]
    fn a_dial_continues_where_the_last_one_ended() {
        let (all, mut history) = ([1, 2, 3].map(address), DialHistory::default());
        assert_eq!(history.remaining(&all), all);
        history.attempt_started(address(1));
        history.attempt_failed(address(2), false);
        assert_eq!(history.remaining(&all), [address(3)]);
        history.attempt_failed(address(3), false);
        assert_eq!(history.remaining(&all), all, "every address was tried, so a new round starts");
        history.attempt_failed(address(1), false);
        // The name now resolves to other addresses; those it lost are forgotten.
        assert_eq!(history.remaining(&[2, 4].map(address)), [2, 4].map(address));
        assert_eq!(history.remaining(&all), all);
    }

    #[test]
    fn the_address_that_worked_last_is_first() {
        let (all, mut history) = ([1, 2, 3].map(address), DialHistory::default());
        history.attempt_failed(address(1), false);
        history.connected(address(3));
        assert_eq!(history.remaining(&all), [3, 1, 2].map(address));
        history.attempt_failed(address(3), false);
        assert_eq!(history.remaining(&all), [1, 2].map(address), "once per round");
        assert_eq!(history.remaining(&[1, 2].map(address)), [1, 2].map(address), "the name has lost it");
    }

    #[test]
    fn a_wrong_server_is_final_only_if_it_answers_at_every_address() {
        let (all, mut history) = ([1, 2, 3].map(address), DialHistory::default());
        history.attempt_failed(address(1), true);
        history.attempt_failed(address(2), false);
        history.attempt_failed(address(3), true);
        assert!(!history.is_wrong_server_everywhere(&all), "one was silent");
        history.attempt_failed(address(2), true);
        assert!(history.is_wrong_server_everywhere(&all));
        let more = [1, 2, 3, 4].map(address);
        assert!(!history.is_wrong_server_everywhere(&more), "one was not tried yet");
    }
}
