//! Views of users, API keys, sessions and settings.

use std::net::IpAddr;

use linecamp_model::{
    Access, ApiKey, IdempotencyKeyHash, KeptAnswer, KeyId, Name, OidcIdentity, SecretHash, ServerSettings, User,
    UserSession, UserSessionId, WallTime,
};

use super::FleetView;
use crate::fleet::account_check::{sees_owner, visible_key};
use crate::fleet::authentication::{PendingSetup, pending};

/// A user, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserView {
    /// The name.
    pub name: Name,
    /// The record.
    pub user: User,
    /// How many API keys the user has.
    pub keys: usize,
    /// How many sessions the user has.
    pub sessions: usize,
}

/// An API key, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyView {
    /// Its ID.
    pub id: KeyId,
    /// Its name.
    pub name: Name,
    /// The user it belongs to; `None` for the console.
    pub user: Option<Name>,
    /// What it may do at most.
    pub limit: Option<Access>,
    /// When it was created.
    pub created_at: WallTime,
    /// When it expires.
    pub expires_at: Option<WallTime>,
    /// Until when the secret before the last rotation is valid.
    pub old_secret_until: Option<WallTime>,
    /// When it was used last since the server started.
    pub last_used_at: Option<WallTime>,
}

/// A session of a user, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSessionView {
    /// Its ID.
    pub id: UserSessionId,
    /// The user.
    pub user: Name,
    /// When it began.
    pub created_at: WallTime,
    /// When it ends at the latest.
    pub ends_at: WallTime,
    /// The address from which the user logged in.
    pub address: Option<IpAddr>,
    /// When it was used last since the server started.
    pub last_used_at: Option<WallTime>,
}

impl<'a> FleetView<'a> {
    /// Returns the users, by name. A caller who is no admin in all environments sees its own.
    pub fn users(self) -> Vec<UserView> {
        self.state.users.keys().filter_map(|name| self.user(name)).collect()
    }

    /// Returns a user.
    pub fn user(self, name: &Name) -> Option<UserView> {
        let user = self.state.users.get(name).filter(|_| self.sees_owner(Some(name)))?;
        let keys = self.state.api_keys.values().filter(|key| key.user.as_ref() == Some(name) && !key.is_replaced);
        let sessions = self.state.user_sessions.values().filter(|session| session.user == *name);
        Some(UserView { name: name.clone(), user: user.clone(), keys: keys.count(), sessions: sessions.count() })
    }

    /// Returns the user of a person at the identity provider.
    pub fn user_at_provider(self, identity: &OidcIdentity) -> Option<&'a Name> {
        let mut users = self.state.users.iter().filter(|(name, _)| self.sees_owner(Some(name)));
        users.find(|(_, user)| user.oidc.as_ref() == Some(identity)).map(|(name, _)| name)
    }

    /// Returns the answer that is kept under the hash of an idempotency key.
    pub fn kept_answer(self, key: &IdempotencyKeyHash) -> Option<&'a KeptAnswer> {
        self.state.kept_answers.get(key).map(|kept| &**kept)
    }

    /// Returns the API keys, oldest first.
    pub fn api_keys(self) -> Vec<ApiKeyView> {
        let seen = self.state.api_keys.iter().filter(|(_, key)| self.sees_owner(key.user.as_ref()));
        let mut keys: Vec<_> =
            seen.filter(|(_, key)| !key.is_replaced).map(|(hash, key)| self.key(hash, key)).collect();
        keys.sort_by(|a, b| (a.created_at, &a.name, a.id).cmp(&(b.created_at, &b.name, b.id)));
        keys
    }

    /// Returns an API key.
    pub fn api_key(self, id: KeyId) -> Option<ApiKeyView> {
        visible_key(self.state, self.caller_or_console(), id).ok()?;
        let mut found = self.state.api_keys.iter().filter(|(_, key)| key.id == id && !key.is_replaced);
        found.next().map(|(secret, key)| self.key(secret, key))
    }

    /// Returns the sessions of users, oldest first.
    pub fn user_sessions(self) -> Vec<UserSessionView> {
        let seen = self.state.user_sessions.iter().filter(|(_, session)| self.sees_owner(Some(&session.user)));
        let mut sessions: Vec<_> = seen.map(|(secret, session)| self.session(secret, session)).collect();
        sessions.sort_by_key(|session| (session.created_at, session.id));
        sessions
    }

    /// Returns a session of a user.
    pub fn user_session(self, id: UserSessionId) -> Option<UserSessionView> {
        self.user_sessions().into_iter().find(|session| session.id == id)
    }

    /// Returns the settings that operators have changed.
    pub const fn settings(self) -> Option<&'a ServerSettings> {
        self.state.settings.as_ref()
    }

    /// Returns what a user must do before anything else.
    pub fn pending(self, name: &Name) -> PendingSetup {
        self.state.users.get(name).map(|user| pending(self.state, user)).unwrap_or_default()
    }

    fn sees_owner(self, owner: Option<&Name>) -> bool {
        sees_owner(self.caller_or_console(), owner)
    }

    fn key(self, secret: &SecretHash, key: &ApiKey) -> ApiKeyView {
        let mut replaced = self.state.api_keys.values().filter(|other| other.id == key.id && other.is_replaced);
        ApiKeyView {
            id: key.id,
            name: key.name.clone(),
            user: key.user.clone(),
            limit: key.limit.clone(),
            created_at: key.created_at,
            expires_at: key.expires_at,
            old_secret_until: replaced.next().and_then(|old| old.expires_at),
            last_used_at: self.activity.last_use(secret),
        }
    }

    fn session(self, secret: &SecretHash, session: &UserSession) -> UserSessionView {
        UserSessionView {
            id: session.id,
            user: session.user.clone(),
            created_at: session.created_at,
            ends_at: session.ends_at,
            address: session.address,
            last_used_at: self.activity.last_use(secret),
        }
    }
}
