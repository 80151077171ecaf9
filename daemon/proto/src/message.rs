//! The messages of the link as bytes: the payload of one frame each.

use linecamp_model::{FromServer, FromSite};

use crate::convert::{decode, encode};
use crate::error::ProtoError;
use crate::wire::link::v1 as wire;

/// Returns the bytes of a site's message: never none at all.
pub fn encode_from_site(message: &FromSite) -> Vec<u8> {
    encode::<wire::FromSite>(message)
}

/// Reads a site's message.
///
/// # Errors
/// [`ProtoError`] names the field that was refused.
pub fn decode_from_site(bytes: &[u8]) -> Result<FromSite, ProtoError> {
    decode::<wire::FromSite>("a message from a site", bytes)
}

/// Returns the bytes of the server's message: never none at all.
pub fn encode_from_server(message: &FromServer) -> Vec<u8> {
    encode::<wire::FromServer>(message)
}

/// Reads the server's message.
///
/// # Errors
/// [`ProtoError`] names the field that was refused.
pub fn decode_from_server(bytes: &[u8]) -> Result<FromServer, ProtoError> {
    decode::<wire::FromServer>("a message from the server", bytes)
}
