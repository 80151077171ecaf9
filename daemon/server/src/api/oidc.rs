//! Logins at the identity provider: in a browser, for a program that waits for the browser, and on another device.
//!
//! A login in a browser begins with a redirect to the provider, which sends the browser back to [`finish`]. There a
//! session begins and its cookie is set; or, if a program waits, the browser brings it a code, which the program
//! exchanges for a session ([`redeem`]). A cookie ties the return to the browser that was sent.

use std::net::{IpAddr, Ipv4Addr};

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, LOCATION, REFERRER_POLICY, SET_COOKIE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use linecamp_core::{AccountCommand, ApiCredential, LoginProof, NewSession, OidcLogin, Principal};
use linecamp_model::{Identity, OidcIdentity, UserSessionId};
use linecamp_oidc::{Callback, Destination, Loopback, PagePath, Refusal};
use linecamp_proto::api::ErrorCode;
use linecamp_proto::api::account::LoggedIn;
use linecamp_proto::api::oidc_login::{DeviceLogin, DeviceLoginState};
use linecamp_proto::api::operation::{
    BeginDeviceLogin, BeginOidcLogin, FinishDeviceLogin, FinishOidcLogin, Operation, RedeemOidcLogin,
};
use linecamp_service::Network;
use linecamp_transport::random_bytes;

use super::account::caller_view;
use super::call::Call;
use super::error::ApiError;
use super::session_cookie;
use crate::oidc::{DeviceState, FailedReturn, OidcError, Person};
use crate::secret::SessionText;

/// Where the browser goes without another path: a page that shows who has logged in.
const PAGE_DEFAULT: &str = "/api/v1/whoami";

/// Sends the browser to the provider.
pub(super) async fn begin(call: Call<BeginOidcLogin>) -> Result<Response, ApiError> {
    let query = &call.query;
    let destination = match (&query.return_to, query.port, &query.challenge, &query.state) {
        (path, None, None, None) => PagePath::parse(path.as_deref().unwrap_or(PAGE_DEFAULT)).map(Destination::Page),
        (None, Some(port), Some(challenge), Some(state)) => {
            Loopback::parse(port, challenge, state).map(Destination::Loopback)
        }
        _ => return Err(ApiError::bad_request("give return_to, or port with challenge and state, or nothing")),
    };
    let destination = destination.map_err(refused)?;
    begin_attempt(&call)?;
    let server = call.api.info().addresses().server_url.to_string();
    let begun = call.api.oidc().begin(destination, origin(&call), &server).await;
    let begun = begun.map_err(|error| not_counted(&call, error))?;
    let mut response = redirect(&begun.location)?;
    let cookie = session_cookie::begin_login(&begun.cookie).ok_or_else(ApiError::internal)?;
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

/// Takes the browser back from the provider.
pub(super) async fn finish(call: Call<FinishOidcLogin>) -> Result<Response, ApiError> {
    begin_attempt(&call)?;
    let query = &call.query;
    let callback = Callback {
        code: query.code.clone(),
        state: query.state.clone(),
        iss: query.iss.clone(),
        error: query.error.clone(),
    };
    let cookie = session_cookie::find_login(&call.head.headers).map_err(ApiError::bad_request)?;
    let finished = call.api.oidc().finish(&callback, cookie).await;
    let (person, destination) = match finished {
        Ok(finished) => finished,
        Err(FailedReturn { error, waiting }) => return answer_failure(failed(error), waiting.as_ref()),
    };
    let mut response = match destination {
        Destination::Page(path) => {
            let (secret, _) = begin_session(&call, person, 2).await?;
            let mut response = redirect(path.as_str())?;
            if let Some(cookie) = session_cookie::begin(&secret) {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
            response
        }
        Destination::Loopback(waiting) => {
            // Told here already, where the person is.
            if let Err(error) = roles_of(&call, &person).await {
                return answer_failure(error, Some(&waiting));
            }
            let code = call.api.oidc().hand_over(person, waiting.clone(), origin(&call)).map_err(failed)?;
            redirect(&waiting.url_with_code(&code))?
        }
    };
    response.headers_mut().append(SET_COOKIE, session_cookie::end_login());
    Ok(response)
}

/// Begins the session of a program that waited for the browser.
pub(super) async fn redeem(call: Call<RedeemOidcLogin>) -> Result<(LoggedIn, Option<HeaderValue>), ApiError> {
    begin_attempt(&call)?;
    let person = call.api.oidc().redeem(&call.body.code, &call.body.verifier).map_err(failed)?;
    // The attempts of the browser, and this one.
    Ok((logged_in(&call, person, 3).await?, None))
}

/// Begins a login on another device.
pub(super) async fn begin_device(call: Call<BeginDeviceLogin>) -> Result<DeviceLogin, ApiError> {
    begin_attempt(&call)?;
    let begun = call.api.oidc().begin_device(origin(&call)).await;
    let begun = begun.map_err(|error| not_counted(&call, error))?;
    Ok(DeviceLogin {
        handle: begun.handle,
        user_code: begun.codes.user_code,
        verification_uri: begun.codes.verification_uri,
        verification_uri_complete: begun.codes.verification_uri_complete,
        expires_in_seconds: begun.codes.life.as_secs(),
        interval_seconds: begun.codes.interval.as_secs(),
    })
}

/// Begins the session of a program on a device, once the person has confirmed the login.
pub(super) async fn finish_device(
    call: Call<FinishDeviceLogin>,
) -> Result<(DeviceLoginState, Option<HeaderValue>), ApiError> {
    check_configured(&call)?;
    let state = match call.api.oidc().poll_device(&call.body.handle).await {
        Ok(DeviceState::Pending(wait)) => {
            if let Some(audit) = call.fleet.audit() {
                audit.leave_out();
            }
            let seconds = wait.as_secs() + u64::from(0 < wait.subsec_nanos());
            DeviceLoginState { logged_in: None, retry_after_seconds: Some(seconds) }
        }
        Ok(DeviceState::Confirmed(person)) => {
            let logged_in = logged_in(&call, *person, 1).await?;
            DeviceLoginState { logged_in: Some(logged_in), retry_after_seconds: None }
        }
        // A handle that is made up counts like a wrong password.
        Err(OidcError::Refused(Refusal::Handover)) => {
            begin_attempt(&call)?;
            return Err(refused(Refusal::Handover));
        }
        Err(error) => return Err(failed(error)),
    };
    Ok((state, None))
}

async fn logged_in<O: Operation>(call: &Call<O>, person: Person, attempts: u32) -> Result<LoggedIn, ApiError> {
    let (secret, principal) = begin_session(call, person, attempts).await?;
    Ok(LoggedIn { caller: caller_view(&call.api, &principal).await?, secret: Some(secret.reveal()) })
}

/// Begins a session of a person. Takes back the attempts that led to it.
async fn begin_session<O: Operation>(
    call: &Call<O>,
    person: Person,
    attempts: u32,
) -> Result<(SessionText, Principal), ApiError> {
    let login = roles_of(call, &person).await?;
    let id = UserSessionId::from_bytes(random_bytes().map_err(|_| ApiError::internal())?);
    let secret = SessionText::generate().map_err(|_| ApiError::internal())?;
    let proof = LoginProof::Oidc(login);
    let new = NewSession { id, secret: secret.hash(), proof, address: call.fleet.authorization().caller.address };
    call.fleet.command(AccountCommand::BeginSession(new).into()).await?;
    let principal = call.api.authenticate(ApiCredential::Session(secret.hash())).await?;
    let principal = principal.map_err(|_| refused(Refusal::State))?;
    if let Identity::User(name, _) = &principal.identity {
        let request = call.fleet.authorization().caller.request;
        tracing::info!(user = %name, session = %id, request = %request, "user logged in at the identity provider");
    }
    call.api.login_delays().take_back(attempts, address(call));
    Ok((secret, principal))
}

/// Returns the user and the roles of a person. A person without a role loses what earlier logins gave.
async fn roles_of<O: Operation>(call: &Call<O>, person: &Person) -> Result<OidcLogin, ApiError> {
    note_account(call, &person.identity).await?;
    match &person.login {
        Ok(login) => Ok(login.clone()),
        Err(refusal) => {
            let identity = &person.identity;
            let subject = format!("{identity:?}");
            tracing::info!(name: "peer: login without a role", subject, "login at the identity provider refused: no role");
            // Not by the access of the request, whose entry says that the login was refused.
            let withdraw = AccountCommand::WithdrawOidcAccess(identity.clone());
            call.fleet.clone().audited(None).command(withdraw.into()).await?;
            Err(refused(refusal.clone()))
        }
    }
}

/// Notes for the audit log which user a login is for, if the person has logged in before.
async fn note_account<O: Operation>(call: &Call<O>, identity: &OidcIdentity) -> Result<(), ApiError> {
    let Some(audit) = call.fleet.audit() else { return Ok(()) };
    let sought = identity.clone();
    let known = call.api.fleet_client().query(move |fleet, _| fleet.view().user_at_provider(&sought).cloned()).await?;
    if let Some(name) = known {
        audit.set_account(name);
    }
    Ok(())
}

/// Counts an attempt as failed until it has led to a session.
fn begin_attempt<O: Operation>(call: &Call<O>) -> Result<(), ApiError> {
    check_configured(call)?;
    let now = call.api.info().started.now().instant;
    call.api.login_delays().begin(None, address(call), now).map_err(ApiError::too_many_logins)
}

/// Takes back the attempt to begin a login if the provider could not be asked.
fn not_counted<O: Operation>(call: &Call<O>, error: OidcError) -> ApiError {
    if matches!(error, OidcError::Unavailable { .. }) {
        call.api.login_delays().take_back(1, address(call));
    }
    failed(error)
}

/// Without a provider nothing is counted: there is nothing to guess.
fn check_configured<O: Operation>(call: &Call<O>) -> Result<(), ApiError> {
    if call.api.oidc().is_configured() { Ok(()) } else { Err(failed(OidcError::NotConfigured)) }
}

fn address<O: Operation>(call: &Call<O>) -> IpAddr {
    call.fleet.authorization().caller.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

fn origin<O: Operation>(call: &Call<O>) -> Network {
    Network::of(address(call))
}

/// Answers the browser; if a program waits, by sending the browser there, so that the program ends.
fn answer_failure(error: ApiError, waiting: Option<&Loopback>) -> Result<Response, ApiError> {
    match waiting {
        Some(waiting) => redirect(&waiting.url_with_error(error.detail())),
        None => Err(error),
    }
}

/// Not to be cached, and without telling the next page where the browser came from: the URL may have a code.
fn redirect(location: &str) -> Result<Response, ApiError> {
    let mut location = HeaderValue::try_from(location).map_err(|_| ApiError::internal())?;
    location.set_sensitive(true);
    let (no_store, no_referrer) = (HeaderValue::from_static("no-store"), HeaderValue::from_static("no-referrer"));
    let headers = [(LOCATION, location), (CACHE_CONTROL, no_store), (REFERRER_POLICY, no_referrer)];
    Ok((StatusCode::SEE_OTHER, headers, Body::empty()).into_response())
}

fn failed(error: OidcError) -> ApiError {
    match error {
        OidcError::NotConfigured => ApiError::new(ErrorCode::NotPossible, error.to_string()),
        OidcError::Unavailable { .. } => ApiError::new(ErrorCode::Busy, error.to_string()),
        OidcError::Refused(refusal) => refused(refusal),
        OidcError::Random(_) => ApiError::internal(),
    }
}

fn refused(refusal: Refusal) -> ApiError {
    let text = refusal.to_string();
    match refusal {
        Refusal::ReturnTo => ApiError::bad_request(text).in_field("return_to", None),
        Refusal::Parameter { what } => ApiError::bad_request(text).in_field(what, None),
        Refusal::NoRole => ApiError::forbidden(text),
        Refusal::Unsupported { .. } => ApiError::new(ErrorCode::NotPossible, text),
        _ => ApiError::new(ErrorCode::Unauthorized, format!("the login was refused: {text}")),
    }
}
