//! Wire ⇄ model: the one place where hostile input is refused.
//!
//! Each wire type has both directions side by side ([`Wire`]). Towards the wire nothing can fail: a model value is
//! valid. From the wire everything is checked, and an error carries the way to its field, built from the inside out,
//! so that good input pays nothing for it. What a value of a later release may hold and this one cannot know (a kind,
//! a word) is refused like anything else; whoever speaks an agreed version never sends it.
//!
//! The encoders do not check that a value keeps within the limits of its lists: a machine that exceeds them is told by
//! its peer.

mod document;
mod field;
mod label;
mod message;
mod plugin;
mod provider;
mod record;
mod wire_enum;

use std::fmt;

use prost::Message;

pub(crate) use document::{Body, check_body};
pub(crate) use field::{FieldError, millis};
pub(crate) use provider::{provider_config, provider_spec_bytes, record_type, too_long};
pub(crate) use wire_enum::WireEnum;

use crate::error::ProtoError;

/// The wire form of a model value.
pub(crate) trait Wire: Sized {
    /// The value.
    type Model;

    /// Writes the value down.
    fn from_model(model: &Self::Model) -> Self;

    /// Checks what was written down.
    fn into_model(self) -> Result<Self::Model, FieldError>;
}

/// Returns the bytes of a value.
pub(crate) fn encode<W: Wire + Message>(model: &W::Model) -> Vec<u8> {
    W::from_model(model).encode_to_vec()
}

/// Reads a value from bytes that should be `what`.
pub(crate) fn decode<W: Wire + Message + Default>(
    what: impl fmt::Display,
    bytes: &[u8],
) -> Result<W::Model, ProtoError> {
    match W::decode(bytes) {
        Ok(wire) => wire.into_model().map_err(|error| error.of(what)),
        Err(source) => Err(ProtoError::Malformed { what: what.to_string(), source }),
    }
}
