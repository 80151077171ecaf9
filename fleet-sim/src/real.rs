//! Real mode: one real server, real daemons, real datagrams, and what they take.
//!
//! The simulator proves decisions under a clock of its own; this mode measures what that clock cannot: processes,
//! sockets, disks and memory of the machine it runs on. It starts `linecamp-server`, and for every site a whole daemon:
//! the first [`SEPARATE_MAX`] as `linecampd` processes of their own, the others through the same library, a few to a
//! hosting process ([`host`]), each with its own directory, database, socket and machine. Between every site and the
//! server lies a wire that delays, loses and cuts (`wires`). Then it goes through the same steps in every run:
//!
//! 1. join: every daemon is started with a join token, until the server calls all of them connected;
//! 2. label: one label to all of them by selector, with the operator's own program, until all have converged;
//! 3. storm: the server is killed and started again; once more over bad wires;
//! 4. cut: half of the sites are out of reach for a while, and told something meanwhile;
//! 5. stop: every daemon is asked to end.
//!
//! What holds: nothing here says whether a figure is good; a run fails only if something does not start, does not
//! join, or does not come back within the limit beside its step. Every process is ended with the run, also by a signal
//! or a panic. Secrets go through files that only we may read, pipes and the environment, never through arguments or
//! logs. The wires' chance is seeded; when the kernel delivers what is not, so two runs are alike and not equal.

mod api;
mod fleet;
mod host;
mod measure;
mod memory;
mod outcome;
mod place;
mod process;
mod server;
mod wires;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::signal::unix::{Signal, SignalKind, signal};

pub use self::fleet::SEPARATE_MAX;
pub use self::host::host;
use self::measure::World;
pub use self::outcome::{Cut, Join, LabelRound, Memory, RealOutcome, Spread, Stop, Storm};
use self::place::Place;

/// How many sites a run may have: descriptors (two of ours and ten of a daemon's for each) and threads (three for
/// each) end about there on an ordinary machine. More is refused.
pub const SITES_MAX: u32 = 2_000;

/// How long a failed run looks whether a signal was the cause: the terminal tells our children at the same time.
const ASKED_WITHIN: Duration = Duration::from_millis(300);

/// What to measure.
#[derive(Clone, Debug)]
pub struct RealOptions {
    /// How many sites, 1 to [`SITES_MAX`].
    pub sites: u32,
    /// Short waits: no storm over bad wires, a shorter cut, the server back after a second.
    pub quick: bool,
    /// Decides what the wires lose and how they jitter.
    pub seed: u64,
    /// A directory for everything, which stays; it must be empty or not there. Without it a temporary one is used.
    pub keep: Option<PathBuf>,
}

/// Starts everything, measures, and ends everything. `say` is told what goes on, a line at a time.
///
/// The programs are those in the directory that `LINECAMP_BINARIES` names, or else beside our own executable, which
/// is also what hosts daemons: it has to answer `real-host --dir DIR` with [`host`].
///
/// # Errors
/// In words, if something did not start, join, come back or end in time, or if a signal asked us to stop.
pub fn run(options: &RealOptions, say: &dyn Fn(&str)) -> anyhow::Result<RealOutcome> {
    ensure!((1..=SITES_MAX).contains(&options.sites), "{} sites: it has to be 1 to {SITES_MAX}", options.sites);
    let began = Instant::now();
    place::raise_descriptors();
    process::kill_all_on_panic();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("failed to start the runtime")?;
    let place = Place::make(options.keep.as_deref())?;
    let mut outcome = runtime.block_on(measure_until_asked(options, &place, say))?;
    outcome.wall_seconds = began.elapsed().as_secs_f64();
    Ok(outcome)
}

async fn measure_until_asked(options: &RealOptions, place: &Place, say: &dyn Fn(&str)) -> anyhow::Result<RealOutcome> {
    let mut signals = Signals::listen()?;
    let measured = tokio::select! {
        biased;
        () = signals.asked() => Err(interrupted()),
        measured = measure(options, place, say) => measured,
    };
    if measured.is_err() && tokio::time::timeout(ASKED_WITHIN, signals.asked()).await.is_ok() {
        return Err(interrupted());
    }
    measured
}

async fn measure(options: &RealOptions, place: &Place, say: &dyn Fn(&str)) -> anyhow::Result<RealOutcome> {
    let mut world = World::start(options, place, say).await?;
    let join = world.join().await?;
    let label = world.label().await?;
    let memory = world.memory()?;
    let mut storms = vec![world.storm(&wires::Line::default()).await?];
    if !options.quick {
        storms.push(world.storm(&measure::BAD_LINE).await?);
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
        errors: place.log_errors(),
        wall_seconds: 0.0,
    })
}

fn interrupted() -> anyhow::Error {
    anyhow::anyhow!("stopped before everything was measured: a signal asked for it")
}

/// Ctrl-C and its relatives. From here on nothing of ours dies of them.
struct Signals([Signal; 3]);

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("failed to listen for signals");
        Ok(Self([listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?]))
    }

    async fn asked(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
