//! What an instance has: limits, a coarse clock, a stderr buffer, its requests to the host, and its lines in the
//! daemon's log.
//!
//! Of WASI it gets only what language standard libraries require: streams connected to nothing, an empty environment
//! and argument list, time in steps of one tick, and randomness. No file or socket interface is even linked.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasmtime::component::{Linker, ResourceTable};
use wasmtime::{ResourceLimiter, Store, UpdateDeadline};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::p2::bindings::{cli, random};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView};

use crate::engine::WasmEngine;
use crate::host_calls::{CallGrant, HostCalls};
use crate::limits::{Limits, RANDOM_BYTES_MAX, STDERR_BYTES_MAX, TICK};
use crate::log_rate::LogRates;
use crate::plugin_log::PluginLog;
use crate::redact::Redactor;

/// The WASI interfaces that are linked, without their versions.
pub(crate) const LINKED: [&str; 16] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/random",
];

/// Further WASI interfaces that are linked, without their versions: they only return random numbers.
pub(crate) const LINKED_RANDOM: [&str; 2] = ["wasi:random/insecure", "wasi:random/insecure-seed"];

/// Links [`LINKED`] and [`LINKED_RANDOM`].
pub(crate) fn link(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_proxy_interfaces_async(linker)?;
    cli::environment::add_to_linker::<_, WasiCli>(linker, Sandbox::cli)?;
    cli::exit::add_to_linker::<_, WasiCli>(linker, Sandbox::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(linker, Sandbox::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(linker, Sandbox::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(linker, Sandbox::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(linker, Sandbox::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(linker, Sandbox::cli)?;
    random::insecure::add_to_linker::<_, WasiRandom>(linker, |sandbox| sandbox.wasi.random())?;
    random::insecure_seed::add_to_linker::<_, WasiRandom>(linker, |sandbox| sandbox.wasi.random())
}

/// The state of one instance.
pub(crate) struct Sandbox {
    wasi: WasiCtx,
    table: ResourceTable,
    stderr: MemoryOutputPipe,
    meter: ResourceMeter,
    ticks_left: u128,
    /// The only way to the network.
    pub(crate) host_calls: HostCalls,
    /// The only way into the daemon's log.
    pub(crate) plugin_log: PluginLog,
    /// Redacts secrets in text from the plugin.
    pub(crate) redactor: Redactor,
}

impl Sandbox {
    /// Creates the store for one instance of a plugin, working for the provider of `grant`.
    pub(crate) fn store(engine: &WasmEngine, grant: CallGrant, limits: &Limits, rates: LogRates) -> Store<Self> {
        let stderr = MemoryOutputPipe::new(STDERR_BYTES_MAX);
        let mut wasi = WasiCtx::builder();
        wasi.stderr(stderr.clone()).max_random_size(RANDOM_BYTES_MAX);
        wasi.wall_clock(CoarseClock(Instant::now())).monotonic_clock(CoarseClock(Instant::now()));
        wasi.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.resources);
        let redactor = Redactor::new(grant.assigned_secrets());
        let sandbox = Self {
            wasi: wasi.build(),
            table,
            stderr,
            meter: ResourceMeter::new(limits),
            ticks_left: limits.cpu_time.as_millis() / TICK.as_millis(),
            plugin_log: PluginLog::new(&grant.provider, limits, redactor.clone(), rates),
            host_calls: HostCalls::new(grant, limits, redactor.clone()),
            redactor,
        };
        let mut store = Store::new(engine.wasmtime(), sandbox);
        store.limiter(|sandbox| &mut sandbox.meter);
        store.set_hostcall_fuel(limits.host_call_bytes);
        store.set_max_component_handles(limits.resources);
        // A store whose deadline is not in the future is interrupted immediately.
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut store| {
            let sandbox = store.data_mut();
            match sandbox.ticks_left.checked_sub(1) {
                None => Ok(UpdateDeadline::Interrupt),
                Some(left) => {
                    sandbox.ticks_left = left;
                    // Lets other tasks run, and lets the call's timeout be checked.
                    Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
                }
            }
        });
        store
    }

    /// Returns the beginning of what the plugin wrote to stderr, redacted, in one line.
    pub(crate) fn stderr_text(&self) -> String {
        let text = self.redactor.redact_text(&String::from_utf8_lossy(&self.stderr.contents()), STDERR_BYTES_MAX);
        text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
    }
}

impl WasiView for Sandbox {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Counts the memory and table elements of an instance, summed over all of its memories and tables.
struct ResourceMeter {
    memory_bytes: usize,
    memory_bytes_max: usize,
    table_elements: usize,
    table_elements_max: usize,
    instances: usize,
}

/// A limit that an instance tried to exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LimitReached {
    /// The limit on memory.
    #[error("exceeded {} MiB of memory", .0 >> 20)]
    Memory(usize),
    /// The limit on table elements.
    #[error("exceeded {0} table elements")]
    Table(usize),
}

impl ResourceMeter {
    const fn new(limits: &Limits) -> Self {
        Self {
            memory_bytes: 0,
            memory_bytes_max: limits.memory_bytes,
            table_elements: 0,
            table_elements_max: limits.table_elements,
            instances: limits.instances,
        }
    }
}

impl ResourceLimiter for ResourceMeter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory_bytes.saturating_add(desired.saturating_sub(current));
        if self.memory_bytes_max < total {
            return Err(LimitReached::Memory(self.memory_bytes_max).into());
        }
        self.memory_bytes = total;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.table_elements.saturating_add(desired.saturating_sub(current));
        if self.table_elements_max < total {
            return Err(LimitReached::Table(self.table_elements_max).into());
        }
        self.table_elements = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn memories(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.instances
    }
}

/// Time in steps of one tick: precise enough to timestamp a message, too coarse to use as a side channel.
struct CoarseClock(Instant);

/// Returns the time since 1970, in steps of one tick.
pub(crate) fn coarse_now() -> Duration {
    coarse(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn coarse(time: Duration) -> Duration {
    let tick = u64::try_from(TICK.as_millis()).unwrap_or(u64::MAX);
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(millis - millis % tick)
}

impl HostWallClock for CoarseClock {
    fn resolution(&self) -> Duration {
        TICK
    }

    fn now(&self) -> Duration {
        coarse_now()
    }
}

impl HostMonotonicClock for CoarseClock {
    fn resolution(&self) -> u64 {
        u64::try_from(TICK.as_nanos()).unwrap_or(u64::MAX)
    }

    fn now(&self) -> u64 {
        u64::try_from(coarse(self.0.elapsed()).as_nanos()).unwrap_or(u64::MAX)
    }
}
