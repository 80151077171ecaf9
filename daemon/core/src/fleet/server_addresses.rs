//! The server's addresses: a numbered set that the sites are told. It is stored, so that a number is used once.

use linecamp_model::{FleetChange, Now, ServerAddress, ServerSet};

use super::Fleet;
use super::effects::Release;
use super::output::FleetOutput;

impl Fleet {
    /// Handles the server's addresses, as configured: at the start, and whenever they change. They become a new
    /// numbered set if they differ from the last one, and the sites are told once that is durable.
    pub fn handle_servers(&mut self, addresses: Vec<ServerAddress>) {
        self.servers = addresses;
        self.number_servers();
    }

    /// Numbers the configured addresses, unless the sites are told them already.
    pub(super) fn number_servers(&mut self) {
        let told = self.effects.state().servers.as_ref();
        if self.servers.is_empty() || told.is_some_and(|told| told.addresses == self.servers) {
            return;
        }
        let number = told.map_or(0, |told| told.number) + 1;
        let set = ServerSet { number, addresses: self.servers.clone() };
        self.effects.stage(vec![FleetChange::Servers(Some(set))], vec![Release::Servers]);
    }

    /// Tells the connected sites a set that is durable.
    pub(super) fn tell_servers(&mut self, now: Now) {
        if let Some(set) = self.effects.state().servers.clone() {
            self.effects.output(FleetOutput::ServersChanged(set));
        }
        self.with_downlink(now, |downlink, members| downlink.send_servers(members));
    }

    /// Returns the server's addresses as the sites are told, and how many sites have stored them.
    pub fn servers(&self) -> Option<(&ServerSet, usize)> {
        let set = self.effects.state().servers.as_ref()?;
        Some((set, self.downlink.links().servers_stored(set.number)))
    }
}
