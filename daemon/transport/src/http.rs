//! HTTP/1.1 as a client, over a connection that is open.

use std::fmt;
use std::pin::{Pin, pin};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection of any kind.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Moves the bytes of an HTTP connection.
pub struct HttpConnection(Pin<Box<dyn Future<Output = ()> + Send>>);

impl HttpConnection {
    /// Completes an exchange over this connection: a request, and reading its response, which report what fails. The
    /// connection may end before the exchange has taken a response that has arrived. If the returned future is dropped,
    /// the connection is closed.
    pub async fn complete<T>(self, exchange: impl Future<Output = T>) -> T {
        let mut exchange = pin!(exchange);
        tokio::select! {
            biased;
            done = &mut exchange => done,
            () = self.0 => exchange.await,
        }
    }
}

impl fmt::Debug for HttpConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpConnection")
    }
}

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
    Ok((sender, HttpConnection(Box::pin(async { drop(connection.await) }))))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use hyper::Request;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

    /// The peer closes at once, and the exchange takes the body much later.
    #[tokio::test]
    async fn a_response_is_taken_from_a_connection_that_has_ended() {
        let (client, mut server) = duplex(1024);
        let peer = tokio::spawn(async move {
            let mut request = [0; 1024];
            assert_ne!(server.read(&mut request).await.expect("a request arrives"), 0);
            server.write_all(RESPONSE).await.expect("there is room for the response");
        });
        let (mut sender, connection) = http_connection(client, 1024 * 8).await.expect("it starts");
        let exchange = async {
            let request = Request::get("/").body(Full::default()).expect("it is valid");
            let response = sender.send_request(request).await.expect("it is answered");
            peer.await.expect("the peer has closed the connection");
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            response.into_body().collect().await.expect("it was received").to_bytes()
        };
        assert_eq!(connection.complete(exchange).await, "ok");
    }
}
