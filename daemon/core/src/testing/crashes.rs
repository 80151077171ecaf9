//! Cuts, crashes, restarts and restores of a [`Pair`].

use linecamp_model::{Incarnation, RestoredFrom};

use super::disk::{fleet_change_key, is_fleet_removal};
use super::*;
use crate::{Hold, HoldSummary, hold_restored};

impl Pair {
    /// Cuts the network of one site: nothing arrives on either side; both notice after the idle timeout.
    pub fn cut(&mut self, index: usize) {
        self.nodes[index].is_cut = true;
        let lost: Vec<_> = self.sessions.iter().filter(|(_, route)| route.member == index).collect();
        let lost: Vec<_> = lost.into_iter().map(|(session, route)| (*session, *route)).collect();
        for (session, Route { dial, parent, .. }) in lost {
            self.sessions.remove(&session);
            self.nodes[index].sessions.remove(&dial);
            let reason = LossReason::Failed(Text::lossy("the parent fell silent"));
            self.after(IDLE_TIMEOUT, PairEvent::AtSite(index, LinkEvent::Lost(dial, reason)));
            let closed = SessionEvent::Closed(Text::lossy("silent"));
            self.after(IDLE_TIMEOUT, PairEvent::AtParent(parent, session, closed));
        }
    }

    /// Adds a machine with a clone of the first machine's disk in its current state.
    pub fn clone_disk(&mut self) -> usize {
        self.clone_disk_of(0)
    }

    /// Adds a machine with a clone of a machine's disk in its current state.
    pub fn clone_disk_of(&mut self, index: usize) -> usize {
        let original = &self.nodes[index];
        let servers = original.servers.clone();
        let (fingerprint, disk) = (original.key, original.disk.clone());
        let identity = (original.saved_identity, original.authorities.clone());
        let issuer = original.saved_issuer;
        let copy = self.push_node(fingerprint, identity, disk, None);
        (self.nodes[copy].issuer, self.nodes[copy].saved_issuer) = (issuer, issuer);
        self.nodes[copy].servers = servers;
        self.start_node(copy);
        copy
    }

    /// Restores the network of one site.
    pub fn heal(&mut self, index: usize) {
        self.nodes[index].is_cut = false;
    }

    /// Kills the first site's daemon immediately and restarts it from its disk.
    pub fn crash_site(&mut self) {
        self.crash_node(0);
    }

    /// Kills a site's daemon immediately and restarts it from its disk.
    pub fn crash_node(&mut self, index: usize) {
        self.kill_node(index);
        self.start_node(index);
    }

    /// Kills a site's daemon immediately. Its server notices after the idle timeout.
    pub fn kill_node(&mut self, index: usize) {
        let now = self.now_at(index);
        let lost: Vec<_> = self.nodes[index].sessions.values().copied().collect();
        for session in lost {
            let Some(route) = self.sessions.remove(&session) else { continue };
            let closed = SessionEvent::Closed(Text::lossy("silent"));
            self.after(IDLE_TIMEOUT, PairEvent::AtParent(route.parent, session, closed));
        }
        self.silence(Some(index));
        let seed = self.seed;
        let node = &mut self.nodes[index];
        node.boot += 1;
        node.pending.clear();
        (node.trial, node.refused) = (None, 0);
        node.sessions.clear();
        node.saving = None;
        node.listens_for_hosts = false;
        // Until it is started, a machine without an identity takes its place, which does nothing.
        let idle = SiteConfig { join: None, ..node.config.clone() };
        node.site = Site::new(idle, SavedSite::default(), Rng::new(seed), now);
    }

    /// Starts a site's daemon from its disk.
    pub fn start_node(&mut self, index: usize) {
        let now = self.now_at(index);
        let seed = self.seed + u64::from(self.nodes[index].boot) + 999;
        let node = &mut self.nodes[index];
        let mut run = [u8::try_from(node.boot + 100).expect("few boots"); 8];
        run[0] = u8::try_from(index).expect("few nodes");
        node.config.run = RunId::from_bytes(run);
        node.issuer = node.saved_issuer;
        let issuer = node.issuer.filter(|pin| node.authorities.pins.contains(pin));
        node.identity = node.saved_identity.map(|identity| SiteIdentity { issuer, ..identity });
        let records = node.disk.values().cloned().collect();
        let corrupt_database = node.corrupt_database.take();
        let saved = SavedSite {
            identity: node.identity,
            servers: node.servers.clone(),
            authorities: node.authorities.clone(),
            records,
            corrupt_database,
            drop_ins: node.drop_ins.clone(),
        };
        node.site = Site::new(node.config.clone(), saved, Rng::new(seed), now);
    }

    /// Stops a site's daemon, which waits for its disk.
    pub fn stop_node(&mut self, index: usize) {
        let now = self.now_at(index);
        self.nodes[index].site.handle_stop(now);
        self.run_for(LATENCY);
        self.kill_node(index);
    }

    /// Starts a site's machine after it was off.
    pub fn reboot_node(&mut self, index: usize) {
        self.nodes[index].config.boot = Some(BootId([u8::try_from(self.nodes[index].boot).expect("few boots"); 16]));
        self.start_node(index);
    }

    /// Stops the server: it closes every session first.
    pub fn close_fleet(&mut self) {
        let now = self.server_now();
        self.fleet.handle_stop(now);
        self.run_for(2 * LATENCY);
        self.stop_fleet();
    }

    /// Kills the server immediately and restarts it from its disk.
    pub fn crash_fleet(&mut self) {
        self.stop_fleet();
        self.start_fleet();
    }

    /// Kills the server immediately. Its sites notice after the idle timeout.
    pub fn stop_fleet(&mut self) {
        self.is_fleet_down = true;
        self.fleet_boot += 1;
        self.fleet_pending.clear();
        (self.fleet_trial, self.fleet_refused) = (None, 0);
        self.silence(None);
    }

    /// Ends the sessions of a parent that fell silent: its members notice after the idle timeout.
    fn silence(&mut self, parent: Parent) {
        let (silent, others) = std::mem::take(&mut self.sessions).into_iter().partition(|(_, of)| of.parent == parent);
        self.sessions = others;
        let silent: BTreeMap<SessionId, Route> = silent;
        for Route { member, dial, .. } in silent.into_values() {
            self.nodes[member].sessions.remove(&dial);
            let reason = LossReason::Failed(Text::lossy("the parent fell silent"));
            self.after(IDLE_TIMEOUT, PairEvent::AtSite(member, LinkEvent::Lost(dial, reason)));
        }
    }

    /// Starts the server from its disk.
    pub fn start_fleet(&mut self) {
        let records = self.fleet_disk.values().cloned().collect();
        self.start_fleet_from(SavedFleet { records, ..SavedFleet::default() });
    }

    pub(super) fn start_fleet_from(&mut self, saved: SavedFleet) {
        self.is_fleet_down = false;
        let config = FleetConfig { versions: VERSIONS, certificate_life: self.certificate_life };
        self.fleet = Fleet::new(config, saved, Rng::new(self.seed), self.server_now());
        self.report_authorities();
    }

    /// Moves the server to other addresses, where it starts from its disk.
    pub fn move_fleet(&mut self, to: &[&str]) {
        self.stop_fleet();
        self.listens_at = addresses(to);
        self.start_fleet();
    }

    /// Joins the first site's machine again, at other addresses of its server: its daemon starts with them.
    pub fn join_again(&mut self, at: &[&str]) {
        self.nodes[0].config.servers = ServerSource::Token(addresses(at));
        self.crash_site();
        self.nodes[0].config.servers = ServerSource::Saved;
    }

    /// Restores the server's disk from a backup.
    pub fn restore_fleet(&mut self, backup: BTreeMap<String, FleetChange>) {
        self.stop_fleet();
        self.fleet_disk = backup;
        self.start_fleet();
    }

    /// Restores the server from a backup taken at `taken_at`, as its restore command does. The API keys of these names
    /// stay usable.
    pub fn restore_fleet_held(
        &mut self,
        backup: BTreeMap<String, FleetChange>,
        taken_at: WallTime,
        kept_keys: &[Name],
    ) -> HoldSummary {
        self.stop_fleet();
        self.fleet_disk = backup;
        let records = self.fleet_disk.values().cloned().collect();
        let saved = SavedFleet { records, ..SavedFleet::default() };
        let from = RestoredFrom { taken_at, restored_at: self.server_now().wall };
        let spec_incarnation = Incarnation(self.seed + u64::from(self.fleet_boot) + 77);
        let (changes, summary) = hold_restored(&saved, Hold { from, kept_keys, spec_incarnation }).expect("known keys");
        for change in changes {
            let key = fleet_change_key(&change);
            match is_fleet_removal(&change) {
                true => drop(self.fleet_disk.remove(&key)),
                false => drop(self.fleet_disk.insert(key, change)),
            }
        }
        self.start_fleet();
        summary
    }

    /// Returns a copy of the server's disk.
    pub fn backup_fleet(&self) -> BTreeMap<String, FleetChange> {
        self.fleet_disk.clone()
    }

    /// Deletes everything on the first site's disk except its identity, as a corrupt database does, and restarts it.
    pub fn lose_site_database(&mut self) {
        self.restore_site(BTreeMap::new());
    }

    /// Restores the first site's disk from a backup and restarts it.
    pub fn restore_site(&mut self, backup: BTreeMap<String, SiteChange>) {
        self.nodes[0].disk = backup;
        self.crash_site();
    }
}
