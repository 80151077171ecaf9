//! The uploaded plugins, in the folder of components and in the state machine's list.
//!
//! A component is on disk under its digest before the state machine lists it, and the state machine has removed it from
//! its list before its file is removed. Every listed plugin therefore has a file. Both changes happen under a lock: a
//! plugin that is uploaded while it is being removed ends up either present or absent in both.
//!
//! A component that the state machine rejects, because of its limits, is removed again, unless an earlier upload of the
//! same component is listed. If the process ends in between, the next start removes the file (`PluginFolder::open`).

use std::sync::Arc;

use linecamp_core::FleetCommand;
use linecamp_model::{Name, PluginDescription, PluginDigest, PluginFile};
use linecamp_transport::error_chain;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::error::ServerError;
use crate::fleet_access::FleetAccess;
use crate::fleet_client::RequestError;
use crate::plugin_folder::{CompleteUpload, PluginFolder};

/// Adds and removes uploaded plugins.
#[derive(Debug)]
pub(crate) struct PluginRegistry {
    folder: Arc<PluginFolder>,
    /// Held while the folder and the list are changed.
    changes: Arc<Mutex<()>>,
}

/// Why a plugin was not added or removed.
#[derive(Debug)]
pub(crate) enum RegistryError {
    /// The loop did not change or read its list.
    Request(RequestError),
    /// The component could not be written.
    Disk(ServerError),
    /// A blocking task panicked, which was reported where it happened, or a listed plugin is missing: a bug.
    Internal,
}

impl From<RequestError> for RegistryError {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl PluginRegistry {
    pub(crate) fn new(folder: Arc<PluginFolder>) -> Self {
        Self { folder, changes: Arc::default() }
    }

    /// Adds an uploaded component under `name`, with its description if it was uploaded with one.
    pub(crate) async fn add(
        &self,
        fleet: &FleetAccess,
        name: Name,
        description: Option<Box<PluginDescription>>,
        upload: CompleteUpload,
    ) -> Result<PluginFile, RegistryError> {
        let _changes = self.lock().await;
        let (digest, bytes) = (upload.digest, upload.bytes);
        self.keep(upload).await?;
        let pushed_at = fleet.query(|_, now| now.wall).await?;
        let file = PluginFile { name, bytes, pushed_at, description };
        let added = fleet.command(FleetCommand::AddPlugin(digest, file)).await;
        match (added, find(fleet, digest).await?) {
            (Ok(()), Some(file)) => Ok(file),
            (Ok(()), None) => Err(RegistryError::Internal),
            (Err(error), Some(_)) => Err(error.into()),
            (Err(error), None) => {
                self.discard(digest, None).await?;
                Err(error.into())
            }
        }
    }

    /// Removes a plugin that no provider uses. Returns what was removed; `None` if there was nothing.
    pub(crate) async fn remove(
        &self,
        fleet: &FleetAccess,
        digest: PluginDigest,
    ) -> Result<Option<PluginFile>, RegistryError> {
        let changes = self.lock().await;
        let Some(before) = find(fleet, digest).await? else { return Ok(None) };
        fleet.command(FleetCommand::RemovePlugin(digest)).await?;
        // The guard moves into the blocking task: if the client disconnects, the next change still waits for the
        // removal.
        self.discard(digest, Some(changes)).await?;
        Ok(Some(before))
    }

    async fn lock(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.changes).lock_owned().await
    }

    /// Renames a component to its digest, on a blocking thread.
    async fn keep(&self, upload: CompleteUpload) -> Result<(), RegistryError> {
        let folder = Arc::clone(&self.folder);
        let kept = tokio::task::spawn_blocking(move || folder.keep(&upload)).await;
        kept.map_err(|_| RegistryError::Internal)?.map_err(RegistryError::Disk)
    }

    /// Removes a component that is not listed, and then releases `changes`. If that fails, the next start removes it.
    async fn discard(&self, digest: PluginDigest, changes: Option<OwnedMutexGuard<()>>) -> Result<(), RegistryError> {
        let folder = Arc::clone(&self.folder);
        let removed = tokio::task::spawn_blocking(move || {
            if let Err(error) = folder.remove(digest) {
                let error = error_chain(&error);
                tracing::warn!(%digest, error, "failed to remove an unused plugin; the next start tries again");
            }
            drop(changes);
        });
        removed.await.map_err(|_| RegistryError::Internal)
    }
}

/// Returns a plugin of the list.
pub(crate) async fn find(fleet: &FleetAccess, digest: PluginDigest) -> Result<Option<PluginFile>, RequestError> {
    fleet.query(move |view, _| view.plugins().find(|(one, _)| *one == digest).map(|(_, file)| file.clone())).await
}

#[cfg(test)]
mod tests {
    use linecamp_core::{CERTIFICATE_LIFE, Fleet, FleetCommandError, FleetConfig, Rng, SavedFleet};
    use linecamp_model::{FleetChange, WallTime};
    use linecamp_proto::VERSIONS;
    use tempfile::TempDir;
    use tokio::sync::mpsc;

    use super::*;
    use linecamp_service::Clock;

    use crate::fleet_client::FleetClient;
    use crate::server::Request;

    /// The smallest file that is accepted: the header of a component.
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    fn listed() -> (PluginDigest, PluginFile) {
        let name = Name::parse("dns-fake").unwrap();
        (PluginDigest::of(COMPONENT), PluginFile { name, bytes: 8, pushed_at: WallTime::EPOCH, description: None })
    }

    /// Starts a loop that rejects every command, and returns its client. `saved` is what its fleet contains.
    fn rejecting_fleet(saved: Vec<FleetChange>) -> FleetClient {
        let (requests, mut inbox) = mpsc::channel(1);
        tokio::spawn(async move {
            let clock = Clock::start();
            let config = FleetConfig { versions: VERSIONS, certificate_life: CERTIFICATE_LIFE };
            let saved = SavedFleet { records: saved, ..SavedFleet::default() };
            let fleet = Fleet::new(config, saved, Rng::new(1), clock.now());
            while let Some(request) = inbox.recv().await {
                match request {
                    Request::Query(read) => read(&fleet, clock.now()),
                    Request::Command(_, reply) => drop(reply.send(Err(FleetCommandError::Limit("full".to_owned())))),
                    Request::KeyedCommand(..)
                    | Request::Audit(..)
                    | Request::Authenticate(..)
                    | Request::Authorities(_)
                    | Request::Metrics(_) => {}
                }
            }
        });
        FleetClient::new(requests)
    }

    /// Adds [`COMPONENT`] and returns the result and the number of files left.
    async fn add(fleet: FleetClient) -> (Result<PluginFile, RegistryError>, usize) {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("plugins");
        let folder = Arc::new(PluginFolder::open(path.clone(), []).unwrap());
        let mut upload = folder.begin().unwrap();
        upload.append(COMPONENT).unwrap();
        let upload = upload.finish().unwrap();
        let added =
            PluginRegistry::new(folder).add(&FleetAccess::of_console(fleet), listed().1.name, None, upload).await;
        (added, std::fs::read_dir(path).unwrap().count())
    }

    #[tokio::test]
    async fn a_plugin_that_the_fleet_rejects_leaves_no_file() {
        let (added, files) = add(rejecting_fleet(Vec::new())).await;
        assert!(matches!(added, Err(RegistryError::Request(RequestError::Rejected(FleetCommandError::Limit(_))))));
        assert_eq!(files, 0);
    }

    #[tokio::test]
    async fn the_file_of_a_listed_plugin_stays_when_it_is_uploaded_again_and_rejected() {
        let (digest, file) = listed();
        let (added, files) = add(rejecting_fleet(vec![FleetChange::Plugin(digest, Some(file))])).await;
        assert!(added.is_err());
        assert_eq!(files, 1);
    }

    #[tokio::test]
    async fn a_stopping_server_adds_nothing() {
        let (requests, _) = mpsc::channel(1);
        let (added, _) = add(FleetClient::new(requests)).await;
        assert!(matches!(added, Err(RegistryError::Request(RequestError::Stopping))));
    }
}
