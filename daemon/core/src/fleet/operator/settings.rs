//! Commands on the server's settings, and the end of the first login.

use linecamp_model::{FleetChange, Identity, Now, PasswordHash, ServerAddress, ServerSettings};

use super::users::set_own_password;
use crate::fleet::command::FleetCommandError;
use crate::fleet::decision::{Decided, Decision};
use crate::fleet::lookup::find_user;
use crate::fleet::state::FleetState;

/// Sets and confirms the server's URL.
pub(super) fn set_server_url(state: &FleetState, server_url: ServerAddress, now: Now) -> Decision {
    match &state.settings {
        Some(settings) if settings.server_url == server_url => Decision::default(),
        _ => Decision::of([FleetChange::Settings(Some(ServerSettings { server_url, confirmed_at: now.wall }))]),
    }
}

/// Completes the first login of the caller: sets the password, if it must be changed, and confirms the server's URL.
pub(super) fn complete_setup(
    state: &FleetState,
    caller: &Identity,
    password: Option<PasswordHash>,
    server_url: ServerAddress,
    now: Now,
) -> Decided {
    let Some(name) = caller.user() else {
        return Err(FleetCommandError::Forbidden(
            "only a user can complete the setup; log in with a password".to_owned(),
        ));
    };
    let before = find_user(state, name)?;
    let must_change = before.must_change_password;
    let mut decision = set_server_url(state, server_url, now);
    match (must_change, password) {
        (true, Some(password)) => {
            decision.changes.extend(set_own_password(state, name, before, password, caller));
        }
        (true, None) => {
            let text = "new_password is missing: the password must be changed".to_owned();
            return Err(FleetCommandError::Invalid(text));
        }
        (false, Some(_)) => {
            let text = "the password was changed already: leave out new_password";
            return Err(FleetCommandError::NotPossible(text.to_owned()));
        }
        (false, None) => {}
    }
    Ok(decision)
}

#[cfg(test)]
mod tests {
    use linecamp_model::{User, UserSessionId};

    use super::*;
    use crate::fleet::account_testing::{hash, with_people};
    use crate::fleet::testing::{NOW, apply};
    use crate::testing::name;

    #[test]
    fn the_setup_changes_the_password_that_must_be_changed_and_confirms_the_url() {
        let url = || ServerAddress::parse("new.example:443").unwrap();
        let mut state = with_people();
        let caller = Identity::User(name("root"), UserSessionId::from_bytes([1; 8]));
        let root = User { must_change_password: true, ..state.users[&name("root")].clone() };
        apply(&mut state, |_| vec![FleetChange::User(name("root"), Some(root)), FleetChange::Settings(None)]);
        let missing = complete_setup(&state, &caller, None, url(), NOW);
        assert!(matches!(missing, Err(FleetCommandError::Invalid(_))), "{missing:?}");
        let password = Some(hash("new"));
        apply(&mut state, |state| complete_setup(state, &caller, password, url(), NOW).unwrap().changes);
        let root = &state.users[&name("root")];
        assert_eq!((root.password.clone(), root.must_change_password), (Some(hash("new")), false));
        assert_eq!(state.settings.as_ref().map(|settings| settings.server_url.clone()), Some(url()));
        assert_eq!(set_server_url(&state, url(), NOW), Decision::default(), "setting it again changes nothing");
    }
}
