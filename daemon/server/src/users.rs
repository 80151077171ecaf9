//! Resets the password of a user while the server is stopped: the way in for an operator who is locked out. Access to
//! its directory is proof enough of being its operator.

use linecamp_core::SavedFleet;
use linecamp_model::{Access, FleetChange, Name, PasswordHash, Role, SecretHash, User, UserSession};
use linecamp_transport::{SystemClock, WallClock as _};

use crate::data_directory::Layout;
use crate::drivers::store;
use crate::error::ServerError;
use crate::passwords::Password;

/// The result of a reset. `Debug` hides the password.
pub struct PasswordReset {
    password: Password,
    /// Whether the user did not exist, was no admin or was disabled, and is now an admin who can log in, because there
    /// was no other.
    pub is_new_admin: bool,
}

impl PasswordReset {
    /// Returns the password, which its user must change at the first login.
    pub fn reveal(&self) -> &str {
        self.password.reveal()
    }
}

impl std::fmt::Debug for PasswordReset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PasswordReset").field("is_new_admin", &self.is_new_admin).finish_non_exhaustive()
    }
}

/// The users and sessions in the database.
struct Stored {
    saved: SavedFleet,
    users: Vec<(Name, User)>,
    sessions: Vec<(SecretHash, UserSession)>,
}

/// Sets a new one-time password for a user, and ends the user's sessions. If no admin can log in, the user becomes one,
/// and is created if necessary.
///
/// # Errors
/// [`ServerError::UserUnknown`] if there is no such user; other variants if an operation failed.
pub fn reset_password(layout: &Layout, name: &Name) -> Result<PasswordReset, ServerError> {
    let _lock = layout.lock()?;
    let stored = stored(layout)?;
    let (password, hash) = one_time_password()?;
    let found = stored.users.iter().find(|(known, _)| known == name).map(|(_, user)| user);
    if found.is_some_and(|user| user.oidc.is_some()) {
        return Err(ServerError::UserOfProvider { name: name.clone() });
    }
    let others_can_log_in = stored.users.iter().any(|(known, user)| known != name && user.is_admin_with_login());
    let is_new_admin = !others_can_log_in && !found.is_some_and(User::is_admin_with_login);
    let user = match found {
        None if others_can_log_in => return Err(ServerError::UserUnknown { name: name.clone() }),
        None => new_admin(hash),
        Some(user) if is_new_admin => User {
            access: Access { everywhere: Some(Role::Admin), ..user.access.clone() },
            disabled_at: None,
            ..with_password(user, hash)
        },
        Some(user) => with_password(user, hash),
    };
    let ended = stored.sessions.iter().filter(|(_, session)| session.user == *name);
    let mut changes: Vec<_> = ended.map(|(secret, _)| FleetChange::UserSession(*secret, None)).collect();
    changes.push(FleetChange::User(name.clone(), Some(user)));
    store::write_audited(&layout.database(), &stored.saved, "user.reset-password", changes)?;
    Ok(PasswordReset { password, is_new_admin })
}

/// Generates a password that its user must change, and its hash.
pub(crate) fn one_time_password() -> Result<(Password, PasswordHash), ServerError> {
    let password = Password::generate()?;
    let hash = password.hash().map_err(|_| ServerError::PasswordHash)?;
    Ok((password, hash))
}

/// Returns an admin in all environments, with a password that must be changed.
pub(crate) fn new_admin(hash: PasswordHash) -> User {
    User {
        password: Some(hash),
        oidc: None,
        must_change_password: true,
        access: Access::everywhere(Role::Admin),
        created_at: SystemClock.now(),
        disabled_at: None,
    }
}

fn with_password(user: &User, hash: PasswordHash) -> User {
    User { password: Some(hash), must_change_password: true, ..user.clone() }
}

fn stored(layout: &Layout) -> Result<Stored, ServerError> {
    let opened = store::open(&layout.database())?;
    opened.store.close();
    let (mut users, mut sessions) = (Vec::new(), Vec::new());
    for record in &opened.saved.records {
        match record {
            FleetChange::User(name, Some(user)) => users.push((name.clone(), user.clone())),
            FleetChange::UserSession(secret, Some(session)) => sessions.push((*secret, session.clone())),
            _ => {}
        }
    }
    Ok(Stored { users, sessions, saved: opened.saved })
}
