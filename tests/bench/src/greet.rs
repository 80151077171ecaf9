//! How fast sites are admitted (handshake, hello, welcome), compared with a bare accept loop.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use linecamp_model::limits::FRAME_BYTES_MAX;
use linecamp_model::{FromServer, FromSite, Hello, Incarnation, RunId, ServerAddress, Text};
use linecamp_proto::{VERSIONS, decode_from_server, encode_from_site};
use linecamp_transport::{Dialer, LinkSettings, Platform, SystemClock, WallClock as _};
use tokio::task::JoinSet;

use crate::crypto::handshake_floor;
use crate::fleet_client::{FleetPlan, SiteFleet};
use crate::machine::{self, Burst};
use crate::member::MemberCredentials;
use crate::memory::quiet;
use crate::numbers::{count, median_of, micros};
use crate::place::Bench;
use crate::serving::{Process, Server};
use crate::table::{Bound, Figure, Table};

/// The budget: the product's rate divided by the bare one.
const RATIO_MIN: f64 = 0.8;
/// Handshakes in flight, as in the research.
const IN_FLIGHT: usize = 16;
/// Bursts per server; the medians are reported.
const BURSTS: usize = 5;
/// Sockets that the callers dial from.
const SOCKETS: usize = 4;
/// A greeting that takes longer is an error of the bench.
const GREETING_LIMIT: Duration = Duration::from_secs(10);

/// The parts of a site that a greeting needs.
struct Caller {
    papers: MemberCredentials,
    hello: Vec<u8>,
}

pub(crate) async fn measure(bench: &Bench, table: &mut Table) -> anyhow::Result<()> {
    let (folder, memory) = (bench.scratch()?, bench.memory()?);
    let sites = bench.scale(1_000, 50);
    let server = Server::start_new(bench, folder.path()).await?;
    let callers = callers(&server, memory.path(), sites).await?;
    let (bare, bare_address) = start_bare(bench, &server.data().join("ca"))?;

    let calls = bench.scale(1_500, 50);
    let (mut rates, mut costs) = ([const { Vec::new() }; 2], [const { Vec::new() }; 2]);
    let mut words = "";
    for burst in 0..=BURSTS {
        for (which, address, process) in [(0, bare_address, bare.id()), (1, server.address(), server.id()?)] {
            let (rate, cost, scheduled) = one_burst(&callers, address, process, calls).await?;
            // The first burst of each is the warm-up.
            if 0 < burst {
                rates[which].push(rate);
                costs[which].push(cost);
            }
            words = scheduled;
        }
    }
    let [bare_rate, rate] = rates.each_ref().map(|rates| median_of(rates));
    let [bare_cost, cost] = costs.each_ref().map(|costs| median_of(costs));
    let ratios: Vec<_> = rates[1].iter().zip(&rates[0]).map(|(ours, bare)| ours / bare).collect();
    let how = format!(
        "Hello to Welcome on new sessions against the same listener that answers one frame; {calls} a burst, \
         {IN_FLIGHT} in flight, {BURSTS} bursts each, interleaved, median of ratios, {words}"
    );
    table.judge(
        "greeting rate over a bare accept loop",
        Figure::new(median_of(&ratios), ""),
        Bound::AtLeast(RATIO_MIN),
        &how,
    );
    table.state("greetings a second", Figure::new(rate, "/s"), &format!("bare: {bare_rate:.0}/s"));
    let floor = {
        let _scheduled = Burst::begin(&[]);
        micros(handshake_floor()?)
    };
    let how = format!(
        "run time of all server threads (schedstat); bare: {bare_cost:.0} µs; the cryptography alone (1 sign, 2 verify, \
         1 exchange, ring, measured now on core 1): {floor:.0} µs"
    );
    table.state("server CPU a greeting", Figure::new(cost, "µs"), &how);
    Ok(())
}

/// Joins sites, stops them, and returns what they would send in their next hello.
async fn callers(server: &Server, home: &Path, sites: usize) -> anyhow::Result<Vec<Arc<Caller>>> {
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
    let records = fleet.board.records();
    fleet.stop().await;
    let mut callers = Vec::new();
    for (site, record) in records.iter().enumerate() {
        let mut hello = Hello {
            versions: VERSIONS,
            run: RunId::from_bytes((site as u64).to_le_bytes()),
            daemon_version: Text::lossy(env!("CARGO_PKG_VERSION")),
            wall: SystemClock.now(),
            spec_incarnation: Incarnation::default(),
            spec_held: record.durable,
            status_incarnation: Incarnation::default(),
            facts: Default::default(),
        };
        let papers = MemberCredentials::of_member(home, site)?;
        // The first welcome reports the spec incarnation; with it, the server has nothing to send after later welcomes.
        hello.spec_incarnation = first_welcome(&papers, server.address(), &hello).await?;
        let hello = encode_from_site(&FromSite::Hello(hello));
        callers.push(Arc::new(Caller { papers, hello }));
    }
    Ok(callers)
}

async fn first_welcome(papers: &MemberCredentials, server: SocketAddr, hello: &Hello) -> anyhow::Result<Incarnation> {
    let dialer = Dialer::bind(LinkSettings::default(), Platform::default())?;
    let caller = Caller { papers: papers.clone(), hello: encode_from_site(&FromSite::Hello(hello.clone())) };
    match decode_from_server(&greet(&caller, &dialer, server).await?)? {
        FromServer::Welcome(welcome) => Ok(welcome.spec_incarnation),
        other => bail!("a greeting was answered with {other:?}"),
    }
}

async fn greet(caller: &Caller, dialer: &Dialer, server: SocketAddr) -> anyhow::Result<Vec<u8>> {
    let server = ServerAddress::parse(&server.to_string())?;
    let session = caller.papers.dial(dialer, &server).await?;
    let (mut sender, mut receiver) = session.split();
    sender.send(&caller.hello).await?;
    let answer = receiver.recv(FRAME_BYTES_MAX).await?;
    sender.close(0, b"");
    Ok(answer)
}

/// Returns greetings per second, the server's CPU time for each in µs, and how it was scheduled.
async fn one_burst(
    callers: &[Arc<Caller>],
    server: SocketAddr,
    process: u32,
    calls: usize,
) -> anyhow::Result<(f64, f64, &'static str)> {
    let dialers = (0..SOCKETS)
        .map(|_| Dialer::bind(LinkSettings::default(), Platform::default()).map(Arc::new))
        .collect::<Result<Vec<_>, _>>()?;
    let scheduled = Burst::begin(&[process]);
    let (began, ran) = (Instant::now(), machine::cpu_time(process)?);
    let mut flying = JoinSet::new();
    for call in 0..calls {
        if IN_FLIGHT <= flying.len() {
            flying.join_next().await.context("some are flying")???;
        }
        let (caller, dialer) = (Arc::clone(&callers[call % callers.len()]), Arc::clone(&dialers[call % SOCKETS]));
        flying.spawn(async move {
            let greeted = tokio::time::timeout(GREETING_LIMIT, greet(&caller, &dialer, server)).await;
            greeted.context("a greeting was not answered")?.map(drop)
        });
    }
    while let Some(greeted) = flying.join_next().await {
        greeted??;
    }
    let (took, cost) = (began.elapsed(), machine::cpu_time(process)?.saturating_sub(ran));
    let words = scheduled.words();
    drop(scheduled);
    for dialer in dialers {
        drop(tokio::time::timeout(Duration::from_secs(2), dialer.wait_idle()).await);
    }
    let calls = count(calls as u64);
    Ok((calls / took.as_secs_f64(), micros(cost) / calls, words))
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
