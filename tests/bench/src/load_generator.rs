//! Many sites in one process: each a real `Site` state machine over the real transport, in one task.
//!
//! Twenty sites share a UDP socket: one socket per site would be more realistic, but 5,000 quinn sockets would take 15
//! GB of receive buffers. What happens to the sites is recorded in one [`SiteProgress`], with its time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use linecamp_model::JoinTarget;
use linecamp_transport::{Dialer, LinkSettings, Platform};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::bench_site::{Member, MemberCredentials, Start};
use crate::progress::{Record, SiteProgress};
use crate::site_disk::SiteDisk;

/// Sites per socket. Its kernel buffer holds about 150 small datagrams; with a hundred sites, a push to all of them
/// overflowed it (18,000 datagrams lost in one afternoon), which no real site would have experienced.
const SITES_PER_SOCKET: usize = 20;

/// Settings of the sites.
#[derive(Debug)]
pub(crate) struct FleetPlan<'a> {
    /// Number of sites.
    pub(crate) sites: usize,
    /// The tokens they join with, in turn.
    pub(crate) targets: &'a [JoinTarget],
    /// Directory of their identities.
    pub(crate) home: &'a Path,
    /// Directory of their databases; no databases if `None`.
    pub(crate) disks: Option<&'a Path>,
    /// Settings of their links, such as the keep-alive.
    pub(crate) link: LinkSettings,
    /// How many join at once.
    pub(crate) at_once: usize,
}

/// Running sites. Dropping it ends them without closing their sessions.
#[derive(Debug)]
pub(crate) struct SiteFleet {
    /// The state of the sites.
    pub(crate) progress: Arc<SiteProgress>,
    tasks: JoinSet<()>,
    dialers: Vec<Arc<Dialer>>,
}

impl SiteFleet {
    /// Joins sites to a server through the real protocol, and returns when all are linked.
    pub(crate) async fn join(plan: &FleetPlan<'_>) -> anyhow::Result<Self> {
        let progress = Arc::new(SiteProgress::new(plan.sites));
        let dialers = (0..plan.sites.div_ceil(SITES_PER_SOCKET))
            .map(|_| Dialer::bind(plan.link, Platform::default()).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        let permits = Arc::new(Semaphore::new(plan.at_once));
        let mut tasks = JoinSet::new();
        for site in 0..plan.sites {
            let target = &plan.targets[site % plan.targets.len()];
            let start = Start {
                index: site,
                name: site_name(site),
                target: target.clone(),
                identity: identity_of(plan.home, site),
                dialer: Arc::clone(&dialers[site / SITES_PER_SOCKET]),
                progress: Arc::clone(&progress),
            };
            let disk = plan.disks.map(|folder| folder.join(site_name(site)));
            let permits = Arc::clone(&permits);
            tasks.spawn(async move {
                let permit = permits.acquire_owned().await;
                let disk = match disk {
                    Some(folder) => SiteDisk::open(&folder),
                    None => Ok(SiteDisk::Absent),
                };
                let member = disk.and_then(|disk| Member::start(start, disk));
                match member {
                    Ok(member) => member.run(permit).await,
                    Err(error) => crate::say(&format!("failed to start a site: {error:#}")),
                }
            });
        }
        let fleet = Self { progress, tasks, dialers };
        let limit = Duration::from_secs(60 + plan.sites as u64 / 20);
        let linked = fleet.progress.wait("connected", limit, |_, record| 0 < record.welcomes).await;
        linked.map(|()| fleet)
    }

    /// Ends all sites without a final message and waits until their server knows.
    pub(crate) async fn stop(mut self) {
        self.tasks.shutdown().await;
        for dialer in self.dialers {
            dialer.close(0, b"the bench is done");
            drop(tokio::time::timeout(Duration::from_secs(2), dialer.wait_idle()).await);
        }
    }

    /// Returns the latest time that `when` gives for any site.
    pub(crate) fn last(&self, when: impl Fn(&Record) -> Instant) -> Instant {
        self.progress.records().iter().map(when).max().unwrap_or_else(Instant::now)
    }

    /// Returns the number of sites by reason of their last loss, for diagnosing a slow run.
    pub(crate) fn losses(&self) -> BTreeMap<String, usize> {
        let mut losses = BTreeMap::new();
        for record in self.progress.records() {
            *losses.entry(record.last_loss.unwrap_or_default()).or_default() += 1;
        }
        losses
    }
}

/// Returns the name of a site.
pub(crate) fn site_name(site: usize) -> String {
    format!("camp-{site:05}")
}

/// Returns the directory of a site's identity.
pub(crate) fn identity_of(home: &Path, site: usize) -> PathBuf {
    home.join(site_name(site))
}

impl MemberCredentials {
    /// Returns the credentials of a site that joined earlier in this run.
    pub(crate) fn of_member(home: &Path, site: usize) -> anyhow::Result<Self> {
        match linecamp_transport::SiteIdentity::load(&identity_of(home, site))? {
            Some(identity) => Ok(Self::Member(Arc::new(identity))),
            None => bail!("{} has not joined", site_name(site)),
        }
    }
}
