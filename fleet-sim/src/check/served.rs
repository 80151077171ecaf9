//! `served`: honest sites and operators are answered in time, whatever hostile members do.

use std::collections::BTreeMap;
use std::time::Duration;

use linecamp_model::{CommandId, FleetChange, FromServer, FromSite, Phase, Refusal, RefusalCode, SessionId, SiteId};

use super::{Watch, registration};
use crate::carrier::NodeId;
use crate::disk::Disk;

/// How long an operator waits for an answer, at most: a commit takes milliseconds, and half a second on a slow disk.
const REPLY_MAX: Duration = Duration::from_secs(10);

/// How long a site waits for a receipt while its link is up, at most: on a metered line it takes three minutes until
/// somebody notices that the line is cut.
const RECEIPT_MAX: Duration = Duration::from_secs(300);

/// What a receipt is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sent {
    Status,
    Events,
}

/// Who waits, and since when.
#[derive(Debug, Default)]
pub(super) struct Served {
    operators: BTreeMap<CommandId, Duration>,
    sites: BTreeMap<(NodeId, Sent), Duration>,
}

impl Watch {
    /// An operator begins to wait for an answer.
    pub(crate) fn operator_waits(&mut self, command: CommandId, elapsed: Duration) {
        self.served.operators.insert(command, elapsed);
    }

    /// An operator has the answer.
    pub(crate) fn operator_is_answered(&mut self, command: CommandId) {
        self.served.operators.remove(&command);
    }

    /// An honest site sends what the server gives a receipt for.
    pub(crate) fn site_waits(&mut self, node: NodeId, message: &FromSite, elapsed: Duration) {
        let sent = match message {
            FromSite::Status(_) => Sent::Status,
            FromSite::Events(_) => Sent::Events,
            _ => return,
        };
        self.served.sites.entry((node, sent)).or_insert(elapsed);
    }

    /// An honest site hears from the server.
    pub(crate) fn site_is_answered(&mut self, node: NodeId, message: &FromServer) {
        let sent = match message {
            FromServer::StatusAck(_) => Sent::Status,
            FromServer::EventsAck(_) => Sent::Events,
            _ => return,
        };
        self.served.sites.remove(&(node, sent));
    }

    /// A site's link or daemon is gone, and with it what it waited for.
    pub(crate) fn site_waits_no_more(&mut self, node: NodeId) {
        self.served.sites.retain(|(waiting, _), _| *waiting != node);
    }

    /// The server is gone, and with it what anybody waited for.
    pub(super) fn nobody_waits(&mut self) {
        self.served = Served::default();
    }

    /// What troubled the server's disk is over: whoever waits has waited for that.
    pub(crate) fn server_recovers(&mut self, elapsed: Duration) {
        let Served { operators, sites } = &mut self.served;
        operators.values_mut().chain(sites.values_mut()).for_each(|since| *since = elapsed);
    }

    /// Looks whether somebody has waited for too long, at a server that is well.
    pub(crate) fn check_served(&mut self, disk: &Disk<FleetChange>, elapsed: Duration) {
        let is_late = |since: &Duration, max: Duration| max < elapsed.saturating_sub(*since);
        if let Some((command, _)) = self.served.operators.iter().find(|(_, since)| is_late(since, REPLY_MAX)) {
            let what = format!("{command} of an operator was not answered for {REPLY_MAX:?}");
            return self.find("served", [], what);
        }
        let late = self.served.sites.iter().find(|(_, since)| is_late(since, RECEIPT_MAX));
        let late = late.map(|((node, sent), _)| (*node, *sent));
        if let Some((node, sent)) = late {
            // Who waits to be accepted is owed nothing.
            if self.is_pending(node, disk) {
                return self.site_waits_no_more(node);
            }
            let what = format!("the server gave no receipt for {sent:?} for {RECEIPT_MAX:?} on a link that is up");
            self.find("served", [node], what);
        }
    }

    /// The server is about to write a change. Who is accepted sends everything again: it begins to wait with that.
    pub(crate) fn server_accepts(&mut self, change: &FleetChange, disk: &Disk<FleetChange>) {
        let FleetChange::Site(site, Some(after)) = change else { return };
        let is_accepted = after.life.phase != Phase::Pending
            && registration(disk, *site).is_some_and(|before| before.life.phase == Phase::Pending);
        if let Some(node) = self.node_of(*site).filter(|_| is_accepted) {
            self.site_waits_no_more(node);
        }
    }

    /// The server hangs up on a session: on an honest one for no fault of protocol, and beside hostile members for no
    /// lack of time, unless another session of the site is there, as of a machine with a copy of its disk.
    pub(crate) fn check_hang_up(&mut self, session: SessionId, refusal: &Refusal) {
        let Some(site) = self.site_of(session).filter(|site| !self.is_hostile(*site)) else { return };
        let has_another = self.sites.get(&site).and_then(|of| of.live).is_some_and(|live| live != session);
        let is_unjust = match refusal.code {
            RefusalCode::Protocol => true,
            RefusalCode::Busy => !self.hostile.is_empty() && !has_another,
            _ => false,
        };
        if is_unjust {
            self.find("served", self.node_of(site), format!("the server hung up on an honest site: {refusal}"));
        }
    }

    fn is_pending(&self, node: NodeId, disk: &Disk<FleetChange>) -> bool {
        let site = self.sites.values().find(|site| site.node == node).map(|site| SiteId::of_key(&site.key));
        site.and_then(|site| registration(disk, site)).is_some_and(|of| of.life.phase == Phase::Pending)
    }
}
