//! An established connection between a site and a server: frames in both directions, and how it ended.
//!
//! All messages use one stream, which the site opens; the server learns of the session from its first bytes. Frames
//! arrive complete and in order, or the session ends. Data that the peer has not acknowledged in a *message* may be
//! lost with the session.

use std::net::SocketAddr;
use std::time::Duration;

use linecamp_model::limits::CLOSE_BYTES_MAX;
use linecamp_proto::frame::{FrameDecoder, FrameError, encode_frame};
use quinn::{Connection, ConnectionError, ReadError, RecvStream, SendStream, VarInt, WriteError};
use tokio::time::Instant;

use crate::error_chain::error_chain;

/// Maximum bytes read from the stream at once: one stream window.
const READ_BYTES_MAX: usize = 16 * 1024;

/// Time limit for one frame, from its first byte to its last: the largest, 1 MiB, at 28 kbit/s. After that the session
/// ends, so that a frame that never completes does not hold memory. `core` gives the first message a shorter limit.
const FRAME_LIMIT: Duration = Duration::from_secs(300);

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionEnd {
    /// The peer closed it, with a code and a reason.
    #[error("closed by the peer with code {code}: {text}", text = String::from_utf8_lossy(reason))]
    Closed {
        /// The peer's code.
        code: u32,
        /// The peer's reason, at most one packet.
        reason: Vec<u8>,
    },
    /// This side closed it.
    #[error("closed locally")]
    ClosedHere,
    /// Nothing was received for the idle timeout.
    #[error("idle timeout: no packets from the peer")]
    Silent,
    /// The peer does not know this session: it has restarted.
    #[error("the peer restarted")]
    Reset,
    /// The peer sent an invalid frame. The session is still open and has to be closed.
    #[error("invalid frame from the peer")]
    BadFrame(#[source] FrameError),
    /// Anything else: the peer violated QUIC, ended its stream, or stopped reading.
    #[error("session failed: {0}")]
    Broken(String),
}

/// An established session. It ends when it is closed or when all of its parts are dropped.
#[derive(Debug)]
pub struct Session {
    sender: SessionSender,
    receiver: SessionReceiver,
}

impl Session {
    pub(crate) fn new(connection: &Connection, streams: (SendStream, RecvStream), stall_limit: Duration) -> Self {
        let (sending, receiving) = streams;
        let closer = SessionCloser { connection: connection.clone() };
        Self {
            sender: SessionSender { stream: sending, closer: closer.clone(), stall_limit },
            receiver: SessionReceiver {
                stream: receiving,
                decoder: FrameDecoder::default(),
                frame_due: None,
                closer,
                stall_limit,
            },
        }
    }

    /// Returns the peer's address, which may change during a session.
    pub fn remote_address(&self) -> SocketAddr {
        self.closer().remote_address()
    }

    /// Splits the session into its two directions, for use by two tasks.
    pub fn split(self) -> (SessionSender, SessionReceiver) {
        (self.sender, self.receiver)
    }

    /// Returns a handle that can close the session from elsewhere.
    pub fn closer(&self) -> SessionCloser {
        self.sender.closer.clone()
    }

    /// Closes the session, like [`SessionCloser::close`].
    pub fn close(&self, code: u32, reason: &[u8]) {
        self.sender.closer.close(code, reason);
    }
}

/// Closes a session that other tasks use to send and receive. Each handle keeps the session open until it is dropped.
#[derive(Clone, Debug)]
pub struct SessionCloser {
    connection: Connection,
}

impl SessionCloser {
    /// Closes the session with a reason for the peer, truncated to [`CLOSE_BYTES_MAX`].
    ///
    /// Data still in flight is lost; see [`SessionSender::close_after_delivery`]. Only the first close takes effect.
    /// Wait for the endpoint's `wait_idle` before the process exits; otherwise the peer is not notified.
    pub fn close(&self, code: u32, reason: &[u8]) {
        self.connection.close(VarInt::from_u32(code), truncate_reason(reason));
    }

    /// Returns the peer's address.
    pub fn remote_address(&self) -> SocketAddr {
        canonical(self.connection.remote_address())
    }
}

/// The sending half of a session.
#[derive(Debug)]
pub struct SessionSender {
    stream: SendStream,
    closer: SessionCloser,
    stall_limit: Duration,
}

impl SessionSender {
    /// Sends one message. Returns when QUIC has buffered it, not when the peer has received it.
    ///
    /// Not cancel-safe: a dropped call may leave a partial frame, and the session must then be closed.
    ///
    /// # Errors
    /// How the session ended. If the peer accepts no bytes for the idle timeout, or not the whole frame within 5 min,
    /// the session is broken.
    pub async fn send(&mut self, payload: &[u8]) -> Result<(), SessionEnd> {
        let frame = encode_frame(payload);
        let mut rest = frame.as_slice();
        let due = Instant::now() + FRAME_LIMIT;
        while !rest.is_empty() {
            let stalled = Instant::now() + self.stall_limit;
            let written = tokio::time::timeout_at(due.min(stalled), self.stream.write(rest)).await;
            match written {
                Ok(Ok(bytes)) => rest = &rest[bytes..],
                Ok(Err(error)) => return Err(end_of_write(error)),
                Err(_) if due < stalled => return Err(frame_late()),
                Err(_) => {
                    return Err(SessionEnd::Broken(format!(
                        "the peer accepted no data for {} s",
                        self.stall_limit.as_secs()
                    )));
                }
            }
        }
        Ok(())
    }

    /// Closes the session, like [`SessionCloser::close`].
    pub fn close(&self, code: u32, reason: &[u8]) {
        self.closer.close(code, reason);
    }

    /// Closes the session once the peer has received everything sent, or the idle timeout has passed.
    ///
    /// For a final message: a plain close would overtake it.
    pub async fn close_after_delivery(mut self, code: u32, reason: &[u8]) {
        // Either failure means that the session has already ended, so there is nothing to deliver.
        if self.stream.finish().is_ok() {
            drop(tokio::time::timeout(self.stall_limit, self.stream.stopped()).await);
        }
        self.closer.close(code, reason);
    }

    /// Sends raw bytes, which need not be a frame.
    #[cfg(test)]
    pub(crate) async fn write_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the session is open");
    }

    /// Sends raw bytes, which need not be a frame, and ends the stream.
    #[cfg(test)]
    pub(crate) async fn write_raw_and_finish(mut self, bytes: &[u8]) {
        self.write_raw(bytes).await;
        self.stream.finish().expect("the stream is open");
    }
}

/// The receiving half of a session.
#[derive(Debug)]
pub struct SessionReceiver {
    stream: RecvStream,
    decoder: FrameDecoder,
    /// Deadline for the frame being received.
    frame_due: Option<Instant>,
    closer: SessionCloser,
    stall_limit: Duration,
}

impl SessionReceiver {
    /// Returns the next message, of at most `frame_bytes_max` bytes. Cancel-safe.
    ///
    /// # Errors
    /// How the session ended. Messages received before the end are returned first. A message that is not complete
    /// within 5 min of its first byte also ends the session.
    pub async fn recv(&mut self, frame_bytes_max: usize) -> Result<Vec<u8>, SessionEnd> {
        loop {
            if let Some(payload) = self.decoder.next(frame_bytes_max).map_err(SessionEnd::BadFrame)? {
                self.frame_due = None;
                return Ok(payload);
            }
            if !self.decoder.is_between_frames() {
                self.frame_due.get_or_insert_with(|| Instant::now() + FRAME_LIMIT);
            }
            let chunk = self.stream.read_chunk(READ_BYTES_MAX, true);
            let chunk = match self.frame_due {
                Some(due) => tokio::time::timeout_at(due, chunk).await.map_err(|_| frame_late())?,
                None => chunk.await,
            };
            match chunk {
                Ok(Some(chunk)) => self.decoder.push(&chunk.bytes),
                Ok(None) => {
                    self.decoder.finish().map_err(SessionEnd::BadFrame)?;
                    return Err(self.end_after_stream().await);
                }
                Err(error) => return Err(end_of_read(error)),
            }
        }
    }

    /// Waits for the close reason after the peer ended its stream: a peer that sends a final message ends the stream
    /// first, and closes with the reason once the message has been received.
    async fn end_after_stream(&self) -> SessionEnd {
        match tokio::time::timeout(self.stall_limit, self.closer.connection.closed()).await {
            Ok(error) => end_of_connection(error),
            Err(_) => SessionEnd::Broken("the peer ended its stream without closing the session".to_owned()),
        }
    }

    /// Closes the session, like [`SessionCloser::close`].
    pub fn close(&self, code: u32, reason: &[u8]) {
        self.closer.close(code, reason);
    }
}

/// Truncates a close reason so that it fits one packet.
pub(crate) fn truncate_reason(reason: &[u8]) -> &[u8] {
    &reason[..reason.len().min(CLOSE_BYTES_MAX)]
}

/// Converts an IPv4-mapped IPv6 address, as from a dual-stack socket, to IPv4.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn frame_late() -> SessionEnd {
    SessionEnd::Broken(format!("frame incomplete after {} s", FRAME_LIMIT.as_secs()))
}

fn end_of_write(error: WriteError) -> SessionEnd {
    match error {
        WriteError::ConnectionLost(error) => end_of_connection(error),
        other => SessionEnd::Broken(error_chain(&other)),
    }
}

fn end_of_read(error: ReadError) -> SessionEnd {
    match error {
        ReadError::ConnectionLost(error) => end_of_connection(error),
        other => SessionEnd::Broken(error_chain(&other)),
    }
}

pub(crate) fn end_of_connection(error: ConnectionError) -> SessionEnd {
    match error {
        ConnectionError::ApplicationClosed(close) => SessionEnd::Closed {
            code: u32::try_from(close.error_code.into_inner()).unwrap_or(u32::MAX),
            reason: close.reason.to_vec(),
        },
        ConnectionError::LocallyClosed => SessionEnd::ClosedHere,
        ConnectionError::TimedOut => SessionEnd::Silent,
        ConnectionError::Reset => SessionEnd::Reset,
        other => SessionEnd::Broken(other.to_string()),
    }
}
