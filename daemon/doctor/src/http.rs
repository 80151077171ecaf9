//! One HTTP exchange over an open connection.

use std::error::Error as _;
use std::io;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::HOST;
use hyper::{Request, Response};
use linecamp_transport::http_connection;
use tokio::io::{AsyncRead, AsyncWrite};

/// The maximum size of a response's head in bytes. A longer one is an error.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Requests `path` over an open connection and reads at most `bytes_max` bytes of the body. The caller bounds the time.
///
/// # Errors
/// See [`http_exchange`].
pub async fn http_get(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    host: &str,
    path: &str,
    bytes_max: usize,
) -> io::Result<Response<Vec<u8>>> {
    let request = Request::get(path).header(HOST, host).body(Vec::new()).map_err(io::Error::other)?;
    http_exchange(stream, request, bytes_max).await
}

/// Sends `request` over an open connection and reads at most `bytes_max` bytes of the response's body; the rest is cut
/// off. The caller bounds the time.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] if the response is not HTTP, [`io::ErrorKind::UnexpectedEof`] if it is incomplete,
/// and other kinds if the connection fails.
pub async fn http_exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Vec<u8>>,
    bytes_max: usize,
) -> io::Result<Response<Vec<u8>>> {
    let (mut sender, connection) = http_connection(stream, HEAD_BYTES_MAX).await.map_err(io_error)?;
    let exchange = async {
        let request = request.map(|body| Full::new(Bytes::from(body)));
        let (head, body) = sender.send_request(request).await.map_err(io_error)?.into_parts();
        Ok(Response::from_parts(head, read_body(body, bytes_max).await?))
    };
    connection.complete(exchange).await
}

async fn read_body(mut body: Incoming, bytes_max: usize) -> io::Result<Vec<u8>> {
    let has_length = body.size_hint().exact().is_some();
    let mut bytes = Vec::new();
    while bytes.len() < bytes_max
        && let Some(frame) = body.frame().await
    {
        match frame.map_err(io_error) {
            Ok(frame) => bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
            // Some servers end a response by closing without TLS's `close_notify`.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && !has_length => break,
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(bytes_max);
    Ok(bytes)
}

fn io_error(error: hyper::Error) -> io::Error {
    if error.is_parse() {
        return io::Error::new(io::ErrorKind::InvalidData, "the response is not HTTP");
    }
    let kind = match error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
        Some(source) => source.kind(),
        None if error.is_incomplete_message() => io::ErrorKind::UnexpectedEof,
        None => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Requests a path from a peer that answers with `answer` and closes the connection.
    async fn get(answer: &'static [u8], bytes_max: usize) -> io::Result<Response<Vec<u8>>> {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let peer = async move {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(theirs.read_u8().await.unwrap());
            }
            theirs.write_all(answer).await.unwrap();
            request
        };
        let (response, request) = tokio::join!(http_get(ours, "camp", "/x", bytes_max), peer);
        assert_eq!(String::from_utf8_lossy(&request).to_lowercase(), "get /x http/1.1\r\nhost: camp\r\n\r\n");
        response
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit_in_every_framing() {
        for answer in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            b"HTTP/1.0 200 OK\r\n\r\nhello",
        ] {
            assert_eq!(get(answer, 5).await.unwrap().body(), b"hello");
            assert_eq!(get(answer, 4).await.unwrap().body(), b"hell");
        }
    }

    #[tokio::test]
    async fn what_is_not_http_and_what_is_incomplete_are_errors() {
        use io::ErrorKind::{InvalidData, UnexpectedEof};

        for (answer, expected) in [
            (&b""[..], UnexpectedEof),
            (b"HTTP/1.0 200 OK\r\n", UnexpectedEof),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", UnexpectedEof),
            (b"SSH-2.0-x\r\n\r\n", InvalidData),
            (b"HTTP/1.0 \r\n\r\n", InvalidData),
            (b"HTTP/1.0 ok\r\n\r\n", InvalidData),
            (b"{\"ok\":1}\n", InvalidData),
        ] {
            let error = get(answer, 100).await.unwrap_err();
            assert_eq!(error.kind(), expected, "{}: {error}", String::from_utf8_lossy(answer));
        }
    }
}
