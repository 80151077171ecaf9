//! QUIC mode: the same world over the production transport.
//!
//! Each site has the production link driver with its own endpoint, the server has the production listener and sessions,
//! and keys and certificates are real. Packets go through an in-memory [`network`], and tokio's clock is paused: it
//! jumps to the next due time when all tasks are idle. This mode covers what the model leaves out (handshakes, idle
//! timeouts, certificates, migration, resets), and one seed gives the same bytes on the wire.
//!
//! `ServerSlow` has no effect here: the clock is tokio's, and computation takes no time on it.

mod authorities;
mod links;
mod network;

#[cfg(test)]
mod tests;

use std::future::Future;

use tokio::time::{Instant, sleep_until};

use self::links::Links;
use crate::plan::Plan;
use crate::recipe::Mode;
use crate::run_progress::{Execution, Observer, finish, is_stopped};
use crate::scenario::Scenario;
use crate::trace::Trace;
use crate::world::World;

/// Runs a plan.
pub(crate) fn run(scenario: &Scenario, seed: u64, plan: Plan, trace: Trace, observer: &mut dyn Observer) -> Execution {
    in_paused_time(async move {
        let began = Instant::now();
        let links = Links::new(seed, began);
        let mut world = World::new(scenario.clone(), seed, plan, links, trace);
        'run: loop {
            while world.step(began.elapsed()) {
                if world.is_over() || is_stopped(&world, observer) {
                    break 'run;
                }
            }
            let Some(next) = world.next_at() else { break };
            // Arrivals come first, so that they are never older than the world's own events.
            tokio::select! {
                biased;
                () = world.transport.arrival() => {}
                () = sleep_until(began + next) => {}
            }
        }
        finish(world, scenario, seed, Mode::Quic)
    })
}

/// Runs `work` on a single-threaded runtime without I/O, whose clock advances only when all tasks are idle.
fn in_paused_time<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without I/O needs no system resources").block_on(work)
}
