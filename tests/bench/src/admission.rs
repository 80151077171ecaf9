//! How fast sites are admitted (handshake, hello, welcome), compared with a bare accept loop.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use linecamp_model::limits::FRAME_BYTES_MAX;
use linecamp_model::{FromMember, FromParent, Hello, Incarnation, RunId, ServerAddress, Text};
use linecamp_proto::{VERSIONS, decode_from_parent, encode_from_member};
use linecamp_transport::{Dialer, LinkSettings, Platform, SystemClock, WallClock as _};
use tokio::task::JoinSet;

use crate::bench_site::MemberCredentials;
use crate::crypto::handshake_floor;
use crate::load_generator::{FleetPlan, SiteFleet};
use crate::machine::{self, Burst};
use crate::memory::quiet;
use crate::numbers::{count, median_of, micros};
use crate::paths::Bench;
use crate::results::{Bound, Figure, Table};
use crate::server_process::{Process, Server};

/// The budget: the product's rate divided by the bare one.
const RATIO_MIN: f64 = 0.8;
/// Handshakes in flight, as in the research.
const IN_FLIGHT: usize = 16;
/// Bursts per server; the medians are reported.
const BURSTS: usize = 5;
/// Sockets that the callers dial from.
const SOCKETS: usize = 4;
/// An admission that takes longer fails the benchmark.
const ADMISSION_TIMEOUT: Duration = Duration::from_secs(10);

/// The parts of a site needed for an admission.
struct TestSite {
    credentials: MemberCredentials,
    hello: Vec<u8>,
}

pub(crate) async fn measure(bench: &Bench, table: &mut Table) -> anyhow::Result<()> {
    let (folder, memory) = (bench.scratch()?, bench.memory()?);
    let sites = bench.scale(1_000, 50);
    let server = Server::start_new(bench, folder.path()).await?;
    let test_sites = test_sites(&server, memory.path(), sites).await?;
    let (bare, bare_address) = start_bare(bench, &server.data().join("ca"))?;

    let admissions = bench.scale(1_500, 50);
    let (mut rates, mut costs) = ([const { Vec::new() }; 2], [const { Vec::new() }; 2]);
    let mut scheduling = "";
    for burst in 0..=BURSTS {
        for (which, address, process) in [(0, bare_address, bare.id()), (1, server.address(), server.id()?)] {
            let (rate, cost, scheduled) = one_burst(&test_sites, address, process, admissions).await?;
            // The first burst of each is the warm-up.
            if 0 < burst {
                rates[which].push(rate);
                costs[which].push(cost);
            }
            scheduling = scheduled;
        }
    }
    let [bare_rate, rate] = rates.each_ref().map(|rates| median_of(rates));
    let [bare_cost, cost] = costs.each_ref().map(|costs| median_of(costs));
    let ratios: Vec<_> = rates[1].iter().zip(&rates[0]).map(|(ours, bare)| ours / bare).collect();
    let how = format!(
        "Hello to Welcome on new sessions against the same listener that answers one frame; {admissions} a burst, \
         {IN_FLIGHT} in flight, {BURSTS} bursts each, interleaved, median of ratios, {scheduling}"
    );
    table.compare(
        "admission rate over a bare accept loop",
        Figure::new(median_of(&ratios), ""),
        Bound::AtLeast(RATIO_MIN),
        &how,
    );
    table.record("admissions per second", Figure::new(rate, "/s"), &format!("bare: {bare_rate:.0}/s"));
    let floor = {
        let _scheduled = Burst::begin(&[]);
        micros(handshake_floor()?)
    };
    let how = format!(
        "run time of all server threads (schedstat); bare: {bare_cost:.0} µs; the cryptography alone (1 sign, 2 verify, \
         1 exchange, ring, measured now on core 1): {floor:.0} µs"
    );
    table.record("server CPU per admission", Figure::new(cost, "µs"), &how);
    Ok(())
}

/// Joins sites, stops them, and returns what they would send in their next hello.
async fn test_sites(server: &Server, home: &Path, sites: usize) -> anyhow::Result<Vec<Arc<TestSite>>> {
    let targets = [server.token(None).await?];
    let fleet = SiteFleet::join(&FleetPlan {
        sites,
        targets: &targets,
        home,
        disks: None,
        link: LinkSettings::default(),
        at_once: 256,
    })
    .await?;
    quiet(server).await?;
    let records = fleet.progress.records();
    fleet.stop().await;
    let mut test_sites = Vec::new();
    for (site, record) in records.iter().enumerate() {
        let mut hello = Hello {
            versions: VERSIONS,
            run: RunId::from_bytes((site as u64).to_le_bytes()),
            daemon_version: Text::lossy(env!("CARGO_PKG_VERSION")),
            wall: SystemClock.now(),
            spec_incarnation: Incarnation::default(),
            spec_held: record.durable,
            status_incarnation: Incarnation::default(),
            target: None,
            facts: Default::default(),
            gaps: Vec::new(),
        };
        let credentials = MemberCredentials::of_member(home, site)?;
        // The first welcome reports the spec incarnation; with it, the server has nothing to send after later welcomes.
        hello.spec_incarnation = first_welcome(&credentials, server.address(), &hello).await?;
        let hello = encode_from_member(&FromMember::Hello(hello));
        test_sites.push(Arc::new(TestSite { credentials, hello }));
    }
    Ok(test_sites)
}

async fn first_welcome(
    credentials: &MemberCredentials,
    server: SocketAddr,
    hello: &Hello,
) -> anyhow::Result<Incarnation> {
    let dialer = Dialer::bind(LinkSettings::default(), Platform::default())?;
    let test_site =
        TestSite { credentials: credentials.clone(), hello: encode_from_member(&FromMember::Hello(hello.clone())) };
    match decode_from_parent(&request_admission(&test_site, &dialer, server).await?)? {
        FromParent::Welcome(welcome) => Ok(welcome.spec_incarnation),
        other => bail!("a hello was answered with {other:?}"),
    }
}

async fn request_admission(test_site: &TestSite, dialer: &Dialer, server: SocketAddr) -> anyhow::Result<Vec<u8>> {
    let server = ServerAddress::parse(&server.to_string())?;
    let session = test_site.credentials.dial(dialer, &server).await?;
    let (mut sender, mut receiver) = session.split();
    sender.send(&test_site.hello).await?;
    let answer = receiver.recv(FRAME_BYTES_MAX).await?;
    sender.close(0, b"");
    Ok(answer)
}

/// Returns greetings per second, the server's CPU time for each in µs, and how it was scheduled.
async fn one_burst(
    test_sites: &[Arc<TestSite>],
    server: SocketAddr,
    process: u32,
    admissions: usize,
) -> anyhow::Result<(f64, f64, &'static str)> {
    let dialers = (0..SOCKETS)
        .map(|_| Dialer::bind(LinkSettings::default(), Platform::default()).map(Arc::new))
        .collect::<Result<Vec<_>, _>>()?;
    let scheduled = Burst::begin(&[process]);
    let (began, ran) = (Instant::now(), machine::cpu_time(process)?);
    let mut in_flight = JoinSet::new();
    for number in 0..admissions {
        if IN_FLIGHT <= in_flight.len() {
            in_flight.join_next().await.context("some are in flight")???;
        }
        let (test_site, dialer) =
            (Arc::clone(&test_sites[number % test_sites.len()]), Arc::clone(&dialers[number % SOCKETS]));
        in_flight.spawn(async move {
            let admitted =
                tokio::time::timeout(ADMISSION_TIMEOUT, request_admission(&test_site, &dialer, server)).await;
            admitted.context("an admission timed out")?.map(drop)
        });
    }
    while let Some(admitted) = in_flight.join_next().await {
        admitted??;
    }
    let (took, cost) = (began.elapsed(), machine::cpu_time(process)?.saturating_sub(ran));
    let scheduling = scheduled.describe();
    drop(scheduled);
    for dialer in dialers {
        drop(tokio::time::timeout(Duration::from_secs(2), dialer.wait_idle()).await);
    }
    let admissions = count(admissions as u64);
    Ok((admissions / took.as_secs_f64(), micros(cost) / admissions, scheduling))
}

fn start_bare(bench: &Bench, ca: &Path) -> anyhow::Result<(Process, SocketAddr)> {
    let own = std::env::current_exe()?;
    let mut command = machine::on_server_core(own, bench.online);
    command.args(["serve-bare", "--ca"]).arg(ca);
    let mut process = Process::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
    let stdout = process.child().stdout.take().context("a child's stdout is a pipe")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let address = line.trim().parse().context("the bare server did not start")?;
    Ok((process, address))
}
