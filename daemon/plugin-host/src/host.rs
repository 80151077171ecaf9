//! The host as the daemon sees it: calls in, events out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use linecamp_model::{CallId, Name, PluginDigest, ProviderFailure, ProviderReply, ProviderRequest, ProviderSpec, Text};
use tokio::sync::{mpsc, oneshot};

use crate::call::CallContext;
use crate::engine::WasmEngine;
use crate::error::PluginHostError;
use crate::library::Library;
use crate::limits::{CALLS_WAITING_MAX, EVENTS_MAX};
use crate::network::Network;
use crate::outbound::Outbound;
use crate::secret::Secrets;
use crate::settings::HostConfig;
use crate::watch::Watch;
use crate::worker::Worker;

/// The plugins of a site, at work on a thread of their own.
///
/// Dropping it ends every call, and the compiler if it runs; no event comes of them.
pub struct PluginHost {
    calls: mpsc::Sender<ProviderCall>,
    events: mpsc::Receiver<HostEvent>,
    /// Replies to calls that found no place. Each is somebody's unanswered call, so they are as many as the caller has.
    turned_away: VecDeque<HostEvent>,
    /// Dropped to end the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A call of a provider.
#[derive(Clone, Debug)]
pub struct ProviderCall {
    /// Names the call in its reply.
    pub call: CallId,
    /// The provider, with its settings and grants.
    pub spec: Arc<ProviderSpec>,
    /// Whether the site's own configuration names it, and not the server: only then it may use secrets of the site
    /// that are bound to nothing.
    pub is_local: bool,
    /// What to ask.
    pub request: ProviderRequest,
}

/// What happened among the plugins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostEvent {
    /// A call ended. There is exactly one of these for every [`PluginHost::call`].
    Replied {
        /// Which call.
        call: CallId,
        /// How it ended.
        reply: ProviderReply,
        /// Which plugin did it; `None` if there was none that could.
        plugin: Option<PluginSeen>,
    },
    /// A file in the plugin directory was put there, replaced or taken away.
    PluginChanged {
        /// Of which plugin.
        name: Name,
        /// What the next call gets; or why it does not get this file: then what was there before goes on, if there was
        /// something and the file was not taken away.
        result: Result<PluginDigest, Text>,
    },
}

/// A plugin as it described itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginSeen {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: Text,
}

impl PluginHost {
    /// Starts the host on the network of this machine.
    ///
    /// # Errors
    /// [`PluginHostError`] if the directory, the engine, TLS or the watch do not come up. A plugin that does not is
    /// told of by its calls.
    pub fn start(config: HostConfig, secrets: Arc<dyn Secrets>) -> Result<Self, PluginHostError> {
        let network = Network::new(config.ca_file.as_deref())?;
        Self::start_on(config, secrets, Arc::new(network))
    }

    /// Starts the host on whatever takes the network's place.
    ///
    /// # Errors
    /// As [`PluginHost::start`].
    pub fn start_on(
        config: HostConfig,
        secrets: Arc<dyn Secrets>,
        outbound: Arc<dyn Outbound>,
    ) -> Result<Self, PluginHostError> {
        let start = |source: std::io::Error| PluginHostError::Start { what: "the thread", source: source.into() };
        let limits = config.limits.clone();
        let context = Arc::new(CallContext { machine: WasmEngine::start()?, secrets, outbound, limits });
        let library = Library::open(&config, Arc::clone(&context))?;
        let watch = Watch::start(&config.directory)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(crate::limits::CALLS_AT_ONCE_MAX)
            .thread_name("plugin-names")
            .build()
            .map_err(start)?;

        let (calls, asked) = mpsc::channel(CALLS_WAITING_MAX);
        let (told, events) = mpsc::channel(EVENTS_MAX);
        let (stop, stopped) = oneshot::channel();
        let worker = Worker::new(library, context, told);
        let work = move || {
            runtime.block_on(worker.run(asked, watch, stopped));
            // A name that is being looked up is not waited for.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("plugins".into()).spawn(work).map_err(start)?;
        Ok(Self { calls, events, turned_away: VecDeque::new(), stop: Some(stop), thread: Some(thread) })
    }

    /// Has a provider asked. The reply comes as [`HostEvent::Replied`], after at most
    /// [`Limits::call_time`](crate::Limits::call_time), and before that what waiting for a turn, and for the compiler
    /// at a new plugin, takes. One call of a provider at a time is the caller's to see to.
    ///
    /// Past the number of calls that may wait, the reply is `Retry`, at once.
    pub fn call(&mut self, call: ProviderCall) {
        let id = call.call;
        if self.calls.try_send(call).is_err() {
            let reason = Text::lossy(&format!("more than {CALLS_WAITING_MAX} calls of plugins are waiting"));
            let reply = ProviderReply::Failed(ProviderFailure::Retry { after: None, reason });
            self.turned_away.push_back(HostEvent::Replied { call: id, reply, plugin: None });
        }
    }

    /// Returns the next event. Cancel-safe.
    pub async fn event(&mut self) -> HostEvent {
        if let Some(event) = self.turned_away.pop_front() {
            return event;
        }
        match self.events.recv().await {
            Some(event) => event,
            // The thread ends when this is dropped, and then nobody waits.
            None => std::future::pending().await,
        }
    }
}

impl Drop for PluginHost {
    fn drop(&mut self) {
        self.stop = None;
        // So that a thread that has an event to tell does not wait for somebody to take it.
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
