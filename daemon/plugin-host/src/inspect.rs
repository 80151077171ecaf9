//! Inspects one component without a host, for operators who consider installing it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use linecamp_model::{PluginDescription, PluginDigest};

use crate::call::{CallContext, NoSecrets};
use crate::engine::WasmEngine;
use crate::error::PluginHostError;
use crate::log_rate::LogRates;
use crate::network::Network;
use crate::plugin_store::{Inspection, inspect_file};
use crate::settings::HostConfig;

/// The result of inspecting a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginReport {
    /// Its file.
    pub path: PathBuf,
    /// Its digest.
    pub digest: PluginDigest,
    /// Its size in bytes.
    pub bytes: u64,
    /// The interfaces it imports, with their versions.
    pub imports: Vec<String>,
    /// Its description of itself.
    pub description: PluginDescription,
}

/// Loads the component at `path` as the host would: reads it, checks its signature if publishers are configured,
/// compiles it, checks its imports and calls `describe`. Only the compiler, the publishers and the limits of `config`
/// are used; nothing is written to disk. Blocks.
///
/// # Errors
/// [`PluginHostError`] describes why the component cannot be used.
pub fn inspect(path: &Path, config: &HostConfig) -> Result<PluginReport, PluginHostError> {
    // Runs on a thread of its own, because the caller's thread may be one on which blocking on a runtime is not
    // allowed.
    let inspection = thread::scope(|scope| scope.spawn(|| inspect_here(path, config)).join());
    inspection.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn inspect_here(path: &Path, config: &HostConfig) -> Result<PluginReport, PluginHostError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| PluginHostError::Start { what: "the thread", source: source.into() })?;
    let context = CallContext {
        engine: WasmEngine::start()?,
        secrets: Arc::new(NoSecrets),
        outbound: Arc::new(Network::new(None)?),
        validates_settings: config.validates_settings,
        limits: config.limits.clone(),
        log_rates: LogRates::default(),
    };
    let inspection = runtime.block_on(inspect_file(path.to_owned(), config, &context))?;
    let Inspection { digest, bytes, imports, description } = inspection;
    Ok(PluginReport { path: path.to_owned(), digest, bytes, imports, description })
}
