//! The plugin host ↔ the machine's calls. A daemon that calls no plugin does not start the host.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use linecamp_model::{CallId, Name, PluginDigest, PluginPiece, ProviderFailure, ProviderReply, SecretName, Text};
use linecamp_plugin_host::{HostConfig, HostEvent, Limits, PluginHost, PluginHostError, ProviderCall};

use super::pushed::Pushed;
use super::secrets::SecretFiles;
use crate::config::{DeclaredSecret, PluginConfig};
use crate::error::chain;

/// The program that compiles plugins.
const COMPILER: &str = "linecamp-plugin-compiler";

/// Where it is, seen from the daemon's own directory: beside it, or where packages put programs that nobody types.
const COMPILER_PLACES: [&str; 2] = [".", "../libexec/linecamp"];

/// What happened among the plugins.
#[derive(Debug)]
pub(crate) enum PluginEvent {
    /// A call ended.
    Replied { call: CallId, reply: ProviderReply, seen: Option<Text> },
    /// A plugin's file was changed.
    Changed { name: Name, result: Result<Text, Text> },
    /// So many bytes of a pushed plugin are kept; `None`: all of it.
    Kept { digest: PluginDigest, held: Option<u64> },
}

/// Runs the host once it is needed.
#[derive(Debug)]
pub(crate) struct PluginDriver {
    directory: PathBuf,
    /// `None`: calls are not made, and nobody waits for their answers.
    config: Option<PluginConfig>,
    secrets: Arc<SecretFiles>,
    host: Option<PluginHost>,
    pushed: Pushed,
    /// What is known at once. Each is the answer to one output of the machine, so they are as few as those.
    known: VecDeque<PluginEvent>,
}

impl PluginDriver {
    pub(crate) fn new(directory: PathBuf, config: Option<PluginConfig>) -> Self {
        let pushed = Pushed::new(directory.clone());
        let places = config.as_ref().map(|config| (config.secrets.clone(), config.credentials.clone()));
        let (declared, credentials) = places.unwrap_or_default();
        let secrets = Arc::new(SecretFiles::new(declared, credentials));
        Self { directory, config, secrets, host: None, pushed, known: VecDeque::new() }
    }

    /// Goes by these secrets from the next call on. Returns whether something changes.
    pub(crate) fn set_secrets(&self, secrets: BTreeMap<SecretName, DeclaredSecret>) -> bool {
        self.secrets.set(secrets)
    }

    /// Has a provider asked; the reply is an event.
    pub(crate) fn call(&mut self, call: ProviderCall) {
        let Some(config) = self.config.clone() else { return };
        let id = call.call;
        match self.host(&config) {
            Ok(host) => host.call(call),
            Err(error) => {
                let reason = Text::lossy(&chain(&error));
                let reply = ProviderReply::Failed(ProviderFailure::Missing { reason });
                self.known.push_back(PluginEvent::Replied { call: id, reply, seen: None });
            }
        }
    }

    /// Says how much of a pushed plugin is kept; the answer is an event.
    pub(crate) fn measure(&mut self, digest: PluginDigest) {
        let held = self.pushed.measure(digest);
        self.known.push_back(PluginEvent::Kept { digest, held });
    }

    /// Keeps a piece of a pushed plugin; the answer is an event.
    pub(crate) fn keep(&mut self, piece: &PluginPiece) {
        match self.pushed.keep(piece) {
            Ok(held) => self.known.push_back(PluginEvent::Kept { digest: piece.digest, held }),
            // Whoever needs it asks again with the provider's next round.
            Err(error) => tracing::warn!(digest = %piece.digest, %error, "a piece of a plugin could not be kept"),
        }
    }

    /// Returns what happens next. Cancel-safe.
    pub(crate) async fn event(&mut self) -> PluginEvent {
        if let Some(event) = self.known.pop_front() {
            return event;
        }
        match &mut self.host {
            Some(host) => match host.event().await {
                HostEvent::Replied { call, reply, plugin } => {
                    let seen = plugin.map(|seen| Text::lossy(&format!("{} {}", seen.name, seen.version)));
                    PluginEvent::Replied { call, reply, seen }
                }
                HostEvent::PluginChanged { name, result } => {
                    PluginEvent::Changed { name, result: result.map(|digest| Text::lossy(&digest.to_string())) }
                }
            },
            None => std::future::pending().await,
        }
    }

    fn host(&mut self, config: &PluginConfig) -> Result<&mut PluginHost, PluginHostError> {
        if self.host.is_none() {
            let secrets = Arc::clone(&self.secrets);
            let host = PluginHost::start(host_config(self.directory.clone(), config), secrets)?;
            tracing::info!(directory = %self.directory.display(), "plugin host started");
            self.host = Some(host);
        }
        Ok(self.host.as_mut().expect("started just now"))
    }
}

fn installed_compiler() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let mut places = COMPILER_PLACES.iter().map(|place| own.with_file_name(place).join(COMPILER));
    places.find(|path| path.exists())
}

/// Says how plugins in `directory` are run.
pub(crate) fn host_config(directory: PathBuf, config: &PluginConfig) -> HostConfig {
    let mut limits = Limits::default();
    if let Some(mib) = config.memory_mib {
        limits.memory_bytes = mib as usize * 1024 * 1024;
    }
    HostConfig {
        directory,
        compiler: config.compiler.clone().or_else(installed_compiler).unwrap_or_else(|| COMPILER.into()),
        ca_file: config.ca_file.clone(),
        publishers: config.publishers.clone(),
        limits,
    }
}
