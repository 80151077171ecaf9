//! Authentication: who presents a secret, and what they may do.
//!
//! The access of an API key is that of its user, limited by the key's own limit, and is computed at each use: a change
//! of a user's roles takes effect at once. When a key or a session was used last is held in memory only, so that
//! requests write nothing; the start of the server counts as a use.

use std::collections::BTreeMap;
use std::time::Duration;

use linecamp_model::limits::{API_KEYS_MAX, USER_SESSIONS_MAX};
use linecamp_model::{
    Access, ApiKey, Identity, Instant, KeyIdentity, Name, Now, Role, SecretHash, User, UserSession, WallTime,
};

use super::state::FleetState;

/// How long a session lasts at most.
pub const SESSION_LIFE: Duration = Duration::from_secs(12 * 3600);

/// How long a session lasts without a request.
pub const SESSION_IDLE_MAX: Duration = Duration::from_secs(3600);

/// How many last uses are kept before those of secrets that have ended are dropped, which leaves half at most.
const ACTIVITY_MAX: usize = 2 * (API_KEYS_MAX + USER_SESSIONS_MAX);

/// A secret that a request presents, as its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ApiCredential {
    /// Of an API key.
    Key(SecretHash),
    /// Of a session.
    Session(SecretHash),
}

/// Who presents a credential, and what they may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Who it is.
    pub identity: Identity,
    /// The roles.
    pub access: Access,
    /// What the user must do before anything else.
    pub pending: PendingSetup,
}

/// Who presents a credential, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Who it is.
    pub principal: Principal,
    /// How long the credential is valid if nothing else changes; `None` if it does not end by itself.
    pub lasts: Option<Duration>,
}

/// What a user must do before anything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PendingSetup {
    /// Change the password.
    pub password: bool,
    /// Confirm the server's URL.
    pub server_url: bool,
}

impl PendingSetup {
    /// Whether something has to be done.
    pub const fn is_pending(self) -> bool {
        self.password || self.server_url
    }
}

/// Why a credential is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthenticationError {
    /// No API key has this secret.
    UnknownKey,
    /// The API key is held since the server was restored from a backup.
    HeldApiKey,
    /// The API key expired at this time.
    ExpiredKey(WallTime),
    /// The user of the API key is disabled.
    DisabledUser(Name),
    /// No session has this secret: it never existed, or it ended.
    UnknownSession,
    /// The session reached its end.
    ExpiredSession,
    /// The session was not used for too long.
    IdleSession,
}

/// When API keys and sessions were used last. Bounded by [`ACTIVITY_MAX`].
#[derive(Clone, Debug)]
pub(crate) struct Activity {
    started: Instant,
    last: BTreeMap<SecretHash, (Instant, WallTime)>,
}

impl Activity {
    /// Starts without any use.
    pub(super) const fn new(now: Now) -> Self {
        Self { started: now.instant, last: BTreeMap::new() }
    }

    fn note(&mut self, secret: SecretHash, now: Now) {
        self.last.insert(secret, (now.instant, now.wall));
    }

    /// Returns when a secret was used last, if it was since the start.
    pub(super) fn last_use(&self, secret: &SecretHash) -> Option<WallTime> {
        self.last.get(secret).map(|(_, wall)| *wall)
    }

    /// Whether a session was not used for too long. It was used when it began, and when the server started.
    fn is_idle(&self, secret: &SecretHash, session: &UserSession, now: Now) -> bool {
        let last = self.last.get(secret).map_or(self.started, |(instant, _)| *instant);
        let is_new = now.wall.saturating_since(session.created_at) < SESSION_IDLE_MAX;
        !is_new && SESSION_IDLE_MAX <= now.instant.saturating_since(last)
    }

    /// Returns how long a session that is not idle lasts without another use.
    fn idle_left(&self, secret: &SecretHash, session: &UserSession, now: Now) -> Duration {
        let last = self.last.get(secret).map_or(self.started, |(instant, _)| *instant);
        let since_use = SESSION_IDLE_MAX.saturating_sub(now.instant.saturating_since(last));
        let since_start = SESSION_IDLE_MAX.saturating_sub(now.wall.saturating_since(session.created_at));
        since_use.max(since_start)
    }

    /// Forgets the secrets that do not exist any more.
    pub(super) fn retain(&mut self, state: &FleetState) {
        let exists =
            |secret: &SecretHash| state.api_keys.contains_key(secret) || state.user_sessions.contains_key(secret);
        self.last.retain(|secret, _| exists(secret));
    }

    /// Returns the sessions that have ended: by their age, or because they were not used.
    pub(super) fn ended_sessions(&self, state: &FleetState, now: Now) -> Vec<SecretHash> {
        let sessions = state.user_sessions.iter();
        let is_over = |secret: &SecretHash, of: &UserSession| of.ends_at <= now.wall || self.is_idle(secret, of, now);
        sessions.filter(|(secret, of)| is_over(secret, of)).map(|(secret, _)| *secret).collect()
    }
}

/// Returns who presents a credential, and notes its use.
pub(super) fn authenticate(
    state: &FleetState,
    activity: &mut Activity,
    credential: ApiCredential,
    now: Now,
) -> Result<Principal, AuthenticationError> {
    let (ApiCredential::Key(secret) | ApiCredential::Session(secret)) = credential;
    let Standing { principal, .. } = standing(state, activity, credential, now)?;
    if ACTIVITY_MAX <= activity.last.len() {
        activity.retain(state);
    }
    activity.note(secret, now);
    Ok(principal)
}

/// Returns who presents a credential, and how long that holds.
pub(super) fn standing(
    state: &FleetState,
    activity: &Activity,
    credential: ApiCredential,
    now: Now,
) -> Result<Standing, AuthenticationError> {
    match credential {
        ApiCredential::Key(secret) => key_standing(state, &secret, now),
        ApiCredential::Session(secret) => {
            let session = state.user_sessions.get(&secret).ok_or(AuthenticationError::UnknownSession)?;
            let user = state.users.get(&session.user).ok_or(AuthenticationError::UnknownSession)?;
            if user.disabled_at.is_some() {
                return Err(AuthenticationError::UnknownSession);
            }
            if session.ends_at <= now.wall {
                return Err(AuthenticationError::ExpiredSession);
            }
            if activity.is_idle(&secret, session, now) {
                return Err(AuthenticationError::IdleSession);
            }
            let identity = Identity::User(session.user.clone(), session.id);
            let principal = Principal { identity, access: user.access.clone(), pending: pending(state, user) };
            let lasts = session.ends_at.saturating_since(now.wall).min(activity.idle_left(&secret, session, now));
            Ok(Standing { principal, lasts: Some(lasts) })
        }
    }
}

/// Returns what a user must do before anything else.
pub(super) fn pending(state: &FleetState, user: &User) -> PendingSetup {
    let server_url = state.settings.is_none() && user.access.everywhere == Some(Role::Admin);
    PendingSetup { password: user.must_change_password, server_url }
}

fn key_standing(state: &FleetState, secret: &SecretHash, now: Now) -> Result<Standing, AuthenticationError> {
    let key = state.api_keys.get(secret).ok_or(AuthenticationError::UnknownKey)?;
    if state.held.api_keys.contains_key(secret) {
        return Err(AuthenticationError::HeldApiKey);
    }
    if let Some(at) = key.expires_at.filter(|_| key.is_expired(now.wall)) {
        return Err(AuthenticationError::ExpiredKey(at));
    }
    if let Some(name) = &key.user {
        let user = state.users.get(name).ok_or(AuthenticationError::UnknownKey)?;
        if user.disabled_at.is_some() {
            return Err(AuthenticationError::DisabledUser(name.clone()));
        }
    }
    let identity = KeyIdentity { id: key.id, name: key.name.clone(), user: key.user.clone() };
    let access = effective_access(state, key.user.as_ref(), key.limit.as_ref());
    let principal = Principal { identity: Identity::Key(identity), access, pending: PendingSetup::default() };
    Ok(Standing { principal, lasts: key.expires_at.map(|at| at.saturating_since(now.wall)) })
}

/// Returns what a key of `user`, or of the console, with this limit may do.
pub(super) fn effective_access(state: &FleetState, user: Option<&Name>, limit: Option<&Access>) -> Access {
    let owner = match user {
        Some(name) => state.users.get(name).map(|user| user.access.clone()).unwrap_or_default(),
        None => Access::everywhere(Role::Admin),
    };
    limit.map_or_else(|| owner.clone(), |limit| owner.limited_to(limit))
}

/// Returns what a key may do.
pub(super) fn access_of_key(state: &FleetState, key: &ApiKey) -> Access {
    effective_access(state, key.user.as_ref(), key.limit.as_ref())
}

#[cfg(test)]
mod tests {
    use linecamp_model::{FleetChange, KeyId};

    use super::*;
    use crate::fleet::account_testing::{KEY, SESSION, later, with_people};
    use crate::fleet::testing::{NOW, apply};
    use crate::testing::name;

    fn role_of_key(state: &FleetState) -> Option<Role> {
        let mut activity = Activity::new(NOW);
        let found = authenticate(state, &mut activity, ApiCredential::Key(KEY), NOW);
        found.expect("a valid key").access.role_in(&name("default"))
    }

    #[test]
    fn a_change_of_a_users_roles_takes_effect_at_the_next_use_of_a_key() {
        let mut state = with_people();
        assert_eq!(role_of_key(&state), Some(Role::Operator));
        let mut anna = state.users[&name("anna")].clone();
        anna.access = Access::everywhere(Role::Viewer);
        apply(&mut state, |_| vec![FleetChange::User(name("anna"), Some(anna.clone()))]);
        assert_eq!(role_of_key(&state), Some(Role::Viewer));
        let mut key = state.api_keys[&KEY].clone();
        key.limit = Some(Access { everywhere: None, environments: [(name("lab"), Role::Admin)].into() });
        apply(&mut state, |_| vec![FleetChange::ApiKey(KEY, Some(key.clone()))]);
        assert_eq!(role_of_key(&state), None, "the limit excludes the environment");
    }

    #[test]
    fn a_key_of_the_console_is_an_admin() {
        let mut state = FleetState::default();
        let secret = SecretHash::from_bytes([1; 32]);
        let key = ApiKey::of_console(secret, name("ci"), NOW.wall);
        assert_eq!(key.id, KeyId::from_bytes([1; 8]));
        apply(&mut state, |_| vec![FleetChange::ApiKey(secret, Some(key.clone()))]);
        let found = authenticate(&state, &mut Activity::new(NOW), ApiCredential::Key(secret), NOW).expect("valid");
        assert_eq!((found.access, found.pending), (Access::everywhere(Role::Admin), PendingSetup::default()));
        let other = authenticate(&state, &mut Activity::new(NOW), ApiCredential::Session(secret), NOW);
        assert_eq!(other, Err(AuthenticationError::UnknownSession), "a key is no session");
    }

    #[test]
    fn a_session_ends_when_it_is_idle_and_at_the_latest_after_its_life() {
        let state = with_people();
        let mut activity = Activity::new(NOW);
        let mut at = Duration::ZERO;
        let step = SESSION_IDLE_MAX - Duration::from_secs(1);
        while at + step < SESSION_LIFE {
            at += step;
            let used = authenticate(&state, &mut activity, ApiCredential::Session(SESSION), later(at));
            assert!(used.is_ok(), "{used:?} after {at:?}");
        }
        let idle = authenticate(&state, &mut activity, ApiCredential::Session(SESSION), later(at + SESSION_IDLE_MAX));
        assert_eq!(idle, Err(AuthenticationError::ExpiredSession));
        let mut unused = Activity::new(NOW);
        let idle = authenticate(&state, &mut unused, ApiCredential::Session(SESSION), later(SESSION_IDLE_MAX));
        assert_eq!(idle, Err(AuthenticationError::IdleSession));
        assert_eq!(unused.ended_sessions(&state, later(SESSION_IDLE_MAX)), [SESSION]);
        assert_eq!(unused.ended_sessions(&state, NOW), []);
    }

    #[test]
    fn an_expired_key_and_a_key_of_a_disabled_user_are_rejected() {
        let mut state = with_people();
        let mut key = state.api_keys[&KEY].clone();
        key.expires_at = Some(NOW.wall);
        apply(&mut state, |_| vec![FleetChange::ApiKey(KEY, Some(key.clone()))]);
        let found = authenticate(&state, &mut Activity::new(NOW), ApiCredential::Key(KEY), NOW);
        assert_eq!(found, Err(AuthenticationError::ExpiredKey(NOW.wall)));
        let mut state = with_people();
        let mut anna = state.users[&name("anna")].clone();
        anna.disabled_at = Some(NOW.wall);
        apply(&mut state, |_| vec![FleetChange::User(name("anna"), Some(anna.clone()))]);
        let found = authenticate(&state, &mut Activity::new(NOW), ApiCredential::Key(KEY), NOW);
        assert_eq!(found, Err(AuthenticationError::DisabledUser(name("anna"))));
        let found = authenticate(&state, &mut Activity::new(NOW), ApiCredential::Session(SESSION), NOW);
        assert_eq!(found, Err(AuthenticationError::UnknownSession));
    }

    #[test]
    fn how_long_a_credential_lasts_is_known_and_asking_is_no_use() {
        let mut state = with_people();
        let mut activity = Activity::new(NOW);
        let lasts = |state: &FleetState, activity: &Activity, credential, now| {
            standing(state, activity, credential, now).expect("valid").lasts
        };
        let (key, session) = (ApiCredential::Key(KEY), ApiCredential::Session(SESSION));
        assert_eq!(lasts(&state, &activity, key, NOW), None);
        assert_eq!(lasts(&state, &activity, session, NOW), Some(SESSION_IDLE_MAX));
        let half = later(SESSION_IDLE_MAX / 2);
        assert_eq!(lasts(&state, &activity, session, half), Some(SESSION_IDLE_MAX / 2));
        assert_eq!(activity.last_use(&SESSION), None);
        authenticate(&state, &mut activity, session, half).expect("valid");
        assert_eq!(lasts(&state, &activity, session, half), Some(SESSION_IDLE_MAX));
        let before_end = later(SESSION_LIFE - Duration::from_secs(1));
        activity.note(SESSION, before_end);
        assert_eq!(lasts(&state, &activity, session, before_end), Some(Duration::from_secs(1)));
        let mut expiring = state.api_keys[&KEY].clone();
        expiring.expires_at = Some(NOW.wall + Duration::from_secs(7));
        apply(&mut state, |_| vec![FleetChange::ApiKey(KEY, Some(expiring))]);
        assert_eq!(lasts(&state, &activity, key, NOW), Some(Duration::from_secs(7)));
    }

    #[test]
    fn only_a_global_admin_confirms_the_url() {
        let mut state = with_people();
        apply(&mut state, |_| vec![FleetChange::Settings(None)]);
        assert!(!pending(&state, &state.users[&name("anna")]).server_url);
        assert!(pending(&state, &state.users[&name("root")]).server_url);
    }
}
