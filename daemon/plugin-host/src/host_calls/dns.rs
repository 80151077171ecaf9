//! Just enough DNS message parsing to recognize the response to a message.

use domain::base::iana::{Opcode, Rcode};
use domain::base::{Message, ParsedName, Question};

/// Whether `response` is the response to `query`: the same ID and the same question. Some servers omit the question
/// from an error response, and from the response to an update.
pub(crate) fn is_response(query: &[u8], response: &[u8]) -> bool {
    let (Ok(query), Ok(response)) = (Message::from_slice(query), Message::from_slice(response)) else {
        return false;
    };
    let (asked, answered) = (query.header(), response.header());
    if asked.id() != answered.id() || !answered.qr() || asked.opcode() != answered.opcode() {
        return false;
    }
    let may_be_bare = answered.opcode() == Opcode::UPDATE || answered.rcode() != Rcode::NOERROR;
    match (question(query), question(response)) {
        (Some(asked), Some(answered)) => asked == answered,
        (Some(_), None) => may_be_bare && response.header_counts().qdcount() == 0,
        (None, _) => false,
    }
}

/// Whether a response is truncated, so that the full response must be fetched over TCP.
pub(crate) fn is_truncated(response: &[u8]) -> bool {
    Message::from_slice(response).is_ok_and(|response| response.header().tc())
}

/// Whether `message` is a query or update with exactly one question.
pub(crate) fn is_question(message: &[u8]) -> bool {
    Message::from_slice(message).is_ok_and(|message| !message.header().qr() && question(message).is_some())
}

/// Returns the sole question; for an update, the zone in its place.
fn question(message: &Message<[u8]>) -> Option<Question<ParsedName<&[u8]>>> {
    message.sole_question().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message with an ID, the two flag bytes and, if there is a name, a question for it of type A.
    fn message(id: u8, flags: [u8; 2], name: Option<&[u8]>) -> Vec<u8> {
        let mut bytes = vec![0, id, flags[0], flags[1], 0, u8::from(name.is_some()), 0, 0, 0, 0, 0, 0];
        if let Some(name) = name {
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(&[0, 1, 0, 1]);
        }
        bytes
    }

    #[test]
    fn an_answer_has_the_id_and_the_question() {
        const NAME: &[u8] = b"\x01a\x07example\0";
        let query = message(7, [0, 0], Some(NAME));
        let check = |response: &[u8], expected| assert_eq!(is_response(&query, response), expected, "{response:?}");
        assert!(is_question(&query));
        check(&message(7, [0x80, 0], Some(NAME)), true);
        check(&message(7, [0x80, 0], Some(b"\x01A\x07EXAMPLE\0")), true);
        check(&message(7, [0x80, 3], None), true);
        check(&message(7, [0x80, 0], None), false);
        check(&message(8, [0x80, 0], Some(NAME)), false);
        check(&message(7, [0, 0], Some(NAME)), false);
        check(&message(7, [0x80 | 0x28, 0], Some(NAME)), false);
        check(&message(7, [0x80, 0], Some(b"\x01b\x07example\0")), false);
        check(&message(7, [0x80, 0], Some(b"\xc0\x0c")), false);
        check(&[], false);
        check(&query[..11], false);
        assert!(is_truncated(&message(7, [0x82, 0], Some(NAME))));
        let update = message(7, [0x28, 0], Some(NAME));
        assert!(is_response(&update, &message(7, [0xa8, 0], None)));
        assert!(!is_question(&message(7, [0x80, 0], Some(NAME))));
        assert!(!is_question(b"GET / HTTP/1.1\r\n\r\n"));
    }
}
