//! A service on the loopback interface that responds as the test specifies, correctly or not.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// How the service responds to a request.
#[derive(Clone, Debug)]
pub(super) enum Say {
    /// Sends the bytes and closes the connection.
    Bytes(Vec<u8>),
    /// Sends the request itself as the body.
    Echo,
    /// Sends an endless body.
    Flood,
    /// Sends the response's header section one byte at a time, slowly and without end.
    Drip,
    /// Sends nothing and keeps the connection open.
    Silence,
}

/// A service, and the requests it received.
pub(super) struct Service {
    pub(super) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Service {
    /// Starts a service without TLS.
    pub(super) async fn start(say: Say) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let service = Self { address: listener.local_addr().unwrap(), asked: Arc::default() };
        let asked = Arc::clone(&service.asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, say.clone(), Arc::clone(&asked)));
            }
        });
        service
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns the requests so far, headers and body.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// A response with a body.
pub(super) fn response(status: &str, headers: &[&str], body: &[u8]) -> Say {
    let mut bytes = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len()).into_bytes();
    for header in headers {
        bytes.extend_from_slice(format!("{header}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    Say::Bytes(bytes)
}

/// Answers one request.
pub(super) async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, say: Say, asked: Arc<Mutex<Vec<String>>>) {
    let Some(request) = read_request(&mut stream).await else { return };
    asked.lock().unwrap().push(request.clone());
    let written = match say {
        Say::Bytes(bytes) => stream.write_all(&bytes).await,
        Say::Echo => {
            let head = format!("HTTP/1.1 200 OK\r\nX-Echo: {}\r\n", request.replace("\r\n", "|"));
            let whole = format!("{head}Content-Length: {}\r\n\r\n{request}", request.len());
            stream.write_all(whole.as_bytes()).await
        }
        Say::Flood => {
            let chunk = [b"10000\r\n", [b'a'; 0x10000].as_slice(), b"\r\n"].concat();
            let mut written = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            while written.is_ok() {
                written = stream.write_all(&chunk).await;
            }
            written
        }
        Say::Drip => {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            let head = b"HTTP/1.1 200 OK\r\nX-Slow: ".iter().copied().chain(std::iter::repeat(b'a'));
            for byte in head {
                ticks.tick().await;
                if stream.write_all(&[byte]).await.is_err() {
                    return;
                }
            }
            return;
        }
        Say::Silence => std::future::pending().await,
    };
    // The client may have closed the connection already.
    drop(written);
    drop(stream.shutdown().await);
}

/// Reads the header section, and the body whose length it declares.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if length.unwrap_or(0) <= body.len() {
                return Some(text);
            }
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
        }
    }
}
