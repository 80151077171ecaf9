//! QUIC close codes: the encoding of a refusal as the error code and the reason of a close frame.
//!
//! The error code is for programs. It is in the frame itself, so it survives even where the reason is truncated. The
//! reason holds the message for people and the slot in which to reconnect.

use std::time::Duration;

use linecamp_model::limits::{CLOSE_BYTES_MAX, TEXT_BYTES_MAX};
use linecamp_model::{Refusal, RefusalCode, Text};
use prost::Message;

use crate::convert::{WireEnum, millis};
use crate::wire::link::v1 as wire;

/// Protobuf overhead around the longest text, slot included: two tags of one byte, a length of at most two, a number of
/// at most ten. So the longest refusal fits a close frame: `Text` has truncated its message at a character boundary
/// already.
const REFUSAL_EXTRA_BYTES_MAX: usize = 14;
const _: () = assert!(TEXT_BYTES_MAX + REFUSAL_EXTRA_BYTES_MAX <= CLOSE_BYTES_MAX);

/// Returns the close frame's error code for `code`, as `link.proto` numbers it, from 1.
pub fn refusal_code_number(code: RefusalCode) -> u32 {
    code.number().unsigned_abs()
}

/// Encodes the reason of a close frame: at most [`CLOSE_BYTES_MAX`] bytes.
pub fn encode_refusal(refusal: &Refusal) -> Vec<u8> {
    let reason =
        wire::Refusal { text: refusal.text.as_str().to_owned(), retry_after_millis: refusal.retry_after.map(millis) };
    reason.encode_to_vec()
}

/// Decodes a close frame: its error code and its reason.
///
/// `None` means the close is not a refusal: code 0, as a plain close of the transport has, or a reason that does not
/// decode.
///
/// An error code that this build does not know comes from a newer peer. It is read as [`RefusalCode::Busy`]: nothing is
/// deleted or given up permanently, the peer's slot is kept, and its message, which names the code, is shown to people.
/// The message is kept as far as it is printable.
pub fn decode_refusal(number: u32, reason: &[u8]) -> Option<Refusal> {
    if number == 0 {
        return None;
    }
    let reason = wire::Refusal::decode(reason).ok()?;
    let known = i32::try_from(number).ok().and_then(RefusalCode::of_number);
    let text = match known {
        Some(_) => Text::lossy(&reason.text),
        None => Text::lossy(&format!("refusal {number}, unknown to this build: {}", reason.text)),
    };
    Some(Refusal {
        code: known.unwrap_or(RefusalCode::Busy),
        text,
        retry_after: reason.retry_after_millis.map(Duration::from_millis),
    })
}
