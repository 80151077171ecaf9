//! Users.

use linecamp_core::{AccountCommand, ItemKey, NewUser, UserEdit, UserView};
use linecamp_model::Name;
use linecamp_proto::api::List;
use linecamp_proto::api::account::{
    AccessError, OidcIdentity, SessionsEnded, User, parse_access, parse_role_or_none, write_access,
};
use linecamp_proto::api::operation::{
    CreateUser, EditUser, EndUserSessions, ListUsers, RemoveUser, ResetPassword, ShowUser,
};

use super::account::new_password;
use super::call::Call;
use super::error::ApiError;
use super::paging::Paging;
use super::parse::parse_name;
use crate::fleet_access::FleetAccess;

pub(super) async fn list(call: Call<ListUsers>) -> Result<List<User>, ApiError> {
    let paging = Paging::of(&call)?;
    let users = call.fleet.query(|fleet, _| fleet.users()).await?;
    Ok(paging.list_of(&users, |user| ItemKey::new(0, [user.name.as_str()]), shown))
}

pub(super) async fn create(call: Call<CreateUser>) -> Result<User, ApiError> {
    let name = parse_name("name", &call.body.name)?;
    let access =
        parse_access(call.body.role.as_deref(), &call.body.environment_roles).map_err(|error| invalid(&error))?;
    let password = match &call.body.password {
        Some(text) => {
            let password = new_password("password", text, &name)?;
            Some(call.api.passwords().hash(password).await?)
        }
        None => None,
    };
    let sought = name.clone();
    let command = AccountCommand::CreateUser(NewUser { name, password, access });
    let created = call.fleet.create(command.into(), move |fleet, _| fleet.user(&sought).as_ref().map(shown));
    created.await?.value.ok_or_else(ApiError::answer_not_kept)
}

pub(super) async fn show(call: Call<ShowUser>) -> Result<User, ApiError> {
    one(&call.fleet, call.name()?).await
}

pub(super) async fn edit(call: Call<EditUser>) -> Result<User, ApiError> {
    let (name, body) = (call.name()?, &call.body);
    let everywhere = body.role.as_deref().map(parse_role_or_none).transpose().map_err(|error| invalid(&error))?;
    let mut environments = Vec::new();
    for (environment, role) in &body.environment_roles {
        let role = role.as_deref().map(parse_role_or_none).transpose().map_err(|error| invalid(&error))?;
        environments.push((parse_name("environment_roles", environment)?, role.flatten()));
    }
    let edit = UserEdit { everywhere, environments, is_disabled: body.disabled };
    call.fleet.command(AccountCommand::EditUser(name.clone(), edit).into()).await?;
    one(&call.fleet, name).await
}

pub(super) async fn remove(call: Call<RemoveUser>) -> Result<User, ApiError> {
    let name = call.name()?;
    let before = one(&call.fleet, name.clone()).await?;
    call.fleet.command(AccountCommand::RemoveUser(name).into()).await?;
    Ok(before)
}

pub(super) async fn reset_password(call: Call<ResetPassword>) -> Result<User, ApiError> {
    let name = call.name()?;
    let password = new_password("password", &call.body.password, &name)?;
    let hash = call.api.passwords().hash(password).await?;
    call.fleet.command(AccountCommand::ResetPassword(name.clone(), hash).into()).await?;
    one(&call.fleet, name).await
}

pub(super) async fn end_sessions(call: Call<EndUserSessions>) -> Result<SessionsEnded, ApiError> {
    let name = call.name()?;
    let sought = name.clone();
    let count = call.fleet.query(move |fleet, _| fleet.user(&sought).map_or(0, |user| user.sessions)).await?;
    call.fleet.command(AccountCommand::EndSessions(name).into()).await?;
    Ok(SessionsEnded { ended: count as u64 })
}

/// Says which role or environment is wrong.
pub(super) fn invalid(error: &AccessError) -> ApiError {
    let field = match error {
        AccessError::Role(_) => "role",
        AccessError::Environment(_) => "environment_roles",
    };
    ApiError::invalid(field, error, None)
}

async fn one(fleet: &FleetAccess, name: Name) -> Result<User, ApiError> {
    let sought = name.clone();
    let found = fleet.query(move |fleet, _| fleet.user(&sought)).await?;
    let found =
        found.ok_or_else(|| ApiError::not_found(format!("there is no user {name}; `linecamp user ls` lists them")));
    found.map(|found| shown(&found))
}

fn shown(found: &UserView) -> User {
    let UserView { name, user, keys, sessions } = found;
    let (role, environment_roles) = write_access(&user.access);
    User {
        name: name.to_string(),
        role,
        environment_roles,
        has_password: user.password.is_some(),
        oidc: user.oidc.as_ref().map(|identity| OidcIdentity {
            issuer: identity.issuer().to_owned(),
            subject: identity.subject().to_owned(),
        }),
        must_change_password: user.must_change_password,
        disabled_at: user.disabled_at.map(|at| at.to_string()),
        created_at: user.created_at.to_string(),
        keys: *keys as u64,
        sessions: *sessions as u64,
    }
}
