//! The steps of a run. Each makes one change to the fleet and waits, up to a limit, until the server's API shows the
//! result.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use linecamp_proto::api::Site;

use super::RealOptions;
use super::api::Api;
use super::fleet::{Daemons, site_name};
use super::measurements::{Cut, Join, LabelRound, Memory, Stop, Storm};
use super::memory::{memory_of, spread};
use super::process::Process;
use super::run_directory::Environment;
use super::server::Server;
use super::udp_relay::{Directions, LinkConditions, Links};

/// Bad links at remote sites: half of a satellite's delay, and the loss at which operators start to complain.
pub(super) const BAD_LINK: LinkConditions = LinkConditions {
    latency: Duration::from_millis(100),
    jitter: Duration::from_millis(20),
    loss_percent: 5,
    passing: Directions::Both,
};

/// Interval between API requests: a fraction of what any step takes.
const POLL: Duration = Duration::from_millis(50);

/// Time limit for all sites to join, to converge, or to come back. Coming back is bounded by 15 s until a site notices,
/// redials at most 60 s apart, and three of those over a bad link.
const LIMIT: Duration = Duration::from_secs(240);

/// Added to [`LIMIT`] for each site: a join on a small, busy machine.
const LIMIT_PER_SITE: Duration = Duration::from_millis(500);

/// How long the server is down in a storm: long enough that no retransmission bridges it.
const DOWN: Duration = Duration::from_secs(5);
const DOWN_QUICK: Duration = Duration::from_secs(1);

/// How long sites are unreachable: longer than the 45 s after which a link is lost; in a quick run shorter.
const CUT: Duration = Duration::from_secs(60);
const CUT_QUICK: Duration = Duration::from_secs(10);

/// The label that every site gets from the join token; it selects all sites.
const ALL: (&str, &str) = ("fleet", "sim");

/// How many sites an error names.
const NAMED_MAX: usize = 5;

/// A running fleet, and what is needed to measure it.
pub(super) struct World<'a> {
    options: &'a RealOptions,
    environment: &'a Environment,
    say: &'a dyn Fn(&str),
    sites: usize,
    /// Counts the label changes of all sites.
    label_rounds: u32,
    /// The server's memory before any site joined, in KiB.
    empty_rss_kib: u64,
    api: Api,
    daemons: Option<Daemons<'a>>,
    links: Links,
    server: Server<'a>,
}

/// Arrival times of sites: `times[n]` is when more than `n` had arrived.
struct ArrivalTimes {
    began: Instant,
    times: Vec<Duration>,
}

impl ArrivalTimes {
    fn since(began: Instant) -> Self {
        Self { began, times: Vec::new() }
    }

    /// Records that `count` sites are present now.
    fn note(&mut self, count: usize) {
        self.times.resize(count.max(self.times.len()), self.began.elapsed());
    }

    /// Returns when this percentage of all arrivals was present, in seconds.
    fn seconds(&self, percent: usize) -> f64 {
        let rank = (self.times.len() * percent).div_ceil(100);
        self.times.get(rank.saturating_sub(1)).map_or(0.0, Duration::as_secs_f64)
    }
}

impl<'a> World<'a> {
    /// Starts the server and the links, without any sites.
    pub(super) async fn start(
        options: &'a RealOptions,
        environment: &'a Environment,
        say: &'a dyn Fn(&str),
    ) -> anyhow::Result<Self> {
        say("starting the server");
        let sites = usize::try_from(options.sites).context("more sites than this machine can count")?;
        let server = Server::start_new(environment).await?;
        let links = Links::start(server.address(), sites, options.seed)?;
        let empty_rss_kib = memory_of(server.running()?.id())?.resident;
        Ok(Self {
            options,
            environment,
            say,
            sites,
            label_rounds: 0,
            empty_rss_kib,
            api: server.api(),
            daemons: None,
            links,
            server,
        })
    }

    /// Starts all daemons and waits until every site is linked.
    pub(super) async fn join(&mut self) -> anyhow::Result<Join> {
        (self.say)(&format!("starting {} daemons", self.sites));
        let token_file = self.write_token().await?;
        let began = Instant::now();
        let daemons = Daemons::start(self.environment, &self.links, self.sites, &token_file)?;
        let daemons = self.daemons.insert(daemons);
        let (separate, hosted) = (daemons.separate().len(), daemons.hosted());
        let hosting_processes = daemons.hosting().len();
        let linked = self.wait_linked("had joined and were linked", began).await?;
        fs::remove_file(&token_file).context("failed to remove the join token")?;
        Ok(Join {
            joined: linked.times.len(),
            separate,
            hosted,
            hosting_processes,
            linked_50_seconds: linked.seconds(50),
            linked_all_seconds: linked.seconds(100),
        })
    }

    async fn write_token(&self) -> anyhow::Result<PathBuf> {
        let token = self.server.token(self.options.sites, ALL).await?;
        let path = self.environment.path("token");
        self.environment.write(&path, &token)?;
        Ok(path)
    }

    /// Sets a label on all sites and waits until they have converged.
    pub(super) async fn label(&mut self) -> anyhow::Result<LabelRound> {
        self.wait_converged("had converged after joining", Instant::now()).await?;
        (self.say)("setting one label on all sites");
        let began = Instant::now();
        self.label_all().await?;
        let durable = began.elapsed();
        let converged = self.wait_converged("had converged with the label", began).await?;
        Ok(LabelRound { durable_ms: durable.as_secs_f64() * 1e3, converged_ms: converged.seconds(100) * 1e3 })
    }

    /// Measures the memory of the processes.
    pub(super) fn memory(&self) -> anyhow::Result<Memory> {
        let daemons = self.daemons()?;
        let held = |processes: &[Process]| {
            processes.iter().map(|process| memory_of(process.id())).collect::<anyhow::Result<Vec<_>>>()
        };
        let server = memory_of(self.server.running()?.id())?;
        let (separate, hosting) = (held(daemons.separate())?, held(daemons.hosting())?);
        let hosting: u64 = hosting.iter().map(|held| held.resident).sum();
        Ok(Memory {
            server_empty_rss_kib: self.empty_rss_kib,
            server_rss_kib: server.resident,
            server_anon_kib: server.anonymous,
            server_rss_per_site_kib: share(server.resident.saturating_sub(self.empty_rss_kib), self.sites),
            daemon_rss_kib: spread(separate.iter().map(|held| held.resident)),
            daemon_anon_kib: spread(separate.iter().map(|held| held.anonymous)),
            hosted_rss_per_daemon_kib: (0 < daemons.hosted()).then(|| share(hosting, daemons.hosted())),
        })
    }

    /// Kills the server, restarts it after a while, and waits until all sites are linked again. A site notices with its
    /// next packet, a keep-alive at most 15 s later; sites that received a change together notice together.
    pub(super) async fn storm(&mut self, line: &LinkConditions) -> anyhow::Result<Storm> {
        let down = if self.options.quick { DOWN_QUICK } else { DOWN };
        let (latency, loss) = (line.latency.as_millis(), line.loss_percent);
        let words = format!("{latency} ms each way, {loss} % loss");
        (self.say)(&format!("killing the server; it restarts after {} s; {words}", down.as_secs()));
        self.links.set(|_| *line);
        self.server.kill();
        let killed = Instant::now();
        tokio::time::sleep(down).await;
        let down = killed.elapsed();
        let listening = self.server.start().await?;
        let back = self.wait_linked("were linked again after the server was killed", listening).await?;
        self.links.set(|_| LinkConditions::default());
        // A link as the server reports it is only half established: a site that converges has received its welcome.
        self.label_all().await?;
        self.wait_converged("had converged after the server restarted", Instant::now()).await?;
        Ok(Storm {
            latency_ms: u64::try_from(latency).context("a latency is too long")?,
            loss_percent: loss,
            down_seconds: down.as_secs_f64(),
            back: back.times.len(),
            back_50_seconds: back.seconds(50),
            back_90_seconds: back.seconds(90),
            back_99_seconds: back.seconds(99),
            back_all_seconds: back.seconds(100),
        })
    }

    /// Makes half of the sites unreachable, changes a label of all sites, and waits until those are back and have
    /// applied it.
    pub(super) async fn cut(&mut self) -> anyhow::Result<Cut> {
        let span = if self.options.quick { CUT_QUICK } else { CUT };
        let count = |passing| (0..self.sites).filter(|site| passing_of(*site) == passing).count();
        let (cut, black_holed) = (count(Directions::Neither), count(Directions::UpOnly));
        (self.say)(&format!("{cut} sites are cut for {} s, and {black_holed} receive nothing", span.as_secs()));
        self.links.set(|site| LinkConditions { passing: passing_of(site), ..LinkConditions::default() });
        let began = Instant::now();
        self.label_all().await?;
        tokio::time::sleep(span.saturating_sub(began.elapsed())).await;
        self.check_run()?;
        // The polling connection has been idle for a long time, so use a new one.
        let sites = self.server.api().sites().await?;
        let (seconds, restored_at) = (began.elapsed(), Instant::now());
        self.links.set(|_| LinkConditions::default());
        let back = self.wait_sites("were linked and had converged after the cut", restored_at, is_unreachable).await?;
        Ok(Cut {
            seconds: seconds.as_secs_f64(),
            cut,
            black_holed,
            offline: sites.iter().filter(|site| !site.link.is_connected()).count(),
            behind: sites.iter().filter(|site| !has_converged(site)).count(),
            back: back.times.len(),
            back_50_seconds: back.seconds(50),
            back_all_seconds: back.seconds(100),
        })
    }

    /// Asks all daemons to exit, and then the server.
    pub(super) async fn stop(&mut self) -> anyhow::Result<Stop> {
        (self.say)("stopping all daemons");
        let daemons = self.daemons()?;
        let ended = daemons.stop().await?;
        let processes = daemons.separate().len() + daemons.hosting().len();
        self.server.stop().await?;
        Ok(Stop { processes, clean: ended.clean, seconds: ended.took.as_secs_f64() })
    }

    /// Sets a new value of a label on all sites, through the operator's CLI.
    async fn label_all(&mut self) -> anyhow::Result<()> {
        self.label_rounds += 1;
        self.server.label(&format!("{}={}", ALL.0, ALL.1), &format!("wave={}", self.label_rounds)).await
    }

    fn daemons(&self) -> anyhow::Result<&Daemons<'a>> {
        self.daemons.as_ref().context("the daemons are started first")
    }

    fn check_run(&self) -> anyhow::Result<()> {
        self.server.running()?.check_runs()?;
        self.daemons()?.check_run()
    }

    fn limit(&self) -> Duration {
        // The number of sites is far below this type's maximum.
        LIMIT + LIMIT_PER_SITE * self.options.sites
    }

    /// Waits until the server has reported every site connected. Times count from `began`.
    async fn wait_linked(&mut self, what: &str, began: Instant) -> anyhow::Result<ArrivalTimes> {
        let mut arrivals = ArrivalTimes::since(began);
        loop {
            self.check_run()?;
            let polled = self.api.connected().await;
            if let Ok(connected) = &polled {
                arrivals.note(*connected);
            }
            if self.sites <= arrivals.times.len() {
                return Ok(arrivals);
            }
            if self.limit() < began.elapsed() {
                bail!(self.missing(what, |site| site.link.is_connected(), polled.err()).await);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn wait_converged(&mut self, what: &str, began: Instant) -> anyhow::Result<ArrivalTimes> {
        self.wait_sites(what, began, |_| true).await
    }

    /// Waits until every site is linked and has converged; counts the sites for which `counts` holds.
    async fn wait_sites(
        &mut self,
        what: &str,
        began: Instant,
        counts: impl Fn(usize) -> bool,
    ) -> anyhow::Result<ArrivalTimes> {
        let counted: Vec<_> = (0..self.sites).filter(|site| counts(*site)).map(site_name).collect();
        let is_there = |site: &Site| site.link.is_connected() && has_converged(site);
        let mut arrivals = ArrivalTimes::since(began);
        loop {
            self.check_run()?;
            let polled = self.api.sites().await;
            if let Ok(sites) = &polled {
                let arrived = sites.iter().filter(|site| is_there(site));
                let names: Vec<_> = arrived.map(|site| &*site.name).collect();
                arrivals.note(names.iter().filter(|name| counted.iter().any(|counted| counted == *name)).count());
                if self.sites <= names.len() {
                    return Ok(arrivals);
                }
            }
            if self.limit() < began.elapsed() {
                bail!(self.missing(what, is_there, polled.err()).await);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Describes which sites are missing at the time limit, with the end of the first one's log.
    async fn missing(&self, what: &str, is_there: impl Fn(&Site) -> bool, unanswered: Option<anyhow::Error>) -> String {
        let limit = self.limit().as_secs();
        let sites = match (unanswered, self.server.api().sites().await) {
            (None, Ok(sites)) => sites,
            (Some(error), _) | (None, Err(error)) => {
                return format!("the server did not answer within {limit} s: {error:#}");
            }
        };
        let arrived: Vec<_> = sites.iter().filter(|site| is_there(site)).map(|site| &*site.name).collect();
        let missing: Vec<_> = (0..self.sites).map(site_name).filter(|name| !arrived.contains(&&**name)).collect();
        let named = missing.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
        let first = missing.first().and_then(|name| self.daemons.as_ref()?.log_end(name)).unwrap_or_default();
        format!("{} of {} sites {what} within {limit} s; not: {named}\n{first}", arrived.len(), self.sites)
    }
}

/// Returns what a site's link passes during the cut: every second site is unreachable, in one of two ways.
fn passing_of(site: usize) -> Directions {
    match site % 4 {
        1 => Directions::Neither,
        3 => Directions::UpOnly,
        _ => Directions::Both,
    }
}

fn is_unreachable(site: usize) -> bool {
    passing_of(site) != Directions::Both
}

const fn has_converged(site: &Site) -> bool {
    site.converged_generation == site.spec_generation
}

/// Divides a memory size by the number of sharers.
#[expect(clippy::cast_precision_loss, reason = "KiB and sites of one machine are far below 2^53")]
fn share(kib: u64, among: usize) -> f64 {
    kib as f64 / among as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrival_times_give_percentiles() {
        let seconds = Duration::from_secs;
        let arrivals = ArrivalTimes { began: Instant::now(), times: (1..=24).map(seconds).collect() };
        let check = |percent, expected: f64| assert!((arrivals.seconds(percent) - expected).abs() < 1e-9, "{percent}");
        check(50, 12.0);
        check(90, 22.0);
        check(99, 24.0);
        check(100, 24.0);
        assert!(ArrivalTimes::since(Instant::now()).seconds(50).abs() < 1e-9);
    }

    #[test]
    fn a_site_that_arrived_once_is_counted() {
        let mut arrivals = ArrivalTimes::since(Instant::now());
        arrivals.note(3);
        arrivals.note(2);
        assert_eq!(arrivals.times.len(), 3);
    }

    #[test]
    fn half_of_the_sites_are_unreachable_in_two_ways() {
        let ways: Vec<_> = (0..24).map(passing_of).collect();
        let count = |passing| ways.iter().filter(|way| **way == passing).count();
        assert_eq!([Directions::Both, Directions::Neither, Directions::UpOnly].map(count), [12, 6, 6]);
    }
}
