//! All sites reconnect at once: the server is stopped or killed, and restarted.

use std::path::Path;
use std::time::{Duration, Instant};

use linecamp_proto::api::operation::{ListSites, Operation as _, ShowSite};
use linecamp_transport::LinkSettings;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::api_client::ApiClient;
use crate::load_generator::{FleetPlan, SiteFleet, site_name};
use crate::memory::quiet;
use crate::numbers::{millis, percentile};
use crate::paths::Bench;
use crate::results::{Bound, Figure, Table};
use crate::server_process::Server;

/// The budgets.
const RECONNECT_SECONDS_MAX: f64 = 5.0;
const API_P99_MS_MAX: f64 = 250.0;

/// Interval between two API requests.
const REQUEST_INTERVAL: Duration = Duration::from_millis(20);

/// Number of groups of sites; a selector matches one.
const REGIONS: usize = 10;

/// A list without sites is shorter than this, one with a site longer.
const LIST_BYTES_MIN: usize = 100;

/// Time limit for all sites to come back.
const LIMIT: Duration = Duration::from_secs(90);

/// The keep-alive of sites that detect the loss by themselves, shorter than the real one to keep a run short.
const SHORT_KEEP_ALIVE: Duration = Duration::from_secs(1);

pub(crate) async fn measure(bench: &Bench, table: &mut Table) -> anyhow::Result<()> {
    planned(bench, table).await?;
    killed(bench, table).await
}

/// Starts a server on disk with sites whose identities are in memory.
async fn start_fleet(
    bench: &Bench,
    [folder, memory]: [&Path; 2],
    link: LinkSettings,
) -> anyhow::Result<(Server, SiteFleet)> {
    let server = Server::start_new(bench, folder).await?;
    let mut targets = Vec::new();
    for region in 0..REGIONS {
        targets.push(server.token(Some(("region", &format!("r{region}")))).await?);
    }
    let fleet = SiteFleet::join(&FleetPlan {
        sites: bench.scale(1_000, 100),
        targets: &targets,
        home: memory,
        disks: None,
        link,
        at_once: 256,
    })
    .await?;
    quiet(&server).await?;
    Ok((server, fleet))
}

async fn planned(bench: &Bench, table: &mut Table) -> anyhow::Result<()> {
    let (folder, memory) = (bench.scratch()?, bench.memory()?);
    let (mut server, fleet) = start_fleet(bench, [folder.path(), memory.path()], LinkSettings::default()).await?;
    let poller = ApiPoller::begin(&server);
    let stopping = Instant::now();
    server.terminate().await?;
    let stopped = stopping.elapsed();
    let listening = server.start().await?;
    let (last, all) = wait_reconnected(&fleet, listening).await?;
    let results = poller.end(listening).await?;
    let sites = fleet.progress.records().len();
    let how = format!(
        "SIGTERM, started again at once ({:.2} s to stop); from `quic listening` to the last site's welcome, {sites} \
         sites without their disk; half reconnected after {:.2} s",
        stopped.as_secs_f64(),
        percentile(&all, 0.5).as_secs_f64()
    );
    table.compare(
        "planned stop: all sites reconnected",
        Figure::new(last, "s"),
        Bound::AtMost(RECONNECT_SECONDS_MAX),
        &how,
    );
    results.add_rows(table, "planned stop");
    fleet.stop().await;
    Ok(())
}

async fn killed(bench: &Bench, table: &mut Table) -> anyhow::Result<()> {
    let (folder, memory) = (bench.scratch()?, bench.memory()?);
    let link = LinkSettings { keep_alive: SHORT_KEEP_ALIVE, ..LinkSettings::default() };
    let (mut server, fleet) = start_fleet(bench, [folder.path(), memory.path()], link).await?;
    let poller = ApiPoller::begin(&server);
    server.kill().await?;
    let listening = server.start().await?;
    let (last, all) = wait_reconnected(&fleet, listening).await?;
    let results = poller.end(listening).await?;
    let reasons = fleet.losses().into_iter().max_by_key(|(_, sites)| *sites).unwrap_or_default();
    let noticed = fleet.last(|record| record.lost_at).saturating_duration_since(listening);
    let how = format!(
        "kill -9, started again at once; keep-alive 1 s instead of 15; otherwise as above; half reconnected after {:.2} s; \
         the last loss or failed dial was noticed after {:.2} s; most frequent reason ({} sites): {}",
        percentile(&all, 0.5).as_secs_f64(),
        noticed.as_secs_f64(),
        reasons.1,
        reasons.0
    );
    table.compare(
        "killed: all sites reconnected, keep-alive 1 s",
        Figure::new(last, "s"),
        Bound::AtMost(RECONNECT_SECONDS_MAX),
        &how,
    );
    let longer = LinkSettings::default().keep_alive - SHORT_KEEP_ALIVE;
    let how = "computed: the line above and 14 s more until the last site sends its next packet";
    table.record("killed: worst with keep-alive 15 s", Figure::new(last + longer.as_secs_f64(), "s"), how);
    results.add_rows(table, "killed");
    fleet.stop().await;
    Ok(())
}

/// Waits until every site is welcomed again. Returns the last one's time in seconds, and all times.
async fn wait_reconnected(fleet: &SiteFleet, listening: Instant) -> anyhow::Result<(f64, Vec<Duration>)> {
    // A site that is welcomed before the server logs that it listens counts as back at time zero.
    fleet.progress.wait("reconnected", LIMIT, |_, record| 2 <= record.welcomes).await?;
    let records = fleet.progress.records();
    let all: Vec<_> = records.iter().map(|record| record.welcomed_at.saturating_duration_since(listening)).collect();
    Ok((percentile(&all, 1.0).as_secs_f64(), all))
}

/// A thread that polls the API continuously, on a connection that is redialed when it breaks.
struct ApiPoller {
    stop: watch::Sender<bool>,
    thread: std::thread::JoinHandle<anyhow::Result<Vec<ApiRequest>>>,
}

/// One API request.
#[derive(Clone, Copy, Debug)]
struct ApiRequest {
    at: Instant,
    took: Duration,
    is_answered: bool,
}

/// The results of the requests sent while the server was listening.
struct ApiResults {
    times: Vec<Duration>,
    failed: usize,
}

impl ApiPoller {
    fn begin(server: &Server) -> Self {
        let (stop, is_stopped) = watch::channel(false);
        let api = server.api();
        let thread = std::thread::spawn(move || crate::runtime()?.block_on(poll_api(api, is_stopped)));
        Self { stop, thread }
    }

    /// Stops it one second after the storm.
    async fn end(self, listening: Instant) -> anyhow::Result<ApiResults> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.stop.send_replace(true);
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await?;
        let requests = joined.map_err(|_| anyhow::anyhow!("the API poller failed"))??;
        let during: Vec<_> = requests.into_iter().filter(|requests| listening <= requests.at).collect();
        Ok(ApiResults {
            times: during.iter().filter(|requests| requests.is_answered).map(|requests| requests.took).collect(),
            failed: during.iter().filter(|requests| !requests.is_answered).count(),
        })
    }
}

impl ApiResults {
    fn add_rows(&self, table: &mut Table, storm: &str) {
        let line = format!("{storm}: API latency during it, p99");
        if self.times.is_empty() {
            table.record_missing(&line, "no request was answered");
            return;
        }
        let how = format!(
            "every 20 ms a list of a tenth by selector or one site, {} answers from `listening` to 1 s after the last \
             site, {} unanswered, TLS handshake of the new connection included; median {:.1} ms",
            self.times.len(),
            self.failed,
            millis(percentile(&self.times, 0.5))
        );
        let figure = Figure::new(millis(percentile(&self.times, 0.99)), "ms");
        table.compare(&line, figure, Bound::AtMost(API_P99_MS_MAX), &how);
    }
}

async fn poll_api(mut api: ApiClient, is_stopped: watch::Receiver<bool>) -> anyhow::Result<Vec<ApiRequest>> {
    let list = format!("{}?selector=region%3Dr3&limit=500", ListSites::SPEC.path);
    let show = ShowSite::SPEC.path_of(&site_name(7));
    let mut requests = Vec::new();
    let mut ticks = tokio::time::interval(REQUEST_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !*is_stopped.borrow() {
        ticks.tick().await;
        let at = Instant::now();
        let is_answered = match requests.len() % 2 {
            0 => api.get_raw(&list).await.and_then(|bytes| check_list(&bytes)),
            _ => api.get_raw(&show).await.map(drop),
        }
        .is_ok();
        requests.push(ApiRequest { at, took: at.elapsed(), is_answered });
    }
    Ok(requests)
}

/// Checks only the length: parsing half a megabyte of JSON would be counted as the bench's own time.
fn check_list(bytes: &[u8]) -> anyhow::Result<()> {
    anyhow::ensure!(LIST_BYTES_MIN < bytes.len(), "the selector matched no sites");
    Ok(())
}
