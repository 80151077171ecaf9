//! Server-sent events: a response that is read while it is written.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};
use linecamp_proto::api::{STREAM_HEARTBEAT_SECONDS, StreamMessage};

use super::ClientError;

/// How long a stream may be silent. After that the connection is considered lost: the server sends more often.
const SILENCE_MAX: Duration = Duration::from_secs(3 * STREAM_HEARTBEAT_SECONDS);

/// Maximum size of a message in bytes. Messages have a few hundred; a larger one is an error.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// A stream of messages.
#[derive(Debug)]
pub(crate) struct ServerEvents {
    server: String,
    body: Incoming,
    parser: Parser,
    last_id: Option<String>,
}

impl ServerEvents {
    pub(super) fn new(server: String, body: Incoming) -> Self {
        Self { server, body, parser: Parser::default(), last_id: None }
    }

    /// Returns the id with which the stream can be continued.
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// Waits for the next message. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<StreamMessage, ClientError> {
        loop {
            while let Some(fields) = self.parser.next() {
                if let Some(id) = fields.id {
                    self.last_id = Some(id);
                }
                let read = StreamMessage::read(&fields.name, &fields.data);
                let invalid = |source| ClientError::InvalidResponse { server: self.server.clone(), source };
                if let Some(message) = read.map_err(invalid)? {
                    return Ok(message);
                }
            }
            let piece = self.piece().await?;
            if !self.parser.push(&piece) {
                return Err(ClientError::ResponseTooLarge { server: self.server.clone() });
            }
        }
    }

    async fn piece(&mut self) -> Result<Bytes, ClientError> {
        let server = || self.server.clone();
        let incomplete = |source| ClientError::IncompleteResponse { server: server(), source };
        match tokio::time::timeout(SILENCE_MAX, self.body.frame()).await {
            Ok(Some(Ok(frame))) => Ok(frame.into_data().unwrap_or_default()),
            Ok(Some(Err(error))) => Err(incomplete(error.into())),
            Ok(None) => Err(incomplete("the stream ended".into())),
            Err(_) => Err(ClientError::Timeout { server: server(), limit: SILENCE_MAX }),
        }
    }
}

/// The fields of a message. One without data has no name here: only its id counts.
#[derive(Debug, Default, PartialEq, Eq)]
struct Fields {
    id: Option<String>,
    name: String,
    data: String,
}

/// Splits text into messages: lines of fields, with an empty line after each message. Lines that begin with a colon are
/// comments.
#[derive(Debug, Default)]
struct Parser {
    bytes: Vec<u8>,
}

impl Parser {
    /// Adds what was received. Returns false if a message is too long.
    fn push(&mut self, piece: &[u8]) -> bool {
        self.bytes.extend_from_slice(piece);
        self.bytes.len() <= MESSAGE_BYTES_MAX
    }

    /// Removes and returns the next complete message.
    fn next(&mut self) -> Option<Fields> {
        let end = self.bytes.windows(2).position(|pair| pair == b"\n\n")?;
        let message: Vec<u8> = self.bytes.drain(..end + 2).collect();
        let mut fields = Fields::default();
        for line in String::from_utf8_lossy(&message).lines() {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match name {
                "id" => fields.id = Some(value.to_owned()),
                "event" => value.clone_into(&mut fields.name),
                "data" => fields.data.push_str(value),
                _ => {}
            }
        }
        Some(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_however_the_text_is_cut() {
        let text =
            "retry: 2000\nid: a-0\n\n:\nid: a-4\n\nevent: event\nid: a-5\ndata: {\"é\":1}\n\nevent: x\ndata:y\n\n";
        let expected = [
            Fields { id: Some("a-0".into()), ..Fields::default() },
            Fields { id: Some("a-4".into()), ..Fields::default() },
            Fields { id: Some("a-5".into()), name: "event".into(), data: "{\"é\":1}".into() },
            Fields { id: None, name: "x".into(), data: "y".into() },
        ];
        for size in 1..text.len() {
            let (mut parser, mut found) = (Parser::default(), Vec::new());
            for piece in text.as_bytes().chunks(size) {
                assert!(parser.push(piece));
                found.extend(std::iter::from_fn(|| parser.next()));
            }
            assert_eq!(found, expected, "{size}");
        }
    }

    #[test]
    fn a_message_without_end_is_an_error() {
        let mut parser = Parser::default();
        assert!(parser.push(&[b'x'; MESSAGE_BYTES_MAX]));
        assert!(!parser.push(b"x"));
    }
}
