//! A look at one component, without a host: for whoever considers to install it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use linecamp_model::PluginDigest;

use crate::call::{CallContext, NoSecrets};
use crate::contract::Description;
use crate::engine::WasmEngine;
use crate::error::PluginHostError;
use crate::library::{Inspection, look};
use crate::network::Network;
use crate::settings::HostConfig;

/// What a component is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginReport {
    /// Its file.
    pub path: PathBuf,
    /// Its digest.
    pub digest: PluginDigest,
    /// Its size.
    pub bytes: u64,
    /// The interfaces it imports, with their versions.
    pub imports: Vec<String>,
    /// What it says of itself.
    pub description: Description,
}

/// Does with the component at `path` what loading it would: reads it, checks its signature if there are publishers,
/// compiles it, checks what it wants, asks it what it is. Of `config` it takes the compiler, the publishers and the
/// limits; nothing is written anywhere. Blocks.
///
/// # Errors
/// [`PluginHostError`] says why it could not be used.
pub fn inspect(path: &Path, config: &HostConfig) -> Result<PluginReport, PluginHostError> {
    // On a thread of its own, because the caller may be on one that must not wait for a runtime.
    let looked = thread::scope(|scope| scope.spawn(|| inspect_here(path, config)).join());
    looked.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn inspect_here(path: &Path, config: &HostConfig) -> Result<PluginReport, PluginHostError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| PluginHostError::Start { what: "the thread", source: source.into() })?;
    let context = CallContext {
        machine: WasmEngine::start()?,
        secrets: Arc::new(NoSecrets),
        outbound: Arc::new(Network::new(None)?),
        limits: config.limits.clone(),
    };
    let looked = runtime.block_on(look(path.to_owned(), config, &context))?;
    let Inspection { digest, bytes, imports, description } = looked;
    Ok(PluginReport { path: path.to_owned(), digest, bytes, imports, description })
}
