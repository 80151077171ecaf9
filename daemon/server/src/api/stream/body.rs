//! The body of a stream's response.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Bytes, HttpBody};
use hyper::body::Frame;
use tokio::sync::mpsc;

use crate::drivers::request_permit::RequestPermit;

/// The pieces of a stream, as they come. Each one that is taken restarts the time limit of the request: it is for
/// clients that do not read.
#[derive(Debug)]
pub(super) struct StreamBody {
    pieces: mpsc::Receiver<Bytes>,
    permit: Option<RequestPermit>,
}

impl StreamBody {
    pub(super) const fn new(pieces: mpsc::Receiver<Bytes>, permit: Option<RequestPermit>) -> Self {
        Self { pieces, permit }
    }
}

impl HttpBody for StreamBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(piece) = ready!(self.pieces.poll_recv(context)) else { return Poll::Ready(None) };
        if let Some(permit) = &self.permit {
            permit.renew();
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}
