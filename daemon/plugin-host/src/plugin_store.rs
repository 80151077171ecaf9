//! The plugins of a site: found as files, verified, compiled, and kept until their file changes.
//!
//! A plugin is identified by its [`PluginRef`]: without a digest it is the file that an operator put into the
//! directory, with a digest it is a file that the server pushed. Every lookup checks the file. If it is the one already
//! loaded, that plugin is used. If it is a different one, it is loaded; if that fails, the previous plugin stays in
//! use. A failure caused by the plugin itself is remembered together with the file, so that a bad file is compiled once
//! and not on every call.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use linecamp_model::{Name, PluginDescription, PluginDigest, PluginRef};
use linecamp_transport::error_chain;

use self::cache::Cache;
use self::compiler::Compiler;
use crate::call::CallContext;
use crate::contract::{Linkers, Prepared, imports};
use crate::error::PluginHostError;
use crate::limits::PLUGINS_KNOWN_MAX;
use crate::settings::{HostConfig, PublisherKey};

mod cache;
mod compiler;
mod file;

pub(crate) use self::file::Stamp;

/// A plugin that can be called.
pub(crate) struct Plugin {
    pub(crate) digest: PluginDigest,
    pub(crate) description: PluginDescription,
    pub(crate) prepared: Prepared,
}

/// All plugins of a site.
pub(crate) struct Library {
    directory: PathBuf,
    publishers: Vec<PublisherKey>,
    compiler: Compiler,
    cache: Cache,
    linkers: Linkers,
    context: Arc<CallContext>,
    slots: Mutex<BTreeMap<PluginRef, Arc<PluginSlot>>>,
    /// Counts lookups, to find the least recently used slot.
    uses: AtomicU64,
}

/// The slot of one plugin. Loading holds the lock, so that a plugin is compiled only once.
#[derive(Default)]
struct PluginSlot {
    used: AtomicU64,
    state: tokio::sync::Mutex<SlotState>,
}

/// The state of a plugin.
#[derive(Default)]
struct SlotState {
    /// The file as of the last lookup.
    stamp: Option<Stamp>,
    plugin: Option<Arc<Plugin>>,
    /// Why that file is not used.
    problem: Option<String>,
}

/// A plugin, and why it is not a newer one.
pub(crate) struct Lookup {
    pub(crate) plugin: Arc<Plugin>,
    /// Why the current file is not used, if this plugin is an older one.
    pub(crate) problem: Option<String>,
}

impl Library {
    /// Opens the plugin directory.
    pub(crate) fn open(config: &HostConfig, context: Arc<CallContext>) -> Result<Self, PluginHostError> {
        file::prepare(&config.directory)?;
        let cache = Cache::open(config.directory.join("cache"), context.engine.tag())?;
        Ok(Self {
            directory: config.directory.clone(),
            publishers: config.publishers.clone(),
            compiler: Compiler::new(config.compiler.clone()),
            cache,
            linkers: Linkers::new(context.engine.wasmtime())?,
            context,
            slots: Mutex::default(),
            uses: AtomicU64::new(0),
        })
    }

    /// Returns the plugin for the current file, or the previous one if the current file cannot be used.
    pub(crate) async fn find(&self, wanted: &PluginRef) -> Result<Lookup, String> {
        let slot = self.slot(wanted);
        let mut state = slot.state.lock().await;
        let path = file::path(&self.directory, wanted);
        let stamp = match file::stamp(&path) {
            Ok(stamp) => stamp,
            Err(error) => {
                *state = SlotState::default();
                return Err(error_chain(&error));
            }
        };
        if state.stamp != Some(stamp) || (state.plugin.is_none() && state.problem.is_none()) {
            match self.load(wanted).await {
                Ok(plugin) => *state = SlotState { stamp: Some(stamp), plugin: Some(Arc::new(plugin)), problem: None },
                Err(error) => {
                    state.problem = Some(error_chain(&error));
                    // A failure of this machine may be gone at the next call.
                    state.stamp = error.is_lasting().then_some(stamp);
                }
            }
        }
        match (&state.plugin, &state.problem) {
            (Some(plugin), problem) => Ok(Lookup { plugin: Arc::clone(plugin), problem: problem.clone() }),
            (None, Some(problem)) => Err(problem.clone()),
            (None, None) => Err(format!("plugin {} was not loaded", wanted.name)),
        }
    }

    /// Returns the files that operators put into the directory, by plugin name; `None` if the directory cannot be read.
    pub(crate) fn list(&self) -> Option<BTreeMap<Name, Stamp>> {
        let listed = file::list(&self.directory);
        if let Err(error) = &listed {
            tracing::warn!(directory = %self.directory.display(), %error, "failed to list the plugin directory");
        }
        listed.ok()
    }

    fn slot(&self, wanted: &PluginRef) -> Arc<PluginSlot> {
        let used = self.uses.fetch_add(1, Ordering::Relaxed);
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if !slots.contains_key(wanted) && PLUGINS_KNOWN_MAX <= slots.len() {
            let oldest = slots.iter().min_by_key(|(_, slot)| slot.used.load(Ordering::Relaxed));
            if let Some(oldest) = oldest.map(|(plugin, _)| plugin.clone()) {
                slots.remove(&oldest);
            }
        }
        let slot = slots.entry(wanted.clone()).or_default();
        slot.used.store(used, Ordering::Relaxed);
        Arc::clone(slot)
    }

    /// Loads a plugin from its current file, without storing it in a slot.
    pub(crate) async fn load(&self, wanted: &PluginRef) -> Result<Plugin, PluginHostError> {
        let path = file::path(&self.directory, wanted);
        let bytes = file::read(&path)?;
        let digest = PluginDigest::of(&bytes);
        if wanted.digest.is_some_and(|wanted| wanted != digest) {
            return Err(PluginHostError::WrongDigest { plugin: path, found: digest });
        }
        file::verify(&path, &bytes, &self.publishers)?;
        let engine = self.context.engine.wasmtime();
        let source = cache::Plugin { path: &path, bytes: &bytes, digest };
        let component = self.cache.load(engine, source, &self.compiler).await?;
        drop(bytes);
        let prepared = self.linkers.prepare(&component, &path)?;
        let description = self.context.describe(&prepared).await;
        let description =
            description.map_err(|problem| PluginHostError::DescribeFailed { plugin: path.clone(), problem })?;
        if description.name != wanted.name {
            let problem = format!("it is named `{}`, but its file is named `{}`", description.name, wanted.name);
            return Err(PluginHostError::InvalidDescription { plugin: path, problem });
        }
        tracing::info!(plugin = %description.name, version = %description.version, %digest, "loaded a plugin");
        Ok(Plugin { digest, description, prepared })
    }
}

/// The result of inspecting one file, which need not be in the plugin directory.
pub(crate) struct Inspection {
    pub(crate) digest: PluginDigest,
    pub(crate) bytes: u64,
    pub(crate) imports: Vec<String>,
    pub(crate) description: PluginDescription,
}

/// Loads one file without a cache, and reports what it contains.
pub(crate) async fn inspect_file(
    path: PathBuf,
    config: &HostConfig,
    context: &CallContext,
) -> Result<Inspection, PluginHostError> {
    let bytes = file::read(&path).map_err(|error| match error {
        // Someone named this path.
        PluginHostError::Missing { plugin, .. } => PluginHostError::Missing { plugin, remedy: "check the path" },
        error => error,
    })?;
    file::verify(&path, &bytes, &config.publishers)?;
    let engine = context.engine.wasmtime();
    let component = cache::uncached(engine, &path, &bytes, &Compiler::new(config.compiler.clone())).await?;
    let prepared = Linkers::new(engine)?.prepare(&component, &path)?;
    let described = context.describe(&prepared).await;
    let description = described.map_err(|problem| PluginHostError::DescribeFailed { plugin: path, problem })?;
    Ok(Inspection {
        digest: PluginDigest::of(&bytes),
        bytes: bytes.len() as u64,
        imports: imports(&component, engine),
        description,
    })
}
