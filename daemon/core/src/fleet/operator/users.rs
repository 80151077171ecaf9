//! Commands on users and their passwords.

use linecamp_model::limits::USERS_MAX;
use linecamp_model::{FleetChange, Identity, Name, Now, PasswordHash, Role, User};

use super::keys::keys_of;
use super::user_sessions::{end_all, sessions_of};
use crate::fleet::account_command::{NewUser, PasswordChange, UserEdit};
use crate::fleet::command::FleetCommandError;
use crate::fleet::decision::{Decided, Decision};
use crate::fleet::lookup::find_user;
use crate::fleet::state::FleetState;

/// Creates a user, who must change the first password.
pub(super) fn create_user(state: &FleetState, new: NewUser, now: Now) -> Decided {
    let NewUser { name, password, access } = new;
    if state.users.contains_key(&name) {
        return Err(FleetCommandError::NameTaken(format!("user {name} exists already")));
    }
    if USERS_MAX <= state.users.len() {
        return Err(FleetCommandError::Limit(format!("the limit of {USERS_MAX} users is reached: remove some")));
    }
    let must_change_password = password.is_some();
    let user = User { password, oidc: None, must_change_password, access, created_at: now.wall, disabled_at: None };
    Ok(Decision::of([FleetChange::User(name, Some(user))]))
}

/// Edits, disables or enables a user. A disabled user's sessions end.
pub(super) fn edit_user(state: &FleetState, name: Name, edit: UserEdit, now: Now) -> Decided {
    let before = find_user(state, &name)?;
    if before.oidc.is_some() && (edit.everywhere.is_some() || !edit.environments.is_empty()) {
        return Err(FleetCommandError::NotPossible(format!(
            "the roles of user {name} follow from groups at the identity provider at each login; change the groups, or \
             the table `oidc_groups` in the server's configuration"
        )));
    }
    let mut access = before.access.clone();
    if let Some(everywhere) = edit.everywhere {
        access.everywhere = everywhere;
    }
    for (environment, role) in edit.environments {
        match role {
            Some(role) => drop(access.environments.insert(environment, role)),
            None => drop(access.environments.remove(&environment)),
        }
    }
    let disabled_at = match edit.is_disabled {
        Some(true) => before.disabled_at.or(Some(now.wall)),
        Some(false) => None,
        None => before.disabled_at,
    };
    let after = User { access, disabled_at, ..before.clone() };
    check_last_admin(state, &name, Some(&after))?;
    if after == *before {
        return Ok(Decision::default());
    }
    let ended = if disabled_at.is_some() { end_all(sessions_of(state, &name)) } else { Vec::new() };
    Ok(Decision::of(ended.into_iter().chain([FleetChange::User(name, Some(after))])))
}

/// Removes a user with all API keys and sessions.
pub(super) fn remove_user(state: &FleetState, name: Name) -> Decided {
    find_user(state, &name)?;
    check_last_admin(state, &name, None)?;
    let keys = keys_of(state, &name).map(|secret| FleetChange::ApiKey(secret, None));
    let ended = end_all(sessions_of(state, &name));
    let all: Vec<_> = keys.chain(ended).chain([FleetChange::User(name.clone(), None)]).collect();
    Ok(Decision::of(all))
}

/// Sets a password that its user must change, and ends the user's sessions.
pub(super) fn reset_password(state: &FleetState, name: Name, password: PasswordHash) -> Decided {
    let before = find_user(state, &name)?;
    if before.password.is_none() {
        let text = match &before.oidc {
            Some(_) => format!("user {name} logs in at the identity provider and has no password here"),
            None => format!("user {name} is a service account and has no password; create an API key for it"),
        };
        return Err(FleetCommandError::NotPossible(text));
    }
    let after = User { password: Some(password), must_change_password: true, ..before.clone() };
    let ended = end_all(sessions_of(state, &name));
    Ok(Decision::of(ended.into_iter().chain([FleetChange::User(name, Some(after))])))
}

/// Changes the own password. All sessions of the user end, except the one that changes it.
pub(super) fn change_password(state: &FleetState, change: PasswordChange, caller: &Identity) -> Decided {
    let before = verified_user(state, &change)?;
    Ok(Decision::of(set_own_password(state, &change.user, before, change.new, caller)))
}

/// Returns the changes that set the own password, and end the user's sessions except the caller's.
pub(super) fn set_own_password(
    state: &FleetState,
    name: &Name,
    before: &User,
    new: PasswordHash,
    caller: &Identity,
) -> Vec<FleetChange> {
    let after = User { password: Some(new), must_change_password: false, ..before.clone() };
    let is_own = |id| matches!(caller, Identity::User(_, session) if *session == id);
    let mut all = end_all(sessions_of(state, name).filter(|(_, session)| !is_own(session.id)));
    all.push(FleetChange::User(name.clone(), Some(after)));
    all
}

/// Replaces the hash of a password by one with the parameters of today.
pub(super) fn renew_hash(state: &FleetState, change: PasswordChange) -> Decided {
    let before = verified_user(state, &change)?;
    let after = User { password: Some(change.new), ..before.clone() };
    Ok(Decision::of([FleetChange::User(change.user, Some(after))]))
}

fn verified_user<'a>(state: &'a FleetState, change: &PasswordChange) -> Result<&'a User, FleetCommandError> {
    let found = find_user(state, &change.user)?;
    match found.password.as_ref() == Some(&change.verified) {
        true => Ok(found),
        false => Err(FleetCommandError::NotPossible("the password was changed in the meantime; try again".to_owned())),
    }
}

/// Refuses a change after which no admin can log in. Keys of the console do not count: they may be lost.
fn check_last_admin(state: &FleetState, name: &Name, after: Option<&User>) -> Result<(), FleetCommandError> {
    let was_admin = state.users.get(name).is_some_and(User::is_admin_with_login);
    let stays_admin = after.is_some_and(User::is_admin_with_login);
    let mut others = state.users.iter().filter(|(other, user)| *other != name && user.is_admin_with_login());
    if !was_admin || stays_admin || others.next().is_some() {
        return Ok(());
    }
    Err(FleetCommandError::NotPossible(format!(
        "user {name} is the last admin in all environments who can log in; make another user with a password one \
         first: linecamp user edit NAME --role {}",
        Role::Admin
    )))
}

#[cfg(test)]
mod tests {
    use linecamp_model::Access;

    use super::*;
    use crate::fleet::account_testing::{KEY, SESSION, SESSION_ID, hash, person, with_people};
    use crate::fleet::testing::{NOW, apply};
    use crate::testing::name;

    fn edit(everywhere: Option<Role>) -> UserEdit {
        UserEdit { everywhere: Some(everywhere), ..UserEdit::default() }
    }

    #[test]
    fn the_last_admin_who_can_log_in_stays() {
        let mut state = with_people();
        let disable = UserEdit { is_disabled: Some(true), ..UserEdit::default() };
        let all = |state: &FleetState| {
            [
                remove_user(state, name("root")),
                edit_user(state, name("root"), disable.clone(), NOW),
                edit_user(state, name("root"), edit(Some(Role::Operator)), NOW),
            ]
        };
        let service = User { password: None, ..person(Access::everywhere(Role::Admin)) };
        apply(&mut state, |_| vec![FleetChange::User(name("deploy"), Some(service))]);
        for refused in all(&state) {
            let Err(FleetCommandError::NotPossible(text)) = refused else { panic!("{refused:?}") };
            assert!(text.contains("root is the last admin"), "{text}");
        }
        apply(&mut state, |state| edit_user(state, name("anna"), edit(Some(Role::Admin)), NOW).unwrap().changes);
        for allowed in all(&state) {
            assert!(allowed.is_ok(), "{allowed:?}");
        }
    }

    #[test]
    fn a_removed_user_takes_keys_and_sessions_along_in_one_commit() {
        let mut state = with_people();
        let removed = remove_user(&state, name("anna")).unwrap().changes;
        assert!(removed.contains(&FleetChange::ApiKey(KEY, None)), "{removed:?}");
        assert!(removed.contains(&FleetChange::UserSession(SESSION, None)), "{removed:?}");
        apply(&mut state, |_| removed);
        assert!(state.api_keys.is_empty() && state.user_sessions.is_empty());
    }

    #[test]
    fn the_sessions_of_a_disabled_user_end_and_the_keys_work_again_when_enabled() {
        let mut state = with_people();
        let disable = |is_disabled| UserEdit { is_disabled: Some(is_disabled), ..UserEdit::default() };
        apply(&mut state, |state| edit_user(state, name("anna"), disable(true), NOW).unwrap().changes);
        assert!(state.user_sessions.is_empty() && state.users[&name("anna")].disabled_at.is_some());
        apply(&mut state, |state| edit_user(state, name("anna"), disable(false), NOW).unwrap().changes);
        assert_eq!(state.users[&name("anna")].disabled_at, None);
        assert!(state.api_keys.contains_key(&KEY));
    }

    #[test]
    fn a_change_of_the_password_ends_the_other_sessions() {
        let mut state = with_people();
        let change = || PasswordChange { user: name("anna"), verified: hash("old"), new: hash("new") };
        let own = change_password(&state, change(), &Identity::User(name("anna"), SESSION_ID)).unwrap();
        assert!(!own.changes.contains(&FleetChange::UserSession(SESSION, None)));
        let console = change_password(&state, change(), &Identity::Console).unwrap();
        assert!(console.changes.contains(&FleetChange::UserSession(SESSION, None)));
        apply(&mut state, |_| own.changes);
        assert!(matches!(
            change_password(&state, change(), &Identity::Console),
            Err(FleetCommandError::NotPossible(_))
        ));
        let reset = reset_password(&state, name("anna"), hash("temporary")).unwrap();
        assert!(reset.changes.contains(&FleetChange::UserSession(SESSION, None)));
        apply(&mut state, |_| reset.changes);
        assert!(state.users[&name("anna")].must_change_password);
    }
}
