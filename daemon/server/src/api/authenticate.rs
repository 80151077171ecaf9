//! Authentication and authorization of requests.
//!
//! A request has an API key or the secret of a session as a bearer token, or the secret of a session in a cookie. A
//! bearer token counts before a cookie.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use linecamp_core::{
    ApiCredential, AuthenticationError, Authorization, PendingSetup, Principal, RequestOrigin, SESSION_IDLE_MAX,
};
use linecamp_model::{Access, Caller, Identity, RequestId, Requirement, SecretHash};
use linecamp_proto::api::operation::OperationSpec;

use super::Api;
use super::error::ApiError;
use super::{parse, session_cookie};
use crate::drivers::request_permit::RequestPermit;
use crate::fleet_access::FleetAccess;
use crate::secret::parse_credential;

/// A request whose caller may perform its operation, as far as that does not depend on an object.
#[derive(Debug)]
pub(super) struct Authenticated {
    /// Who performs it; `None` without credentials.
    pub(super) caller: AuthenticatedCaller,
    /// The credentials.
    pub(super) presented: Option<Presented>,
    /// The fleet, as the caller sees it.
    pub(super) access: FleetAccess,
}

/// A request that is not admitted, and who made it.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) caller: Caller,
    pub(super) error: ApiError,
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

/// A credential, and whether a browser sent it by itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Presented {
    pub(super) credential: ApiCredential,
    pub(super) is_cookie: bool,
}

/// Checks the credentials of a request and what its operation requires.
///
/// The lookup is by the secret's hash, so its timing reveals nothing about existing keys and sessions.
///
/// # Errors
/// The error, and who it concerns: an anonymous caller, if the credentials are not valid.
pub(super) async fn authenticate(api: &Api, spec: &OperationSpec, request: &Parts) -> Result<Authenticated, Refused> {
    let address = request.extensions.get::<RequestOrigin>().map(|origin| origin.client);
    let request_id = request.extensions.get::<RequestId>().copied().unwrap_or(RequestId::from_bytes([0; 8]));
    if spec.requires == Requirement::Nothing {
        let caller = Caller { identity: Identity::Anonymous, address, request: request_id };
        let (access, pending, requirement) = (Access::default(), PendingSetup::default(), spec.requires);
        let authorization = Authorization { caller, access, pending, requirement };
        let access = FleetAccess::new(api.fleet_client(), authorization, None);
        return Ok(Authenticated { caller: AuthenticatedCaller(None), presented: None, access });
    }
    let unknown =
        |error| Refused { caller: Caller { identity: Identity::Anonymous, address, request: request_id }, error };
    let unauthorized = |problem: &str| unknown(ApiError::unauthorized(problem, &api.info().addresses().server_url));
    let presented = presented(&request.headers).map_err(unauthorized)?;
    let found = api.authenticate(presented.credential).await.map_err(unknown)?;
    let principal = found.map_err(|error| unauthorized(&rejection(&error)))?;
    let caller = Caller { identity: principal.identity.clone(), address, request: request_id };
    let admitted = admit(api, spec, request, &presented, (caller.clone(), principal));
    match admitted {
        Ok(access) => {
            Ok(Authenticated { caller: AuthenticatedCaller(Some(caller)), presented: Some(presented), access })
        }
        Err(error) => Err(Refused { caller, error }),
    }
}

/// Checks what the operation requires of a caller with valid credentials.
fn admit(
    api: &Api,
    spec: &OperationSpec,
    request: &Parts,
    &Presented { credential, is_cookie }: &Presented,
    (caller, principal): (Caller, Principal),
) -> Result<FleetAccess, ApiError> {
    charge(api, spec, request, credential)?;
    if is_cookie && !spec.method.is_read() {
        session_cookie::check_origin(&request.headers, &api.info().addresses().server_url)?;
    }
    let authorization = Authorization::admit(caller, principal.access, principal.pending, spec.requires)?;
    let if_match = parse::if_match(&request.headers, spec)?;
    Ok(FleetAccess::new(api.fleet_client(), authorization, if_match))
}

/// Returns the credential of a request, or what is wrong.
fn presented(headers: &HeaderMap) -> Result<Presented, &'static str> {
    if let Some(text) = bearer(headers) {
        let credential = parse_credential(text)
            .ok_or("invalid credentials: an API key is `lck_`, and a session `lcs_`, followed by 43 characters")?;
        return Ok(Presented { credential, is_cookie: false });
    }
    let secret = session_cookie::find(headers)?.ok_or("no API key and no session in the request")?;
    match parse_credential(secret) {
        Some(credential @ ApiCredential::Session(_)) => Ok(Presented { credential, is_cookie: true }),
        Some(ApiCredential::Key(_)) | None => Err("invalid session cookie"),
    }
}

fn rejection(error: &AuthenticationError) -> String {
    match error {
        AuthenticationError::UnknownKey => "unknown API key".to_owned(),
        AuthenticationError::HeldApiKey => {
            "the server was restored from a backup, and this API key is not accepted yet. Accept it with another key: \
             linecamp restore accept --key NAME. Or stop the server and create a key: linecamp-server key create"
                .to_owned()
        }
        AuthenticationError::ExpiredKey(at) => format!("the API key expired at {at}"),
        AuthenticationError::DisabledUser(name) => format!("user {name} is disabled"),
        AuthenticationError::UnknownSession => "unknown session: it has ended, or never began".to_owned(),
        AuthenticationError::ExpiredSession => "the session has expired".to_owned(),
        AuthenticationError::IdleSession => {
            format!("the session has ended: it was not used for {} minutes", SESSION_IDLE_MAX.as_secs() / 60)
        }
    }
}

/// Charges the connection and the change to a key or session.
fn charge(api: &Api, spec: &OperationSpec, request: &Parts, credential: ApiCredential) -> Result<(), ApiError> {
    let (ApiCredential::Key(secret) | ApiCredential::Session(secret)) = credential;
    let secret: SecretHash = secret;
    if let Some(permit) = request.extensions.get::<RequestPermit>() {
        permit.authenticate(secret);
    }
    if spec.method.is_read() {
        return Ok(());
    }
    api.charge_changes(secret, 1).map_err(ApiError::too_many_requests)
}

/// Returns the credentials after `Bearer`, whose case does not matter (RFC 7235).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
}
