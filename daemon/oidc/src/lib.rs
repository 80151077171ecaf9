//! The rules of an OpenID Connect relying party: what to ask of a provider, and when to refuse what it answers.
//!
//! The code flow with PKCE (RFC 7636, `S256` only) and ID tokens signed with RS256, ES256 or EdDSA. This crate has no
//! I/O, no clock and no random numbers: its caller passes the provider's documents, the time and random bytes. The
//! steps:
//!
//! 1. [`ProviderMetadata::parse`]: what the provider publishes about itself.
//! 2. [`Login::begin`]: the URL to which the browser is sent, and what to remember until it returns.
//! 3. [`Login::accept`]: checks the return, and makes the request for the token.
//! 4. [`id_token`] and [`verify`]: the ID token of the response, its signature, and each claim that has to hold.
//!
//! Everything that is refused has a name ([`Refusal`]), and each one a test. Nothing from a provider is trusted before
//! its signature is verified, and its size is bounded before it is parsed.

#![forbid(unsafe_code)]

mod claims;
mod keys;
mod login;
mod metadata;
mod refusal;
#[cfg(test)]
mod tests;

pub use claims::{Claims, Expected, verify};
pub use keys::KeySet;
pub use login::{Callback, Client, LOGIN_LIMIT, Login, LoginSecrets, TokenRequest, id_token};
pub use metadata::ProviderMetadata;
pub use refusal::Refusal;

/// Maximum size of a document of a provider in bytes: its metadata, its keys, and the response with a token. A larger
/// one is refused.
pub const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
