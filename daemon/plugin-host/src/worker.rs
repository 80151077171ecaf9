//! The loop on the plugins' thread: takes calls, runs a few at once, and looks at the directory when it changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use linecamp_model::{Name, PluginRef, ProviderFailure, ProviderReply, Text};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::call::CallContext;
use crate::host::{HostEvent, PluginSeen, ProviderCall};
use crate::library::{Library, Stamp};
use crate::limits::CALLS_AT_ONCE_MAX;
use crate::watch::{Changes, Watch};

/// What works on the plugins' thread.
#[derive(Clone)]
pub(crate) struct Worker {
    library: Arc<Library>,
    context: Arc<CallContext>,
    events: mpsc::Sender<HostEvent>,
    /// The files as they were when the directory was looked at last.
    seen: Arc<Mutex<BTreeMap<Name, Stamp>>>,
}

impl Worker {
    pub(crate) fn new(library: Library, context: Arc<CallContext>, events: mpsc::Sender<HostEvent>) -> Self {
        let seen = Arc::new(Mutex::new(library.list().unwrap_or_default()));
        Self { library: Arc::new(library), context, events, seen }
    }

    /// Works until `stopped`; what runs then is dropped, and its children with it.
    pub(crate) async fn run(
        self,
        mut asked: mpsc::Receiver<ProviderCall>,
        watch: Watch,
        mut stopped: oneshot::Receiver<()>,
    ) {
        let changes = watch.changes();
        let (mut running, mut looking) = (JoinSet::new(), JoinSet::new());
        loop {
            tokio::select! {
                biased;
                _ = &mut stopped => return,
                Some(ended) = running.join_next() => ended.expect("a call does not panic"),
                Some(ended) = looking.join_next() => ended.expect("looking does not panic"),
                // One look at a time: what changes meanwhile is told of again.
                () = changes.next(), if looking.is_empty() => {
                    looking.spawn(self.clone().look(changes.clone()));
                }
                Some(asked) = asked.recv(), if running.len() < CALLS_AT_ONCE_MAX => {
                    running.spawn(self.clone().answer(asked));
                }
            }
        }
    }

    async fn answer(self, asked: ProviderCall) {
        let ProviderCall { call, spec, is_local, request } = asked;
        let (reply, plugin) = match self.library.find(&spec.plugin).await {
            Ok(found) => {
                let description = &found.plugin.description;
                let reply = self.context.call(&found.plugin.prepared, (&spec, is_local), (description, request)).await;
                let seen = PluginSeen { name: description.name.clone(), version: description.version.clone() };
                (reply, Some(seen))
            }
            Err(problem) => {
                let reason = Text::lossy(&problem);
                (ProviderReply::Failed(ProviderFailure::Missing { reason }), None)
            }
        };
        self.tell(HostEvent::Replied { call, reply, plugin }).await;
    }

    /// Looks at the directory once it is left alone, and loads what is new in it.
    async fn look(self, changes: Changes) {
        changes.settle().await;
        // Plugins that cannot be listed are not gone.
        let Some(files) = self.library.list() else { return };
        let mut seen = self.seen.lock().await;
        let before = std::mem::replace(&mut *seen, files.clone());
        drop(seen);
        for name in before.keys().filter(|name| !files.contains_key(*name)) {
            let result = Err(Text::lossy("its file was taken away, and providers that need it stop"));
            self.tell(HostEvent::PluginChanged { name: name.clone(), result }).await;
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
            self.tell(HostEvent::PluginChanged { name, result }).await;
        }
    }

    async fn tell(&self, event: HostEvent) {
        // Without a host nobody wants to know.
        drop(self.events.send(event).await);
    }
}
