//! Access to the fleet on behalf of one caller: what it may see, and the commands that it gives.

use std::sync::Arc;
use std::time::Duration;

use linecamp_core::{
    ApiCredential, AuthorityStatus, Authorization, FleetCommand, FleetView, Force, IssuedCommand, ListView,
};
use linecamp_model::{AuthorityRotation, Generation, Now, RotationStep};

use crate::fleet_client::{FleetClient, RequestError};
use crate::request_audit::RequestAudit;

/// The fleet, as one caller sees it. Handlers have no other access to it.
#[derive(Clone, Debug)]
pub(crate) struct FleetAccess {
    client: FleetClient,
    authorization: Arc<Authorization>,
    if_match: Option<Generation>,
    audit: Option<Arc<RequestAudit>>,
}

impl FleetAccess {
    /// Creates the access of a caller. A command on a site or host fails if its spec generation is not `if_match`.
    pub(crate) fn new(client: FleetClient, authorization: Authorization, if_match: Option<Generation>) -> Self {
        Self { client, authorization: Arc::new(authorization), if_match, audit: None }
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

    /// Changes the fleet, durably.
    pub(crate) async fn command(&self, command: FleetCommand) -> Result<(), RequestError> {
        let authorization = (*self.authorization).clone();
        let audited = self.audit.as_ref().and_then(|audit| audit.take());
        self.client.command(IssuedCommand { command, authorization, if_match: self.if_match, audited }).await
    }
}

#[cfg(test)]
impl FleetAccess {
    /// Creates the access of the server's own console.
    pub(crate) fn of_console(client: FleetClient) -> Self {
        Self::new(client, Authorization::console(), None)
    }
}
