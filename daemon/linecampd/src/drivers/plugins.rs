//! The plugin host ↔ the state machine's plugin calls. The host starts with the first call.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use linecamp_model::{CallId, Name, PluginDigest, PluginPiece, ProviderFailure, ProviderReply, SecretName, Text};
use linecamp_plugin_host::{HostConfig, HostEvent, Limits, PluginHost, PluginHostError, ProviderCall};
use linecamp_transport::error_chain;
use tokio::sync::mpsc;

use super::pushed_plugins::PushedPlugins;
use super::secrets::SecretFiles;
use crate::config::{DeclaredSecret, PluginConfig};

/// The name of the plugin compiler program.
const COMPILER: &str = "linecamp-plugin-compiler";

/// Where to look for it, relative to the daemon's directory: next to the daemon, or where packages put internal
/// programs.
const COMPILER_DIRS: [&str; 2] = [".", "../libexec/linecamp"];

/// A plugin event.
#[derive(Debug)]
pub(crate) enum PluginEvent {
    /// A call finished.
    Replied { call: CallId, reply: ProviderReply, version: Option<Text> },
    /// A plugin's file changed.
    Changed { name: Name, result: Result<Text, Text> },
    /// How many bytes of a pushed plugin are stored, `None` if it is complete; or why the disk failed.
    Stored { digest: PluginDigest, result: Result<Option<u64>, Text> },
}

/// Starts the plugin host on first use.
#[derive(Debug)]
pub(crate) struct PluginDriver {
    directory: PathBuf,
    /// `None`: no calls are made, and no replies are expected.
    config: Option<PluginConfig>,
    secrets: Arc<SecretFiles>,
    host: Option<PluginHost>,
    pushed: PushedPlugins,
    /// Results of disk work on pushed plugins, sent by blocking threads, at most one per plugin at a time.
    disk_results: (mpsc::Sender<PluginEvent>, mpsc::Receiver<PluginEvent>),
    /// Events available at once. Each answers one output of the state machine, so there are never more than those.
    ready: VecDeque<PluginEvent>,
}

impl PluginDriver {
    pub(crate) fn new(directory: PathBuf, config: Option<PluginConfig>) -> Self {
        let pushed = PushedPlugins::new(directory.clone());
        let paths = config.as_ref().map(|config| (config.secrets.clone(), config.credentials.clone()));
        let (declared, credentials) = paths.unwrap_or_default();
        let secrets = Arc::new(SecretFiles::new(declared, credentials));
        Self { directory, config, secrets, host: None, pushed, disk_results: mpsc::channel(1), ready: VecDeque::new() }
    }

    /// Replaces the declared secrets from the next call on. Returns whether anything changed.
    pub(crate) fn set_secrets(&self, secrets: BTreeMap<SecretName, DeclaredSecret>) -> bool {
        self.secrets.set(secrets)
    }

    /// Calls a provider; the reply arrives as an event.
    pub(crate) fn call(&mut self, call: ProviderCall) {
        let Some(config) = self.config.clone() else { return };
        let id = call.call;
        match self.host(&config) {
            Ok(host) => host.call(call),
            Err(error) => {
                let reason = Text::lossy(&error_chain(&error));
                let reply = ProviderReply::Failed(ProviderFailure::Missing { reason });
                self.ready.push_back(PluginEvent::Replied { call: id, reply, version: None });
            }
        }
    }

    /// Reports how much of a pushed plugin is stored; the answer arrives as an event.
    pub(crate) fn measure(&self, digest: PluginDigest) {
        self.run_disk_work(digest, move |pushed| pushed.measure(digest));
    }

    /// Stores a chunk of a pushed plugin; the answer arrives as an event.
    pub(crate) fn keep(&self, piece: PluginPiece) {
        self.run_disk_work(piece.digest, move |pushed| pushed.append(&piece));
    }

    /// Runs disk work on a blocking thread: a complete plugin is up to 32 MiB to read, hash and sync.
    fn run_disk_work(
        &self,
        digest: PluginDigest,
        work: impl FnOnce(&PushedPlugins) -> io::Result<Option<u64>> + Send + 'static,
    ) {
        let (pushed, sender) = (self.pushed.clone(), self.disk_results.0.clone());
        tokio::spawn(async move {
            let outcome = tokio::task::spawn_blocking(move || work(&pushed)).await.map_err(io::Error::other).flatten();
            let result =
                outcome.map_err(|error| Text::lossy(&format!("cannot be stored on this site's disk: {error}")));
            // If the loop is gone, the result is dropped.
            let _ = sender.send(PluginEvent::Stored { digest, result }).await;
        });
    }

    /// Returns the next event. Cancel-safe.
    pub(crate) async fn event(&mut self) -> PluginEvent {
        if let Some(event) = self.ready.pop_front() {
            return event;
        }
        let Self { host, disk_results, .. } = self;
        tokio::select! {
            event = host_event(host) => event,
            // `self` holds a sender, so the channel does not close.
            Some(event) = disk_results.1.recv() => event,
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

async fn host_event(host: &mut Option<PluginHost>) -> PluginEvent {
    let Some(host) = host else { return std::future::pending().await };
    match host.event().await {
        HostEvent::Replied { call, reply, plugin } => {
            let version = plugin.map(|plugin| Text::lossy(&format!("{} {}", plugin.name, plugin.version)));
            PluginEvent::Replied { call, reply, version }
        }
        HostEvent::PluginChanged { name, result } => {
            PluginEvent::Changed { name, result: result.map(|digest| Text::lossy(&digest.to_string())) }
        }
    }
}

fn installed_compiler() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let mut paths = COMPILER_DIRS.iter().map(|place| own.with_file_name(place).join(COMPILER));
    paths.find(|path| path.exists())
}

/// Builds the host configuration for plugins in `directory`.
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
        validates_settings: true,
        limits,
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn disk_work_on_pushed_plugins_runs_off_the_daemons_thread() {
        let directory = tempfile::tempdir().unwrap();
        let mut driver = PluginDriver::new(directory.path().to_owned(), None);
        let (digest, own) = (PluginDigest::of(b"component"), thread::current().id());
        driver.run_disk_work(digest, move |_| match thread::current().id() == own {
            true => Err(io::Error::other("this is the daemon's thread")),
            false => Ok(None),
        });
        match driver.event().await {
            PluginEvent::Stored { result, .. } => assert_eq!(result, Ok(None)),
            other => panic!("{other:?}"),
        }
    }
}
