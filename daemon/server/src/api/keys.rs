//! API keys. Their secrets are generated here, shown once and stored as hashes.

use std::time::Duration;

use linecamp_core::{AccountCommand, ApiKeyView, ItemKey, NewKey};
use linecamp_model::KeyId;
use linecamp_proto::api::List;
use linecamp_proto::api::account::{Key, KeyCreated, KeyLimit, parse_access, write_access};
use linecamp_proto::api::operation::{CreateKey, ListKeys, Operation, RevokeKey, RotateKey, ShowKey};
use linecamp_transport::random_bytes;

use super::call::Call;
use super::error::ApiError;
use super::paging::Paging;
use super::parse::{optional_name, parse_name};
use super::users::invalid;
use crate::fleet_access::FleetAccess;
use crate::secret::ApiKeyText;

pub(super) async fn list(call: Call<ListKeys>) -> Result<List<Key>, ApiError> {
    let paging = Paging::of(&call)?;
    let keys = call.fleet.query(|fleet, _| fleet.api_keys()).await?;
    let oldest_first = |key: &ApiKeyView| key.created_at.unix_millis();
    Ok(paging.list_of(
        &keys,
        |key| ItemKey::new(oldest_first(key), [key.name.as_str()]).with_id(key.id.as_bytes()),
        shown,
    ))
}

pub(super) async fn create(call: Call<CreateKey>) -> Result<KeyCreated, ApiError> {
    let body = &call.body;
    let own = call.fleet.authorization().caller.identity.user().cloned();
    let limit = body.limit.as_ref().map(|limit| parse_access(limit.role.as_deref(), &limit.environment_roles));
    let id = KeyId::from_bytes(random_bytes().map_err(|_| ApiError::internal())?);
    let secret = ApiKeyText::generate().map_err(|_| ApiError::internal())?;
    let new = NewKey {
        id,
        secret: secret.hash(),
        name: parse_name("name", &body.name)?,
        user: optional_name("user", body.user.as_deref())?.or(own),
        limit: limit.transpose().map_err(|error| invalid(&error))?,
        ttl: body.ttl_seconds.map(Duration::from_secs),
    };
    created(&call.fleet, AccountCommand::CreateKey(new), id, &secret).await
}

pub(super) async fn show(call: Call<ShowKey>) -> Result<Key, ApiError> {
    one(&call.fleet, key_id(&call)?).await
}

pub(super) async fn rotate(call: Call<RotateKey>) -> Result<KeyCreated, ApiError> {
    let id = key_id(&call)?;
    let secret = ApiKeyText::generate().map_err(|_| ApiError::internal())?;
    let grace = Duration::from_secs(call.body.grace_seconds);
    created(&call.fleet, AccountCommand::RotateKey(id, secret.hash(), grace), id, &secret).await
}

/// Creates or replaces a secret, and shows it, unless that happened before.
async fn created(
    fleet: &FleetAccess,
    command: AccountCommand,
    id: KeyId,
    secret: &ApiKeyText,
) -> Result<KeyCreated, ApiError> {
    let created = fleet.create(command.into(), move |fleet, _| fleet.api_key(id).as_ref().map(shown)).await?;
    let key = created.value.ok_or_else(ApiError::answer_not_kept)?;
    let secret_withheld = created.is_replayed;
    Ok(KeyCreated { key, secret: if secret_withheld { String::new() } else { secret.reveal() }, secret_withheld })
}

pub(super) async fn revoke(call: Call<RevokeKey>) -> Result<Key, ApiError> {
    let id = key_id(&call)?;
    let before = one(&call.fleet, id).await?;
    call.fleet.command(AccountCommand::RevokeKey(id).into()).await?;
    Ok(before)
}

fn key_id<O: Operation>(call: &Call<O>) -> Result<KeyId, ApiError> {
    let bad = "the ID of an API key has 16 hexadecimal digits; list them with `linecamp key ls`";
    KeyId::parse(&call.parameter).ok_or_else(|| ApiError::invalid("id", &bad, None))
}

async fn one(fleet: &FleetAccess, id: KeyId) -> Result<Key, ApiError> {
    let found = fleet.query(move |fleet, _| fleet.api_key(id)).await?;
    let unknown =
        || ApiError::not_found(format!("there is no API key {id}; `linecamp key ls` lists those that you may see"));
    found.as_ref().map(shown).ok_or_else(unknown)
}

fn shown(key: &ApiKeyView) -> Key {
    let limit = key.limit.as_ref().map(|limit| {
        let (role, environment_roles) = write_access(limit);
        KeyLimit { role, environment_roles }
    });
    Key {
        id: key.id.to_string(),
        name: key.name.to_string(),
        user: key.user.as_ref().map(ToString::to_string),
        limit,
        created_at: key.created_at.to_string(),
        expires_at: key.expires_at.map(|at| at.to_string()),
        old_secret_until: key.old_secret_until.map(|at| at.to_string()),
        last_used_at: key.last_used_at.map(|at| at.to_string()),
    }
}
