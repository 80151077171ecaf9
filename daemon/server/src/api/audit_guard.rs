//! Ensures that each request to an audited operation has one entry in the audit log, however it ends: with a command,
//! which has the entry; without one; refused before the handler; or without an end, because the handler panicked or the
//! client disconnected. A command that was sent again with its idempotency key has taken the entry, and writes none.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use linecamp_core::{AuditNote, AuditedRequest, RequestOrigin};
use linecamp_model::{AuditOutcome, Caller, Identity, RequestId, Text, excerpt};
use linecamp_proto::api::ErrorCode;
use linecamp_proto::api::operation::OperationSpec;
use linecamp_service::PEER_TEXT_BYTES_MAX;

use super::Api;
use crate::fleet_access::FleetAccess;
use crate::fleet_client::{FleetClient, RequestError};
use crate::request_audit::RequestAudit;

/// The code of a request whose client disconnected before its end.
const ABORTED: &str = "aborted";

/// The audit of a request in progress. Dropped before its end, it notes that.
#[derive(Debug)]
pub(super) struct AuditGuard {
    client: FleetClient,
    /// `None` if the operation is not audited, or the entry is noted.
    audit: Option<Arc<RequestAudit>>,
    caller: Caller,
}

impl AuditGuard {
    /// Begins the audit of a request. Its caller is not known yet.
    pub(super) fn begin(api: &Api, spec: &OperationSpec, request: &Parts) -> Self {
        let target = Text::lossy(&excerpt(request.uri.path(), PEER_TEXT_BYTES_MAX));
        let audited = AuditedRequest { operation: spec.name, target };
        let address = request.extensions.get::<RequestOrigin>().map(|origin| origin.client);
        let id = request.extensions.get::<RequestId>().copied().unwrap_or(RequestId::from_bytes([0; 8]));
        Self {
            client: api.fleet_client(),
            audit: spec.is_audited.then(|| Arc::new(RequestAudit::new(audited))),
            caller: Caller { identity: Identity::Anonymous, address, request: id },
        }
    }

    /// Ends the audit of a request that was not admitted.
    pub(super) async fn end_refused(mut self, caller: Caller, response: Response) -> Response {
        self.caller = caller;
        self.end(response).await
    }

    /// Continues with the access of the caller, whose first command has the entry.
    pub(super) fn begin_handling(&mut self, access: FleetAccess) -> FleetAccess {
        self.caller = access.authorization().caller.clone();
        access.audited(self.audit.clone())
    }

    /// Ends the audit of a request. An entry of a request that was done is durable before its response; whether one is
    /// that was refused is not waited for.
    pub(super) async fn end(mut self, response: Response) -> Response {
        let Some(note) = self.take_note(|| outcome(&response)) else { return response };
        match self.client.audit(note).await {
            Ok(()) | Err(RequestError::Stopping) => {}
            Err(RequestError::Rejected(error)) => {
                tracing::warn!(code = error.code(), "the entry of a request is written to the audit log later");
            }
            Err(RequestError::Panicked) => tracing::error!("the audit log did not answer"),
        }
        response
    }

    /// Returns the note of the request, unless a command has the entry.
    fn take_note(&mut self, outcome: impl FnOnce() -> AuditOutcome) -> Option<AuditNote> {
        let audit = self.audit.take()?;
        let (request, account) = (audit.take()?, audit.account());
        Some(AuditNote { request, caller: self.caller.clone(), account, outcome: outcome() })
    }
}

impl Drop for AuditGuard {
    fn drop(&mut self) {
        let code = if std::thread::panicking() { ErrorCode::Internal.as_str() } else { ABORTED };
        if let Some(note) = self.take_note(|| AuditOutcome::Failed(Text::lossy(code))) {
            self.client.try_audit(note);
        }
    }
}

fn outcome(response: &Response) -> AuditOutcome {
    let status = response.status();
    if status < StatusCode::BAD_REQUEST {
        return AuditOutcome::Done;
    }
    let code = response.extensions().get::<ErrorCode>().copied().unwrap_or(ErrorCode::Internal);
    let code = Text::lossy(code.as_str());
    match status.is_server_error() {
        true => AuditOutcome::Failed(code),
        false => AuditOutcome::Refused(code),
    }
}
