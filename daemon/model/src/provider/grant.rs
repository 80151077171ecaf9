//! Grants: the endpoints a plugin may reach.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use super::ProviderError;
use crate::dns::DomainName;

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
        let bad = || ProviderError::Endpoint { found: text.escape_debug().to_string() };
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        Self::new(host, port.parse().map_err(|_| bad())?).ok_or_else(bad)
    }

    /// Creates an endpoint from a host and a port; `None` if either is invalid. An IPv6 address may be in brackets.
    pub fn new(host: &str, port: u16) -> Option<Self> {
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let host = match (bracketed, bracketed.unwrap_or(host).parse::<IpAddr>()) {
            (_, Ok(address)) => address.to_string(),
            (Some(_), Err(_)) => return None,
            (None, Err(_)) => DomainName::parse(host).ok()?.as_str().to_owned(),
        };
        (port != 0 && !host.starts_with('*')).then(|| Self { host: host.into(), port })
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
