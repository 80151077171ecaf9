//! Closes a connection without losing the last response.
//!
//! A socket that is closed while unread bytes are in its buffer resets the connection, and the client may then lose a
//! response that it has not read yet, such as the one that rejects its request as too large. So the write side is
//! closed first, and what the client still sends is discarded for a moment.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// How long a client may take to close its side. After that the connection is reset.
const LINGER_LIMIT: Duration = Duration::from_secs(1);

/// Maximum bytes that are discarded. A client that sends more is reset.
const LINGER_BYTES_MAX: usize = 512 * 1024;

/// Bytes discarded by one read.
const PIECE_BYTES: usize = 4096;

/// A connection that discards what the client still sends when it is shut down.
#[derive(Debug)]
pub(super) struct Lingering<S> {
    stream: S,
    /// Set once the write side is closed.
    deadline: Option<Pin<Box<Sleep>>>,
    discarded: usize,
}

impl<S> Lingering<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, deadline: None, discarded: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.deadline.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
        }
        let deadline = this.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER_LIMIT)));
        let mut piece = [0; PIECE_BYTES];
        while this.discarded < LINGER_BYTES_MAX {
            if deadline.as_mut().poll(context).is_ready() {
                break;
            }
            let mut buffer = ReadBuf::new(&mut piece);
            // An error here is the client's end of the connection as well.
            if ready!(Pin::new(&mut this.stream).poll_read(context, &mut buffer)).is_err() || buffer.filled().is_empty()
            {
                break;
            }
            this.discarded += buffer.filled().len();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
