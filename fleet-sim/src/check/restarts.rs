//! `restarts`: every record reads back as written, and a restart from a disk restores the same state.

use std::fmt::Debug;

use linecamp_core::{Fleet, Site};
use linecamp_model::{Now, Owner, SiteId};

use super::Watch;
use crate::disk::Record;
use crate::transport::NodeId;

impl Watch {
    /// A machine requests durable writes: each change must read back from its bytes unchanged.
    pub(crate) fn check_readable<C: Record + Debug + PartialEq>(&mut self, node: Option<NodeId>, changes: &[C]) {
        for change in changes {
            let (key, body) = change.row();
            let what = match body.map(|body| C::read(&key, &body)) {
                None => continue,
                Some(Ok(read)) if read == *change => continue,
                Some(Ok(read)) => format!("{change:?} reads back as {read:?}"),
                Some(Err(problem)) => format!("{change:?} does not read back: {problem}"),
            };
            return self.find("restarts", node, what);
        }
    }

    /// Compares a running server with one started from its disk: both must know the same about every site.
    pub(crate) fn check_same_fleet(&mut self, running: &Fleet, started: &Fleet, now: Now) {
        let known = |fleet: &Fleet, site: SiteId| {
            let view = fleet.view().site_by_id(site, now)?;
            // What a pending site reports is held in memory only.
            let labels: Vec<_> = view.labels.into_iter().filter(|(_, label)| label.owner != Owner::Reported).collect();
            Some((view.name, view.phase, view.spec_generation, view.converged_generation, labels))
        };
        let sites = self.sites.iter().map(|(site, of)| (of.node, known(running, *site), known(started, *site)));
        let differs = sites.into_iter().find(|(_, here, there)| here != there);
        if let Some((node, here, there)) = differs {
            let what = format!("a server started from the disk has {there:?}, the running one {here:?}");
            self.find("restarts", [node], what);
        }
    }

    /// Compares a running daemon with one started from its disk: both must have the same desired state.
    pub(crate) fn check_same_site(&mut self, node: NodeId, (running, started): (&Site, &Site), now: Now) {
        let known = |site: &Site| {
            let view = site.view(now);
            (view.id, view.name, view.environment, view.target, view.applied_generation)
        };
        let (here, there) = (known(running), known(started));
        if here != there {
            let what = format!("a daemon started from the disk has {there:?}, the running one {here:?}");
            self.find("restarts", [node], what);
        }
    }
}
