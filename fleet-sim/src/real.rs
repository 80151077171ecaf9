//! Real mode: runs one real server and real daemons over real datagrams, and measures the resources they use.
//!
//! The simulator checks decisions under its own clock; this mode measures what that clock cannot: processes, sockets,
//! disks and memory of the machine it runs on. It starts `linecamp-server`, and a complete daemon for every site: the
//! first [`SEPARATE_MAX`] as separate `linecampd` processes, the others through the same library, several to a hosting
//! process ([`host()`]), each with its own directory, database, socket and state machine. Between every site and the
//! server is a link that delays, loses and cuts (`links`). Every run has the same steps:
//!
//! 1. join: every daemon is started with a join token, until the server reports all of them connected;
//! 2. label: all sites get one label by selector, through the operator's CLI, until all have converged;
//! 3. storm: the server is killed and restarted; once more over bad links;
//! 4. cut: half of the sites are unreachable for a while, and the spec changes meanwhile;
//! 5. stop: every daemon gets a SIGTERM.
//!
//! Invariants: this mode sets no bounds; a run fails only if something does not start, does not join, or does
//! not reconnect within the limit of its step. Every process is killed when the run ends, even by a signal or a panic.
//! Secrets are passed through files that only the current user may read, pipes and the environment, never through
//! arguments or logs. The links' randomness is seeded, but the kernel's delivery times are not, so two runs are similar
//! and not identical.

mod api;
mod daemon_group;
mod fleet;
mod measurements;
mod memory;
mod process;
mod run_directory;
mod server;
mod steps;
mod udp_relay;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::signal::unix::{Signal, SignalKind, signal};

pub use self::daemon_group::host;
pub use self::fleet::SEPARATE_MAX;
pub use self::measurements::{Cut, Join, LabelRound, Memory, RealOutcome, Spread, Stop, Storm};
use self::run_directory::Environment;
use self::steps::World;

/// Maximum number of sites in a run: file descriptors (two of this process and ten of a daemon for each) and threads
/// (three for each) run out at about this number on an ordinary machine. Larger runs are rejected.
pub const SITES_MAX: u32 = 2_000;

/// How long a failed run waits to learn whether a signal was the cause: the terminal signals our children at the same
/// time.
const SIGNAL_WAIT: Duration = Duration::from_millis(300);

/// What to measure.
#[derive(Clone, Debug)]
pub struct RealOptions {
    /// Number of sites, 1 to [`SITES_MAX`].
    pub sites: u32,
    /// Short waits: no storm over bad links, a shorter cut, the server restarted after one second.
    pub quick: bool,
    /// Seeds the links' loss and jitter.
    pub seed: u64,
    /// A directory for all files, which is kept; it must be empty or not exist. If `None`, a temporary one is used.
    pub keep: Option<PathBuf>,
}

/// Starts everything, measures, and stops everything. `say` receives progress messages, one line at a time.
///
/// The programs are taken from the directory in `LINECAMP_BINARIES`, or else from the directory of the current
/// executable. That executable also hosts daemons: it must call [`host()`] for `real-host --dir DIR`.
///
/// # Errors
/// Describes what did not start, join, come back or exit in time, or that a signal stopped the run.
pub fn run(options: &RealOptions, say: &dyn Fn(&str)) -> anyhow::Result<RealOutcome> {
    ensure!((1..=SITES_MAX).contains(&options.sites), "{} sites: must be 1 to {SITES_MAX}", options.sites);
    let began = Instant::now();
    run_directory::raise_descriptors();
    process::kill_all_on_panic();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("failed to start the runtime")?;
    let environment = Environment::create(options.keep.as_deref())?;
    let mut outcome = runtime.block_on(measure_until_signal(options, &environment, say))?;
    outcome.wall_seconds = began.elapsed().as_secs_f64();
    Ok(outcome)
}

async fn measure_until_signal(
    options: &RealOptions,
    environment: &Environment,
    say: &dyn Fn(&str),
) -> anyhow::Result<RealOutcome> {
    let mut signals = Signals::listen()?;
    let measured = tokio::select! {
        biased;
        () = signals.received() => Err(interrupted()),
        measured = measure(options, environment, say) => measured,
    };
    if measured.is_err() && tokio::time::timeout(SIGNAL_WAIT, signals.received()).await.is_ok() {
        return Err(interrupted());
    }
    measured
}

async fn measure(options: &RealOptions, environment: &Environment, say: &dyn Fn(&str)) -> anyhow::Result<RealOutcome> {
    let mut world = World::start(options, environment, say).await?;
    let join = world.join().await?;
    let label = world.label().await?;
    let memory = world.memory()?;
    let mut storms = vec![world.storm(&udp_relay::LinkConditions::default()).await?];
    if !options.quick {
        storms.push(world.storm(&steps::BAD_LINK).await?);
    }
    let cut = world.cut().await?;
    let stop = world.stop().await?;
    Ok(RealOutcome {
        sites: options.sites,
        quick: options.quick,
        seed: options.seed,
        join,
        memory,
        label,
        storms,
        cut,
        stop,
        errors: environment.log_errors(),
        wall_seconds: 0.0,
    })
}

fn interrupted() -> anyhow::Error {
    anyhow::anyhow!("interrupted by a signal before all measurements were complete")
}

/// SIGINT, SIGTERM and SIGHUP. Once this exists, they no longer terminate the process.
struct Signals([Signal; 3]);

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("failed to listen for signals");
        Ok(Self([listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?]))
    }

    async fn received(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
