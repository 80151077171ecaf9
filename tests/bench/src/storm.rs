//! All sites reconnect at once: the server is stopped or killed, and restarted.

use std::path::Path;
use std::time::{Duration, Instant};

use linecamp_proto::api::path;
use linecamp_transport::LinkSettings;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::api_client::ApiClient;
use crate::fleet_client::{FleetPlan, SiteFleet, site_name};
use crate::memory::quiet;
use crate::numbers::{millis, percentile};
use crate::place::Bench;
use crate::serving::Server;
use crate::table::{Bound, Figure, Table};

/// The budgets.
const BACK_SECONDS_MAX: f64 = 5.0;
const API_P99_MS_MAX: f64 = 250.0;

/// Interval between two API requests.
const QUESTION_PERIOD: Duration = Duration::from_millis(20);

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
async fn world(bench: &Bench, [folder, memory]: [&Path; 2], link: LinkSettings) -> anyhow::Result<(Server, SiteFleet)> {
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
    let (mut server, fleet) = world(bench, [folder.path(), memory.path()], LinkSettings::default()).await?;
    let asking = Asking::begin(&server);
    let stopping = Instant::now();
    server.terminate().await?;
    let stopped = stopping.elapsed();
    let listening = server.start().await?;
    let (last, all) = back(&fleet, listening).await?;
    let answers = asking.end(listening).await?;
    let sites = fleet.board.records().len();
    let how = format!(
        "SIGTERM, started again at once ({:.2} s to stop); from `quic listening` to the last site's welcome, {sites} \
         sites without their disk; half were back after {:.2} s",
        stopped.as_secs_f64(),
        percentile(&all, 0.5).as_secs_f64()
    );
    table.judge("planned stop: all sites back", Figure::new(last, "s"), Bound::AtMost(BACK_SECONDS_MAX), &how);
    answers.tell(table, "planned stop");
    fleet.stop().await;
    Ok(())
}

async fn killed(bench: &Bench, table: &mut Table) -> anyhow::Result<()> {
    let (folder, memory) = (bench.scratch()?, bench.memory()?);
    let link = LinkSettings { keep_alive: SHORT_KEEP_ALIVE, ..LinkSettings::default() };
    let (mut server, fleet) = world(bench, [folder.path(), memory.path()], link).await?;
    let asking = Asking::begin(&server);
    server.kill().await?;
    let listening = server.start().await?;
    let (last, all) = back(&fleet, listening).await?;
    let answers = asking.end(listening).await?;
    let reasons = fleet.losses().into_iter().max_by_key(|(_, sites)| *sites).unwrap_or_default();
    let noticed = fleet.last(|record| record.lost_at).saturating_duration_since(listening);
    let how = format!(
        "kill -9, started again at once; keep-alive 1 s instead of 15; the rest as above; half were back after {:.2} s; \
         the last loss or failed dial was noticed after {:.2} s; {} sites say of theirs: {}",
        percentile(&all, 0.5).as_secs_f64(),
        noticed.as_secs_f64(),
        reasons.1,
        reasons.0
    );
    table.judge(
        "killed: all sites back, keep-alive 1 s",
        Figure::new(last, "s"),
        Bound::AtMost(BACK_SECONDS_MAX),
        &how,
    );
    let longer = LinkSettings::default().keep_alive - SHORT_KEEP_ALIVE;
    let how = "computed: the line above and 14 s more until the last site sends its next packet";
    table.state("killed: worst with keep-alive 15 s", Figure::new(last + longer.as_secs_f64(), "s"), how);
    answers.tell(table, "killed");
    fleet.stop().await;
    Ok(())
}

/// Waits until every site is welcomed again. Returns the last one's time in seconds, and all times.
async fn back(fleet: &SiteFleet, listening: Instant) -> anyhow::Result<(f64, Vec<Duration>)> {
    // A site that is welcomed before the server logs that it listens counts as back at time zero.
    fleet.board.wait("back", LIMIT, |_, record| 2 <= record.welcomes).await?;
    let records = fleet.board.records();
    let all: Vec<_> = records.iter().map(|record| record.welcomed_at.saturating_duration_since(listening)).collect();
    Ok((percentile(&all, 1.0).as_secs_f64(), all))
}

/// A thread that polls the API continuously, on a connection that is redialed when it breaks.
struct Asking {
    over: watch::Sender<bool>,
    thread: std::thread::JoinHandle<anyhow::Result<Vec<Asked>>>,
}

/// One API request.
#[derive(Clone, Copy, Debug)]
struct Asked {
    at: Instant,
    took: Duration,
    is_answered: bool,
}

/// The results of the requests sent while the server was listening.
struct Answers {
    times: Vec<Duration>,
    failed: usize,
}

impl Asking {
    fn begin(server: &Server) -> Self {
        let (over, is_over) = watch::channel(false);
        let api = server.api();
        let thread = std::thread::spawn(move || crate::runtime()?.block_on(ask(api, is_over)));
        Self { over, thread }
    }

    /// Stops it one second after the storm.
    async fn end(self, listening: Instant) -> anyhow::Result<Answers> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.over.send_replace(true);
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await?;
        let asked = joined.map_err(|_| anyhow::anyhow!("the asking thread failed"))??;
        let during: Vec<_> = asked.into_iter().filter(|asked| listening <= asked.at).collect();
        Ok(Answers {
            times: during.iter().filter(|asked| asked.is_answered).map(|asked| asked.took).collect(),
            failed: during.iter().filter(|asked| !asked.is_answered).count(),
        })
    }
}

impl Answers {
    fn tell(&self, table: &mut Table, storm: &str) {
        let line = format!("{storm}: API meanwhile, p99");
        if self.times.is_empty() {
            table.miss(&line, "nobody was answered");
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
        table.judge(&line, figure, Bound::AtMost(API_P99_MS_MAX), &how);
    }
}

async fn ask(mut api: ApiClient, is_over: watch::Receiver<bool>) -> anyhow::Result<Vec<Asked>> {
    let list = format!("{}?selector=region%3Dr3", path::SITES);
    let show = path::at(path::SITE, &site_name(7));
    let mut asked = Vec::new();
    let mut ticks = tokio::time::interval(QUESTION_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !*is_over.borrow() {
        ticks.tick().await;
        let at = Instant::now();
        let is_answered = match asked.len() % 2 {
            0 => api.get_raw(&list).await.and_then(|bytes| check_list(&bytes)),
            _ => api.get_raw(&show).await.map(drop),
        }
        .is_ok();
        asked.push(Asked { at, took: at.elapsed(), is_answered });
    }
    Ok(asked)
}

/// Checks only the length: parsing half a megabyte of JSON would be counted as the bench's own time.
fn check_list(bytes: &[u8]) -> anyhow::Result<()> {
    anyhow::ensure!(LIST_BYTES_MIN < bytes.len(), "the selector found nobody");
    Ok(())
}
