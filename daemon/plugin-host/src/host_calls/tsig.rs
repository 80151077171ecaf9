//! TSIG (RFC 8945): signs a plugin's message with a secret of the site, and accepts only a signed response.

use std::convert::Infallible;
use std::str::FromStr as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use data_encoding::BASE64;
use domain::base::Message;
use domain::base::iana::TsigRcode;
use domain::base::message_builder::MessageBuilder;
use domain::base::wire::{Composer, ParseError};
use domain::dep::octseq::{OctetsBuilder, Truncate};
use domain::rdata::tsig::{Time48, Tsig};
use domain::tsig::{Algorithm, ClientTransaction, Key, KeyName, ValidationError};
use zeroize::Zeroizing;

use super::HostCallError;
use crate::secret::Secret;

/// The largest accepted difference between the two clocks (RFC 8945, 10).
const FUDGE_SECONDS: u16 = 300;

/// Why a message could not be signed, or a signature was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TsigCode {
    /// The server does not know the key, or not with this algorithm.
    BadKey,
    /// The server has another secret for the key.
    BadSignature,
    /// The clocks of the server and the site differ too much.
    BadTime,
    /// The response is unsigned, or its signature is invalid.
    Unverified,
    /// The key cannot be used: its name, algorithm or secret is malformed.
    InvalidKey,
}

/// A signed message that waits for its response.
pub(crate) struct Signing {
    key_name: String,
    transaction: ClientTransaction<std::sync::Arc<Key>>,
}

/// The key that a message is signed with.
#[derive(Clone, Copy)]
pub(crate) struct TsigCredentials<'a> {
    pub(crate) key_name: &'a str,
    pub(crate) algorithm: &'a str,
    /// The plugin's handle for the secret, for errors.
    pub(crate) handle: &'a str,
    /// Base64, the format that all tools use.
    pub(crate) secret: &'a Secret,
}

/// Signs `message`, and returns it with its signature.
pub(crate) fn sign(
    message: &[u8],
    credentials: &TsigCredentials<'_>,
    now: SystemTime,
) -> Result<(Bytes, Signing), HostCallError> {
    let key = key(credentials)?;
    let complete = CompleteMessage { message: message.to_vec(), is_begun: false };
    let Ok(builder) = MessageBuilder::from_target(complete);
    let mut builder = builder.additional();
    let transaction =
        ClientTransaction::request_with_fudge(std::sync::Arc::new(key), &mut builder, time(now), FUDGE_SECONDS)
            .map_err(|_| HostCallError::Protocol("the message is too long to be signed".into()))?;
    let signed = builder.finish().message;
    Ok((signed.into(), Signing { key_name: credentials.key_name.to_owned(), transaction }))
}

impl Signing {
    /// Verifies the signature of a response and removes it.
    pub(crate) fn verify(&self, response: &[u8], now: SystemTime) -> Result<Vec<u8>, HostCallError> {
        let mut response = Message::from_octets(response.to_vec())
            .map_err(|_| HostCallError::Protocol("the response is not a DNS message".into()))?;
        if let Err(error) = self.transaction.answer(&mut response, time(now)) {
            let error = bad_time(&response).unwrap_or(error);
            let (code, reason) = self.describe(&error, now);
            return Err(HostCallError::Tsig(code, reason));
        }
        let end =
            end_of_records(&response).map_err(|_| HostCallError::Protocol("the response is incomplete".into()))?;
        let mut response = response.into_octets();
        response.truncate(end);
        Ok(response)
    }

    /// Describes a validation error and what to do about it.
    fn describe(&self, error: &ValidationError, now: SystemTime) -> (TsigCode, String) {
        let key = &self.key_name;
        match error {
            ValidationError::ServerBadKey => (
                TsigCode::BadKey,
                format!("BADKEY: the server does not know the key `{key}`, or not with this algorithm; check its name"),
            ),
            ValidationError::ServerBadSig => (
                TsigCode::BadSignature,
                format!("BADSIG: the server has another secret for the key `{key}`; check the site's secret"),
            ),
            ValidationError::ServerBadTime { server, .. } => {
                let server = UNIX_EPOCH + Duration::from_secs((*server).into());
                let difference = server.duration_since(now).unwrap_or_else(|behind| behind.duration());
                let seconds = difference.as_secs();
                let side = if server < now { "behind" } else { "ahead of" };
                let reason =
                    format!("BADTIME: the server's clock is {seconds} s {side} the site's; correct the wrong clock");
                (TsigCode::BadTime, reason)
            }
            ValidationError::BadTime => {
                let reason =
                    "BADTIME: the response's signing time differs from the site's clock; correct the wrong clock";
                (TsigCode::BadTime, reason.into())
            }
            ValidationError::ServerUnsigned => {
                (TsigCode::Unverified, format!("the response is not signed with the key `{key}`, so it may be forged"))
            }
            other => (TsigCode::Unverified, format!("the response's signature by the key `{key}` is invalid: {other}")),
        }
    }
}

/// Returns the server's time, if the response reports that the clocks differ too much.
///
/// Verifies no signature: `domain` 0.11 hashes eight bytes of the server's time where RFC 8945, 4.3.3, specifies six,
/// and so rejects the signature of every real server. A forged response only fails the call, which is then retried; the
/// same is possible with `BADKEY` and `BADSIG`, which are never signed.
fn bad_time(response: &Message<Vec<u8>>) -> Option<ValidationError> {
    let last = response.additional().ok()?.last()?.ok()?;
    let signature = last.to_record::<Tsig<_, _>>().ok()??;
    let data = signature.data();
    let server = data.other_time().filter(|_| data.error() == TsigRcode::BADTIME)?;
    Some(ValidationError::ServerBadTime { client: data.time_signed(), server })
}

fn key(credentials: &TsigCredentials<'_>) -> Result<Key, HostCallError> {
    let shown = |text: &str| text.chars().take(300).flat_map(char::escape_debug).collect::<String>();
    let invalid = |reason: String| Err(HostCallError::Tsig(TsigCode::InvalidKey, reason));
    let algorithm = match credentials.algorithm.trim_end_matches('.').to_ascii_lowercase().as_str() {
        "hmac-sha256" => Algorithm::Sha256,
        "hmac-sha384" => Algorithm::Sha384,
        "hmac-sha512" => Algorithm::Sha512,
        _ => {
            return invalid(format!(
                "unsupported algorithm `{}`; use hmac-sha256, hmac-sha384 or hmac-sha512",
                shown(credentials.algorithm)
            ));
        }
    };
    let Ok(name) = KeyName::from_str(&credentials.key_name.to_ascii_lowercase()) else {
        return invalid(format!("the key name `{}` is not a DNS name", shown(credentials.key_name)));
    };
    let Ok(secret) = BASE64.decode(credentials.secret.expose()).map(Zeroizing::new) else {
        return invalid(format!("the secret `{}` is not base64, the format of TSIG keys", credentials.handle));
    };
    Key::new(algorithm, &secret, name, None, None).or_else(|error| invalid(error.to_string()))
}

/// Returns where the last record ends. The bytes of the removed signature still follow, although they are no longer
/// counted.
fn end_of_records(message: &Message<Vec<u8>>) -> Result<usize, ParseError> {
    let mut records = message.additional()?;
    for record in records.by_ref() {
        record?;
    }
    Ok(records.pos())
}

/// Returns the time in the format of signatures.
fn time(at: SystemTime) -> Time48 {
    let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // 48 bits of seconds last for nine million years.
    Time48::from_u64(seconds & 0xffff_ffff_ffff)
}

/// A builder target that already contains a complete message. The empty header that the builder writes first is
/// discarded.
struct CompleteMessage {
    message: Vec<u8>,
    is_begun: bool,
}

impl OctetsBuilder for CompleteMessage {
    type AppendError = Infallible;

    fn append_slice(&mut self, slice: &[u8]) -> Result<(), Infallible> {
        if self.is_begun {
            self.message.extend_from_slice(slice);
        }
        self.is_begun = true;
        Ok(())
    }
}

impl Truncate for CompleteMessage {
    fn truncate(&mut self, bytes: usize) {
        if self.is_begun {
            self.message.truncate(bytes);
        }
    }
}

impl AsRef<[u8]> for CompleteMessage {
    fn as_ref(&self) -> &[u8] {
        &self.message
    }
}

impl AsMut<[u8]> for CompleteMessage {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.message
    }
}

impl Composer for CompleteMessage {}
