//! Commands on the sessions of users.

use std::collections::BTreeSet;

use linecamp_model::limits::{SESSIONS_PER_USER_MAX, USER_SESSIONS_MAX};
use linecamp_model::{FleetChange, Name, Now, SecretHash, UserSession, UserSessionId};

use crate::fleet::account_command::NewSession;
use crate::fleet::authentication::SESSION_LIFE;
use crate::fleet::command::FleetCommandError;
use crate::fleet::decision::{Decided, Decision};
use crate::fleet::lookup::find_user;
use crate::fleet::state::FleetState;

/// Begins a session of a user whose password was verified. At a limit, the oldest session ends.
pub(super) fn begin_session(state: &FleetState, new: NewSession, now: Now) -> Decided {
    let found = find_user(state, &new.user)?;
    if found.password.as_ref() != Some(&new.verified) || found.disabled_at.is_some() {
        let text = format!("user {} was changed during the login; log in again", new.user);
        return Err(FleetCommandError::NotPossible(text));
    }
    let own: Vec<_> = sessions_of(state, &new.user).collect();
    let all = state.user_sessions.iter().map(|(secret, session)| (*secret, session));
    let mut ended = surplus(own.into_iter(), SESSIONS_PER_USER_MAX);
    if ended.is_empty() {
        ended = surplus(all, USER_SESSIONS_MAX);
    }
    let session = UserSession {
        id: new.id,
        user: new.user,
        created_at: now.wall,
        ends_at: now.wall + SESSION_LIFE,
        address: new.address,
    };
    let ended = ended.into_iter().map(|secret| FleetChange::UserSession(secret, None));
    Ok(Decision::of(ended.chain([FleetChange::UserSession(new.secret, Some(session))])))
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
    use super::*;
    use crate::fleet::account_testing::{hash, with_people};
    use crate::fleet::testing::{NOW, apply, bytes};
    use crate::testing::name;

    fn begin(number: usize, user: &str) -> NewSession {
        let id = UserSessionId::from_bytes(u64::try_from(number).unwrap().to_be_bytes());
        let secret = SecretHash::from_bytes(bytes(number));
        NewSession { id, secret, user: name(user), verified: hash("old"), address: None }
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
        let stale = NewSession { verified: hash("other"), ..begin(1, "root") };
        assert!(matches!(begin_session(&state, stale, NOW), Err(FleetCommandError::NotPossible(_))));
    }
}
