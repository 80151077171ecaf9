//! Encoding of the link's messages: the payload of one frame each.

use linecamp_model::{FromServer, FromSite};

use crate::convert::{decode, encode};
use crate::error::ProtoError;
use crate::wire::link::v1 as wire;

/// Encodes a message from a site. Never empty.
pub fn encode_from_site(message: &FromSite) -> Vec<u8> {
    encode::<wire::FromSite>(message)
}

/// Decodes a message from a site.
///
/// # Errors
/// [`ProtoError`] names the invalid field.
pub fn decode_from_site(bytes: &[u8]) -> Result<FromSite, ProtoError> {
    decode::<wire::FromSite>("a message from a site", bytes)
}

/// Encodes a message from the server. Never empty.
pub fn encode_from_server(message: &FromServer) -> Vec<u8> {
    encode::<wire::FromServer>(message)
}

/// Decodes a message from the server.
///
/// # Errors
/// [`ProtoError`] names the invalid field.
pub fn decode_from_server(bytes: &[u8]) -> Result<FromServer, ProtoError> {
    decode::<wire::FromServer>("a message from the server", bytes)
}
