//! `answered-in-time`: honest sites and operators are answered in time, whatever hostile members do.

use std::collections::BTreeMap;
use std::time::Duration;

use linecamp_model::{CommandId, FleetChange, FromMember, FromParent, Phase, Refusal, RefusalCode, SessionId};

use super::{Watch, registration};
use crate::disk::Disk;
use crate::transport::NodeId;

/// Longest time an operator waits for an answer: a commit takes milliseconds, and half a second on a slow disk.
const REPLY_MAX: Duration = Duration::from_secs(10);

/// Longest time a site waits for an acknowledgement while its link is up: on a metered line it takes three minutes to
/// detect that the line is cut.
const ACKNOWLEDGEMENT_MAX: Duration = Duration::from_secs(300);

/// What an acknowledgement is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sent {
    Status,
    Events,
}

/// The operators and sites that wait, and since when.
#[derive(Debug, Default)]
pub(super) struct Served {
    operators: BTreeMap<CommandId, Duration>,
    sites: BTreeMap<(NodeId, Sent), Duration>,
}

impl Watch {
    /// An operator starts to wait for an answer.
    pub(crate) fn operator_waits(&mut self, command: CommandId, elapsed: Duration) {
        self.served.operators.insert(command, elapsed);
    }

    /// An operator was answered.
    pub(crate) fn operator_is_answered(&mut self, command: CommandId) {
        self.served.operators.remove(&command);
    }

    /// An honest site sends a message that the server acknowledges.
    pub(crate) fn site_waits(&mut self, node: NodeId, message: &FromMember, elapsed: Duration) {
        let sent = match message {
            FromMember::Status(_) => Sent::Status,
            FromMember::Events(_) => Sent::Events,
            _ => return,
        };
        self.served.sites.entry((node, sent)).or_insert(elapsed);
    }

    /// An honest site receives a message from the server.
    pub(crate) fn site_is_answered(&mut self, node: NodeId, message: &FromParent) {
        let sent = match message {
            FromParent::StatusAck(_) => Sent::Status,
            FromParent::EventsAck(_) => Sent::Events,
            _ => return,
        };
        self.served.sites.remove(&(node, sent));
    }

    /// A site's link or daemon stopped, and its wait ends.
    pub(crate) fn site_wait_ends(&mut self, node: NodeId) {
        self.served.sites.retain(|(waiting, _), _| *waiting != node);
    }

    /// The server stopped, and all waits end.
    pub(super) fn clear_waits(&mut self) {
        self.served = Served::default();
    }

    /// The server's disk has recovered: restart all waiting times, since the disk caused the delay.
    pub(crate) fn server_recovers(&mut self, elapsed: Duration) {
        let Served { operators, sites } = &mut self.served;
        operators.values_mut().chain(sites.values_mut()).for_each(|since| *since = elapsed);
    }

    /// Checks whether anyone has waited too long for a healthy server.
    pub(crate) fn check_served(&mut self, disk: &Disk<FleetChange>, elapsed: Duration) {
        let is_late = |since: &Duration, max: Duration| max < elapsed.saturating_sub(*since);
        if let Some((command, _)) = self.served.operators.iter().find(|(_, since)| is_late(since, REPLY_MAX)) {
            let what = format!("{command} of an operator was not answered within {REPLY_MAX:?}");
            return self.find("answered-in-time", [], what);
        }
        let late = self.served.sites.iter().find(|(_, since)| is_late(since, ACKNOWLEDGEMENT_MAX));
        let late = late.map(|((node, sent), _)| (*node, *sent));
        if let Some((node, sent)) = late {
            // A pending site gets no acknowledgement.
            if self.is_pending(node, disk) {
                return self.site_wait_ends(node);
            }
            let what = format!(
                "the server did not acknowledge {sent:?} within {ACKNOWLEDGEMENT_MAX:?} on an established link"
            );
            self.find("answered-in-time", [node], what);
        }
    }

    /// Checks a change that the server is about to write. An accepted site resends everything, and its wait starts
    /// then.
    pub(crate) fn server_accepts(&mut self, change: &FleetChange, disk: &Disk<FleetChange>) {
        let FleetChange::Site(site, Some(after)) = change else { return };
        let is_accepted = after.life.phase != Phase::Pending
            && registration(disk, *site).is_some_and(|before| before.life.phase == Phase::Pending);
        if let Some(node) = self.node_of(*site).filter(|_| is_accepted) {
            self.site_wait_ends(node);
        }
    }

    /// The server closes a session: it must not close an honest one for a protocol error, nor because it is busy while
    /// there are hostile members, unless the site has another session, as from a machine with a clone of its disk.
    pub(crate) fn check_hang_up(&mut self, session: SessionId, refusal: &Refusal) {
        let Some(site) = self.site_of(session).filter(|site| !self.is_hostile(*site)) else { return };
        let has_another = self.sites.get(&site).and_then(|of| of.live).is_some_and(|live| live != session);
        let has_hostile = self.machines.values().any(|machine| machine.is_hostile);
        let is_unjust = match refusal.code {
            RefusalCode::Protocol => true,
            RefusalCode::Busy => has_hostile && !has_another,
            _ => false,
        };
        if is_unjust {
            self.find(
                "answered-in-time",
                self.node_of(site),
                format!("the server closed the session of an honest site: {refusal}"),
            );
        }
    }

    fn is_pending(&self, node: NodeId, disk: &Disk<FleetChange>) -> bool {
        let site = self.sites.iter().find(|(_, site)| site.node == node);
        site.and_then(|(site, _)| registration(disk, *site)).is_some_and(|of| of.life.phase == Phase::Pending)
    }
}
