//! The host as the daemon sees it: calls in, events out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use linecamp_model::{ProviderFailure, ProviderReply, Text};
use tokio::sync::{mpsc, oneshot};

use crate::call::CallContext;
use crate::call_and_event::{HostEvent, ProviderCall};
use crate::engine::WasmEngine;
use crate::error::PluginHostError;
use crate::limits::{CALLS_WAITING_MAX, EVENTS_MAX};
use crate::log_rate::LogRates;
use crate::network::Network;
use crate::outbound::Outbound;
use crate::plugin_store::Library;
use crate::secret::Secrets;
use crate::settings::HostConfig;
use crate::watch::Watch;
use crate::worker::Worker;

/// The plugins of a site, running on a dedicated thread.
///
/// Dropping it aborts every call, and the compiler if it is running; none of them produces an event.
pub struct PluginHost {
    calls: mpsc::Sender<ProviderCall>,
    events: mpsc::Receiver<HostEvent>,
    /// Replies to calls rejected because the queue was full. Each is one of the caller's open calls, so the caller
    /// bounds their number.
    rejected: VecDeque<HostEvent>,
    /// Dropped to stop the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl PluginHost {
    /// Starts the host on the network of this machine.
    ///
    /// # Errors
    /// [`PluginHostError`] if the directory, the engine, TLS or the directory watch cannot be set up. A plugin that
    /// fails to load is reported by its calls.
    pub fn start(config: HostConfig, secrets: Arc<dyn Secrets>) -> Result<Self, PluginHostError> {
        let network = Network::new(config.ca_file.as_deref())?;
        Self::start_on(config, secrets, Arc::new(network))
    }

    /// Starts the host on any implementation of the network.
    ///
    /// # Errors
    /// As [`PluginHost::start`].
    pub fn start_on(
        config: HostConfig,
        secrets: Arc<dyn Secrets>,
        outbound: Arc<dyn Outbound>,
    ) -> Result<Self, PluginHostError> {
        let start = |source: std::io::Error| PluginHostError::Start { what: "the thread", source: source.into() };
        let (limits, validates_settings) = (config.limits.clone(), config.validates_settings);
        let (engine, log_rates) = (WasmEngine::start()?, LogRates::default());
        let context = Arc::new(CallContext { engine, secrets, outbound, validates_settings, limits, log_rates });
        let library = Library::open(&config, Arc::clone(&context))?;
        let watch = Watch::start(&config.directory)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(crate::limits::CALLS_AT_ONCE_MAX)
            .thread_name("plugin-names")
            .build()
            .map_err(start)?;

        let (calls, queue) = mpsc::channel(CALLS_WAITING_MAX);
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let (stop, stopped) = oneshot::channel();
        let worker = Worker::new(library, context, sender);
        let work = move || {
            runtime.block_on(worker.run(queue, watch, stopped));
            // Name lookups still in flight are not waited for.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("plugins".into()).spawn(work).map_err(start)?;
        Ok(Self { calls, events, rejected: VecDeque::new(), stop: Some(stop), thread: Some(thread) })
    }

    /// Queues a call to a provider. The reply arrives as [`HostEvent::Replied`] after at most
    /// [`Limits::call_time`](crate::Limits::call_time), plus the time spent in the queue and, for a new plugin,
    /// compiling. The caller must ensure that each provider has at most one call at a time.
    ///
    /// If the queue is full, the reply is an immediate `Retry`.
    pub fn call(&mut self, call: ProviderCall) {
        let id = call.call;
        if self.calls.try_send(call).is_err() {
            let reason = Text::lossy(&format!("more than {CALLS_WAITING_MAX} plugin calls are queued"));
            let reply = ProviderReply::Failed(ProviderFailure::Retry { after: None, reason });
            self.rejected.push_back(HostEvent::Replied { call: id, reply, plugin: None });
        }
    }

    /// Returns the next event. Cancel-safe.
    pub async fn event(&mut self) -> HostEvent {
        if let Some(event) = self.rejected.pop_front() {
            return event;
        }
        match self.events.recv().await {
            Some(event) => event,
            // The thread ends only when `self` is dropped, and then nothing is waiting here.
            None => std::future::pending().await,
        }
    }
}

impl Drop for PluginHost {
    fn drop(&mut self) {
        self.stop = None;
        // Unblocks a thread that is waiting for room to send an event.
        self.events.close();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl std::fmt::Debug for PluginHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PluginHost")
    }
}
