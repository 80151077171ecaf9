//! Access to the fleet on behalf of one caller: what it may see, and the commands that it gives.

use std::sync::Arc;

use linecamp_core::{Authorization, FleetCommand, FleetView, IssuedCommand};
use linecamp_model::{Generation, Now};

use crate::fleet_client::{FleetClient, RequestError};

/// The fleet, as one caller sees it. Handlers have no other access to it.
#[derive(Clone, Debug)]
pub(crate) struct FleetAccess {
    client: FleetClient,
    authorization: Arc<Authorization>,
    if_match: Option<Generation>,
}

impl FleetAccess {
    /// Creates the access of a caller. A command on a site or host fails if its spec generation is not `if_match`.
    pub(crate) fn new(client: FleetClient, authorization: Authorization, if_match: Option<Generation>) -> Self {
        Self { client, authorization: Arc::new(authorization), if_match }
    }

    /// Reads what the caller may see.
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        read: impl FnOnce(FleetView<'_>, Now) -> T + Send + 'static,
    ) -> Result<T, RequestError> {
        let authorization = Arc::clone(&self.authorization);
        self.client.query(move |fleet, now| read(fleet.view().for_caller(&authorization), now)).await
    }

    /// Changes the fleet, durably.
    pub(crate) async fn command(&self, command: FleetCommand) -> Result<(), RequestError> {
        let authorization = (*self.authorization).clone();
        self.client.command(IssuedCommand { command, authorization, if_match: self.if_match }).await
    }
}

#[cfg(test)]
impl FleetAccess {
    /// Creates the access of the server's own console.
    pub(crate) fn of_console(client: FleetClient) -> Self {
        Self::new(client, Authorization::console(), None)
    }
}
