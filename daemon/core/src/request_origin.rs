//! Where a request to the API came from: which client sent it, and which scheme, host and port that client used.
//!
//! A proxy that ends TLS states these in four headers: `Host`, `X-Forwarded-Proto`, `X-Forwarded-Port` and
//! `X-Forwarded-For`. Anyone can send them, so they count only from the networks in [`IpNetworks`] that the operator
//! configured; from any other address they change nothing. [`RequestOrigin::evaluate`] is the only place that decides
//! this. It is a pure function of the peer's address, the headers and the configuration.
//!
//! Rules, for a request from a trusted proxy:
//! - `X-Forwarded-For`: the client is the rightmost address that is not itself a trusted proxy, because everything left
//!   of it was written by a stranger. At an invalid entry the walk ends at the last trusted proxy.
//! - `X-Forwarded-Proto`: only the words `https` and `http` count, in any case. `wss`, a list, or several headers are
//!   ignored.
//! - `X-Forwarded-Port`: one number from 1 to 65535. Without it the port in `Host` counts, then the scheme's default.
//! - `Host`: a host with or without a port.
//!
//! What is missing or ignored is taken from the connection (client, scheme) and from the server URL (host, port).
//! `Forwarded`, `X-Forwarded-Host` and `X-Real-IP` never count: two headers for one fact can contradict each other.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use linecamp_model::{ServerAddress, excerpt};

use crate::ip_networks::IpNetworks;

/// Maximum number of `X-Forwarded-For` entries that are read, from the right. Further entries do not count.
pub const HOPS_MAX: usize = 16;

/// Maximum number of forwarding headers in a verdict. Further ones are not listed, and do not count.
pub const FORWARDING_HEADERS_MAX: usize = 16;

/// Maximum bytes of a header's value in a verdict. A longer value is shortened there.
const VALUE_BYTES_MAX: usize = 256;

const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

/// A header that states where a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ForwardingHeader {
    /// `Host`, or `:authority` in HTTP/2.
    Host,
    /// `X-Forwarded-Proto`.
    Proto,
    /// `X-Forwarded-Port`.
    Port,
    /// `X-Forwarded-For`.
    For,
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// `X-Forwarded-Host`.
    ForwardedHost,
    /// `X-Real-IP`.
    RealIp,
}

impl ForwardingHeader {
    /// All headers.
    pub const ALL: [Self; 7] =
        [Self::Host, Self::Proto, Self::Port, Self::For, Self::Forwarded, Self::ForwardedHost, Self::RealIp];

    /// Returns the header's name, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Proto => "x-forwarded-proto",
            Self::Port => "x-forwarded-port",
            Self::For => "x-forwarded-for",
            Self::Forwarded => "forwarded",
            Self::ForwardedHost => "x-forwarded-host",
            Self::RealIp => "x-real-ip",
        }
    }
}

/// Why a header did not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IgnoredReason {
    /// The sender's address is not a trusted proxy.
    UntrustedSender,
    /// The header is not one of the four that count.
    NotUsed,
    /// The header occurs more than once, or is a list.
    Repeated,
    /// The value is invalid.
    Invalid,
    /// The scheme is neither `https` nor `http`.
    OtherScheme,
}

impl IgnoredReason {
    /// Returns the code for programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UntrustedSender => "untrusted-sender",
            Self::NotUsed => "not-used",
            Self::Repeated => "repeated",
            Self::Invalid => "invalid",
            Self::OtherScheme => "other-scheme",
        }
    }
}

/// A forwarding header of a request, and whether it counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderVerdict {
    /// The header.
    pub header: ForwardingHeader,
    /// Its value, shortened.
    pub value: String,
    /// Why it did not count; `None` if it did.
    pub ignored: Option<IgnoredReason>,
}

/// The scheme that a client used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTPS.
    Https,
}

impl Scheme {
    /// Returns the scheme as in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Http => HTTP_PORT,
            Self::Https => HTTPS_PORT,
        }
    }
}

/// What is known of a request before its headers are read.
#[derive(Clone, Copy, Debug)]
pub struct RequestPeer<'a> {
    /// The address that the connection came from.
    pub address: IpAddr,
    /// The scheme of the connection.
    pub scheme: Scheme,
    /// The host in the server URL, without brackets.
    pub server_host: &'a str,
    /// The port in the server URL.
    pub server_port: u16,
}

/// Where a request came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestOrigin {
    /// The client's address.
    pub client: IpAddr,
    /// The trusted proxy that the connection came from.
    pub proxy: Option<IpAddr>,
    /// The scheme that the client used.
    pub scheme: Scheme,
    /// The host that the client used, without brackets.
    pub host: String,
    /// The port that the client used.
    pub port: u16,
    /// The forwarding headers in the order of arrival.
    pub headers: Vec<HeaderVerdict>,
}

impl RequestOrigin {
    /// Decides where a request with these forwarding headers came from.
    pub fn evaluate(peer: RequestPeer<'_>, headers: &[(ForwardingHeader, &str)], trusted: &IpNetworks) -> Self {
        let headers = &headers[..headers.len().min(FORWARDING_HEADERS_MAX)];
        let address = peer.address.to_canonical();
        if !trusted.contains(address) {
            return Self {
                client: address,
                proxy: None,
                scheme: peer.scheme,
                host: peer.server_host.to_owned(),
                port: peer.server_port,
                headers: verdicts(headers, |header| match header.is_used() {
                    true => Some(IgnoredReason::UntrustedSender),
                    false => Some(IgnoredReason::NotUsed),
                }),
            };
        }
        let scheme = only(headers, ForwardingHeader::Proto).and_then(|text| text.map(parse_scheme).transpose());
        let port = only(headers, ForwardingHeader::Port).and_then(|text| text.map(parse_port).transpose());
        let host = only(headers, ForwardingHeader::Host).and_then(|text| text.map(parse_host).transpose());
        let (client, ignored_for) = client(address, headers, trusted);
        let ignored = |header: ForwardingHeader| match header {
            ForwardingHeader::Proto => scheme.err(),
            ForwardingHeader::Port => port.err(),
            ForwardingHeader::Host => host.as_ref().err().copied(),
            ForwardingHeader::For => ignored_for,
            _ => Some(IgnoredReason::NotUsed),
        };
        let headers = verdicts(headers, ignored);
        let scheme = scheme.ok().flatten().unwrap_or(peer.scheme);
        let stated_port = port.ok().flatten();
        let (host, port) = match host.ok().flatten() {
            Some((host, port)) => (host, stated_port.or(port).unwrap_or_else(|| scheme.default_port())),
            None => (peer.server_host.to_owned(), stated_port.unwrap_or(peer.server_port)),
        };
        Self { client, proxy: Some(address), scheme, host, port, headers }
    }

    /// Returns whether the client used HTTPS.
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::Https
    }
}

/// The URL of the server as the client sees it, without a path: `https://camp.example`.
impl fmt::Display for RequestOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port, .. } = self;
        match host.contains(':') {
            true => write!(f, "{}://[{host}]", scheme.as_str())?,
            false => write!(f, "{}://{host}", scheme.as_str())?,
        }
        if *port == scheme.default_port() { Ok(()) } else { write!(f, ":{port}") }
    }
}

impl ForwardingHeader {
    const fn is_used(self) -> bool {
        matches!(self, Self::Host | Self::Proto | Self::Port | Self::For)
    }
}

fn verdicts(
    headers: &[(ForwardingHeader, &str)],
    ignored: impl Fn(ForwardingHeader) -> Option<IgnoredReason>,
) -> Vec<HeaderVerdict> {
    let verdict = |&(header, value): &(ForwardingHeader, &str)| HeaderVerdict {
        header,
        value: excerpt(value, VALUE_BYTES_MAX),
        ignored: ignored(header),
    };
    headers.iter().map(verdict).collect()
}

/// Returns the value of a header that may occur once.
fn only<'a>(
    headers: &[(ForwardingHeader, &'a str)],
    wanted: ForwardingHeader,
) -> Result<Option<&'a str>, IgnoredReason> {
    let mut values = headers.iter().filter(|(header, _)| *header == wanted).map(|(_, value)| value.trim());
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) if !value.contains(',') => Ok(Some(value)),
        (Some(_), _) => Err(IgnoredReason::Repeated),
    }
}

fn parse_scheme(text: &str) -> Result<Scheme, IgnoredReason> {
    let named = [Scheme::Http, Scheme::Https].into_iter().find(|scheme| text.eq_ignore_ascii_case(scheme.as_str()));
    named.ok_or(IgnoredReason::OtherScheme)
}

fn parse_port(text: &str) -> Result<u16, IgnoredReason> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port != 0).ok_or(IgnoredReason::Invalid)
}

/// Parses a host with or without a port.
fn parse_host(text: &str) -> Result<(String, Option<u16>), IgnoredReason> {
    let has_port = text.rsplit_once(':').is_some_and(|(host, _)| !host.starts_with('[') || host.ends_with(']'));
    let address = match has_port {
        true => ServerAddress::parse(text),
        false => ServerAddress::parse(&format!("{text}:{HTTPS_PORT}")),
    };
    let address = address.map_err(|_| IgnoredReason::Invalid)?;
    Ok((address.host().to_owned(), has_port.then(|| address.port())))
}

/// Walks `X-Forwarded-For` from the right, over the trusted proxies.
fn client(peer: IpAddr, headers: &[(ForwardingHeader, &str)], trusted: &IpNetworks) -> (IpAddr, Option<IgnoredReason>) {
    let lines = headers.iter().rev().filter(|(header, _)| *header == ForwardingHeader::For);
    let entries = lines.flat_map(|(_, line)| line.rsplit(',')).take(HOPS_MAX);
    let mut last = peer;
    for (read, entry) in entries.enumerate() {
        match parse_hop(entry.trim()) {
            Some(address) if trusted.contains(address) => last = address,
            Some(address) => return (address, None),
            // Entries right of it counted.
            None => return (last, (read == 0).then_some(IgnoredReason::Invalid)),
        }
    }
    (last, None)
}

/// Parses an address, with or without a port: some proxies add it.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let bare = text.parse().ok();
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    bare.or_else(with_port).or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests;
