//! Access to the fleet on behalf of one caller: what it may see, and the commands that it gives.

use std::sync::Arc;
use std::time::Duration;

use linecamp_core::{
    ApiCredential, AuthorityStatus, Authorization, FleetCommand, FleetView, Force, IssuedCommand, KeyedRequest,
    ListView,
};
use linecamp_model::{AuthorityRotation, Generation, Now, RotationStep};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::fleet_client::{FleetClient, RequestError};
use crate::idempotency::RequestKey;
use crate::request_audit::RequestAudit;

/// The fleet, as one caller sees it. Handlers have no other access to it.
#[derive(Clone, Debug)]
pub(crate) struct FleetAccess {
    client: FleetClient,
    authorization: Arc<Authorization>,
    if_match: Option<Generation>,
    audit: Option<Arc<RequestAudit>>,
    key: Option<RequestKey>,
}

/// What a command has created, as its caller sees it.
#[derive(Debug)]
pub(crate) struct Created<T> {
    /// It; `None` if the caller does not see it, or too much of it would have to be kept.
    pub(crate) value: Option<T>,
    /// Whether it was created by an earlier request with the same idempotency key.
    pub(crate) is_replayed: bool,
}

impl FleetAccess {
    /// Creates the access of a caller. A command on a site or host fails if its spec generation is not `if_match`.
    pub(crate) fn new(client: FleetClient, authorization: Authorization, if_match: Option<Generation>) -> Self {
        Self { client, authorization: Arc::new(authorization), if_match, audit: None, key: None }
    }

    /// Sets the audit of the request: its first command has the entry.
    #[must_use]
    pub(crate) fn audited(self, audit: Option<Arc<RequestAudit>>) -> Self {
        Self { audit, ..self }
    }

    /// Returns the audit of the request; `None` if the operation is not audited.
    pub(crate) fn audit(&self) -> Option<Arc<RequestAudit>> {
        self.audit.clone()
    }

    /// Adds the idempotency key of the request.
    #[must_use]
    pub(crate) fn with_key(self, key: Option<RequestKey>) -> Self {
        Self { key, ..self }
    }

    /// Whether the answer is that of an earlier request.
    pub(crate) fn is_replayed(&self) -> bool {
        self.key.as_ref().is_some_and(RequestKey::is_replayed)
    }

    /// Returns who the caller is and what it may do.
    pub(crate) fn authorization(&self) -> &Authorization {
        &self.authorization
    }

    /// Reads what the caller may see.
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        read: impl FnOnce(FleetView<'_>, Now) -> T + Send + 'static,
    ) -> Result<T, RequestError> {
        let authorization = Arc::clone(&self.authorization);
        self.client.query(move |fleet, now| read(fleet.view().for_caller(&authorization), now)).await
    }

    /// Reads a list of what the caller may see, on another thread than the loop's. It has all changes that were
    /// answered before.
    pub(crate) async fn list<T: Send + 'static>(
        &self,
        read: impl FnOnce(ListView<'_>, Now) -> T + Send + 'static,
    ) -> Result<T, RequestError> {
        let authorization = Arc::clone(&self.authorization);
        self.client.read(move |snapshot, now| read(snapshot.lists(&authorization), now)).await
    }

    /// Returns how long the caller's access lasts by this credential, if nothing changes; `None` if it is not valid any
    /// more, or the access is another one.
    pub(crate) async fn standing(&self, credential: ApiCredential) -> Result<Option<Option<Duration>>, RequestError> {
        let standing = self.client.query(move |fleet, now| fleet.standing(credential, now)).await?;
        let same = standing.ok().filter(|standing| self.authorization.is_of(&standing.principal));
        Ok(same.map(|standing| standing.lasts))
    }

    /// Returns the certificate authorities and the sites that wait; the operation requires a role in all environments.
    pub(crate) async fn authority_status(&self) -> Result<Option<AuthorityStatus>, RequestError> {
        self.client.query(|fleet, now| fleet.authority_status(now)).await
    }

    /// Returns whether a step of the replacement of the authority has something to do.
    pub(crate) async fn check_rotation(&self, step: RotationStep, force: Force) -> Result<bool, RequestError> {
        let checked = self.client.query(move |fleet, now| fleet.check_rotation(step, force, now)).await?;
        checked.map_err(RequestError::Rejected)
    }

    /// Reports the authorities in the data directory.
    pub(crate) async fn authorities_changed(&self, rotation: AuthorityRotation) -> Result<(), RequestError> {
        self.client.authorities_changed(rotation).await
    }

    /// Changes the fleet, durably, and returns what the caller sees afterwards. A request with an idempotency key that
    /// was sent before changes nothing, and returns what was returned then. What is read must have no secret.
    pub(crate) async fn create<T>(
        &self,
        command: FleetCommand,
        read: impl FnOnce(FleetView<'_>, Now) -> Option<T> + Send + 'static,
    ) -> Result<Created<T>, RequestError>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
    {
        let Some(key) = &self.key else {
            self.command(command).await?;
            return Ok(Created { value: self.query(read).await?, is_replayed: false });
        };
        let (sender, mut first) = oneshot::channel();
        let answer = Box::new(move |view: FleetView<'_>, now: Now| {
            let value = read(view, now);
            let text = serde_json::to_string(&value).expect("API types are structs with text keys");
            // The client may have disconnected.
            drop(sender.send(value));
            text
        });
        let RequestKey { hash, operation, digest, .. } = key.clone();
        let keyed = KeyedRequest { key: hash, operation, digest, answer };
        self.client.keyed_command(self.issued(command), keyed).await?;
        if let Ok(value) = first.try_recv() {
            return Ok(Created { value, is_replayed: false });
        }
        key.set_replayed();
        let kept = self.client.query(move |fleet, _| fleet.view().kept_answer(&hash).map(|kept| kept.answer.clone()));
        let value = kept.await?.and_then(|answer| serde_json::from_str(&answer).ok());
        Ok(Created { value, is_replayed: true })
    }

    /// Changes the fleet, durably.
    pub(crate) async fn command(&self, command: FleetCommand) -> Result<(), RequestError> {
        self.client.command(self.issued(command)).await
    }

    fn issued(&self, command: FleetCommand) -> IssuedCommand {
        let authorization = (*self.authorization).clone();
        let audited = self.audit.as_ref().and_then(|audit| audit.take());
        IssuedCommand { command, authorization, if_match: self.if_match, audited }
    }
}

#[cfg(test)]
impl FleetAccess {
    /// Creates the access of the server's own console.
    pub(crate) fn of_console(client: FleetClient) -> Self {
        Self::new(client, Authorization::console(), None)
    }
}
