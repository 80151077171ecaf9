//! Loading and calling a plugin on the thread of whoever asks, without a host's queue: so that each can be measured.

use std::sync::Arc;

use linecamp_model::PluginRef;

use crate::call::{CallContext, NoSecrets};
use crate::contract::Description;
use crate::engine::WasmEngine;
use crate::error::PluginHostError;
use crate::library::{Library, Plugin};
use crate::network::Network;
use crate::settings::HostConfig;

/// The library of a host, and all that its calls share.
pub struct ConformanceRun {
    library: Library,
    context: Arc<CallContext>,
}

/// A plugin that was loaded.
pub struct Rehearsed(Plugin);

impl ConformanceRun {
    /// Opens a plugin directory as a host does.
    ///
    /// # Errors
    /// [`PluginHostError`] if the directory, the engine or TLS do not come up.
    pub fn open(config: &HostConfig) -> Result<Self, PluginHostError> {
        let context = Arc::new(CallContext {
            machine: WasmEngine::start()?,
            secrets: Arc::new(NoSecrets),
            outbound: Arc::new(Network::new(None)?),
            limits: config.limits.clone(),
        });
        let library = Library::open(config, Arc::clone(&context))?;
        Ok(Self { library, context })
    }

    /// Does all that a host does with a plugin before its first call, each time anew; compiles it if no compiled form
    /// of it is there.
    ///
    /// # Errors
    /// [`PluginHostError`] says why it cannot be used.
    pub async fn load(&self, plugin: &PluginRef) -> Result<Rehearsed, PluginHostError> {
        self.library.load(plugin).await.map(Rehearsed)
    }

    /// Does the smallest call there is: makes a fresh instance, has it describe itself, and throws it away.
    ///
    /// # Errors
    /// Which limit ended the call, or what was wrong with the answer.
    pub async fn describe(&self, plugin: &Rehearsed) -> Result<Description, String> {
        self.context.describe(&plugin.0.prepared).await
    }
}

impl std::fmt::Debug for ConformanceRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConformanceRun")
    }
}

impl std::fmt::Debug for Rehearsed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rehearsed({})", self.0.description.name)
    }
}
