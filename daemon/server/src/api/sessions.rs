//! Sessions of users.

use linecamp_core::{AccountCommand, ItemKey, UserSessionView};
use linecamp_model::UserSessionId;
use linecamp_proto::api::List;
use linecamp_proto::api::account::Session;
use linecamp_proto::api::operation::{EndSession, ListSessions, Operation, ShowSession};

use super::call::Call;
use super::error::ApiError;
use super::paging::Paging;
use crate::fleet_access::FleetAccess;

pub(super) async fn list(call: Call<ListSessions>) -> Result<List<Session>, ApiError> {
    let paging = Paging::of(&call)?;
    let sessions = call.fleet.query(|fleet, _| fleet.user_sessions()).await?;
    Ok(paging.list_of(
        &sessions,
        |session| ItemKey::new(session.created_at.unix_millis(), []).with_id(session.id.as_bytes()),
        shown,
    ))
}

pub(super) async fn show(call: Call<ShowSession>) -> Result<Session, ApiError> {
    one(&call.fleet, session_id(&call)?).await
}

pub(super) async fn end(call: Call<EndSession>) -> Result<Session, ApiError> {
    let id = session_id(&call)?;
    let before = one(&call.fleet, id).await?;
    call.fleet.command(AccountCommand::EndSession(id).into()).await?;
    Ok(before)
}

/// Writes a session.
pub(super) fn shown(session: &UserSessionView) -> Session {
    Session {
        id: session.id.to_string(),
        user: session.user.to_string(),
        created_at: session.created_at.to_string(),
        ends_at: session.ends_at.to_string(),
        address: session.address.map(|address| address.to_string()).unwrap_or_default(),
        last_used_at: session.last_used_at.map(|at| at.to_string()),
    }
}

fn session_id<O: Operation>(call: &Call<O>) -> Result<UserSessionId, ApiError> {
    let bad = "the ID of a session has 16 hexadecimal digits; list them with `linecamp session ls`";
    UserSessionId::parse(&call.parameter).ok_or_else(|| ApiError::invalid("id", &bad, None))
}

async fn one(fleet: &FleetAccess, id: UserSessionId) -> Result<Session, ApiError> {
    let found = fleet.query(move |fleet, _| fleet.user_session(id)).await?;
    let unknown =
        || ApiError::not_found(format!("there is no session {id}; `linecamp session ls` lists those that you may see"));
    found.as_ref().map(shown).ok_or_else(unknown)
}
