//! Loads and calls a plugin on the caller's thread, without a host's queue, so that each step can be measured.

use std::sync::Arc;

use linecamp_model::{PluginDescription, PluginRef};

use crate::call::{CallContext, NoSecrets};
use crate::engine::WasmEngine;
use crate::error::PluginHostError;
use crate::log_rate::LogRates;
use crate::network::Network;
use crate::plugin_store::{Library, Plugin};
use crate::settings::HostConfig;

/// A host's library, and the context that its calls share.
pub struct InlineHost {
    library: Library,
    context: Arc<CallContext>,
}

/// A loaded plugin.
pub struct LoadedPlugin(Plugin);

impl InlineHost {
    /// Opens a plugin directory as a host does.
    ///
    /// # Errors
    /// [`PluginHostError`] if the directory, the engine or TLS cannot be set up.
    pub fn open(config: &HostConfig) -> Result<Self, PluginHostError> {
        let context = Arc::new(CallContext {
            engine: WasmEngine::start()?,
            secrets: Arc::new(NoSecrets),
            outbound: Arc::new(Network::new(None)?),
            validates_settings: config.validates_settings,
            limits: config.limits.clone(),
            log_rates: LogRates::default(),
        });
        let library = Library::open(config, Arc::clone(&context))?;
        Ok(Self { library, context })
    }

    /// Does everything that a host does with a plugin before its first call, on every invocation. Compiles the plugin
    /// unless a compiled artifact is cached.
    ///
    /// # Errors
    /// [`PluginHostError`] describes why the plugin cannot be used.
    pub async fn load(&self, plugin: &PluginRef) -> Result<LoadedPlugin, PluginHostError> {
        self.library.load(plugin).await.map(LoadedPlugin)
    }

    /// Makes the smallest possible call: creates a fresh instance, calls `describe` and drops the instance.
    ///
    /// # Errors
    /// Which limit ended the call, or why the plugin's result is invalid.
    pub async fn describe(&self, plugin: &LoadedPlugin) -> Result<PluginDescription, String> {
        self.context.describe(&plugin.0.prepared).await
    }
}

impl std::fmt::Debug for InlineHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InlineHost")
    }
}

impl std::fmt::Debug for LoadedPlugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LoadedPlugin({})", self.0.description.name)
    }
}
