//! HTTP/1.1 as a client, over a connection that is open.

use std::pin::Pin;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection of any kind.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Moves the bytes of an HTTP connection: it must be polled beside the request, which reports what fails.
pub type HttpConnection = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts HTTP/1.1 as a client over `stream`. A response whose head is longer than `head_bytes_max` is an error.
///
/// The stream and the connection are boxed, so that hyper's client is compiled once for all kinds of streams: it counts
/// in the daemon's size.
///
/// # Errors
/// If the connection cannot be started; the peer has received nothing.
pub async fn http_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    head_bytes_max: usize,
) -> Result<(SendRequest<Full<Bytes>>, HttpConnection), hyper::Error> {
    start(Box::new(stream), head_bytes_max).await
}

async fn start(
    stream: Box<dyn Stream>,
    head_bytes_max: usize,
) -> Result<(SendRequest<Full<Bytes>>, HttpConnection), hyper::Error> {
    let mut builder = Builder::new();
    builder.max_buf_size(head_bytes_max);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    // The request reports the error of its connection.
    Ok((sender, Box::pin(async { drop(connection.await) })))
}
