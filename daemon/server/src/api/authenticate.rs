//! Authentication and authorization of requests.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use linecamp_core::{Authorization, RequestOrigin};
use linecamp_model::{Access, Caller, Identity, RequestId, Requirement, SecretHash};
use linecamp_proto::api::operation::OperationSpec;

use super::Api;
use super::error::ApiError;
use super::parse;
use crate::drivers::request_permit::RequestPermit;
use crate::fleet_access::FleetAccess;
use crate::secret::ApiKeyText;

/// A request whose caller may perform its operation, as far as that does not depend on an object.
#[derive(Debug)]
pub(super) struct Authenticated {
    /// Who performs it; `None` without credentials.
    pub(super) caller: AuthenticatedCaller,
    /// The fleet, as the caller sees it.
    pub(super) access: FleetAccess,
}

/// Marks the response to a request with valid credentials, for the log.
#[derive(Clone, Debug)]
pub(super) struct AuthenticatedCaller(pub(super) Option<Caller>);

impl AuthenticatedCaller {
    /// Returns who the caller is, for logs and traces.
    pub(super) fn identity(&self) -> Option<String> {
        self.0.as_ref().map(|caller| caller.identity.to_string())
    }
}

/// Checks the credentials of a request and what its operation requires.
///
/// The lookup is by the key's hash, so its timing reveals nothing about existing keys.
pub(super) async fn authenticate(api: &Api, spec: &OperationSpec, request: &Parts) -> Result<Authenticated, ApiError> {
    let address = request.extensions.get::<RequestOrigin>().map(|origin| origin.client);
    let request_id = request.extensions.get::<RequestId>().copied().unwrap_or(RequestId::from_bytes([0; 8]));
    if spec.requires == Requirement::Nothing {
        let caller = Caller { identity: Identity::Anonymous, address, request: request_id };
        let authorization = Authorization { caller, access: Access::default(), requirement: spec.requires };
        let access = FleetAccess::new(api.fleet_client(), authorization, None);
        return Ok(Authenticated { caller: AuthenticatedCaller(None), access });
    }
    let unauthorized = |problem| ApiError::unauthorized(problem, &api.info().addresses().server_url);
    let key = bearer(&request.headers).ok_or_else(|| unauthorized("no API key in the request"))?;
    let hash = ApiKeyText::parse(key).map(|key| key.hash());
    let hash = hash.ok_or_else(|| unauthorized("invalid API key: a key is `lck_` followed by 43 characters"))?;
    let found = api.find_key(hash).await?;
    let Some((identity, access)) = found else {
        return Err(match api.is_key_held(hash).await? {
            true => ApiError::held_key(),
            false => unauthorized("unknown API key"),
        });
    };
    charge(api, spec, request, hash)?;
    let caller = Caller { identity, address, request: request_id };
    let authorization = Authorization::admit(caller.clone(), access, spec.requires)?;
    let if_match = parse::if_match(&request.headers, spec)?;
    let access = FleetAccess::new(api.fleet_client(), authorization, if_match);
    Ok(Authenticated { caller: AuthenticatedCaller(Some(caller)), access })
}

/// Charges the connection and the change to a key.
fn charge(api: &Api, spec: &OperationSpec, request: &Parts, key: SecretHash) -> Result<(), ApiError> {
    if let Some(permit) = request.extensions.get::<RequestPermit>() {
        permit.authenticate(key);
    }
    if spec.method.is_read() {
        return Ok(());
    }
    api.charge_change(key).map_err(ApiError::too_many_requests)
}

/// Returns the credentials after `Bearer`, whose case does not matter (RFC 7235).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
}
