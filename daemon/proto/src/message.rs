//! Encoding of the link's messages: the payload of one frame each.

use linecamp_model::{FromMember, FromParent};

use crate::convert::{decode, encode};
use crate::error::ProtoError;
use crate::wire::link::v1 as wire;

/// Encodes a message from a site. Never empty.
pub fn encode_from_member(message: &FromMember) -> Vec<u8> {
    encode::<wire::FromMember>(message)
}

/// Decodes a message from a site.
///
/// # Errors
/// [`ProtoError`] names the invalid field.
pub fn decode_from_member(bytes: &[u8]) -> Result<FromMember, ProtoError> {
    decode::<wire::FromMember>("a message from a site", bytes)
}

/// Encodes a message from the server. Never empty.
pub fn encode_from_parent(message: &FromParent) -> Vec<u8> {
    encode::<wire::FromParent>(message)
}

/// Decodes a message from the server.
///
/// # Errors
/// [`ProtoError`] names the invalid field.
pub fn decode_from_parent(bytes: &[u8]) -> Result<FromParent, ProtoError> {
    decode::<wire::FromParent>("a message from the server", bytes)
}
