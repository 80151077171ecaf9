//! Many sites in one process: each a real `Site` state machine over the real transport, in one task.
//!
//! Twenty sites share a UDP socket: one socket per site would be more realistic, but 5,000 quinn sockets would take 15
//! GB of receive buffers. What happens to the sites is recorded on one [`Board`], with the time it happened.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::bail;
use linecamp_model::{Generation, JoinTarget};
use linecamp_transport::{Dialer, LinkSettings, Platform};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::member::{Member, MemberCredentials, Start};
use crate::site_disk::SiteDisk;

/// Sites per socket. Its kernel buffer holds about 150 small datagrams; with a hundred sites, a push to all of them
/// overflowed it (18,000 datagrams lost in one afternoon), which no real site would have experienced.
const SITES_PER_SOCKET: usize = 20;

/// How often a waiting measurement polls the board. Recorded times do not depend on it.
const LOOK: Duration = Duration::from_millis(2);

/// The state of one site.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// How often it was welcomed.
    pub(crate) welcomes: u32,
    /// When it was last welcomed.
    pub(crate) welcomed_at: Instant,
    /// The spec generation on its disk.
    pub(crate) durable: Generation,
    /// When that became durable.
    pub(crate) durable_at: Instant,
    /// The spec generation it has acknowledged.
    pub(crate) acked: Generation,
    /// When it acknowledged that.
    pub(crate) acked_at: Instant,
    /// Why its last session ended or its last dial failed.
    pub(crate) last_loss: Option<String>,
    /// When that happened.
    pub(crate) lost_at: Instant,
}

/// The state of all sites.
#[derive(Debug)]
pub(crate) struct Board(Mutex<Vec<Record>>);

impl Board {
    fn new(sites: usize) -> Self {
        let now = Instant::now();
        let record = Record {
            welcomes: 0,
            welcomed_at: now,
            durable: Generation::default(),
            durable_at: now,
            acked: Generation::default(),
            acked_at: now,
            last_loss: None,
            lost_at: now,
        };
        Self(Mutex::new(vec![record; sites]))
    }

    /// Updates the state of one site.
    pub(crate) fn note(&self, site: usize, change: impl FnOnce(&mut Record)) {
        change(&mut self.lock()[site]);
    }

    /// Returns the state of all sites.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.lock().clone()
    }

    /// Returns the state of one site.
    pub(crate) fn record(&self, site: usize) -> Record {
        self.lock()[site].clone()
    }

    /// Waits until `holds` is true for every site.
    pub(crate) async fn wait(
        &self,
        what: &str,
        limit: Duration,
        holds: impl Fn(usize, &Record) -> bool,
    ) -> anyhow::Result<()> {
        let until = Instant::now() + limit;
        loop {
            let (missing, example) = {
                let records = self.lock();
                let mut missing = records.iter().enumerate().filter(|(site, record)| !holds(*site, record));
                let example = missing.next().map(|(_, record)| record.last_loss.clone());
                (missing.count() + usize::from(example.is_some()), example.flatten())
            };
            match missing {
                0 => return Ok(()),
                _ if until < Instant::now() => {
                    bail!("{missing} sites not {what} in {} s; one says: {example:?}", limit.as_secs())
                }
                _ => tokio::time::sleep(LOOK).await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
    pub(crate) board: Arc<Board>,
    tasks: JoinSet<()>,
    dialers: Vec<Arc<Dialer>>,
}

impl SiteFleet {
    /// Joins sites to a server through the real protocol, and returns when all are linked.
    pub(crate) async fn join(plan: &FleetPlan<'_>) -> anyhow::Result<Self> {
        let board = Arc::new(Board::new(plan.sites));
        let dialers = (0..plan.sites.div_ceil(SITES_PER_SOCKET))
            .map(|_| Dialer::bind(plan.link, Platform::default()).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        let doors = Arc::new(Semaphore::new(plan.at_once));
        let mut tasks = JoinSet::new();
        for site in 0..plan.sites {
            let target = &plan.targets[site % plan.targets.len()];
            let start = Start {
                index: site,
                name: site_name(site),
                target: target.clone(),
                identity: identity_of(plan.home, site),
                dialer: Arc::clone(&dialers[site / SITES_PER_SOCKET]),
                board: Arc::clone(&board),
            };
            let disk = plan.disks.map(|folder| folder.join(site_name(site)));
            let doors = Arc::clone(&doors);
            tasks.spawn(async move {
                let door = doors.acquire_owned().await;
                let disk = match disk {
                    Some(folder) => SiteDisk::open(&folder),
                    None => Ok(SiteDisk::Absent),
                };
                let member = disk.and_then(|disk| Member::start(start, disk));
                match member {
                    Ok(member) => member.run(door).await,
                    Err(error) => crate::say(&format!("a site did not start: {error:#}")),
                }
            });
        }
        let fleet = Self { board, tasks, dialers };
        let limit = Duration::from_secs(60 + plan.sites as u64 / 20);
        let linked = fleet.board.wait("linked", limit, |_, record| 0 < record.welcomes).await;
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
        self.board.records().iter().map(when).max().unwrap_or_else(Instant::now)
    }

    /// Returns the number of sites by reason of their last loss, for diagnosing a slow run.
    pub(crate) fn losses(&self) -> BTreeMap<String, usize> {
        let mut losses = BTreeMap::new();
        for record in self.board.records() {
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
