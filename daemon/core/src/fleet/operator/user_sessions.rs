//! Commands on the sessions of users.

use std::collections::BTreeSet;

use linecamp_model::limits::{SESSIONS_PER_USER_MAX, USER_SESSIONS_MAX, USERS_MAX};
use linecamp_model::{Access, FleetChange, Name, Now, OidcIdentity, SecretHash, User, UserSession, UserSessionId};

use crate::fleet::account_command::{LoginProof, NewSession, OidcLogin};
use crate::fleet::authentication::SESSION_LIFE;
use crate::fleet::command::FleetCommandError;
use crate::fleet::decision::{Decided, Decision};
use crate::fleet::lookup::find_user;
use crate::fleet::state::FleetState;

/// Begins a session of a user who has proved who it is. At a limit, the oldest session ends.
pub(super) fn begin_session(state: &FleetState, new: NewSession, now: Now) -> Decided {
    let (name, user) = match new.proof {
        LoginProof::Password { user, verified } => {
            let found = find_user(state, &user)?;
            if found.password.as_ref() != Some(&verified) || found.disabled_at.is_some() {
                let text = format!("user {user} was changed during the login; log in again");
                return Err(FleetCommandError::NotPossible(text));
            }
            (user, None)
        }
        LoginProof::Oidc(login) => user_of_login(state, login, now)?,
    };
    let own: Vec<_> = sessions_of(state, &name).collect();
    let all = state.user_sessions.iter().map(|(secret, session)| (*secret, session));
    let mut ended = surplus(own.into_iter(), SESSIONS_PER_USER_MAX);
    if ended.is_empty() {
        ended = surplus(all, USER_SESSIONS_MAX);
    }
    let session = UserSession {
        id: new.id,
        user: name.clone(),
        created_at: now.wall,
        ends_at: now.wall + SESSION_LIFE,
        address: new.address,
    };
    let ended = ended.into_iter().map(|secret| FleetChange::UserSession(secret, None));
    let user = user.map(|user| FleetChange::User(name, Some(user)));
    Ok(Decision::of(ended.chain(user).chain([FleetChange::UserSession(new.secret, Some(session))])))
}

/// Returns the user of a person that the identity provider identified, and the record if it changes: at the first
/// login, and when the groups of the person have other roles than before.
fn user_of_login(state: &FleetState, login: OidcLogin, now: Now) -> Result<(Name, Option<User>), FleetCommandError> {
    let OidcLogin { identity, names, access } = login;
    if let Some((name, user)) = user_of(state, &identity) {
        if user.disabled_at.is_some() {
            let text = format!("user {name} is disabled; an admin can enable it");
            return Err(FleetCommandError::Forbidden(text));
        }
        let changed = (user.access != access).then(|| User { access, ..user.clone() });
        return Ok((name.clone(), changed));
    }
    if USERS_MAX <= state.users.len() {
        let text = format!("the limit of {USERS_MAX} users is reached: an admin has to remove some");
        return Err(FleetCommandError::Limit(text));
    }
    let name = names
        .into_iter()
        .find(|name| !state.users.contains_key(name))
        .ok_or_else(|| FleetCommandError::NameTaken("all names that the new user could have are taken".to_owned()))?;
    let user = User {
        password: None,
        oidc: Some(identity),
        must_change_password: false,
        access,
        created_at: now.wall,
        disabled_at: None,
    };
    Ok((name, Some(user)))
}

/// Takes the roles of a person who has no group with a role any more, and ends the sessions. API keys of the user may
/// do no more than the user, which is nothing.
pub(super) fn withdraw_oidc_access(state: &FleetState, identity: &OidcIdentity) -> Decided {
    let Some((name, user)) = user_of(state, identity) else { return Ok(Decision::default()) };
    let mut changes = end_all(sessions_of(state, name));
    if user.access != Access::default() {
        let after = User { access: Access::default(), ..user.clone() };
        changes.push(FleetChange::User(name.clone(), Some(after)));
    }
    Ok(Decision::of(changes))
}

/// Returns the user of a person at the identity provider.
fn user_of<'a>(state: &'a FleetState, identity: &OidcIdentity) -> Option<(&'a Name, &'a User)> {
    state.users.iter().find(|(_, user)| user.oidc.as_ref() == Some(identity))
}

/// Ends a session.
pub(super) fn end_session(state: &FleetState, id: UserSessionId) -> Decided {
    let found = state.user_sessions.iter().filter(|(_, session)| session.id == id);
    Ok(Decision::of(found.map(|(secret, _)| FleetChange::UserSession(*secret, None))))
}

/// Ends all sessions of a user.
pub(super) fn end_sessions(state: &FleetState, name: &Name) -> Decided {
    Ok(Decision::of(end_all(sessions_of(state, name))))
}

/// Returns the sessions of a user.
pub(super) fn sessions_of<'a>(
    state: &'a FleetState,
    name: &'a Name,
) -> impl Iterator<Item = (SecretHash, &'a UserSession)> {
    let own = state.user_sessions.iter().filter(move |(_, session)| session.user == *name);
    own.map(|(secret, session)| (*secret, session))
}

/// Returns the changes that end these sessions.
pub(super) fn end_all<'a>(sessions: impl Iterator<Item = (SecretHash, &'a UserSession)>) -> Vec<FleetChange> {
    sessions.map(|(secret, _)| FleetChange::UserSession(secret, None)).collect()
}

/// Returns the oldest sessions that make no room for another one.
fn surplus<'a>(sessions: impl Iterator<Item = (SecretHash, &'a UserSession)>, limit: usize) -> Vec<SecretHash> {
    let sorted: BTreeSet<_> = sessions.map(|(secret, session)| (session.created_at, secret)).collect();
    let count = (sorted.len() + 1).saturating_sub(limit);
    sorted.into_iter().take(count).map(|(_, secret)| secret).collect()
}

#[cfg(test)]
mod tests {
    use linecamp_model::Role;

    use super::*;
    use crate::fleet::account_command::UserEdit;
    use crate::fleet::account_testing::{hash, with_people};
    use crate::fleet::operator::users::{edit_user, reset_password};
    use crate::fleet::testing::{NOW, apply, bytes};
    use crate::testing::name;

    fn begin(number: usize, user: &str) -> NewSession {
        let id = UserSessionId::from_bytes(u64::try_from(number).unwrap().to_be_bytes());
        let secret = SecretHash::from_bytes(bytes(number));
        let proof = LoginProof::Password { user: name(user), verified: hash("old") };
        NewSession { id, secret, proof, address: None }
    }

    fn identity(subject: &str) -> OidcIdentity {
        OidcIdentity::new("https://id.example", subject).unwrap()
    }

    fn oidc(number: usize, subject: &str, names: &[&str], access: Access) -> NewSession {
        let names = names.iter().map(|text| name(text)).collect();
        let proof = LoginProof::Oidc(OidcLogin { identity: identity(subject), names, access });
        NewSession { proof, ..begin(number, "unused") }
    }

    fn log_in(state: &mut FleetState, new: NewSession) -> Name {
        let secret = new.secret;
        apply(state, |state| begin_session(state, new, NOW).unwrap().changes);
        state.user_sessions[&secret].user.clone()
    }

    #[test]
    fn the_oldest_session_of_a_user_makes_room_for_another() {
        let mut state = with_people();
        for number in 0..2 * SESSIONS_PER_USER_MAX {
            let now = Now { wall: NOW.wall + std::time::Duration::from_secs(number as u64 + 1), ..NOW };
            apply(&mut state, |state| begin_session(state, begin(number, "root"), now).unwrap().changes);
        }
        let own: Vec<_> = sessions_of(&state, &name("root")).map(|(secret, _)| secret).collect();
        let newest = SESSIONS_PER_USER_MAX..2 * SESSIONS_PER_USER_MAX;
        assert_eq!(own, newest.map(|number| SecretHash::from_bytes(bytes(number))).collect::<Vec<_>>());
        assert_eq!(sessions_of(&state, &name("anna")).count(), 1, "sessions of others stay");
    }

    #[test]
    fn a_login_that_raced_with_a_change_of_the_user_fails() {
        let state = with_people();
        let proof = LoginProof::Password { user: name("root"), verified: hash("other") };
        let stale = NewSession { proof, ..begin(1, "root") };
        assert!(matches!(begin_session(&state, stale, NOW), Err(FleetCommandError::NotPossible(_))));
    }

    #[test]
    fn the_first_login_at_the_provider_creates_a_user_and_later_ones_replace_the_roles() {
        let mut state = with_people();
        let first = log_in(&mut state, oidc(1, "u-7", &["mara"], Access::everywhere(Role::Viewer)));
        assert_eq!(first, name("mara"));
        let mara = &state.users[&first];
        assert_eq!((mara.oidc.clone(), mara.password.clone()), (Some(identity("u-7")), None));
        let again = log_in(&mut state, oidc(2, "u-7", &["another-name"], Access::everywhere(Role::Operator)));
        assert_eq!((again, state.users.len()), (name("mara"), 3), "the identity counts, not the name");
        assert_eq!(state.users[&name("mara")].access, Access::everywhere(Role::Operator));
        let same = begin_session(&state, oidc(3, "u-7", &[], Access::everywhere(Role::Operator)), NOW).unwrap();
        assert_eq!(same.changes.len(), 1, "the same roles change only the sessions");
    }

    #[test]
    fn a_person_at_the_provider_never_becomes_a_user_with_the_same_name() {
        let mut state = with_people();
        let found = log_in(&mut state, oidc(1, "u-7", &["root", "root-1"], Access::everywhere(Role::Viewer)));
        assert_eq!(found, name("root-1"));
        assert_eq!(state.users[&name("root")].access, Access::everywhere(Role::Admin));
        let other = log_in(&mut state, oidc(2, "u-8", &["root-1", "root-2"], Access::everywhere(Role::Viewer)));
        assert_eq!(other, name("root-2"), "another subject is another person");
        let taken = begin_session(&state, oidc(3, "u-9", &["root"], Access::everywhere(Role::Viewer)), NOW);
        assert!(matches!(taken, Err(FleetCommandError::NameTaken(_))), "{taken:?}");
    }

    #[test]
    fn a_disabled_person_is_refused_and_one_without_a_role_loses_roles_and_sessions() {
        let mut state = with_people();
        let mara = log_in(&mut state, oidc(1, "u-7", &["mara"], Access::everywhere(Role::Admin)));
        assert_eq!(withdraw_oidc_access(&state, &identity("u-8")).unwrap(), Decision::default());
        apply(&mut state, |state| withdraw_oidc_access(state, &identity("u-7")).unwrap().changes);
        assert_eq!((sessions_of(&state, &mara).count(), &state.users[&mara].access), (0, &Access::default()));
        let disable = UserEdit { is_disabled: Some(true), ..UserEdit::default() };
        apply(&mut state, |state| edit_user(state, mara.clone(), disable, NOW).unwrap().changes);
        let refused = begin_session(&state, oidc(2, "u-7", &["mara"], Access::everywhere(Role::Admin)), NOW);
        assert!(matches!(refused, Err(FleetCommandError::Forbidden(_))), "{refused:?}");
    }

    #[test]
    fn the_roles_and_the_password_of_a_person_at_the_provider_are_not_set_here() {
        let mut state = with_people();
        let mara = log_in(&mut state, oidc(1, "u-7", &["mara"], Access::everywhere(Role::Viewer)));
        let promote = UserEdit { everywhere: Some(Some(Role::Admin)), ..UserEdit::default() };
        let refused = [edit_user(&state, mara.clone(), promote, NOW), reset_password(&state, mara, hash("new"))];
        for refused in refused {
            assert!(matches!(refused, Err(FleetCommandError::NotPossible(_))), "{refused:?}");
        }
    }
}
