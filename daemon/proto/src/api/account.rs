//! Users, API keys and sessions, as JSON. The types with a secret hide it in `Debug`.

use std::collections::BTreeMap;
use std::fmt;

use linecamp_model::{Access, Name, NameError, Role};
use serde::{Deserialize, Serialize};

/// The text that stands for no role in an edit.
const NO_ROLE: &str = "none";

/// A user: a person with a password, a person who logs in at the identity provider, or a service account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct User {
    /// The name.
    pub name: String,
    /// The role in all environments: `viewer`, `operator` or `admin`; `null` for none.
    pub role: Option<String>,
    /// The role in some environments, by name.
    pub environment_roles: BTreeMap<String, String>,
    /// Whether the user has a password.
    pub has_password: bool,
    /// Who the user is at the identity provider; `null` for a user who does not log in there.
    #[serde(default)]
    pub oidc: Option<OidcIdentity>,
    /// Whether the password must be changed before anything else.
    pub must_change_password: bool,
    /// Since when the user is disabled; `null` if it is not.
    pub disabled_at: Option<String>,
    /// When the user was created.
    pub created_at: String,
    /// How many API keys the user has.
    pub keys: u64,
    /// How many sessions the user has.
    pub sessions: u64,
}

/// A person at the identity provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OidcIdentity {
    /// The issuer.
    pub issuer: String,
    /// The ID of the person there.
    pub subject: String,
}

/// A request to create a user.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct UserRequest {
    /// The name.
    pub name: String,
    /// The role in all environments; by default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The role in some environments, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment_roles: BTreeMap<String, String>,
    /// A first password, which the user must change; absent for a service account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// An edit of a user. Absent fields stay unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct UserEdit {
    /// The role in all environments; `none` removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The role in these environments, by name; `null` or `none` removes it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment_roles: BTreeMap<String, Option<String>>,
    /// Whether the user is disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// A new password for another user, who must change it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct PasswordReset {
    /// The password.
    pub password: String,
}

/// A change of the own password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct PasswordChange {
    /// The password so far.
    pub old_password: String,
    /// The new password: 12 to 256 characters.
    pub new_password: String,
}

/// The end of the first login.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct SetupRequest {
    /// The new password, if the password must be changed: 12 to 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_password: Option<String>,
    /// The URL at which operators reach the server.
    pub server_url: String,
}

/// A login with a password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct LoginRequest {
    /// The name of the user.
    pub name: String,
    /// The password.
    pub password: String,
    /// Whether the response has the secret of the session, for clients without cookies.
    #[serde(default)]
    pub bearer: bool,
}

/// A session that has begun. Browsers get its secret in a cookie.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LoggedIn {
    /// Who logged in.
    pub caller: CallerView,
    /// The secret of the session, `lcs_…`, if the request asked for it. It is shown in this response only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// Who performs requests, and what they may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CallerView {
    /// The user; `null` for an API key of the console.
    pub user: Option<String>,
    /// The API key; `null` for a session.
    pub key: Option<KeyName>,
    /// The session; `null` for an API key.
    pub session: Option<Session>,
    /// The role in all environments; `null` for none.
    pub role: Option<String>,
    /// The role in some environments, by name.
    pub environment_roles: BTreeMap<String, String>,
    /// What must be done before anything else: `change-password`, `confirm-server-url`.
    pub pending: Vec<PendingStep>,
    /// The URL at which operators reach the server.
    pub server_url: String,
}

/// The ID and the name of an API key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct KeyName {
    /// Its ID.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// What a user must do before anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PendingStep {
    /// Change the password.
    ChangePassword,
    /// Confirm the server's URL.
    ConfirmServerUrl,
    /// A step that this build does not know. Never sent.
    #[serde(other)]
    Unknown,
}

/// A session of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Session {
    /// Its ID.
    pub id: String,
    /// The user.
    pub user: String,
    /// When it began.
    pub created_at: String,
    /// When it ends at the latest. It ends earlier after an hour without a request.
    pub ends_at: String,
    /// The address from which the user logged in; empty if it is unknown.
    pub address: String,
    /// When it was used last since the server started; `null` if it was not.
    pub last_used_at: Option<String>,
}

/// Sessions that were ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SessionsEnded {
    /// How many.
    pub ended: u64,
}

/// An API key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Key {
    /// Its ID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The user it belongs to; `null` for a key of the console.
    pub user: Option<String>,
    /// What it may do at most; `null` for all that its owner may do.
    pub limit: Option<KeyLimit>,
    /// When it was created.
    pub created_at: String,
    /// When it expires; `null` for never.
    pub expires_at: Option<String>,
    /// Until when the secret before the last rotation is valid; `null` if it is not.
    pub old_secret_until: Option<String>,
    /// When it was used last since the server started; `null` if it was not.
    pub last_used_at: Option<String>,
}

/// What an API key may do at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct KeyLimit {
    /// The role in all environments; `null` for none.
    #[serde(default)]
    pub role: Option<String>,
    /// The role in some environments, by name.
    #[serde(default)]
    pub environment_roles: BTreeMap<String, String>,
}

/// A request to create an API key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct KeyRequest {
    /// Its name, unique among the keys of its owner.
    pub name: String,
    /// The user it belongs to; by default the caller's, or for a key of the console the console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What it may do at most; by default all that its owner may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<KeyLimit>,
    /// How long it is valid; by default always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
}

/// A new secret of an API key. It is shown in this response only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct KeyCreated {
    /// The key.
    pub key: Key,
    /// The secret, `lck_…`.
    pub secret: String,
    /// Whether the secret is missing because the request was sent again with the same `Idempotency-Key`: only the first
    /// response had it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret_withheld: bool,
}

/// A request for a new secret of an API key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct KeyRotation {
    /// How long the old secret stays valid; by default it ends at once.
    #[serde(default)]
    pub grace_seconds: u64,
}

/// An edit of the server's settings. Absent fields stay unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct ServerEdit {
    /// The URL at which operators reach the server: `https://HOST[:PORT]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_url: Option<String>,
}

/// Implements a `Debug` that shows the type's name only.
macro_rules! hide {
    ($($name:ident),*) => {
        $(impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        })*
    };
}

hide!(UserRequest, PasswordReset, PasswordChange, SetupRequest, LoginRequest, LoggedIn, KeyCreated);

/// A role that is not known, or an environment with an invalid name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The role is not known.
    #[error("there is no role `{0}`; the roles are viewer, operator and admin")]
    Role(String),
    /// The name is not a name.
    #[error("environment: {0}")]
    Environment(NameError),
}

/// Parses a role.
///
/// # Errors
/// [`AccessError::Role`] for any other text.
pub fn parse_role(text: &str) -> Result<Role, AccessError> {
    Role::parse(text).ok_or_else(|| AccessError::Role(linecamp_model::excerpt(text, 32)))
}

/// Parses a role, or `none`.
///
/// # Errors
/// [`AccessError::Role`] for any other text.
pub fn parse_role_or_none(text: &str) -> Result<Option<Role>, AccessError> {
    if text == NO_ROLE { Ok(None) } else { parse_role(text).map(Some) }
}

/// Parses the roles in all environments and in some.
///
/// # Errors
/// [`AccessError`] says what is wrong.
pub fn parse_access(role: Option<&str>, environments: &BTreeMap<String, String>) -> Result<Access, AccessError> {
    let everywhere = role.map(parse_role).transpose()?;
    let parse_name = |name: &str| Name::parse(name).map_err(AccessError::Environment);
    let named = environments.iter().map(|(name, role)| Ok((parse_name(name)?, parse_role(role)?)));
    Ok(Access { everywhere, environments: named.collect::<Result<_, AccessError>>()? })
}

/// Writes the roles in all environments and in some.
pub fn write_access(access: &Access) -> (Option<String>, BTreeMap<String, String>) {
    let named = access.environments.iter().map(|(name, role)| (name.to_string(), role.to_string()));
    (access.everywhere.map(|role| role.to_string()), named.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_roles_are_read_as_they_were() {
        let lab = Name::parse("lab").expect("valid");
        let access = Access { everywhere: Some(Role::Viewer), environments: [(lab, Role::Admin)].into() };
        let (role, environments) = write_access(&access);
        assert_eq!(parse_access(role.as_deref(), &environments), Ok(access));
        assert_eq!(parse_role_or_none("none"), Ok(None));
        let unknown = parse_access(Some("root"), &BTreeMap::new()).expect_err("no role").to_string();
        assert_eq!(unknown, "there is no role `root`; the roles are viewer, operator and admin");
    }

    #[test]
    fn a_secret_is_not_shown() {
        let request = LoginRequest { name: "anna".into(), password: "correct horse".into(), bearer: true };
        assert_eq!(format!("{request:?}"), "LoginRequest { .. }");
    }
}
