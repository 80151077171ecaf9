//! Grants: the endpoints a plugin may reach.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use super::ProviderError;
use crate::endpoint_host::{HostError, canonical_host};

/// The endpoints a plugin may reach. Everything else is denied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Endpoints that must resolve to public addresses.
    pub reach: BTreeSet<Endpoint>,
    /// Endpoints that may resolve to private, loopback or link-local addresses.
    pub reach_private: BTreeSet<Endpoint>,
    /// Whether plain HTTP, without TLS, is allowed to these endpoints.
    pub plain_http: bool,
}

/// A granted host and port. A request is checked against this text first, and then against the address it resolves to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// A DNS name in lower case, or an IP address in canonical form without brackets.
    host: Box<str>,
    /// The port; never 0.
    port: u16,
}

impl Endpoint {
    /// Parses `HOST:PORT`, with an IPv6 address in brackets.
    ///
    /// # Errors
    /// [`ProviderError::Endpoint`] describes the expected format.
    pub fn parse(text: &str) -> Result<Self, ProviderError> {
        let found = || text.escape_debug().to_string();
        let bad = || ProviderError::Endpoint { found: found() };
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(bad)?;
        match canonical_host(host) {
            Ok(host) => Ok(Self { host, port }),
            Err(HostError::Invalid) => Err(bad()),
            Err(reason) => Err(ProviderError::EndpointHost { found: found(), reason }),
        }
    }

    /// Creates an endpoint from a host and a port; `None` if either is invalid. An IPv6 address is in brackets.
    pub fn new(host: &str, port: u16) -> Option<Self> {
        let host = canonical_host(host).ok()?;
        (port != 0).then_some(Self { host, port })
    }

    /// Returns the name, or the address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the address, if the host is an IP address.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// Whether an address is certainly not public: private, loopback or link-local. A site decides on all others.
pub(super) const fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private() || address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => address.is_unique_local() || address.is_loopback() || address.is_unicast_link_local(),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Resolvers and other programs read these hosts as an address, or as different addresses.
    #[test]
    fn a_host_in_an_ambiguous_form_is_rejected() {
        let hosts = [
            "127.1",
            "0x7f.1",
            "0X7F.0.0.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "127.0.0.01",
            "1.2.3.4.",
            "1.2.3.4.5",
            "a.1",
            "a.0x",
            "::1",
            "[127.0.0.1]",
            "[::ffff:127.0.0.1]",
            "[fe80::1%25eth0]",
            "[fe80::1%eth0]",
            "[::1",
            "::1]",
            "a..b",
            ".a",
            "bücher.example",
        ];
        for host in hosts {
            assert!(Endpoint::parse(&format!("{host}:80")).is_err(), "{host}");
        }
        assert!(Endpoint::parse(&format!("{}.a:80", "a".repeat(64))).is_err());
        assert!(Endpoint::parse(&format!("{}a:80", "a.".repeat(127))).is_err());
        for host in ["3com.example", "a_b", "10.example", "0x7f.example", "x1", "1.2.3.4"] {
            assert_eq!(Endpoint::parse(&format!("{host}:80")).unwrap().host(), host);
        }
    }

    #[test]
    fn an_endpoint_has_one_canonical_form() {
        let check = |text: &str, form: &str| assert_eq!(Endpoint::parse(text).unwrap().to_string(), form);
        check("API.Example.org:443", "api.example.org:443");
        check("api.example.org.:443", "api.example.org:443");
        check("[2001:DB8:0::1]:53", "[2001:db8::1]:53");
        check("127.0.0.1:8081", "127.0.0.1:8081");
        for text in ["api", "api:0", "api:65536", "*.a:1", "[a]:1", "a b:1", ":1"] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }
}
