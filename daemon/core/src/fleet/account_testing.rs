//! A state with users for the unit tests of the parts.

use std::time::Duration;

use linecamp_model::{
    Access, ApiKey, FleetChange, Identity, KeyId, KeyIdentity, Name, Now, PasswordHash, Requirement, Role, SecretHash,
    ServerAddress, ServerSettings, User, UserSession, UserSessionId,
};

use super::authorization::Authorization;
use super::state::FleetState;
use super::testing::{NOW, apply, state};
use crate::testing::name;

/// The key `deploy` of `anna`.
pub(super) const KEY: SecretHash = SecretHash::from_bytes([11; 32]);
pub(super) const KEY_ID: KeyId = KeyId::from_bytes([12; 8]);

/// A session of `anna`.
pub(super) const SESSION: SecretHash = SecretHash::from_bytes([13; 32]);
pub(super) const SESSION_ID: UserSessionId = UserSessionId::from_bytes([14; 8]);

pub(super) fn later(time: Duration) -> Now {
    Now { instant: NOW.instant + time, wall: NOW.wall + time }
}

pub(super) fn hash(text: &str) -> PasswordHash {
    PasswordHash::parse(&format!("$test${text}")).unwrap()
}

pub(super) fn person(access: Access) -> User {
    User {
        password: Some(hash("old")),
        oidc: None,
        must_change_password: false,
        access,
        created_at: NOW.wall,
        disabled_at: None,
    }
}

/// Returns a state with the admin `root`, and with the operator `anna`, who has a key and a session.
pub(super) fn with_people() -> FleetState {
    let mut state = state();
    let key = ApiKey {
        id: KEY_ID,
        name: name("deploy"),
        user: Some(name("anna")),
        limit: None,
        created_at: NOW.wall,
        expires_at: None,
        is_replaced: false,
    };
    let session = UserSession {
        id: SESSION_ID,
        user: name("anna"),
        created_at: NOW.wall,
        ends_at: NOW.wall + super::authentication::SESSION_LIFE,
        address: None,
    };
    let server_url = ServerAddress::parse("camp.example:8443").unwrap();
    apply(&mut state, |_| {
        vec![
            FleetChange::User(name("root"), Some(person(Access::everywhere(Role::Admin)))),
            FleetChange::User(name("anna"), Some(person(Access::everywhere(Role::Operator)))),
            FleetChange::ApiKey(KEY, Some(key)),
            FleetChange::UserSession(SESSION, Some(session)),
            FleetChange::Settings(Some(ServerSettings { server_url, confirmed_at: NOW.wall })),
        ]
    });
    state
}

/// Returns the authorization of a user's session.
pub(super) fn as_user(state: &FleetState, user: &str, requirement: Requirement) -> Authorization {
    let identity = Identity::User(name(user), SESSION_ID);
    authorization(identity, state.users[&name(user)].access.clone(), requirement)
}

/// Returns the authorization of a key of a user with this access.
pub(super) fn as_key(user: Option<&str>, access: Access) -> Authorization {
    let user: Option<Name> = user.map(name);
    let identity = Identity::Key(KeyIdentity { id: KEY_ID, name: name("deploy"), user });
    authorization(identity, access, Requirement::Login)
}

fn authorization(identity: Identity, access: Access, requirement: Requirement) -> Authorization {
    let console = Authorization::console();
    let caller = linecamp_model::Caller { identity, ..console.caller.clone() };
    Authorization { caller, access, requirement, ..console }
}
