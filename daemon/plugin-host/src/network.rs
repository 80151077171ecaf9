//! The network: TCP, TLS, HTTP/1.1 and DNS messages, to addresses that [`host_calls`](crate::host_calls) has checked.
//!
//! A connection serves one request. A call makes few requests, and TLS sessions are resumed. In return, no connection
//! stays open, and no call inherits a connection from another.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use linecamp_model::Endpoint;
use linecamp_transport::{
    ADDRESSES_MAX, HandshakeFault, OutboundTls, Pace, connect_first, dial_order, error_chain, http_connection,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::error::PluginHostError;
use crate::host_calls::{is_response, is_truncated};
use crate::outbound::{Outbound, OutboundError, OutboundFuture, Target};

/// Time limit for connecting to one address.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Bytes of the header section of a response. A longer one is a protocol error.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// How long each attempt over UDP waits for its response. If the name has more addresses, the attempts after the last
/// one wait [`UDP_WAIT`], so that each address is tried. Then the exchange times out.
const UDP_WAITS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// How long an attempt over UDP waits that tries the fourth address or a later one.
const UDP_WAIT: Duration = Duration::from_secs(1);

/// Bytes of a DNS message that every server accepts over UDP (RFC 1035, 4.2.1). A longer message is sent over TCP right
/// away.
const UDP_BYTES_MAX: usize = 512;

/// The largest DNS message, in bytes.
const MESSAGE_BYTES_MAX: usize = 65_535;

/// The network of this machine.
#[derive(Debug)]
pub struct Network {
    tls: OutboundTls,
}

impl Network {
    /// Sets up the network, trusting the public CAs and those in `ca_file`.
    ///
    /// # Errors
    /// [`PluginHostError::Start`] if the file cannot be used.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, PluginHostError> {
        let tls = OutboundTls::new(ca_file);
        Ok(Self { tls: tls.map_err(|source| PluginHostError::Start { what: "the TLS", source: source.into() })? })
    }

    async fn send_to(
        &self,
        target: &Target,
        request: http::Request<Bytes>,
        response_bytes_max: u64,
    ) -> Result<http::Response<Bytes>, OutboundError> {
        let stream = connect(target).await?;
        if !target.is_tls {
            return send_http(stream, request, response_bytes_max).await;
        }
        let wrapped = self.tls.wrap(target.endpoint.host(), stream).await;
        let stream = wrapped.map_err(|error| OutboundError::Unreachable(handshake_error(target, &error)))?;
        send_http(stream, request, response_bytes_max).await
    }
}

impl Outbound for Network {
    fn resolve<'a>(&'a self, endpoint: &'a Endpoint) -> OutboundFuture<'a, Vec<IpAddr>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((endpoint.host(), endpoint.port())).await;
            let found = found.map_err(|error| {
                OutboundError::Unreachable(format!("the name {} has no address: {error}", endpoint.host()))
            })?;
            Ok(found.map(|address| address.ip()).take(ADDRESSES_MAX).collect())
        })
    }

    fn send<'a>(
        &'a self,
        target: &'a Target,
        request: http::Request<Bytes>,
        response_bytes_max: u64,
    ) -> OutboundFuture<'a, http::Response<Bytes>> {
        Box::pin(self.send_to(target, request, response_bytes_max))
    }

    fn send_dns<'a>(&'a self, target: &'a Target, message: Bytes) -> OutboundFuture<'a, Bytes> {
        Box::pin(async move {
            if message.len() <= UDP_BYTES_MAX {
                let response = query_udp(target, &message).await?;
                if !is_truncated(&response) {
                    return Ok(response);
                }
            }
            query_tcp(target, &message).await
        })
    }
}

/// Connects to the first address that accepts the connection, at the pace [`Pace::TCP`].
async fn connect(target: &Target) -> Result<TcpStream, OutboundError> {
    let attempt = |address: SocketAddr| async move {
        match timeout(CONNECT_LIMIT, TcpStream::connect(address)).await {
            Ok(connected) => connected.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no response within {} s", CONNECT_LIMIT.as_secs())),
        }
    };
    match connect_first(dial_order(&target.addresses, None), Pace::TCP, attempt).await {
        Ok((_, stream)) => {
            stream.set_nodelay(true).map_err(|error| unreachable(target, &error))?;
            Ok(stream)
        }
        Err(failures) => {
            let problems: Vec<_> = failures.iter().map(|(address, problem)| format!("{address}: {problem}")).collect();
            let problems = problems.join("; ");
            Err(OutboundError::Unreachable(format!("failed to connect to {}: {problems}", target.endpoint)))
        }
    }
}

fn unreachable(target: &Target, error: &io::Error) -> OutboundError {
    OutboundError::Unreachable(format!("failed to reach {}: {error}", target.endpoint))
}

/// Describes why a TLS handshake failed, and what to do.
fn handshake_error(target: &Target, error: &io::Error) -> String {
    let remedy = match HandshakeFault::of(error) {
        HandshakeFault::UnknownIssuer => "; for a private service, configure its CA file",
        HandshakeFault::OutsideValidity => "; check the clocks of this machine and of the service",
        HandshakeFault::Other => "",
    };
    format!("TLS handshake with {} failed: {error}{remedy}", target.endpoint)
}

/// Sends the request over `stream` and reads the response.
async fn send_http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: http::Request<Bytes>,
    response_bytes_max: u64,
) -> Result<http::Response<Bytes>, OutboundError> {
    let protocol = |error: hyper::Error| OutboundError::Protocol(error_chain(&error));
    let (mut sender, connection) = http_connection(stream, HEAD_BYTES_MAX).await.map_err(protocol)?;
    let exchange = async {
        let response = sender.send_request(request.map(Full::new)).await.map_err(protocol)?;
        let (head, body) = response.into_parts();
        Ok(http::Response::from_parts(head, bounded(body, response_bytes_max).await?))
    };
    connection.complete(exchange).await
}

/// Reads a body of at most `bytes_max` bytes.
async fn bounded(mut body: Incoming, bytes_max: u64) -> Result<Bytes, OutboundError> {
    if bytes_max < body.size_hint().lower() {
        return Err(OutboundError::TooLarge);
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| OutboundError::Protocol(error_chain(&error)))?;
        let Ok(piece) = frame.into_data() else { continue };
        if bytes_max < (bytes.len() + piece.len()) as u64 {
            return Err(OutboundError::TooLarge);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.into())
}

async fn query_udp(target: &Target, message: &[u8]) -> Result<Bytes, OutboundError> {
    let mut problem = OutboundError::Timeout;
    let order = dial_order(&target.addresses, None);
    let attempts = order.len().max(UDP_WAITS.len());
    let waits = UDP_WAITS.into_iter().chain(std::iter::repeat(UDP_WAIT)).take(attempts);
    for (wait, address) in waits.zip(order.iter().cycle()) {
        match timeout(wait, receive_udp(*address, message)).await {
            Ok(Ok(response)) => return Ok(response),
            // Nothing is listening there; the server may be starting.
            Ok(Err(error)) => problem = unreachable(target, &error),
            Err(_) => problem = OutboundError::Timeout,
        }
    }
    Err(problem)
}

/// Sends the message from a fresh port and waits for the response; datagrams that are not the response are ignored.
async fn receive_udp(address: SocketAddr, message: &[u8]) -> io::Result<Bytes> {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(address).await?;
    socket.send(message).await?;
    let mut buffer = vec![0; MESSAGE_BYTES_MAX];
    loop {
        let bytes = socket.recv(&mut buffer).await?;
        if is_response(message, &buffer[..bytes]) {
            return Ok(Bytes::copy_from_slice(&buffer[..bytes]));
        }
    }
}

async fn query_tcp(target: &Target, message: &[u8]) -> Result<Bytes, OutboundError> {
    let failed = |error: io::Error| unreachable(target, &error);
    let Ok(length) = u16::try_from(message.len()) else {
        return Err(OutboundError::Protocol("the message is longer than 65,535 bytes".into()));
    };
    let mut stream = connect(target).await?;
    stream.write_all(&[&length.to_be_bytes(), message].concat()).await.map_err(failed)?;
    let length = stream.read_u16().await.map_err(failed)?;
    let mut response = vec![0; length.into()];
    stream.read_exact(&mut response).await.map_err(failed)?;
    if !is_response(message, &response) {
        return Err(OutboundError::Protocol(format!(
            "{} sent a response that does not match the query",
            target.endpoint
        )));
    }
    Ok(response.into())
}
