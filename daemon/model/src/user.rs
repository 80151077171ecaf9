//! People and programs that use the API: users, their API keys, and their sessions.
//!
//! A user is one of three kinds: a person with a password, a person who logs in at an identity provider, or a service
//! account, which has API keys only.

use std::fmt;
use std::net::IpAddr;

use crate::access::{Access, Role};
use crate::digest::SecretHash;
use crate::id::{KeyId, UserSessionId};
use crate::name::Name;
use crate::time::WallTime;

/// The longest hash of a password, in bytes: four times what the server's own parameters need.
const PASSWORD_HASH_BYTES_MAX: usize = 512;

/// The longest issuer and the longest subject of an identity, in bytes.
const ISSUER_BYTES_MAX: usize = 2048;
const SUBJECT_BYTES_MAX: usize = 255;

/// A user: a person, or a service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The hash of the password; `None` for who has none.
    pub password: Option<PasswordHash>,
    /// Who the person is at the identity provider; `None` for who does not log in there. Such a user has no password,
    /// and the roles of the last login.
    pub oidc: Option<OidcIdentity>,
    /// Whether the user must change the password before doing anything else.
    pub must_change_password: bool,
    /// The roles.
    pub access: Access,
    /// When the user was created.
    pub created_at: WallTime,
    /// When the user was disabled. A disabled user cannot log in, and the user's API keys are rejected.
    pub disabled_at: Option<WallTime>,
}

impl User {
    /// Whether the user is a global admin who can log in with a password.
    pub fn is_admin_with_login(&self) -> bool {
        self.access.everywhere == Some(Role::Admin) && self.disabled_at.is_none() && self.password.is_some()
    }
}

/// A person at an identity provider (OpenID Connect). Only both parts together say who it is; names and e-mail
/// addresses say nothing, because a provider may change them or give them to others.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OidcIdentity {
    issuer: Box<str>,
    subject: Box<str>,
}

impl OidcIdentity {
    /// Takes over an issuer and the ID of a person there.
    ///
    /// # Errors
    /// [`OidcIdentityError`] if one of them is empty or too long.
    pub fn new(issuer: &str, subject: &str) -> Result<Self, OidcIdentityError> {
        let fits = |text: &str, max: usize| (1..=max).contains(&text.len());
        match fits(issuer, ISSUER_BYTES_MAX) && fits(subject, SUBJECT_BYTES_MAX) {
            true => Ok(Self { issuer: issuer.into(), subject: subject.into() }),
            false => Err(OidcIdentityError),
        }
    }

    /// Returns the issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the ID of the person, which the issuer never gives to another one.
    pub fn subject(&self) -> &str {
        &self.subject
    }
}

impl fmt::Debug for OidcIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.subject, self.issuer)
    }
}

/// An issuer or a subject that is empty or too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an issuer of 1 to {ISSUER_BYTES_MAX} bytes, and a subject of 1 to {SUBJECT_BYTES_MAX}")]
pub struct OidcIdentityError;

/// The hash of a password, in the PHC string format. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Box<str>);

impl PasswordHash {
    /// Takes over a PHC string: `$argon2id$…`, in printable ASCII.
    ///
    /// # Errors
    /// [`PasswordHashError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, PasswordHashError> {
        let is_phc = text.starts_with('$') && text.bytes().all(|byte| byte.is_ascii_graphic());
        match text.len() {
            ..=PASSWORD_HASH_BYTES_MAX if is_phc => Ok(Self(text.into())),
            _ => Err(PasswordHashError),
        }
    }

    /// Returns the PHC string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// A text that is not the hash of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a PHC string of at most {PASSWORD_HASH_BYTES_MAX} bytes")]
pub struct PasswordHashError;

/// An API key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its ID, which a rotation keeps.
    pub id: KeyId,
    /// A name that says what it is for.
    pub name: Name,
    /// The user it belongs to; `None` for a key of the server's console, which is an admin in all environments.
    pub user: Option<Name>,
    /// What it may do at most; `None` for all that its owner may do.
    pub limit: Option<Access>,
    /// When it was created.
    pub created_at: WallTime,
    /// When it expires; `None` for never.
    pub expires_at: Option<WallTime>,
    /// Whether a rotation replaced this secret. It is valid until `expires_at`.
    pub is_replaced: bool,
}

impl ApiKey {
    /// Returns a key of the server's console, which may do everything and does not expire.
    pub fn of_console(secret: SecretHash, name: Name, created_at: WallTime) -> Self {
        let id = KeyId::of_secret(&secret);
        Self { id, name, user: None, limit: None, created_at, expires_at: None, is_replaced: false }
    }

    /// Whether it has expired.
    pub fn is_expired(&self, now: WallTime) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// A session of a user, which begins with a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSession {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_an_issuer_and_a_subject() {
        let identity = OidcIdentity::new("https://id.example", "u-7").expect("valid");
        assert_eq!((identity.issuer(), identity.subject()), ("https://id.example", "u-7"));
        let long = "x".repeat(SUBJECT_BYTES_MAX + 1);
        for (issuer, subject) in [("", "u-7"), ("https://id.example", ""), ("https://id.example", &long)] {
            assert_eq!(OidcIdentity::new(issuer, subject), Err(OidcIdentityError));
        }
    }

    #[test]
    fn the_hash_of_a_password_is_not_shown() {
        let hash = PasswordHash::parse("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA").expect("valid");
        assert_eq!(format!("{hash:?}"), "(hidden)");
        for bad in ["", "argon2id", "$argon2id$ $", "$ü", &"$".repeat(PASSWORD_HASH_BYTES_MAX + 1)] {
            assert_eq!(PasswordHash::parse(bad), Err(PasswordHashError), "{bad}");
        }
    }
}
