//! The bodies of requests and responses, by media type.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::strict_json;

/// The media type of errors (RFC 9457).
pub const PROBLEM_MEDIA: &str = "application/problem+json";

/// A kind of body: a media type, and the value that such a body holds.
pub trait Body: 'static {
    /// What it holds; `()` if it is not decoded as a whole.
    type Value: Send + 'static;
    /// Its media type; `None` without a body.
    const MEDIA: Option<&'static str>;
}

/// A body that is decoded as a whole.
pub trait DecodedBody: Body {
    /// Decodes it.
    ///
    /// # Errors
    /// It is no JSON, or not of this shape; the error says where.
    fn decode(bytes: &[u8]) -> Result<Self::Value, serde_json::Error>;
}

/// A body that is encoded as a whole.
pub trait EncodedBody: Body {
    /// Encodes it.
    fn encode(value: &Self::Value) -> Vec<u8>;
}

/// No body.
#[derive(Clone, Copy, Debug)]
pub struct Empty;

/// A JSON document.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(PhantomData<T>);

/// A JSON merge patch (RFC 7396): a field that is absent stays unchanged.
#[derive(Clone, Copy, Debug)]
pub struct MergePatch<T>(PhantomData<T>);

/// Bytes that are read or written as a stream.
#[derive(Clone, Copy, Debug)]
pub struct Binary;

/// Text.
#[derive(Clone, Copy, Debug)]
pub struct PlainText;

/// Server-sent events: messages that are written while they happen, and have no end.
#[derive(Clone, Copy, Debug)]
pub struct EventStream;

/// A script for a shell.
#[derive(Clone, Copy, Debug)]
pub struct ShellScript;

/// A package for Debian, as a stream of bytes.
#[derive(Clone, Copy, Debug)]
pub struct DebianPackage;

impl Body for Empty {
    type Value = ();
    const MEDIA: Option<&'static str> = None;
}

impl<T: Send + 'static> Body for Json<T> {
    type Value = T;
    const MEDIA: Option<&'static str> = Some("application/json");
}

impl<T: Send + 'static> Body for MergePatch<T> {
    type Value = T;
    const MEDIA: Option<&'static str> = Some("application/merge-patch+json");
}

impl Body for Binary {
    type Value = ();
    const MEDIA: Option<&'static str> = Some("application/octet-stream");
}

impl Body for PlainText {
    type Value = ();
    const MEDIA: Option<&'static str> = Some("text/plain");
}

impl Body for EventStream {
    type Value = ();
    const MEDIA: Option<&'static str> = Some("text/event-stream");
}

impl Body for ShellScript {
    type Value = ();
    const MEDIA: Option<&'static str> = Some("text/x-shellscript");
}

impl Body for DebianPackage {
    type Value = ();
    const MEDIA: Option<&'static str> = Some("application/vnd.debian.binary-package");
}

impl DecodedBody for Empty {
    fn decode(_: &[u8]) -> Result<(), serde_json::Error> {
        Ok(())
    }
}

impl<T: DeserializeOwned + Send + 'static> DecodedBody for Json<T> {
    fn decode(bytes: &[u8]) -> Result<T, serde_json::Error> {
        strict_json::decode(bytes)
    }
}

impl<T: DeserializeOwned + Send + 'static> DecodedBody for MergePatch<T> {
    fn decode(bytes: &[u8]) -> Result<T, serde_json::Error> {
        strict_json::decode(bytes)
    }
}

impl<T: Serialize + Send + 'static> EncodedBody for Json<T> {
    fn encode(value: &T) -> Vec<u8> {
        serde_json::to_vec(value).expect("API types are structs with text keys")
    }
}

impl<T: Serialize + Send + 'static> EncodedBody for MergePatch<T> {
    fn encode(value: &T) -> Vec<u8> {
        serde_json::to_vec(value).expect("API types are structs with text keys")
    }
}
