//! The end of a run: all sites converge in time, and then nothing is written.

use std::time::Duration;

use linecamp_core::{Fleet, QUARANTINE, SavedFleet, Site};

use super::{QUIET, RunPhase, SimEvent, World};
use crate::check::{SiteState, convergence_failure};
use crate::counters::Counts;
use crate::disk::DiskFault;
use crate::transport::{NodeId, Transport};

/// Interval between checks for convergence.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A site that could not search a zone for records it forgot retries after a while. By this long after the last fault,
/// every site has searched.
const ZONE_SEARCH_MAX: Duration = QUARANTINE.saturating_add(Duration::from_secs(900));

/// Consecutive checks that must find all sites converged: longer than a machine takes to notice that its facts changed.
const CHECKS_CONVERGED_MIN: u32 = 90;

impl<C: Transport> World<C> {
    /// Checks whether all sites have converged.
    pub(super) fn check_convergence(&mut self) {
        let RunPhase::Settling { until } = self.phase else { return };
        let late: Vec<_> = self.late().collect();
        let after = self.elapsed.saturating_sub(self.plan.ends_at);
        for node in 0..self.nodes.len() {
            self.counters.site_converged(node, after);
        }
        for (node, why) in &late {
            self.counters.site_unconverged(*node, why);
        }
        match late.first() {
            None if self.elapsed < self.plan.ends_at + ZONE_SEARCH_MAX && self.has_leftovers() => {
                self.counters.not_all_converged();
                self.after(CHECK_INTERVAL, SimEvent::CheckConvergence);
            }
            None => {
                self.counters.all_converged(self.elapsed.saturating_sub(self.plan.ends_at));
                if self.counters.checks_converged() < CHECKS_CONVERGED_MIN {
                    return self.after(CHECK_INTERVAL, SimEvent::CheckConvergence);
                }
                self.watch.check_acknowledged(&self.server.disk, self.elapsed);
                self.watch.check_left();
                if let Some(dns) = &mut self.dns {
                    dns.begin_quiet();
                }
                self.renewed.clear();
                self.phase = RunPhase::Quiet;
                self.after(QUIET, SimEvent::QuietEnd);
            }
            Some((node, why)) if until <= self.elapsed => {
                let minutes = self.scenario.settle.as_secs() / 60;
                let what = format!(
                    "{} of {} sites had not converged {minutes} minutes after the faults ended; {why}",
                    late.len(),
                    self.plan.site_slots.len()
                );
                self.watch.find("converges", [*node], what);
            }
            Some(_) => {
                self.counters.not_all_converged();
                self.after(CHECK_INTERVAL, SimEvent::CheckConvergence);
            }
        }
    }

    /// Returns the machines that differ from the expected final state, with the reason.
    fn late(&self) -> impl Iterator<Item = (NodeId, String)> + '_ {
        (0..self.nodes.len()).filter_map(|number| Some((number, self.why_unconverged(number)?)))
    }

    fn why_unconverged(&self, number: NodeId) -> Option<String> {
        let node = &self.nodes[number];
        if node.original.is_some() || node.hostile.is_some() {
            return None;
        }
        let fleet = self.server.fleet.as_deref()?;
        let state = SiteState {
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
        let late = convergence_failure(&state, fleet).or_else(|| self.why_untrusting(number, fleet));
        if late.is_some() || fleet.view().is_revoked(&node.key) { late } else { self.why_records_differ(number) }
    }

    /// Completes the run.
    pub(super) fn finish(&mut self) {
        let late = self.late().next();
        if let Some((node, why)) = late {
            self.watch.find("converges", [node], format!("all sites had converged, and one no longer is; {why}"));
        }
        self.check_restarts();
        let is_forgotten = self.dns.as_ref().is_some_and(|dns| !dns.was_observed_since());
        if is_forgotten && 0 < self.sites_with_records().count() {
            self.watch.find("quiet", [], "no site observed DNS for an hour".to_owned());
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
                #[expect(clippy::cast_precision_loss, reason = "a bound written by people")]
                if bound as f64 <= of_month {
                    let what = format!("{} used {:.1} MB per 30 days", node.name, of_month / 1e6);
                    self.watch.find("byte-budget", [number], format!("{what}, the budget is {bound} bytes"));
                    break;
                }
            }
        }
        self.phase = RunPhase::Done;
    }

    /// Starts a server and daemons from the disks of the running ones, and compares them.
    fn check_restarts(&mut self) {
        let records = self.server.disk.records();
        let (elapsed, config, rng) = (self.elapsed, self.server.config(), self.server.rng.core_rng());
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
            let (authorities, _) = self.transport.authorities(number);
            let node = &mut self.nodes[number];
            let saved = node.saved(authorities, None);
            let (config, rng, now) = (node.config(), node.rng.core_rng(), node.now(elapsed));
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
        if self.phase != RunPhase::Done {
            let each = self.counters.sample_interval();
            self.after(each, SimEvent::Sample);
        }
    }

    /// Fills in the figures that are known only at the end.
    pub(crate) fn complete_figures(&mut self) {
        let per_node: Vec<_> = (0..self.plan.site_slots.len().min(self.nodes.len()))
            .map(|node| self.transport.traffic(node, self.elapsed).bytes)
            .collect();
        self.counters.complete(&per_node, self.elapsed);
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
