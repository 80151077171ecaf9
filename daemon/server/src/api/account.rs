//! The caller's own account: login, logout, the password, and the end of the first login.

use std::net::{IpAddr, Ipv4Addr};

use axum::http::HeaderValue;
use linecamp_core::{
    AccountCommand, Authorization, LoginProof, NewSession, PasswordChange as Change, PendingSetup, Principal,
};
use linecamp_model::{Access, Caller, Identity, Name, PasswordHash, UserSessionId};
use linecamp_proto::api::ErrorCode;
use linecamp_proto::api::account::{CallerView, KeyName, LoggedIn, PendingStep, Session, write_access};
use linecamp_proto::api::operation::{ChangePassword, CompleteSetup, LogIn, LogOut, ShowCaller};
use linecamp_transport::random_bytes;

use super::call::Call;
use super::error::ApiError;
use super::session_cookie::OriginCheck;
use super::sessions::shown;
use super::{Api, parse, session_cookie};
use crate::fleet_access::FleetAccess;
use crate::passwords::{Password, Verified};
use crate::secret::SessionText;

/// Begins a session. What fails, and how long it takes, is the same for an unknown user, a user without a password, a
/// disabled user and a wrong password.
pub(super) async fn log_in(call: Call<LogIn>) -> Result<(LoggedIn, Option<HeaderValue>), ApiError> {
    if session_cookie::origin(&call.head.headers, &call.api.info().addresses().server_url) == OriginCheck::Foreign {
        return Err(ApiError::forbidden("another web site caused this login; open the server's own page"));
    }
    let anonymous = call.fleet.authorization().caller.clone();
    let address = anonymous.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let name = Name::parse(&call.body.name).ok();
    let now = call.api.info().started.now().instant;
    note_account(&call, name.as_ref()).await?;
    call.api.login_delays().begin(name.as_ref(), address, now).map_err(ApiError::too_many_logins)?;
    let failed = || ApiError::new(ErrorCode::Unauthorized, "wrong user name or password, or the user is disabled");
    let known = stored_hash(&call.api, name.as_ref()).await?;
    let verified = call.api.passwords().verify(&call.body.password, known.as_ref()).await?;
    let (Some(name), Some(hash), Verified::Yes | Verified::YesOutdated) = (name, known, verified) else {
        return Err(failed());
    };
    call.api.login_delays().succeed(&name, address);
    let id = UserSessionId::from_bytes(random_bytes().map_err(|_| ApiError::internal())?);
    let secret = SessionText::generate().map_err(|_| ApiError::internal())?;
    let caller = Caller { identity: Identity::User(name.clone(), id), ..anonymous };
    let own = own_access(&call.api, caller.clone()).audited(call.fleet.audit());
    let proof = LoginProof::Password { user: name.clone(), verified: hash.clone() };
    let new = NewSession { id, secret: secret.hash(), proof, address: caller.address };
    own.command(AccountCommand::BeginSession(new).into()).await?;
    tracing::info!(user = %name, session = %id, request = %caller.request, "user logged in");
    if verified == Verified::YesOutdated {
        renew_hash(&call.api, &own, name, hash, &call.body.password).await;
    }
    let principal = call.api.authenticate(linecamp_core::ApiCredential::Session(secret.hash())).await?;
    let principal = principal.map_err(|_| failed())?;
    let view = caller_view(&call.api, &principal).await?;
    let shown_secret = call.body.bearer.then(|| secret.reveal());
    let cookie = if call.body.bearer { None } else { session_cookie::begin(&secret) };
    Ok((LoggedIn { caller: view, secret: shown_secret }, cookie))
}

/// Notes for the audit log which user a login is for, if there is one of that name.
async fn note_account(call: &Call<LogIn>, name: Option<&Name>) -> Result<(), ApiError> {
    let (Some(audit), Some(name)) = (call.fleet.audit(), name) else { return Ok(()) };
    let sought = name.clone();
    if call.api.fleet_client().query(move |fleet, _| fleet.view().user(&sought).is_some()).await? {
        audit.set_account(name.clone());
    }
    Ok(())
}

/// Ends the session of the request.
pub(super) async fn log_out(call: Call<LogOut>) -> Result<(Session, Option<HeaderValue>), ApiError> {
    let Identity::User(_, id) = &call.fleet.authorization().caller.identity else {
        let text = "an API key has no session to end; revoke it with `linecamp key revoke`";
        return Err(ApiError::new(ErrorCode::NotPossible, text));
    };
    let id = *id;
    let session = call.fleet.query(move |fleet, _| fleet.user_session(id)).await?;
    let session = session.ok_or_else(|| ApiError::not_found(format!("there is no session {id}")))?;
    call.fleet.command(AccountCommand::EndSession(id).into()).await?;
    Ok((shown(&session), Some(session_cookie::end())))
}

pub(super) async fn show(call: Call<ShowCaller>) -> Result<CallerView, ApiError> {
    own_view(&call.api, &call.fleet).await
}

/// Changes the own password. A wrong old password counts like a failed login.
pub(super) async fn change_password(call: Call<ChangePassword>) -> Result<CallerView, ApiError> {
    let caller = &call.fleet.authorization().caller;
    let Some(user) = caller.identity.user().cloned() else {
        let text = "a key of the console belongs to no user and has no password";
        return Err(ApiError::new(ErrorCode::NotPossible, text));
    };
    let (own, fleet) = (user.clone(), &call.fleet);
    if fleet.query(move |fleet, _| fleet.user(&own)).await?.is_some_and(|own| own.user.oidc.is_some()) {
        let text = "you log in at the identity provider and have no password here";
        return Err(ApiError::new(ErrorCode::NotPossible, text));
    }
    let new = new_password("new_password", &call.body.new_password, &user)?;
    let address = caller.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let now = call.api.info().started.now().instant;
    call.api.login_delays().begin(Some(&user), address, now).map_err(ApiError::too_many_logins)?;
    let known = stored_hash(&call.api, Some(&user)).await?;
    let verified = call.api.passwords().verify(&call.body.old_password, known.as_ref()).await?;
    let (Some(hash), Verified::Yes | Verified::YesOutdated) = (known, verified) else {
        return Err(ApiError::bad_request("the old password is wrong").in_field("old_password", None));
    };
    call.api.login_delays().succeed(&user, address);
    let new = call.api.passwords().hash(new).await?;
    call.fleet.command(AccountCommand::ChangePassword(Change { user, verified: hash, new }).into()).await?;
    own_view(&call.api, &call.fleet).await
}

/// Completes the first login.
pub(super) async fn complete_setup(call: Call<CompleteSetup>) -> Result<CallerView, ApiError> {
    let url = parse::server_url(&call.body.server_url)?;
    let password = match (&call.body.new_password, call.fleet.authorization().caller.identity.user()) {
        (Some(text), Some(user)) => {
            let password = new_password("new_password", text, user)?;
            Some(call.api.passwords().hash(password).await?)
        }
        _ => None,
    };
    call.fleet.command(AccountCommand::CompleteSetup(password, url).into()).await?;
    call.api.info().add_url_to_certificate();
    own_view(&call.api, &call.fleet).await
}

/// Checks a new password of `user`.
pub(super) fn new_password(field: &str, text: &str, user: &Name) -> Result<Password, ApiError> {
    if text.eq_ignore_ascii_case(user.as_str()) {
        return Err(
            ApiError::bad_request(format!("{field}: the password must not be the user's name")).in_field(field, None)
        );
    }
    Password::parse(text).map_err(|error| ApiError::invalid(field, &error, None))
}

/// Returns the hash of the password of a user who may log in.
async fn stored_hash(api: &Api, name: Option<&Name>) -> Result<Option<PasswordHash>, ApiError> {
    let Some(name) = name.cloned() else { return Ok(None) };
    let found = api.fleet_client().query(move |fleet, _| fleet.view().user(&name)).await?;
    Ok(found.filter(|found| found.user.disabled_at.is_none()).and_then(|found| found.user.password))
}

/// Returns the access of a user who has just proved the password: to the own account only.
fn own_access(api: &Api, caller: Caller) -> FleetAccess {
    let requirement = linecamp_model::Requirement::Nothing;
    let (access, pending) = (Access::default(), PendingSetup::default());
    FleetAccess::new(api.fleet_client(), Authorization { caller, access, pending, requirement }, None)
}

/// Replaces a hash with parameters of an earlier release. If that fails, the next login tries again.
async fn renew_hash(api: &Api, own: &FleetAccess, user: Name, verified: PasswordHash, text: &str) {
    let Ok(password) = Password::parse(text) else { return };
    if let Ok(new) = api.passwords().hash(password).await {
        let change = Change { user, verified, new };
        drop(own.command(AccountCommand::RenewPasswordHash(change).into()).await);
    }
}

/// Returns who the caller is, after a change of its own account.
async fn own_view(api: &Api, fleet: &FleetAccess) -> Result<CallerView, ApiError> {
    let Authorization { caller, access, pending, .. } = fleet.authorization();
    let user = caller.identity.user().cloned();
    let is_session = matches!(caller.identity, Identity::User(..));
    let pending = match user.filter(|_| is_session) {
        Some(user) => fleet.query(move |fleet, _| fleet.pending(&user)).await?,
        None => *pending,
    };
    let principal = Principal { identity: caller.identity.clone(), access: access.clone(), pending };
    caller_view(api, &principal).await
}

/// Returns who a caller is.
pub(super) async fn caller_view(api: &Api, principal: &Principal) -> Result<CallerView, ApiError> {
    let (role, environment_roles) = write_access(&principal.access);
    let session = match &principal.identity {
        Identity::User(_, id) => {
            let id = *id;
            api.fleet_client().query(move |fleet, _| fleet.view().user_session(id)).await?
        }
        _ => None,
    };
    let key = match &principal.identity {
        Identity::Key(key) => Some(KeyName { id: key.id.to_string(), name: key.name.to_string() }),
        _ => None,
    };
    let PendingSetup { password, server_url } = principal.pending;
    let steps = [(password, PendingStep::ChangePassword), (server_url, PendingStep::ConfirmServerUrl)];
    Ok(CallerView {
        user: principal.identity.user().map(ToString::to_string),
        key,
        session: session.as_ref().map(shown),
        role,
        environment_roles,
        pending: steps.into_iter().filter(|(is_pending, _)| *is_pending).map(|(_, step)| step).collect(),
        server_url: api.info().addresses().server_url.to_string(),
    })
}
