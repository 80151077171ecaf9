//! The end of a run: everything agrees in time, and then the fleet is quiet.

use std::time::Duration;

use linecamp_core::{Fleet, QUARANTINE, SavedFleet, Site};

use super::{QUIET, RunPhase, SimEvent, World};
use crate::check::{Settling, unsettled};
use crate::counters::Counts;
use crate::disk::DiskFault;
use crate::transport::{NodeId, Transport};

/// How often agreement is checked.
const LOOK_EACH: Duration = Duration::from_secs(1);

/// A site that could not search a zone for records it forgot retries after a while. By this long after the last fault,
/// every site has searched.
const SEARCHED: Duration = QUARANTINE.saturating_add(Duration::from_secs(900));

/// Consecutive checks that must find agreement: longer than a machine takes to notice that its facts changed.
const STILL: u32 = 90;

impl<C: Transport> World<C> {
    /// Checks whether everything agrees.
    pub(super) fn look(&mut self) {
        let RunPhase::Settling { until } = self.part else { return };
        let late: Vec<_> = self.late().collect();
        let after = self.elapsed.saturating_sub(self.plan.ends_at);
        for node in 0..self.nodes.len() {
            self.counters.agreed(node, after);
        }
        for (node, why) in &late {
            self.counters.late(*node, why);
        }
        match late.first() {
            None if self.elapsed < self.plan.ends_at + SEARCHED && self.has_leftovers() => {
                self.counters.unsettled();
                self.after(LOOK_EACH, SimEvent::Look);
            }
            None => {
                self.counters.settled(self.elapsed.saturating_sub(self.plan.ends_at));
                if self.counters.still() < STILL {
                    return self.after(LOOK_EACH, SimEvent::Look);
                }
                self.watch.check_told(&self.server.disk, self.elapsed);
                self.watch.check_left();
                if let Some(dns) = &mut self.dns {
                    dns.begin_quiet();
                }
                self.renewed.clear();
                self.part = RunPhase::Quiet;
                self.after(QUIET, SimEvent::QuietOver);
            }
            Some((node, why)) if until <= self.elapsed => {
                let minutes = self.scenario.settle.as_secs() / 60;
                let what = format!(
                    "{minutes} minutes after the faults stopped {} of {} sites did not agree; {why}",
                    late.len(),
                    self.plan.site_slots.len()
                );
                self.watch.find("converges", [*node], what);
            }
            Some(_) => {
                self.counters.unsettled();
                self.after(LOOK_EACH, SimEvent::Look);
            }
        }
    }

    /// Returns the machines that differ from the expected final state, with the reason.
    fn late(&self) -> impl Iterator<Item = (NodeId, String)> + '_ {
        (0..self.nodes.len()).filter_map(|number| Some((number, self.why_late(number)?)))
    }

    fn why_late(&self, number: NodeId) -> Option<String> {
        let node = &self.nodes[number];
        if node.original.is_some() || node.hostile.is_some() {
            return None;
        }
        let fleet = self.server.fleet.as_deref()?;
        let settling = Settling {
            name: node.name.as_str(),
            key: &node.key,
            id: self.site_of(number),
            site: node.site.as_deref(),
            has_ended: node.end.as_ref().map(|end| format!("{end:?}")),
            at_site: node.now(self.elapsed),
            at_server: self.server.now(self.elapsed),
            disk: &node.disk,
            acknowledged: &node.acknowledged,
        };
        let late = unsettled(&settling, fleet);
        if late.is_some() || fleet.view().is_revoked(&node.key) { late } else { self.why_misplaced(number) }
    }

    /// Completes the run.
    pub(super) fn finish(&mut self) {
        let late = self.late().next();
        if let Some((node, why)) = late {
            self.watch.find("converges", [node], format!("everybody had agreed, and then did not; {why}"));
        }
        self.check_restarts();
        let is_forgotten = self.dns.as_ref().is_some_and(|dns| !dns.was_asked_since());
        if is_forgotten && 0 < self.keepers().count() {
            self.watch.find("quiet", [], "nobody has looked at DNS for an hour".to_owned());
        }
        for (checker, what) in self.counters.check(&self.scenario.expect, self.elapsed) {
            self.watch.find(checker, [], what);
        }
        let bytes: Vec<_> = self.nodes.iter().enumerate().filter(|(_, node)| node.original.is_none()).collect();
        let month = Duration::from_secs(30 * 24 * 3600).as_secs_f64() / self.elapsed.as_secs_f64().max(1.0);
        if let Some(bound) = self.scenario.expect.bytes_per_site_month {
            for (number, node) in bytes {
                let used = self.transport.traffic(number, self.elapsed).bytes;
                #[expect(clippy::cast_precision_loss, reason = "bytes of a site stay far below 2^52")]
                let of_month = used as f64 * month;
                #[expect(clippy::cast_precision_loss, reason = "a bound people write")]
                if bound as f64 <= of_month {
                    let what = format!("{} used {:.1} MB for 30 days", node.name, of_month / 1e6);
                    self.watch.find("byte-budget", [number], format!("{what}; the budget is {bound} bytes"));
                    break;
                }
            }
        }
        self.part = RunPhase::FaultEnd;
    }

    /// Starts a server and daemons from the disks of the running ones, and compares them.
    fn check_restarts(&mut self) {
        let records = self.server.disk.records();
        let (elapsed, config, rng) = (self.elapsed, self.server.config(), self.server.chance.rng());
        match (records, &self.server.fleet) {
            (Ok(records), Some(running)) => {
                let now = self.server.now(elapsed);
                let started = Fleet::new(config, SavedFleet { records, ..SavedFleet::default() }, rng, now);
                self.watch.check_same_fleet(running, &started, now);
            }
            (Err(problem), _) => self.watch.find("restarts", [], format!("a record cannot be read: {problem}")),
            (Ok(_), None) => {}
        }
        for number in 0..self.nodes.len() {
            let node = &mut self.nodes[number];
            let (saved, config, rng, now) = (node.saved(None), node.config(), node.chance.rng(), node.now(elapsed));
            match (saved, &node.site) {
                (Ok(saved), Some(running)) => {
                    self.watch.check_same_site(number, (running, &Site::new(config, saved, rng, now)), now);
                }
                (Err(problem), _) => {
                    self.watch.find("restarts", [number], format!("a record cannot be read: {problem}"));
                }
                (Ok(_), None) => {}
            }
        }
    }

    pub(super) fn sample(&mut self) {
        if self.server.fleet.is_some() && self.server.disk.fault == DiskFault::Healthy {
            self.watch.check_served(&self.server.disk, self.elapsed);
        }
        let mut traffic = crate::transport::Traffic::default();
        for node in 0..self.nodes.len() {
            let of_node = self.transport.traffic(node, self.elapsed);
            traffic.bytes += of_node.bytes;
            traffic.dials_arrived += of_node.dials_arrived;
        }
        let counts = self.server.fleet.as_ref().map(|fleet| {
            let links = fleet.view().link_counts();
            Counts { links, converged: fleet.view().converged_count() }
        });
        self.counters.sample(self.elapsed, counts, traffic);
        if self.part != RunPhase::FaultEnd {
            let each = self.counters.sample_each();
            self.after(each, SimEvent::Sample);
        }
    }

    /// Fills in the figures that are known only at the end.
    pub(crate) fn complete_figures(&mut self) {
        let per_node: Vec<_> = (0..self.plan.site_slots.len().min(self.nodes.len()))
            .map(|node| self.transport.traffic(node, self.elapsed).bytes)
            .collect();
        self.counters.close(&per_node, self.elapsed);
        let nodes = &self.nodes;
        let mut slowest: Vec<_> = self.counters.slowest(10);
        for slow in &mut slowest {
            let node = &nodes[slow.0];
            slow.1.site = node.name.to_string();
            slow.1.profile = node.profile.to_string();
        }
        self.counters.set_slowest(slowest.into_iter().map(|(_, slow)| slow).collect());
    }

    /// Adds the contents of the disks to the digest, so that runs with different final states have different digests.
    pub(crate) fn digest_disks(&mut self) {
        for (key, body) in self.server.disk.rows() {
            self.trace.bytes(key);
            self.trace.bytes(body);
        }
        for node in &self.nodes {
            for (key, body) in node.disk.rows() {
                self.trace.bytes(key);
                self.trace.bytes(body);
            }
        }
    }
}
