//! Performs acts on the fleet, and ends them.

use std::time::Duration;

use linecamp_core::Force;
use linecamp_model::{GapCause, RotationStep};

use super::End;
use super::node::Node;
use super::{FaultEnd, RunPhase, SimEvent, World};
use crate::act_kind::{ActKind, Table};
use crate::clock::Clock;
use crate::disk::DiskFault;
use crate::plan::Act;
use crate::sim_rng::{Purpose, SimRng};
use crate::transport::{NodeId, Transport};

/// Slowdown factor of a slow server.
const SLOWNESS: u32 = 50;

/// How long a server takes to stop.
const STOPPING_FOR: Duration = Duration::from_millis(500);

/// Maximum groups of writes that a daemon waits for when it stops.
const STOPPING_WRITES_MAX: usize = 10;

/// Maximum clock jump: two days.
const JUMP_MILLIS_MAX: u64 = 2 * 24 * 3600 * 1000;

impl<C: Transport> World<C> {
    pub(super) fn act(&mut self, act: Act) {
        let (node, elapsed) = (act.site as NodeId, self.elapsed);
        if act.kind.is_of_site() && self.nodes.len() <= node {
            return;
        }
        let of = act.kind.is_of_site().then_some(node);
        self.note(of, "act", &[act.kind as u64, act.draw], || format!("{} for {:?}", act.kind, act.duration));
        if act.kind.table().as_str() != "operators" {
            self.counters.figures.faults += 1;
        }
        let has_daemon = of.is_none_or(|node| self.nodes[node].hostile.is_none());
        if !has_daemon && !act.kind.is_of_line() && act.kind.table() != Table::Operators {
            return self.act_on_hostile(node, act);
        }
        match act.kind {
            ActKind::Cut | ActKind::Offline => self.cut(node, (true, true), act.duration),
            ActKind::CutUp => self.cut(node, (true, false), act.duration),
            ActKind::CutDown => self.cut(node, (false, true), act.duration),
            ActKind::Rebind => self.transport.rebind(node),
            ActKind::Reboot => self.cut_power(node, act.duration),
            ActKind::Crash => {
                self.nodes[node].crash_after_outputs = Some(u32::try_from(act.draw % 12).unwrap_or(0));
                self.nodes[node].off_for = act.duration;
            }
            ActKind::Restart => self.restart(node, act.duration),
            ActKind::DiskFull => self.set_disk_fault(node, DiskFault::Full, act.duration),
            ActKind::DiskSlow => self.set_disk_fault(node, DiskFault::Slow, act.duration),
            ActKind::DiskCorrupt => {
                self.nodes[node].is_corrupt = true;
                self.watch.disk_is_odd(node);
                self.allow_leftover_records(node);
                self.cut_power(node, Duration::from_secs(5));
            }
            ActKind::DiskImage => {
                let rows = self.nodes[node].disk.rows().clone();
                self.nodes[node].disk.image = Some(Box::new(rows));
                self.after(act.duration, SimEvent::FaultEnd(FaultEnd::Image(node)));
            }
            ActKind::ClockJump => self.set_clock(node, jumped(act.draw)),
            ActKind::ClockLost => {
                self.set_clock(node, Clock::lost(elapsed));
                self.cut_power(node, Duration::from_secs(20));
                self.after(act.duration, SimEvent::FaultEnd(FaultEnd::Clock(node)));
            }
            ActKind::Echo => self.transport.echo(node),
            ActKind::Clone => self.copy(node, act.duration),
            ActKind::ServerKill | ActKind::ServerCrash | ActKind::ServerStop => self.act_on_server(act),
            ActKind::ServerDiskFull => {
                self.server.disk.fault = DiskFault::Full;
                self.after(act.duration, SimEvent::FaultEnd(FaultEnd::ServerDiskFull));
            }
            ActKind::ServerSlow => {
                self.transport.set_server_slowness(SLOWNESS);
                self.after(act.duration, SimEvent::FaultEnd(FaultEnd::ServerSlow));
            }
            ActKind::ServerClockJump => {
                self.set_server_clock(jumped(act.draw % 600_000));
                self.after(act.duration.max(Duration::from_secs(600)), SimEvent::FaultEnd(FaultEnd::ServerClock));
            }
            ActKind::Partition => self.partition(act),
            ActKind::ServerMisaddress | ActKind::ServerMove => self.act_on_addresses(act),
            ActKind::CaAdd => self.rotate(RotationStep::Add, Force::No),
            ActKind::CaSwitch => self.rotate(RotationStep::Switch, Force::No),
            ActKind::CaRetire => self.rotate(RotationStep::Retire, Force::No),
            ActKind::CaRetireForced => self.rotate(RotationStep::Retire, Force::Yes),
            kind if kind.table() == Table::NameServer => self.act_on_name_server(act),
            kind if kind.is_of_dns() => self.act_on_dns_settings(act),
            _ => self.act_as_operator(act),
        }
    }

    fn act_on_server(&mut self, act: Act) {
        match act.kind {
            ActKind::ServerCrash => {
                self.server.crash_after_outputs = Some(u32::try_from(act.draw % 30).unwrap_or(0));
                self.server.off_for = act.duration;
                return;
            }
            ActKind::ServerStop => {
                self.counters.server_down();
                let now = self.server.now(self.elapsed);
                if let Some(fleet) = &mut self.server.fleet {
                    fleet.handle_stop(now);
                    self.drain_server();
                }
                // Its last messages have to leave the machine first.
                let stopping = FaultEnd::ServerStopping { boot: self.server.boot, off_for: act.duration };
                return self.after(STOPPING_FOR, SimEvent::FaultEnd(stopping));
            }
            _ => self.kill_server(),
        }
        let boot = self.server.boot;
        self.after(act.duration, SimEvent::FaultEnd(FaultEnd::ServerOff(boot)));
    }

    fn cut(&mut self, node: NodeId, (up, down): (bool, bool), duration: Duration) {
        self.nodes[node].cuts_up += u32::from(up);
        self.nodes[node].cuts_down += u32::from(down);
        self.set_line(node);
        self.after(duration, SimEvent::FaultEnd(FaultEnd::Cut { node, up, down }));
    }

    fn set_line(&mut self, node: NodeId) {
        let (up, down) = (self.nodes[node].cuts_up == 0, self.nodes[node].cuts_down == 0);
        self.transport.set_line(node, up, down);
    }

    /// Cuts off a share of the sites. Which ones depends only on the site and the act.
    fn partition(&mut self, act: Act) {
        self.counters.partition_started();
        let share = u64::from(act.site);
        for node in 0..self.plan.site_slots.len() {
            if SimRng::of(act.draw, Purpose::Partition, node as u64).below(1_000) < share {
                self.cut(node, (true, true), act.duration);
            }
        }
    }

    fn cut_power(&mut self, node: NodeId, off_for: Duration) {
        if self.nodes[node].site.is_some() {
            self.nodes[node].power_cycles += 1;
            self.watch.daemon_ends(node, GapCause::PowerOff, self.elapsed);
            self.switch_off(node, off_for);
        }
    }

    fn switch_off(&mut self, node: NodeId, off_for: Duration) {
        if self.nodes[node].site.is_some() {
            self.kill_node(node);
            let boot = self.nodes[node].boot;
            self.after(off_for, SimEvent::FaultEnd(FaultEnd::Off(node, boot)));
        }
    }

    /// A daemon that stops gracefully waits for its disk.
    fn restart(&mut self, node: NodeId, off_for: Duration) {
        let now = self.nodes[node].now(self.elapsed);
        let Some(site) = &mut self.nodes[node].site else { return };
        site.handle_stop(now);
        self.drain_node(node);
        for _ in 0..STOPPING_WRITES_MAX {
            let boot = self.nodes[node].boot;
            self.nodes[node].disk.begin();
            if self.nodes[node].disk.depth() == 0 {
                break;
            }
            self.node_disk_wrote(node, boot);
        }
        self.watch.daemon_ends(node, GapCause::DaemonRestart, self.elapsed);
        self.switch_off(node, off_for);
    }

    fn set_disk_fault(&mut self, node: NodeId, fault: DiskFault, duration: Duration) {
        self.nodes[node].disk.fault = fault;
        self.watch.disk_is_odd(node);
        self.after(duration, SimEvent::FaultEnd(FaultEnd::NodeDiskFault(node)));
    }

    fn set_clock(&mut self, node: NodeId, clock: Clock) {
        self.nodes[node].clock = clock;
        self.watch.clock_is_set(Some(node), self.elapsed);
        self.transport.set_node_clock(node, clock);
    }

    fn set_server_clock(&mut self, clock: Clock) {
        self.server.clock = clock;
        self.watch.clock_is_set(None, self.elapsed);
        self.transport.set_server_clock(clock);
    }

    /// Clones a site's disk to another machine.
    fn copy(&mut self, original: NodeId, duration: Duration) {
        let number = self.nodes.len();
        let of = &self.nodes[original];
        if of.identity.is_none() || of.end.is_some() {
            return;
        }
        let (key, profile, identity) = (of.key, of.profile, of.identity);
        let (rows, drop_ins, facts) = (of.disk.rows().clone(), of.drop_ins.clone(), of.facts.clone());
        let (providers, servers) = (of.providers.clone(), of.servers.clone());
        let mut copy = Node::new(number, self.seed, profile, key, self.token_of(original));
        copy.original = Some(original);
        copy.identity = identity;
        copy.servers = servers;
        copy.disk.restore(rows);
        copy.drop_ins = drop_ins;
        copy.facts = facts;
        copy.providers = providers;
        self.watch.disk_is_odd(original);
        if let Some(site) = self.watch.site_of_key(&key) {
            self.watch.allow_corrupt_records(site);
        }
        self.transport.copy_node(number, original, copy.clock);
        self.nodes.push(copy);
        self.start_node(number);
        self.after(duration, SimEvent::FaultEnd(FaultEnd::Clone(number)));
    }

    fn allow_leftover_records(&mut self, node: NodeId) {
        if let Some(site) = self.site_of(node) {
            self.watch.allow_leftover_records(site);
        }
    }

    pub(super) fn end_fault(&mut self, end: FaultEnd) {
        match end {
            FaultEnd::Cut { node, up, down } => {
                let of = &mut self.nodes[node];
                of.cuts_up = of.cuts_up.saturating_sub(u32::from(up));
                of.cuts_down = of.cuts_down.saturating_sub(u32::from(down));
                self.set_line(node);
                self.counters.line_restored(self.elapsed);
            }
            FaultEnd::Off(node, boot) => {
                if self.nodes[node].boot == boot {
                    self.start_node(node);
                }
            }
            FaultEnd::NodeDiskFault(node) => self.nodes[node].disk.fault = DiskFault::Healthy,
            FaultEnd::Image(node) => {
                if let Some(rows) = self.nodes[node].disk.image.take().filter(|_| self.nodes[node].end.is_none()) {
                    self.watch.disk_is_odd(node);
                    self.cut_power(node, Duration::from_secs(30));
                    self.nodes[node].disk.restore(*rows);
                    self.allow_leftover_records(node);
                    self.nodes[node].acknowledged.clear();
                }
            }
            FaultEnd::Clock(node) => self.set_clock(node, Clock::default()),
            FaultEnd::Clone(node) => {
                if self.nodes[node].end.is_none() {
                    self.kill_node(node);
                    self.end_node(node, End::Retired);
                }
            }
            FaultEnd::ServerStopping { boot, off_for } => {
                if self.server.boot == boot {
                    self.kill_server();
                    let boot = self.server.boot;
                    self.after(off_for, SimEvent::FaultEnd(FaultEnd::ServerOff(boot)));
                }
            }
            FaultEnd::ServerOff(boot) => {
                if self.server.boot == boot {
                    self.start_server();
                }
            }
            FaultEnd::ServerDiskFull => {
                self.server.disk.fault = DiskFault::Healthy;
                self.watch.server_recovers(self.elapsed);
            }
            FaultEnd::ServerSlow => self.transport.set_server_slowness(1),
            FaultEnd::ServerClock => self.set_server_clock(Clock::default()),
            FaultEnd::DnsFault(number) => self.end_name_server_fault(number),
            FaultEnd::DnsStale => self.end_staleness(),
            FaultEnd::ProviderRemoved => self.set_provider(0),
        }
    }

    /// Ends all faults: restores every line and starts everything that was off.
    pub(super) fn end_all_faults(&mut self) {
        self.note(None, "all well", &[], || "all faults end".to_owned());
        self.phase = RunPhase::Settling { until: self.elapsed + self.scenario.settle };
        self.server.crash_after_outputs = None;
        self.end_fault(FaultEnd::ServerDiskFull);
        self.end_fault(FaultEnd::ServerSlow);
        self.end_fault(FaultEnd::ServerClock);
        self.restore_name_server();
        self.start_server();
        self.set_provider(0);
        for node in 0..self.nodes.len() {
            if self.nodes[node].original.is_some() {
                self.end_fault(FaultEnd::Clone(node));
                continue;
            }
            self.nodes[node].crash_after_outputs = None;
            self.nodes[node].disk.fault = DiskFault::Healthy;
            self.nodes[node].disk.image = None;
            self.nodes[node].cuts_up = 0;
            self.nodes[node].cuts_down = 0;
            self.set_line(node);
            self.set_clock(node, Clock::default());
            if self.nodes[node].hostile.is_some() {
                self.end_hostile(node);
                continue;
            }
            self.start_node(node);
            if self.plan.site_slots[node].member.is_pending {
                self.accept(node);
            }
        }
        self.after(Duration::from_secs(1), SimEvent::CheckConvergence);
    }
}

/// Returns a clock that has jumped, forward or back.
fn jumped(draw: u64) -> Clock {
    let millis = i64::try_from(draw % JUMP_MILLIS_MAX).unwrap_or(0);
    Clock { ahead_millis: if draw.is_multiple_of(2) { millis } else { -millis } }
}
