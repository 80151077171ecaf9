//! `link-history`: every loss of three minutes and more is in its site's history once, with a cause that there was.
//!
//! The world tells when either side lost its session, and what was done to the machines meanwhile. Both sides notice a
//! loss at different times, and a server that was not running learns of it from the site, so a loss is expected in the
//! history only if it was long for both, and a recorded one may be as long as it was for either. Sites whose disk was
//! full, lost or copied do not know what happened to them, and a copy reports gaps of its own: it is checked only that
//! their gaps do not overlap.

use std::collections::BTreeMap;
use std::time::Duration;

use linecamp_core::DISCONNECTED_AFTER;
use linecamp_model::{FleetChange, GapCause, LinkGap, Phase, SiteId, WallTime};

use super::{Watch, registration};
use crate::clock::Clock;
use crate::disk::Disk;
use crate::transport::NodeId;

/// How much later than both sides the server may record the return of a site: a handshake on the worst line, a probe of
/// another session, and a slow disk.
const RETURN_MAX: Duration = Duration::from_secs(60);

/// How much earlier than the first of both sides a gap may begin: a server takes the word of a site for as long as a
/// silence may go unnoticed.
const LAG_MAX: Duration = Duration::from_secs(310);

/// The history of all links.
#[derive(Debug, Default)]
pub(crate) struct LinkHistories {
    nodes: BTreeMap<NodeId, LinkTrace>,
    /// The gaps on the server's disk: when each ended, by when it began.
    gaps: BTreeMap<SiteId, BTreeMap<WallTime, WallTime>>,
    server_stopped_at: Option<Duration>,
    server_clock_set_at: Option<Duration>,
}

/// What was observed of one machine.
#[derive(Debug, Default)]
struct LinkTrace {
    /// When the server's session ended, if it has none.
    server_lost: Option<Duration>,
    /// When the site's session ended, if it has none.
    site_lost: Option<Duration>,
    /// When the site's daemon ended in this way last.
    ended_at: BTreeMap<GapCause, Duration>,
    /// Since when the machine has no power, and how long it had none since the session was lost.
    off_since: Option<Duration>,
    off_for: Duration,
    clock_set_at: Option<Duration>,
    is_disk_odd: bool,
}

impl LinkTrace {
    /// Returns when the first side lost its session.
    fn first_loss(&self) -> Option<Duration> {
        [self.server_lost, self.site_lost].into_iter().flatten().min()
    }

    /// Returns when the second side lost its session, if both did.
    fn second_loss(&self) -> Option<Duration> {
        self.server_lost.zip(self.site_lost).map(|(server, site)| server.max(site))
    }

    fn is_since(moment: Option<Duration>, loss: Duration) -> bool {
        moment.is_some_and(|moment| loss.saturating_sub(LAG_MAX) <= moment)
    }
}

/// What happens to links and machines.
impl Watch {
    /// A machine has lost its session, or never had one in this run.
    pub(crate) fn site_lost_link(&mut self, node: NodeId, elapsed: Duration) {
        self.histories.nodes.entry(node).or_default().site_lost.get_or_insert(elapsed);
    }

    /// A machine has a session.
    pub(crate) fn site_linked(&mut self, node: NodeId) {
        self.histories.nodes.entry(node).or_default().site_lost = None;
    }

    /// A daemon ends in this way.
    pub(crate) fn daemon_ends(&mut self, node: NodeId, cause: GapCause, elapsed: Duration) {
        let trace = self.histories.nodes.entry(node).or_default();
        trace.ended_at.insert(cause, elapsed);
        trace.off_since = Some(elapsed).filter(|_| cause == GapCause::PowerOff);
    }

    /// A daemon starts.
    pub(crate) fn daemon_starts(&mut self, node: NodeId, elapsed: Duration) {
        let trace = self.histories.nodes.entry(node).or_default();
        trace.off_for += trace.off_since.take().map_or(Duration::ZERO, |since| elapsed.saturating_sub(since));
    }

    /// The disk of a machine forgets or refuses what is written, or another machine has a copy.
    pub(crate) fn disk_is_odd(&mut self, node: NodeId) {
        self.histories.nodes.entry(node).or_default().is_disk_odd = true;
    }

    /// The clock of a machine, or of the server, is set.
    pub(crate) fn clock_is_set(&mut self, node: Option<NodeId>, elapsed: Duration) {
        match node {
            Some(node) => self.histories.nodes.entry(node).or_default().clock_set_at = Some(elapsed),
            None => self.histories.server_clock_set_at = Some(elapsed),
        }
    }

    /// The server has stopped, and all its sessions with it.
    pub(crate) fn server_lost_links(&mut self, elapsed: Duration) {
        self.histories.server_stopped_at = Some(elapsed);
        let linked: Vec<_> = self.sites.values().filter(|site| site.live.is_some()).map(|site| site.node).collect();
        linked.into_iter().for_each(|node| self.server_lost_link(node, elapsed));
    }

    /// The server's session with a machine has ended.
    pub(crate) fn server_lost_link(&mut self, node: NodeId, elapsed: Duration) {
        self.histories.nodes.entry(node).or_default().server_lost.get_or_insert(elapsed);
    }
}

/// Checks.
impl Watch {
    /// The server welcomes a site: what it was away for is on the disk.
    pub(crate) fn check_return(&mut self, site: SiteId, (clock, elapsed): (Clock, Duration), disk: &Disk<FleetChange>) {
        let Some(node) = self.node_of(site).filter(|_| !self.is_hostile(site)) else { return };
        let is_known = disk.find(&FleetChange::ReplicationCursor(site, None)).is_some();
        let is_pending = registration(disk, site).is_none_or(|of| of.life.phase == Phase::Pending);
        let clock_set_at = self.histories.server_clock_set_at;
        let trace = self.histories.nodes.entry(node).or_default();
        let loss = trace.second_loss().zip(trace.first_loss());
        (trace.server_lost, trace.off_for) = (None, Duration::ZERO);
        let Some((loss, first)) = loss.filter(|_| is_known && !is_pending && !trace.is_disk_odd) else { return };
        let away_for = elapsed.saturating_sub(loss);
        if away_for < DISCONNECTED_AFTER + RETURN_MAX || LinkTrace::is_since(clock_set_at, first) {
            return;
        }
        let returned_after = clock.wall(elapsed.saturating_sub(RETURN_MAX));
        let newest = self.histories.gaps.get(&site).and_then(|gaps| gaps.values().next_back());
        if newest.is_none_or(|ended_at| *ended_at < returned_after) {
            let what = format!("the site was away for {away_for:?}, and its history does not say so");
            self.find("link-history", [node], what);
        }
    }

    /// The server stores or drops a gap.
    pub(crate) fn check_gap(&mut self, change: &FleetChange, (clock, elapsed): (Clock, Duration)) {
        let FleetChange::LinkGap(site, began_at, gap) = change else { return };
        let gaps = self.histories.gaps.entry(*site).or_default();
        let Some(gap) = gap else {
            gaps.remove(began_at);
            return;
        };
        let overlaps = gaps.iter().any(|(begin, end)| *begin < gap.ended_at && *began_at < *end);
        gaps.insert(*began_at, gap.ended_at);
        let Some(node) = self.node_of(*site) else { return };
        let problem = if overlaps {
            Some("it overlaps another gap".to_owned())
        } else if gap.ended_at.saturating_since(*began_at) < DISCONNECTED_AFTER {
            Some("it is too short".to_owned())
        } else {
            self.misfit(node, (*began_at, gap), (clock, elapsed))
        };
        if let Some(problem) = problem.filter(|_| !self.is_hostile(*site)) {
            self.find("link-history", [node], format!("a gap from {began_at}: {problem}: {gap:?}"));
        }
    }

    /// Returns why a gap of an honest site cannot have been.
    fn misfit(
        &self,
        node: NodeId,
        (began_at, gap): (WallTime, &LinkGap),
        (clock, elapsed): (Clock, Duration),
    ) -> Option<String> {
        let trace = self.histories.nodes.get(&node)?;
        if trace.is_disk_odd {
            return None;
        }
        let Some(loss) = trace.first_loss() else { return Some("no session was lost".to_owned()) };
        let is_clock_odd = LinkTrace::is_since(self.histories.server_clock_set_at, loss);
        let is_site_clock_odd = LinkTrace::is_since(trace.clock_set_at, loss);
        if !is_clock_odd && !is_site_clock_odd && began_at < clock.wall(loss.saturating_sub(LAG_MAX)) {
            return Some(format!("both sides had a session until {}", clock.wall(loss)));
        }
        let was = |cause| LinkTrace::is_since(trace.ended_at.get(&cause).copied(), loss);
        let cause = gap.times.longest();
        let is_possible = match cause {
            GapCause::PowerOff | GapCause::DaemonCrash | GapCause::DaemonRestart => was(cause),
            GapCause::ServerStopped => LinkTrace::is_since(self.histories.server_stopped_at, loss),
            GapCause::Tls => is_clock_odd || is_site_clock_odd,
            GapCause::NoAnswer | GapCause::Refused | GapCause::Paced | GapCause::Unknown => true,
            // Nothing here updates a daemon, and there are no routes and no names.
            GapCause::DaemonUpdate | GapCause::NoRoute | GapCause::NameResolution => false,
        };
        let without_power = trace.off_for * 4 > elapsed.saturating_sub(loss) * 3;
        match (is_possible, without_power && cause != GapCause::PowerOff) {
            (false, _) => Some("nothing of this kind happened".to_owned()),
            (true, true) => Some(format!("its machine had no power for {:?}", trace.off_for)),
            (true, false) => None,
        }
    }
}
