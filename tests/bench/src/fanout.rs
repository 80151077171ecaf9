//! One label for all sites: from the request to the last durable acknowledgement, compared with what brokers need for
//! the same.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use linecamp_model::JoinTarget;
use linecamp_proto::api::operation::{Operation as _, PatchSiteLabels};
use linecamp_proto::api::{LabelChange, Site};
use linecamp_transport::LinkSettings;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::brokers::Pushed;
use crate::brokers::mqtt::Mosquitto;
use crate::brokers::nats::Nats;
use crate::load_generator::{FleetPlan, SiteFleet, site_name};
use crate::machine::{self, Burst};
use crate::memory::quiet;
use crate::numbers::{median, median_of, millis, percentile};
use crate::paths::Bench;
use crate::results::{Bound, Figure, Table};
use crate::server_process::{Process, Server};

/// The budget: our time divided by theirs.
const RATIO_MAX: f64 = 1.0;
/// Pushes per system; the medians are reported. One more before them is the warm-up.
const PUSHES: usize = 5;
/// A push that takes longer has lost an answer.
const PUSH_LIMIT: Duration = Duration::from_secs(30);
/// Connections to the API.
const CONNECTIONS: usize = 16;
/// How to install the peers.
const INSTALL: &str = "not installed: apt-get install mosquitto nats-server";

pub(crate) async fn measure(bench: &Bench, table: &mut Table) -> anyhow::Result<()> {
    let sites = bench.scale(1_000, 50);
    compare_with_brokers(bench, table, sites).await?;
    through_api(bench, table, sites).await?;
    with_disks(bench, table, sites).await
}

async fn mosquitto(bench: &Bench, folder: &Path, sites: usize) -> anyhow::Result<Mosquitto> {
    let program = machine::installed("mosquitto").context(INSTALL)?;
    Mosquitto::start(&program, folder, bench.online, sites).await
}

async fn nats(bench: &Bench, folder: &Path, sites: usize) -> anyhow::Result<Nats> {
    let program = machine::installed("nats-server").context(INSTALL)?;
    Nats::start(&program, folder, bench.online, sites).await
}

async fn compare_with_brokers(bench: &Bench, table: &mut Table, sites: usize) -> anyhow::Result<()> {
    let (folder, memory) = (bench.scratch()?, bench.memory()?);
    let mut parts = ServerParts::start(bench, folder.path())?;
    let fleet = join(&parts.target, memory.path(), None, sites).await?;
    let (mqtt_folder, nats_folder) = (bench.scratch()?, bench.scratch()?);
    let mut mosquitto = mosquitto(bench, mqtt_folder.path(), sites).await;
    let mut nats = nats(bench, nats_folder.path(), sites).await;
    // First status reports arrive shortly after the links are up.
    tokio::time::sleep(Duration::from_secs(3)).await;

    let (mut ours, mut theirs) = (Vec::new(), [const { Vec::new() }; 2]);
    let lost = machine::datagrams_lost();
    let (mut scheduling, mut deciding, mut ran) = ("", Vec::new(), [const { Vec::new() }; 2]);
    for push in 0..=PUSHES {
        let scheduled = Burst::begin(&[parts.process.id()]);
        let ends = [parts.process.id(), std::process::id()];
        let before = ends.map(machine::cpu_time);
        let pushed = parts.push(push).await?;
        for ((all, end), before) in ran.iter_mut().zip(ends).zip(before) {
            all.push(millis(machine::cpu_time(end)?.saturating_sub(before?)));
        }
        deciding.push(parts.ordered);
        scheduling = scheduled.describe();
        drop(scheduled);
        let mut beside = [None, None];
        if let Ok(mosquitto) = &mut mosquitto {
            let _scheduled = Burst::begin(&[mosquitto.id()]);
            beside[0] = Some(timeout(PUSH_LIMIT, mosquitto.push()).await.context("a response was lost")??);
        }
        if let Ok(nats) = &mut nats {
            let _scheduled = Burst::begin(&[nats.id()]);
            beside[1] = Some(timeout(PUSH_LIMIT, nats.push()).await.context("a response was lost")??);
        }
        if 0 < push {
            ours.push(pushed);
            theirs.iter_mut().zip(beside).for_each(|(all, one)| all.extend(one));
        }
    }
    let lost = machine::datagrams_lost().saturating_sub(lost);
    let how = format!(
        "1 label on {sites} sites in one turn of the server's machine, store and listener (child process without \
         HTTP), to the last SpecAck at the server; real commit there, sites without their disk; median of {PUSHES}, \
         {scheduling}; half after {:.1} ms, the decision took {:.1} ms; {:.0} ms of the server's \
         CPU, {:.0} ms of the sites'; {lost} datagrams lost to full socket buffers in all pushes",
        millis(median(&ours.iter().map(|pushed| pushed.middle).collect::<Vec<_>>())),
        millis(median(&deciding)),
        median_of(&ran[0]),
        median_of(&ran[1]),
    );
    table.record("last durable ack", Figure::new(last_ms(&ours), "ms"), &how);
    fleet.stop().await;
    match mosquitto {
        Ok(mosquitto) => {
            add_peer_row(table, "mosquitto", &ours, &theirs[0]);
            mosquitto.stop().await?;
        }
        Err(error) => table.record_missing("last durable ack over mosquitto", &format!("{error:#}")),
    }
    match nats {
        Ok(nats) => {
            add_peer_row(table, "nats-server", &ours, &theirs[1]);
            nats.stop().await
        }
        Err(error) => {
            table.record_missing("last durable ack over nats-server", &format!("{error:#}"));
            Ok(())
        }
    }
}

fn add_peer_row(table: &mut Table, name: &str, ours: &[Pushed], theirs: &[Pushed]) {
    let line = format!("last durable ack over {name}");
    let millis_of = |pushed: &Pushed| millis(pushed.last);
    let ratios: Vec<_> = ours.iter().zip(theirs).map(|(ours, theirs)| millis_of(ours) / millis_of(theirs)).collect();
    let delivery = match name {
        "mosquitto" => "QoS 1 and a QoS 0 publish back",
        _ => "publish with reply subject, async-nats clients",
    };
    let how = format!(
        "{name}: {:.1} ms to the last answer at the publisher (half {:.1} ms); TLS with client certificates, 300 bytes, \
         {delivery}, nothing durable; interleaved, median of ratios",
        last_ms(theirs),
        millis(median(&theirs.iter().map(|pushed| pushed.middle).collect::<Vec<_>>()))
    );
    table.compare(&line, Figure::new(median_of(&ratios), ""), Bound::AtMost(RATIO_MAX), &how);
}

/// The API has no request to label a fleet, so this sends one request per site.
async fn through_api(bench: &Bench, table: &mut Table, sites: usize) -> anyhow::Result<()> {
    let (folder, memory) = (bench.scratch()?, bench.memory()?);
    let server = Server::start_new(bench, folder.path()).await?;
    let fleet = join(&server.token(None).await?, memory.path(), None, sites).await?;
    quiet(&server).await?;
    let mut last = Vec::new();
    for push in 0..=PUSHES {
        let scheduled = Burst::begin(&[server.id()?]);
        let took = label_all(&server, &fleet, sites, push).await?;
        drop(scheduled);
        if 0 < push {
            last.push(took);
        }
    }
    let how = format!(
        "linecamp-server; the API labels site by site: {sites} POSTs over {CONNECTIONS} kept connections, from \
         the first request to the last site's ack (at the site), sites without their disk; median of {PUSHES}"
    );
    table.record("the same through the API", Figure::new(millis(median(&last)), "ms"), &how);
    fleet.stop().await;
    Ok(())
}

async fn label_all(server: &Server, fleet: &SiteFleet, sites: usize, push: usize) -> anyhow::Result<Duration> {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut api = server.api();
        api.connect().await?;
        clients.push(api);
    }
    let began = Instant::now();
    let mut requests = JoinSet::new();
    for (first, mut api) in clients.into_iter().enumerate() {
        requests.spawn(async move {
            let mut generations = Vec::new();
            for site in (first..sites).step_by(CONNECTIONS) {
                let change = LabelChange {
                    set: BTreeMap::from([("bench.push".to_owned(), format!("v{push}"))]),
                    remove: Vec::new(),
                };
                let answer: Site = api.post(&PatchSiteLabels::SPEC.path_of(&site_name(site)), &change).await?;
                generations.push((site, answer.spec_generation));
            }
            anyhow::Ok(generations)
        });
    }
    let mut wanted = vec![0; sites];
    while let Some(response) = requests.join_next().await {
        for (site, generation) in response?? {
            wanted[site] = generation;
        }
    }
    let limit = Duration::from_secs(20);
    fleet.progress.wait("labeled", limit, |site, record| wanted[site] <= record.acked.0).await?;
    Ok(fleet.last(|record| record.acked_at).saturating_duration_since(began))
}

async fn with_disks(bench: &Bench, table: &mut Table, sites: usize) -> anyhow::Result<()> {
    let (folder, memory, disks) = (bench.scratch()?, bench.memory()?, bench.scratch()?);
    let mut parts = ServerParts::start(bench, folder.path())?;
    let fleet = join(&parts.target, memory.path(), Some(disks.path()), sites).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut last = Vec::new();
    for push in 0..=PUSHES {
        let pushed = parts.push(push).await?;
        if 0 < push {
            last.push(pushed.last);
        }
    }
    let how = format!(
        "as `last durable ack`, with {sites} real site databases (WAL, FULL) on this machine's one disk and {sites} \
         writer threads on core 1; median of {PUSHES}, slowest {:.0} ms, no SCHED_FIFO",
        millis(percentile(&last, 1.0))
    );
    table.record("the same with the sites' disks", Figure::new(millis(median(&last)), "ms"), &how);
    fleet.stop().await;
    Ok(())
}

fn last_ms(pushed: &[Pushed]) -> f64 {
    millis(median(&pushed.iter().map(|pushed| pushed.last).collect::<Vec<_>>()))
}

async fn join(target: &JoinTarget, home: &Path, disks: Option<&Path>, sites: usize) -> anyhow::Result<SiteFleet> {
    SiteFleet::join(&FleetPlan {
        sites,
        targets: std::slice::from_ref(target),
        home,
        disks,
        link: LinkSettings::default(),
        at_once: 256,
    })
    .await
}

/// The server's parts without HTTP, in a child process: see `serve_fleet`.
#[derive(Debug)]
pub(crate) struct ServerParts {
    pub(crate) process: Process,
    pub(crate) target: JoinTarget,
    /// How long the state machine took to process the last push.
    ordered: Duration,
    commands: ChildStdin,
    answers: Option<BufReader<ChildStdout>>,
}

/// Counters of the store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoreCounters {
    pub(crate) commits: u64,
    pub(crate) writes: u64,
    pub(crate) changes: u64,
}

impl ServerParts {
    /// Starts the child process in `folder`.
    pub(crate) fn start(bench: &Bench, folder: &Path) -> anyhow::Result<Self> {
        let mut command = machine::on_server_core(std::env::current_exe()?, bench.online);
        command.args(["serve-fleet", "--data"]).arg(folder);
        let mut process = Process::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let commands = process.child().stdin.take().context("a child's stdin is a pipe")?;
        let stdout = process.child().stdout.take().context("a child's stdout is a pipe")?;
        let (mut answers, mut line) = (BufReader::new(stdout), String::new());
        answers.read_line(&mut line)?;
        let target = line.trim().strip_prefix("ready ").context("the server's parts did not start")?;
        let target = JoinTarget::parse(target)?;
        Ok(Self { process, target, ordered: Duration::ZERO, commands, answers: Some(answers) })
    }

    /// Sets one label on every linked site.
    pub(crate) async fn push(&mut self, number: usize) -> anyhow::Result<Pushed> {
        let [_, ordered, middle, last] = self.execute(&format!("push v{number}")).await?.map(Duration::from_micros);
        self.ordered = ordered;
        Ok(Pushed { middle, last })
    }

    /// Returns the store's counters.
    pub(crate) async fn counters(&mut self) -> anyhow::Result<StoreCounters> {
        let [_, commits, writes, changes] = self.execute("counters").await?;
        Ok(StoreCounters { commits, writes, changes })
    }

    /// Sends a command and returns its response: a keyword, which is parsed as 0, and three numbers.
    async fn execute(&mut self, command: &str) -> anyhow::Result<[u64; 4]> {
        writeln!(self.commands, "{command}")?;
        let mut answers = self.answers.take().context("one command at a time")?;
        // On another thread, because the sites need this one to answer.
        let reading = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            answers.read_line(&mut line).map(|_| (answers, line))
        });
        let (answers, line) = timeout(PUSH_LIMIT, reading).await.context("the server's parts did not answer")???;
        self.answers = Some(answers);
        let fields: Vec<_> = line.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
        fields.try_into().map_err(|_| anyhow::anyhow!("unexpected output of the server's parts: {line:?}"))
    }
}
