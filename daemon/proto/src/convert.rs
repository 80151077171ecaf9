//! Wire ⇄ model: the one place where untrusted input is rejected.
//!
//! Each wire type implements both directions side by side ([`Wire`]). Encoding cannot fail: a model value is valid.
//! Decoding checks everything; an error carries the path to its field, built from the inside out, so valid input pays
//! nothing for it. A value that only a later release knows (a kind, an enum variant) is rejected like any other invalid
//! value; a peer that speaks the agreed version never sends it. Only the causes of earlier losses of a link are read
//! with tolerance (`link_gap`): a hello comes before a version is agreed.
//!
//! The encoders do not check list limits: a machine that exceeds them learns it from its peer.

mod audit;
mod audit_kind;
mod authority;
mod bulk_action;
mod dns;
mod document;
mod field;
mod host;
mod label;
mod link_gap;
mod message;
mod plugin;
mod plugin_description;
mod provider;
mod record;
mod user;
mod wire_enum;

use std::fmt;

use prost::Message;

pub(crate) use dns::record_type;
pub(crate) use document::{Body, check_body};
pub(crate) use field::{FieldError, millis};
pub(crate) use provider::{provider_config, provider_spec_bytes, too_long};
pub(crate) use wire_enum::WireEnum;

use crate::error::ProtoError;

/// The wire form of a model value.
pub(crate) trait Wire: Sized {
    /// The model type.
    type Model;

    /// Converts a model value to its wire form.
    fn from_model(model: &Self::Model) -> Self;

    /// Validates the wire form and converts it to the model.
    fn into_model(self) -> Result<Self::Model, FieldError>;
}

/// Encodes a model value.
pub(crate) fn encode<W: Wire + Message>(model: &W::Model) -> Vec<u8> {
    W::from_model(model).encode_to_vec()
}

/// Decodes a value from bytes that should be `what`.
pub(crate) fn decode<W: Wire + Message + Default>(
    what: impl fmt::Display,
    bytes: &[u8],
) -> Result<W::Model, ProtoError> {
    match W::decode(bytes) {
        Ok(wire) => wire.into_model().map_err(|error| error.of(what)),
        Err(source) => Err(ProtoError::Malformed { what: what.to_string(), source }),
    }
}
