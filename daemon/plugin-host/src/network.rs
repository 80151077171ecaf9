//! The real network behind the gate: TCP, TLS, HTTP/1.1 and DNS messages, to addresses that the gate has checked.
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
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use linecamp_model::Endpoint;
use linecamp_transport::OutboundTls;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::error::{PluginHostError, chain};
use crate::gate::{is_answer, is_cut};
use crate::outbound::{Answering, Outbound, OutboundError, Target};

/// Addresses tried per name. Further addresses are ignored.
const ADDRESSES_MAX: usize = 8;

/// Time limit for connecting to one address; then the next one is tried.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Bytes of the header section of a response. A longer one is a protocol error.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// How long each attempt over UDP waits for its response. After the last one, the exchange times out.
const UDP_WAITS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

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
        answer_bytes_max: u64,
    ) -> Result<http::Response<Bytes>, OutboundError> {
        let stream = connect(target).await?;
        if !target.is_tls {
            return ask(stream, request, answer_bytes_max).await;
        }
        let wrapped = self.tls.wrap(target.endpoint.host(), stream).await;
        let stream = wrapped.map_err(|error| OutboundError::Unreachable(untrusted(target, &error)))?;
        ask(stream, request, answer_bytes_max).await
    }
}

impl Outbound for Network {
    fn resolve<'a>(&'a self, endpoint: &'a Endpoint) -> Answering<'a, Vec<IpAddr>> {
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
        answer_bytes_max: u64,
    ) -> Answering<'a, http::Response<Bytes>> {
        Box::pin(self.send_to(target, request, answer_bytes_max))
    }

    fn exchange<'a>(&'a self, target: &'a Target, message: Bytes) -> Answering<'a, Bytes> {
        Box::pin(async move {
            if message.len() <= UDP_BYTES_MAX {
                let answer = exchange_udp(target, &message).await?;
                if !is_cut(&answer) {
                    return Ok(answer);
                }
            }
            exchange_tcp(target, &message).await
        })
    }
}

/// Connects to the first address that accepts the connection.
async fn connect(target: &Target) -> Result<TcpStream, OutboundError> {
    let mut problems = Vec::new();
    for address in &target.addresses {
        match timeout(CONNECT_LIMIT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(|error| unreachable(target, &error))?;
                return Ok(stream);
            }
            Ok(Err(error)) => problems.push(format!("{address}: {error}")),
            Err(_) => problems.push(format!("{address}: no answer within {} s", CONNECT_LIMIT.as_secs())),
        }
    }
    Err(OutboundError::Unreachable(format!("failed to connect to {}: {}", target.endpoint, problems.join("; "))))
}

fn unreachable(target: &Target, error: &io::Error) -> OutboundError {
    OutboundError::Unreachable(format!("failed to reach {}: {error}", target.endpoint))
}

/// Describes why a TLS handshake failed, and what to do.
fn untrusted(target: &Target, error: &io::Error) -> String {
    let text = error.to_string();
    let remedy = match () {
        () if text.contains("UnknownIssuer") => "; if it is a service of your own, name its authority's CA file",
        () if text.contains("not valid yet") || text.contains("expired") => "; check this machine's clock, and theirs",
        () => "",
    };
    format!("failed to shake hands with {}: {text}{remedy}", target.endpoint)
}

/// Sends the request over `stream` and reads the response.
async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    request: http::Request<Bytes>,
    answer_bytes_max: u64,
) -> Result<http::Response<Bytes>, OutboundError> {
    let protocol = |error: hyper::Error| OutboundError::Protocol(chain(&error));
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES_MAX);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(protocol)?;
    let talk = async {
        let answer = sender.send_request(request.map(Full::new)).await.map_err(protocol)?;
        let (head, body) = answer.into_parts();
        Ok(http::Response::from_parts(head, bounded(body, answer_bytes_max).await?))
    };
    // Both are polled in this future, so that dropping it closes the connection.
    tokio::pin!(connection, talk);
    let mut is_open = true;
    loop {
        tokio::select! {
            biased;
            answer = &mut talk => return answer,
            _ended = &mut connection, if is_open => is_open = false,
        }
    }
}

/// Reads a body of at most `bytes_max` bytes.
async fn bounded(mut body: Incoming, bytes_max: u64) -> Result<Bytes, OutboundError> {
    if bytes_max < body.size_hint().lower() {
        return Err(OutboundError::TooLarge);
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| OutboundError::Protocol(chain(&error)))?;
        let Ok(piece) = frame.into_data() else { continue };
        if bytes_max < (bytes.len() + piece.len()) as u64 {
            return Err(OutboundError::TooLarge);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.into())
}

async fn exchange_udp(target: &Target, message: &[u8]) -> Result<Bytes, OutboundError> {
    let mut problem = OutboundError::Timeout;
    for (wait, address) in UDP_WAITS.into_iter().zip(target.addresses.iter().cycle()) {
        match timeout(wait, ask_udp(*address, message)).await {
            Ok(Ok(answer)) => return Ok(answer),
            // Nothing is listening there; the server may be starting.
            Ok(Err(error)) => problem = unreachable(target, &error),
            Err(_) => problem = OutboundError::Timeout,
        }
    }
    Err(problem)
}

/// Sends the message from a fresh port and waits for the response; datagrams that are not the response are ignored.
async fn ask_udp(address: SocketAddr, message: &[u8]) -> io::Result<Bytes> {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(address).await?;
    socket.send(message).await?;
    let mut buffer = vec![0; MESSAGE_BYTES_MAX];
    loop {
        let bytes = socket.recv(&mut buffer).await?;
        if is_answer(message, &buffer[..bytes]) {
            return Ok(Bytes::copy_from_slice(&buffer[..bytes]));
        }
    }
}

async fn exchange_tcp(target: &Target, message: &[u8]) -> Result<Bytes, OutboundError> {
    let failed = |error: io::Error| unreachable(target, &error);
    let Ok(length) = u16::try_from(message.len()) else {
        return Err(OutboundError::Protocol("the message is longer than a DNS message can be".into()));
    };
    let mut stream = connect(target).await?;
    stream.write_all(&[&length.to_be_bytes(), message].concat()).await.map_err(failed)?;
    let length = stream.read_u16().await.map_err(failed)?;
    let mut answer = vec![0; length.into()];
    stream.read_exact(&mut answer).await.map_err(failed)?;
    if !is_answer(message, &answer) {
        return Err(OutboundError::Protocol(format!("{} answered something else than it was asked", target.endpoint)));
    }
    Ok(answer.into())
}
