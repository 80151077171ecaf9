//! The rules of an OpenID Connect relying party: what to ask of a provider, and when to refuse what it answers.
//!
//! The code flow with PKCE (RFC 7636, `S256` only), the device flow (RFC 8628), and ID tokens signed with RS256, ES256
//! or EdDSA. This crate has no I/O, no clock and no random numbers: its caller passes the provider's documents, the
//! time and random bytes. The steps of a login in a browser:
//!
//! 1. [`ProviderMetadata::parse`]: what the provider publishes about itself; [`ProviderCache`] says when it is read.
//! 2. [`Login::begin`]: the URL to which the browser is sent, and what to remember until it returns ([`Pending`]).
//! 3. [`Login::accept`]: checks the return, and makes the request for the token.
//! 4. [`id_token`] and [`verify`]: the ID token of the response, its signature, and each claim that has to hold.
//! 5. [`access_of`]: the roles of the person's groups. [`Destination`]: where the browser goes.
//!
//! [`DeviceLogin`] is a login without a browser on the same machine. It continues with step 4 when the person has
//! confirmed it.
//!
//! Everything that is refused has a name ([`Refusal`]), and each one a test. Nothing from a provider is trusted before
//! its signature is verified, and its size is bounded before it is parsed.

#![forbid(unsafe_code)]

mod claims;
mod destination;
mod device;
mod endpoint;
mod form;
mod group_roles;
mod keys;
mod login;
mod metadata;
mod pending;
mod provider_cache;
mod refusal;
#[cfg(test)]
mod tests;

pub use claims::{Claims, Expected, verify};
pub use destination::{Destination, Loopback, PagePath, challenge};
pub use device::{DeviceAnswer, DeviceCodes, DeviceLogin, DevicePoll};
pub use endpoint::Endpoint;
pub use group_roles::{GROUP_ROLES_MAX, GroupRole, access_of, user_names};
pub use keys::KeySet;
pub use login::{Callback, Client, LOGIN_LIMIT, Login, LoginSecrets, TokenRequest, check_browser, id_token};
pub use metadata::{ProviderMetadata, SecretPlacement};
pub use pending::{PENDING_MAX, Pending};
pub use provider_cache::{DOCUMENT_LIFE, FAILURE_PAUSE, KEYS_AGAIN_AFTER, ProviderCache};
pub use refusal::Refusal;

/// Maximum size of a document of a provider in bytes: its metadata, its keys, and the response with a token. A larger
/// one is refused.
pub const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
