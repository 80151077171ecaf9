//! The addresses of the server: where it listens, what it tells its sites, and what they keep.

use std::time::Duration;

use linecamp_core::{LinkEvent, LossReason};
use linecamp_model::{DialId, GapCause, KnownServers, ServerAddress};

use super::{FaultEnd, SERVER, SimEvent, World, text};
use crate::act_kind::ActKind;
use crate::plan::Act;
use crate::transport::{NodeId, Transport};

/// Timeout of a dial to an address where no server is: the limit of the production transport.
const DIAL_MAX: Duration = Duration::from_secs(10);

/// How long a server that moves is off.
const MOVE_TAKES: Duration = Duration::from_secs(5);

/// Where the server listens, and what it tells.
#[derive(Debug)]
pub(super) struct ServerAddresses {
    /// Where it is reachable.
    pub(super) listens_at: ServerAddress,
    /// The addresses in its configuration. Empty: it tells none.
    pub(super) configured: Vec<ServerAddress>,
    /// How often it has told or taken another address.
    changes: u16,
}

impl ServerAddresses {
    pub(super) fn new() -> Self {
        Self { listens_at: first_address(), configured: Vec::new(), changes: 0 }
    }

    /// Returns an address that was not used before.
    fn next(&mut self) -> ServerAddress {
        self.changes += 1;
        ServerAddress::parse(&format!("10.255.255.2:{}", self.changes)).expect("an address")
    }
}

/// Returns the addresses that a site joins at.
pub(super) fn joined_servers() -> KnownServers {
    KnownServers::of_token(vec![first_address()])
}

fn first_address() -> ServerAddress {
    ServerAddress::parse(SERVER).expect("an address")
}

impl<C: Transport> World<C> {
    /// The server tells its sites an address where it is not, or one that it moves to after a while.
    pub(super) fn act_on_addresses(&mut self, act: Act) {
        let address = self.server.addresses.next();
        self.server.addresses.configured = vec![address.clone()];
        self.tell_addresses();
        if act.kind == ActKind::ServerMove {
            self.after(act.duration, SimEvent::ServerMoves(address));
        }
    }

    /// Gives the server its configuration.
    pub(super) fn tell_addresses(&mut self) {
        let configured = self.server.addresses.configured.clone();
        if let Some(fleet) = self.server.fleet.as_mut().filter(|_| !configured.is_empty()) {
            fleet.handle_servers(configured);
            self.drain_server();
        }
    }

    /// The server is killed, and starts at another address.
    pub(super) fn move_server(&mut self, address: ServerAddress) {
        self.note(None, "server moves", &[], || format!("the server moves to {address}"));
        self.server.addresses.listens_at = address;
        self.kill_server();
        let boot = self.server.boot;
        self.after(MOVE_TAKES, SimEvent::FaultEnd(FaultEnd::ServerOff(boot)));
    }

    /// Whether a dial leads to the server. If not, it fails after a while.
    pub(super) fn is_dialed(&mut self, number: NodeId, dial: DialId, server: &ServerAddress) -> bool {
        let is_dialed = *server == self.server.addresses.listens_at;
        if !is_dialed {
            let boot = self.nodes[number].boot;
            self.after(DIAL_MAX, SimEvent::DialUnanswered(number, boot, dial));
        }
        is_dialed
    }

    pub(super) fn dial_unanswered(&mut self, number: NodeId, boot: u32, dial: DialId) {
        if self.nodes[number].boot == boot {
            let reason = LossReason::Unreachable(GapCause::NoAnswer, text("no server at this address"));
            self.link_event(number, LinkEvent::Lost(dial, reason));
        }
    }

    pub(super) fn save_servers(&mut self, number: NodeId, servers: KnownServers) {
        let node = &mut self.nodes[number];
        let (delay, boot) = (node.rng.between(Duration::from_millis(1), Duration::from_millis(20)), node.boot);
        self.after(delay, SimEvent::ServersSaved(number, boot, Box::new(servers)));
    }

    pub(super) fn servers_saved(&mut self, number: NodeId, boot: u32, servers: KnownServers) {
        let elapsed = self.elapsed;
        let node = &mut self.nodes[number];
        // A crash comes before the file is written.
        if node.boot != boot {
            return;
        }
        node.servers = servers;
        let now = node.now(elapsed);
        if let Some(site) = &mut node.site {
            site.handle_servers_saved(Ok(()), now);
            self.drain_node(number);
        }
    }
}
