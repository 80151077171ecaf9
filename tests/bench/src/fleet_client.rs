//! Many sites in one process: the real `Site` machine of each, over the real transport, one task each.
//!
//! Twenty sites share a UDP socket: each its own would be truer, and 5,000 sockets of quinn's would be 15 GB of receive
//! buffers. What happens to the sites is written on one [`Board`], with the time it happened.

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

/// Sites on one socket. Its kernel buffer holds some 150 small datagrams; with a hundred sites, a push to all of them
/// overflowed it (18,000 datagrams lost in one afternoon), which no real site would have seen.
const SITES_PER_SOCKET: usize = 20;

/// How often a waiting measurement looks at the board. What happened has its own time.
const LOOK: Duration = Duration::from_millis(2);

/// What is known of one site.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// How often it was welcomed.
    pub(crate) welcomes: u32,
    /// When it was last.
    pub(crate) welcomed_at: Instant,
    /// The spec that its disk has.
    pub(crate) durable: Generation,
    /// Since when.
    pub(crate) durable_at: Instant,
    /// The spec it has acknowledged.
    pub(crate) acked: Generation,
    /// When it did.
    pub(crate) acked_at: Instant,
    /// Why its last session ended or its last dial failed.
    pub(crate) last_loss: Option<String>,
    /// When that was.
    pub(crate) lost_at: Instant,
}

/// What is known of all sites.
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

    /// Changes what is known of one site.
    pub(crate) fn note(&self, site: usize, change: impl FnOnce(&mut Record)) {
        change(&mut self.lock()[site]);
    }

    /// Returns what is known of all of them.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.lock().clone()
    }

    /// Returns what is known of one of them.
    pub(crate) fn record(&self, site: usize) -> Record {
        self.lock()[site].clone()
    }

    /// Waits until it holds for every site.
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

/// How sites are to be.
#[derive(Debug)]
pub(crate) struct FleetPlan<'a> {
    /// How many.
    pub(crate) sites: usize,
    /// By which tokens they join, in turn.
    pub(crate) targets: &'a [JoinTarget],
    /// Where their identities go.
    pub(crate) home: &'a Path,
    /// Where their databases go; nowhere if there is none.
    pub(crate) disks: Option<&'a Path>,
    /// How often they say that they are there.
    pub(crate) link: LinkSettings,
    /// How many join at once.
    pub(crate) at_once: usize,
}

/// Sites that run. Dropping it ends them without a word.
#[derive(Debug)]
pub(crate) struct SiteFleet {
    /// What happens to them.
    pub(crate) board: Arc<Board>,
    tasks: JoinSet<()>,
    dialers: Vec<Arc<Dialer>>,
}

impl SiteFleet {
    /// Joins sites to a server by the real way in, and returns when all are linked.
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

    /// Ends all sites without a word and waits until their server knows.
    pub(crate) async fn stop(mut self) {
        self.tasks.shutdown().await;
        for dialer in self.dialers {
            dialer.close(0, b"the bench is done");
            drop(tokio::time::timeout(Duration::from_secs(2), dialer.wait_idle()).await);
        }
    }

    /// Returns when the last of them was, for something that every site has.
    pub(crate) fn last(&self, when: impl Fn(&Record) -> Instant) -> Instant {
        self.board.records().iter().map(when).max().unwrap_or_else(Instant::now)
    }

    /// Returns how many sites name each reason for their last loss: what to look at when something is slow.
    pub(crate) fn losses(&self) -> BTreeMap<String, usize> {
        let mut losses = BTreeMap::new();
        for record in self.board.records() {
            *losses.entry(record.last_loss.unwrap_or_default()).or_default() += 1;
        }
        losses
    }
}

/// Returns what a site is called.
pub(crate) fn site_name(site: usize) -> String {
    format!("camp-{site:05}")
}

/// Returns where a site's identity is.
pub(crate) fn identity_of(home: &Path, site: usize) -> PathBuf {
    home.join(site_name(site))
}

impl MemberCredentials {
    /// Returns the papers of a site that joined earlier in this run.
    pub(crate) fn of_member(home: &Path, site: usize) -> anyhow::Result<Self> {
        match linecamp_transport::SiteIdentity::load(&identity_of(home, site))? {
            Some(identity) => Ok(Self::Member(Arc::new(identity))),
            None => bail!("{} has not joined", site_name(site)),
        }
    }
}
