//! Whether a caller may give a command on users, API keys, sessions or the server's settings.
//!
//! Users manage their own password, API keys and sessions; everything else requires an admin in all environments.
//! Nobody grants more than they have: a limited API key manages only keys that are limited likewise. A key or a session
//! that the caller may not see does not exist.

use linecamp_model::{Access, ApiKey, Identity, KeyId, Name, Role, UserSession, UserSessionId};

use super::account_command::{AccountCommand, LoginProof, NewKey};
use super::authentication::{access_of_key, effective_access};
use super::authorization::Authorization;
use super::command::FleetCommandError;
use super::lookup::{find_environment, unknown_user};
use super::state::FleetState;

type Checked = Result<(), FleetCommandError>;

/// Checks that the caller may give a command.
pub(super) fn check_account(state: &FleetState, caller: &Authorization, command: &AccountCommand) -> Checked {
    match command {
        AccountCommand::CreateUser(new) => {
            caller.check_everywhere()?;
            check_environments(state, caller, new.access.environments.keys())
        }
        AccountCommand::EditUser(_, edit) => {
            caller.check_everywhere()?;
            let granted = edit.environments.iter().filter(|(_, role)| role.is_some());
            check_environments(state, caller, granted.map(|(name, _)| name))
        }
        AccountCommand::RemoveUser(_) | AccountCommand::ResetPassword(..) | AccountCommand::SetServerUrl(_) => {
            caller.check_everywhere()
        }
        AccountCommand::CompleteSetup(..) => match &caller.caller.identity {
            Identity::User(..) if caller.is_global_admin() => Ok(()),
            _ => forbidden("only an admin in all environments who logged in with a password can complete the setup"),
        },
        AccountCommand::RenewPasswordHash(change) => check_self(caller, &change.user),
        AccountCommand::ChangePassword(change) => check_self(caller, &change.user),
        AccountCommand::BeginSession(new) => match &new.proof {
            LoginProof::Password { user, .. } => check_self(caller, user),
            LoginProof::Oidc(_) => check_anonymous(caller),
        },
        AccountCommand::WithdrawOidcAccess(_) => check_anonymous(caller),
        AccountCommand::CreateKey(new) => check_new_key(state, caller, new),
        AccountCommand::RotateKey(id, ..) => check_rotation(state, caller, *id),
        AccountCommand::RevokeKey(id) => {
            let key = visible_key(state, caller, *id)?;
            check_includes(caller, &access_of_key(state, key))
        }
        AccountCommand::EndSession(id) => {
            let session = visible_session(state, caller, *id)?;
            check_sessions(state, caller, &session.user)
        }
        AccountCommand::EndSessions(user) => {
            let is_visible = caller.is_global_admin() || caller.caller.identity.user() == Some(user);
            match state.users.get(user).filter(|_| is_visible) {
                Some(_) => check_sessions(state, caller, user),
                None => Err(unknown_user(user)),
            }
        }
    }
}

/// Checks that environments exist, as far as the caller may know.
fn check_environments<'a>(
    state: &FleetState,
    caller: &Authorization,
    mut names: impl Iterator<Item = &'a Name>,
) -> Checked {
    names.try_for_each(|name| find_environment(state, caller, name).map(drop))
}

/// Whether a caller may see what belongs to `owner`; `None` is the console.
pub(super) fn sees_owner(caller: &Authorization, owner: Option<&Name>) -> bool {
    caller.is_global_admin() || (owner.is_some() && caller.caller.identity.user() == owner)
}

/// Returns the current secret's record of a key that the caller may see.
pub(super) fn visible_key<'a>(
    state: &'a FleetState,
    caller: &Authorization,
    id: KeyId,
) -> Result<&'a ApiKey, FleetCommandError> {
    let mut keys = state.api_keys.values().filter(|key| key.id == id && !key.is_replaced);
    let key = keys.next().filter(|key| sees_owner(caller, key.user.as_ref()));
    let unknown = || format!("there is no API key {id}; `linecamp key ls` lists those that you may see");
    key.ok_or_else(|| FleetCommandError::NotFound(unknown()))
}

fn visible_session<'a>(
    state: &'a FleetState,
    caller: &Authorization,
    id: UserSessionId,
) -> Result<&'a UserSession, FleetCommandError> {
    let mut sessions = state.user_sessions.values().filter(|session| session.id == id);
    let session = sessions.next().filter(|session| sees_owner(caller, Some(&session.user)));
    let unknown = || format!("there is no session {id}; `linecamp session ls` lists those that you may see");
    session.ok_or_else(|| FleetCommandError::NotFound(unknown()))
}

fn check_self(caller: &Authorization, user: &Name) -> Checked {
    match caller.caller.identity.user() {
        Some(own) if own == user => Ok(()),
        _ => forbidden("this is possible for the own user only; an admin can set the password of another user"),
    }
}

/// The user is known only after the command, so no known user gives it.
fn check_anonymous(caller: &Authorization) -> Checked {
    match &caller.caller.identity {
        Identity::Anonymous => Ok(()),
        _ => forbidden("a login at the identity provider is not done on behalf of another user"),
    }
}

fn check_new_key(state: &FleetState, caller: &Authorization, new: &NewKey) -> Checked {
    match &new.user {
        Some(user) if !sees_owner(caller, Some(user)) => {
            return forbidden("only an admin in all environments can create API keys for other users");
        }
        Some(user) if !state.users.contains_key(user) => return Err(unknown_user(user)),
        None if !is_console(caller) => {
            return forbidden(
                "only the console and its API keys can create a key that belongs to no user; name a user",
            );
        }
        _ => {}
    }
    check_environments(state, caller, new.limit.iter().flat_map(|limit| limit.environments.keys()))?;
    check_includes(caller, &effective_access(state, new.user.as_ref(), new.limit.as_ref()))
}

/// The new secret of a key of the console outlives the user who has seen it, so a user must not get one.
fn check_rotation(state: &FleetState, caller: &Authorization, id: KeyId) -> Checked {
    let key = visible_key(state, caller, id)?;
    if key.user.is_none() && !is_console(caller) {
        return forbidden("a key of the console is rotated with a key of the console, or replaced by a user's key");
    }
    check_includes(caller, &access_of_key(state, key))
}

fn check_sessions(state: &FleetState, caller: &Authorization, user: &Name) -> Checked {
    let access = state.users.get(user).map(|user| user.access.clone()).unwrap_or_default();
    check_includes(caller, &access)
}

fn check_includes(caller: &Authorization, access: &Access) -> Checked {
    match caller.access.includes(access) {
        true => Ok(()),
        false => forbidden("this concerns a role that your credentials do not have; use credentials that have it"),
    }
}

const fn is_console(caller: &Authorization) -> bool {
    match &caller.caller.identity {
        Identity::Console => true,
        Identity::Key(key) => key.user.is_none(),
        Identity::User(..) | Identity::Anonymous => false,
    }
}

fn forbidden<T>(text: &str) -> Result<T, FleetCommandError> {
    Err(FleetCommandError::Forbidden(text.to_owned()))
}

impl Authorization {
    /// Whether the caller is an admin in all environments.
    pub fn is_global_admin(&self) -> bool {
        self.access.everywhere == Some(Role::Admin)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use linecamp_model::{Requirement, SecretHash};

    use super::*;
    use crate::fleet::account_testing::{KEY_ID, SESSION_ID, as_key, as_user, with_people};
    use crate::testing::name;

    fn new_key(user: Option<&str>, limit: Option<Access>) -> AccountCommand {
        let (id, secret) = (KeyId::from_bytes([1; 8]), SecretHash::from_bytes([1; 32]));
        AccountCommand::CreateKey(NewKey { id, secret, name: name("k"), user: user.map(name), limit, ttl: None })
    }

    fn rotate() -> AccountCommand {
        AccountCommand::RotateKey(KEY_ID, SecretHash::from_bytes([1; 32]), Duration::ZERO)
    }

    #[test]
    fn users_manage_their_own_keys_and_sessions_only() {
        let state = with_people();
        let anna = as_user(&state, "anna", Requirement::Login);
        let own = [new_key(Some("anna"), None), rotate(), AccountCommand::EndSession(SESSION_ID)];
        for command in own {
            assert_eq!(check_account(&state, &anna, &command), Ok(()), "{command:?}");
        }
        let others = check_account(&state, &anna, &new_key(Some("root"), None));
        assert!(matches!(others, Err(FleetCommandError::Forbidden(_))), "{others:?}");
        let mut stranger = anna.clone();
        stranger.caller.identity = Identity::User(name("bob"), SESSION_ID);
        for command in [rotate(), AccountCommand::RevokeKey(KEY_ID), AccountCommand::EndSession(SESSION_ID)] {
            let refused = check_account(&state, &stranger, &command);
            assert!(matches!(refused, Err(FleetCommandError::NotFound(_))), "{command:?}: {refused:?}");
        }
        let root = as_user(&state, "root", Requirement::Login);
        assert_eq!(check_account(&state, &root, &AccountCommand::RevokeKey(KEY_ID)), Ok(()));
    }

    #[test]
    fn nobody_grants_more_than_they_have() {
        let state = with_people();
        let viewer = as_key(Some("anna"), Access::everywhere(Role::Viewer));
        let limited = || new_key(Some("anna"), Some(Access::everywhere(Role::Viewer)));
        assert_eq!(check_account(&state, &viewer, &limited()), Ok(()));
        for command in [new_key(Some("anna"), None), rotate(), AccountCommand::EndSession(SESSION_ID)] {
            let refused = check_account(&state, &viewer, &command);
            assert!(matches!(refused, Err(FleetCommandError::Forbidden(_))), "{command:?}: {refused:?}");
        }
    }

    #[test]
    fn a_key_of_the_console_is_made_by_the_console_only() {
        let state = with_people();
        let root = as_user(&state, "root", Requirement::Login);
        let refused = check_account(&state, &root, &new_key(None, None));
        assert!(matches!(refused, Err(FleetCommandError::Forbidden(_))), "{refused:?}");
        let console = as_key(None, Access::everywhere(Role::Admin));
        assert_eq!(check_account(&state, &console, &new_key(None, None)), Ok(()));
    }

    #[test]
    fn a_login_at_the_provider_is_of_nobody_who_is_known_already() {
        let state = with_people();
        let identity = linecamp_model::OidcIdentity::new("https://id.example", "u-7").unwrap();
        let withdraw = AccountCommand::WithdrawOidcAccess(identity);
        for caller in [as_user(&state, "root", Requirement::Login), as_key(None, Access::everywhere(Role::Admin))] {
            assert!(check_account(&state, &caller, &withdraw).is_err());
        }
        let mut anonymous = as_user(&state, "root", Requirement::Nothing);
        anonymous.caller.identity = Identity::Anonymous;
        assert_eq!(check_account(&state, &anonymous, &withdraw), Ok(()));
    }

    #[test]
    fn users_are_managed_by_a_global_admin() {
        let state = with_people();
        let everywhere = Requirement::RoleEverywhere(Role::Admin);
        let command = AccountCommand::RemoveUser(name("anna"));
        assert_eq!(check_account(&state, &as_user(&state, "root", everywhere), &command), Ok(()));
        assert!(check_account(&state, &as_user(&state, "anna", everywhere), &command).is_err());
        assert!(check_account(&state, &as_user(&state, "root", Requirement::Login), &command).is_err());
    }
}
