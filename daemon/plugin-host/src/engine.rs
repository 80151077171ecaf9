//! The engine, and the ticker that lets it interrupt plugins.
//!
//! The ticker is a thread of the operating system, because a plugin that computes for ever holds the thread of all
//! calls until it is interrupted. While no call runs, it sleeps for good: an idle daemon is not woken by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use wasmtime::Engine;

use crate::engine_config::config;
use crate::error::PluginHostError;
use crate::limits::TICK;

/// Bytes of the ticker's stack: it does next to nothing.
const TICKER_STACK_BYTES: usize = 64 * 1024;

/// The text of the engine's settings: what was compiled under another one is compiled anew.
const SETTINGS: &str = include_str!("engine_config.rs");

/// The engine of all plugins.
pub(crate) struct WasmEngine {
    engine: Engine,
    /// Which compiled forms it takes: of its version and settings.
    tag: String,
    ticks: Arc<Ticks>,
    ticker: Option<JoinHandle<()>>,
}

/// What the ticker and the calls share.
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
    pub(crate) const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns what distinguishes compiled forms that this engine takes from others.
    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    /// Makes the ticker run for as long as what is returned lives.
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
            // It panics at nothing.
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

/// A call that runs.
pub(crate) struct Ticking<'a>(&'a Ticks);

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}
