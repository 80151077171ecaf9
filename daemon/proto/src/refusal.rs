//! Refusals: what a QUIC close frame carries, its number and its reason.
//!
//! The number says why, for machines. It is on the frame itself, so that it survives even where the reason is cut.
//! The reason holds the words for people and the slot to come back at.

use std::time::Duration;

use linecamp_model::limits::{CLOSE_BYTES_MAX, TEXT_BYTES_MAX};
use linecamp_model::{Refusal, RefusalCode, Text};
use prost::Message;

use crate::convert::{WireEnum, millis};
use crate::wire::link::v1 as wire;

/// What protobuf needs around the longest text, slot included: two tags of one byte, a length of at most two, a number
/// of at most ten. So the longest refusal fits a close frame: `Text` has cut its words at a character already.
const REFUSAL_EXTRA_BYTES_MAX: usize = 14;
const _: () = assert!(TEXT_BYTES_MAX + REFUSAL_EXTRA_BYTES_MAX <= CLOSE_BYTES_MAX);

/// Returns the number of a close frame that refuses with `code`: the one that `link.proto` gives it, from 1.
pub fn refusal_code_number(code: RefusalCode) -> u32 {
    code.number().unsigned_abs()
}

/// Returns the reason of a close frame: at most [`CLOSE_BYTES_MAX`] bytes.
pub fn encode_refusal(refusal: &Refusal) -> Vec<u8> {
    let reason =
        wire::Refusal { text: refusal.text.as_str().to_owned(), retry_after_millis: refusal.retry_after.map(millis) };
    reason.encode_to_vec()
}

/// Reads a close frame: its number and its reason.
///
/// `None` is a close that is no refusal of ours: number 0, as a plain close of the transport has, or a reason that
/// does not decode.
///
/// A number that this build does not know comes from a newer peer. It is read as [`RefusalCode::Busy`]: nothing is
/// forgotten or given up for good, the peer's slot is kept, and its words, which name the number, reach people.
/// Words are kept as far as they are fit to be shown.
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
