//! The loop on the plugin thread: receives calls, runs a few of them concurrently, and scans the directory when it
//! changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use linecamp_model::{Name, PluginRef, ProviderFailure, ProviderReply, Text};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::call::CallContext;
use crate::call_and_event::{HostEvent, PluginIdentity, ProviderCall};
use crate::limits::CALLS_AT_ONCE_MAX;
use crate::plugin_store::{Library, Stamp};
use crate::watch::{Changes, Watch};

/// The worker of the plugin thread.
#[derive(Clone)]
pub(crate) struct Worker {
    library: Arc<Library>,
    context: Arc<CallContext>,
    events: mpsc::Sender<HostEvent>,
    /// The files as of the last scan.
    files: Arc<Mutex<BTreeMap<Name, Stamp>>>,
}

impl Worker {
    pub(crate) fn new(library: Library, context: Arc<CallContext>, events: mpsc::Sender<HostEvent>) -> Self {
        let files = Arc::new(Mutex::new(library.list().unwrap_or_default()));
        Self { library: Arc::new(library), context, events, files }
    }

    /// Runs until `stopped` fires; then the running tasks are dropped, along with their child processes.
    pub(crate) async fn run(
        self,
        mut calls: mpsc::Receiver<ProviderCall>,
        watch: Watch,
        mut stopped: oneshot::Receiver<()>,
    ) {
        let changes = watch.changes();
        let (mut running, mut scan) = (JoinSet::new(), JoinSet::new());
        loop {
            tokio::select! {
                biased;
                _ = &mut stopped => return,
                Some(ended) = running.join_next() => ended.expect("a call does not panic"),
                Some(ended) = scan.join_next() => ended.expect("a scan does not panic"),
                // One scan at a time. A change during a scan triggers another one.
                () = changes.next(), if scan.is_empty() => {
                    scan.spawn(self.clone().scan_directory(changes.clone()));
                }
                Some(call) = calls.recv(), if running.len() < CALLS_AT_ONCE_MAX => {
                    running.spawn(self.clone().handle_call(call));
                }
            }
        }
    }

    async fn handle_call(self, call: ProviderCall) {
        let ProviderCall { call, spec, is_local, request } = call;
        let (reply, plugin) = match self.library.find(&spec.plugin).await {
            Ok(found) => {
                let description = &found.plugin.description;
                let reply = self.context.call(&found.plugin.prepared, (&spec, is_local), (description, request)).await;
                let identity = PluginIdentity { name: description.name.clone(), version: description.version.clone() };
                (reply, Some(identity))
            }
            Err(problem) => {
                let reason = Text::lossy(&problem);
                (ProviderReply::Failed(ProviderFailure::Missing { reason }), None)
            }
        };
        self.send(HostEvent::Replied { call, reply, plugin }).await;
    }

    /// Scans the directory once it is quiet, and loads new and changed plugins.
    async fn scan_directory(self, changes: Changes) {
        changes.settle().await;
        // If the directory cannot be listed, no plugin counts as deleted.
        let Some(files) = self.library.list() else { return };
        let mut last = self.files.lock().await;
        let before = std::mem::replace(&mut *last, files.clone());
        drop(last);
        for name in before.keys().filter(|name| !files.contains_key(*name)) {
            let result = Err(Text::lossy("its file was deleted; providers that need it stop"));
            self.send(HostEvent::PluginChanged { name: name.clone(), result }).await;
        }
        for (name, _) in files.into_iter().filter(|(name, stamp)| before.get(name) != Some(stamp)) {
            let found = self.library.find(&PluginRef { name: name.clone(), digest: None }).await;
            let result = match found {
                Ok(found) => match found.problem {
                    None => Ok(found.plugin.digest),
                    Some(problem) => Err(problem),
                },
                Err(problem) => Err(problem),
            };
            let result = result.map_err(|problem| Text::lossy(&problem));
            self.send(HostEvent::PluginChanged { name, result }).await;
        }
    }

    async fn send(&self, event: HostEvent) {
        // If the host is gone, nothing receives the event.
        drop(self.events.send(event).await);
    }
}
