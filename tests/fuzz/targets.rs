//! Fuzz targets: one for each decoder of untrusted bytes.
//!
//! A target accepts any bytes and returns. A panic, an endless loop or a disproportionate allocation is a bug, and so
//! is an accepted value that changes when it is encoded and decoded again.

use linecamp_model::{JoinTarget, Label, LabelInput, Name, Pin, Selector, ServerAddress};
use linecamp_proto::frame::FrameDecoder;
use linecamp_proto::local::LocalRequest;
use linecamp_proto::{
    decode_from_member, decode_from_parent, decode_refusal, encode_from_member, encode_from_parent, record,
};

/// A fuzz target and its name.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// All fuzz targets.
pub(crate) const TARGETS: [Target; 8] = [
    ("from_member", from_member),
    ("from_parent", from_parent),
    ("refusal", refusal),
    ("frames", frames),
    ("site_record", site_record),
    ("fleet_record", fleet_record),
    ("texts", texts),
    ("local_request", local_request),
];

/// A message of a site, at the server.
pub(crate) fn from_member(bytes: &[u8]) {
    if let Ok(message) = decode_from_member(bytes) {
        assert_eq!(decode_from_member(&encode_from_member(&message)), Ok(message));
    }
}

/// A message of the server, at a site.
pub(crate) fn from_parent(bytes: &[u8]) {
    if let Ok(message) = decode_from_parent(bytes) {
        assert_eq!(decode_from_parent(&encode_from_parent(&message)), Ok(message));
    }
}

/// The reason in a close frame; the first two bytes stand for its number.
pub(crate) fn refusal(bytes: &[u8]) {
    if let Some((number, reason)) = bytes.split_first_chunk::<2>() {
        let _refusal = decode_refusal(u32::from(u16::from_be_bytes(*number)), reason);
    }
}

/// A stream of frames; the first byte says how it is cut into packets.
pub(crate) fn frames(bytes: &[u8]) {
    const FRAME_MAX: usize = 4096;
    let Some((step, stream)) = bytes.split_first() else {
        return;
    };
    let mut decoder = FrameDecoder::default();
    for packet in stream.chunks(usize::from(*step).max(1)) {
        decoder.push(packet);
        loop {
            match decoder.next(FRAME_MAX) {
                Ok(Some(frame)) => assert!((1..=FRAME_MAX).contains(&frame.len())),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

/// A record of a site's database: a key, a line feed, a body.
pub(crate) fn site_record(bytes: &[u8]) {
    let (key, body) = key_and_body(bytes);
    if let Ok(change) = record::site_record(key, body) {
        let (key, body) = record::site_change(&change);
        assert_eq!(record::site_record(&key, &body.unwrap_or_default()), Ok(change));
    }
}

/// A record of the fleet's database: a key, a line feed, a body.
pub(crate) fn fleet_record(bytes: &[u8]) {
    let (key, body) = key_and_body(bytes);
    if let Ok(change) = record::fleet_record(key, body) {
        let (key, body) = record::fleet_change(&change);
        assert_eq!(record::fleet_record(&key, &body.unwrap_or_default()), Ok(change));
    }
}

/// What people type: selectors, labels, names, tokens, addresses.
pub(crate) fn texts(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(selector) = Selector::parse(text) {
        assert_eq!(Selector::parse(&selector.to_string()), Ok(selector));
    }
    let _label = Label::parse(text);
    let _labels = LabelInput::parse_query(text);
    let _name = Name::parse(text);
    let _pin = Pin::parse(text);
    if let Ok(address) = ServerAddress::parse(text) {
        assert_eq!(ServerAddress::parse(&address.to_string()), Ok(address));
    }
    if let Ok(target) = JoinTarget::parse(text) {
        assert!(!format!("{target:?}").contains(&target.token.reveal()), "a secret is printed");
    }
}

/// A request on the daemon's local socket: its method and target in the first line, then its body.
pub(crate) fn local_request(bytes: &[u8]) {
    let (line, body) = key_and_body(bytes);
    let Some((method, target)) = std::str::from_utf8(line).ok().and_then(|line| line.split_once(' ')) else { return };
    if let Ok(request) = LocalRequest::parse(method, target, body) {
        let read = LocalRequest::parse(request.method(), request.path(), &request.body());
        assert_eq!(read, Ok(request));
    }
}

fn key_and_body(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    (&bytes[..end], bytes.get(end + 1..).unwrap_or_default())
}
