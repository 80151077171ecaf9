//! The engine, and the ticker that lets it interrupt plugins.
//!
//! The ticker is an OS thread, because a plugin in an infinite loop occupies the thread of all calls until it is
//! interrupted. While no call is running the ticker is parked: it never wakes an idle daemon.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use wasmtime::Engine;

use crate::engine_config::config;
use crate::error::PluginHostError;
use crate::limits::TICK;

/// Bytes of the ticker's stack; the ticker needs very little.
const TICKER_STACK_BYTES: usize = 64 * 1024;

/// The source text of the engine's settings. An artifact compiled under different settings is compiled again.
const SETTINGS: &str = include_str!("engine_config.rs");

/// The engine of all plugins.
pub(crate) struct WasmEngine {
    engine: Engine,
    /// Identifies the compiled artifacts that this engine accepts: those of its version and settings.
    tag: String,
    ticks: Arc<Ticks>,
    ticker: Option<JoinHandle<()>>,
}

/// State shared by the ticker and the calls.
#[derive(Default)]
struct Ticks {
    running: AtomicUsize,
    is_over: AtomicBool,
}

impl WasmEngine {
    /// Starts the engine and its ticker.
    pub(crate) fn start() -> Result<Self, PluginHostError> {
        let error = |what, source| PluginHostError::Start { what, source };
        let engine = Engine::new(&config()).map_err(|source| error("the engine", source.into()))?;
        let settings = HEXLOWER.encode(&digest(&SHA256, SETTINGS.as_bytes()).as_ref()[..8]);
        let tag = format!("{}-{settings}", env!("WASMTIME_VERSION"));
        let ticks = Arc::new(Ticks::default());
        let ticker = thread::Builder::new().name("plugin-ticks".into()).stack_size(TICKER_STACK_BYTES);
        let (of_ticker, clock) = (engine.clone(), Arc::clone(&ticks));
        let ticker = ticker.spawn(move || clock.tick(&of_ticker)).map_err(|source| error("a thread", source.into()))?;
        Ok(Self { engine, tag, ticks, ticker: Some(ticker) })
    }

    /// Returns the engine.
    pub(crate) const fn wasmtime(&self) -> &Engine {
        &self.engine
    }

    /// Returns the tag of the compiled artifacts that this engine accepts.
    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    /// Runs the ticker for as long as the returned guard lives.
    pub(crate) fn ticking(&self) -> Ticking<'_> {
        if self.ticks.running.fetch_add(1, Ordering::AcqRel) == 0 {
            self.wake();
        }
        Ticking(&self.ticks)
    }

    fn wake(&self) {
        if let Some(ticker) = &self.ticker {
            ticker.thread().unpark();
        }
    }
}

impl Drop for WasmEngine {
    fn drop(&mut self) {
        self.ticks.is_over.store(true, Ordering::Release);
        self.wake();
        if let Some(ticker) = self.ticker.take() {
            // The ticker does not panic.
            drop(ticker.join());
        }
    }
}

impl Ticks {
    fn tick(&self, engine: &Engine) {
        while !self.is_over.load(Ordering::Acquire) {
            if self.running.load(Ordering::Acquire) == 0 {
                thread::park();
            } else {
                thread::sleep(TICK);
                engine.increment_epoch();
            }
        }
    }
}

/// Keeps the ticker running during a call.
pub(crate) struct Ticking<'a>(&'a Ticks);

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}
