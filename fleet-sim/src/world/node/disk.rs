//! How a site's disk handles the writes of its state machine.

use std::time::Duration;

use linecamp_core::StoreFault;
use linecamp_model::{SiteChange, WriteId};

use super::super::{RunPhase, SimEvent, World};
use crate::disk::DiskFault;
use crate::transport::{NodeId, Transport};

impl<C: Transport> World<C> {
    pub(super) fn begin_node_disk(&mut self, number: NodeId) {
        let node = &mut self.nodes[number];
        if !node.disk.begin() {
            return;
        }
        let millis = Duration::from_millis;
        let delay = match node.disk.fault {
            DiskFault::Healthy => node.rng.between(millis(1), millis(20)),
            DiskFault::Slow | DiskFault::Full => node.rng.between(millis(100), millis(4_000)),
        };
        let boot = node.boot;
        self.after(delay, SimEvent::NodeDisk(number, boot));
    }

    pub(in crate::world) fn node_disk_wrote(&mut self, number: NodeId, boot: u32) {
        let node = &mut self.nodes[number];
        if node.boot != boot {
            return;
        }
        let (fault, group) = (node.disk.fault, node.disk.written());
        let mut group = group.into_iter();
        while let Some((write, changes)) = group.next() {
            if fault == DiskFault::Full && self.nodes[number].disk.needs_space(write, &changes) {
                let rest = group.map(|(write, _)| write).collect();
                return self.node_disk_failed(number, write, rest);
            }
            self.keep_at_node(number, &changes);
            self.answer_node(number, write, Ok(()));
            if self.nodes[number].boot != boot {
                // Killed between two answers: the remaining writes are durable too, but unanswered.
                for (_, changes) in group {
                    self.keep_at_node(number, &changes);
                }
                return;
            }
        }
        self.begin_node_disk(number);
    }

    fn node_disk_failed(&mut self, number: NodeId, write: WriteId, rest: Vec<WriteId>) {
        let waiting = self.nodes[number].disk.reject_writes();
        for write in [write].into_iter().chain(rest).chain(waiting) {
            self.answer_node(number, write, Err(StoreFault::DiskFull));
        }
        self.begin_node_disk(number);
    }

    fn answer_node(&mut self, number: NodeId, write: WriteId, result: Result<(), StoreFault>) {
        let elapsed = self.elapsed;
        self.note(Some(number), "stored", &[write.0, u64::from(result.is_ok())], || format!("{write}: {result:?}"));
        let node = &mut self.nodes[number];
        let now = node.now(elapsed);
        if let Some(site) = &mut node.site {
            match result {
                Ok(()) => site.handle_persisted(write, now),
                Err(fault) => site.handle_persist_failed(write, fault, now),
            }
            self.drain_node(number);
        }
    }

    /// Makes changes durable at a site.
    pub(super) fn keep_at_node(&mut self, number: NodeId, changes: &[SiteChange]) {
        if changes.is_empty() {
            return;
        }
        let id = self.site_of(number);
        self.nodes[number].writes += 1;
        self.counters.figures.site_writes += 1;
        for change in changes {
            self.watch.site_writes(number, id, change, &self.nodes[number].disk);
            self.nodes[number].disk.store(change);
        }
        self.watch.check_site_disk(number, &self.nodes[number].disk);
        if self.phase == RunPhase::Quiet && !self.renewed.contains(&number) {
            self.watch.find("quiet", [number], format!("a site wrote {changes:?} though nothing had happened"));
        }
    }
}
