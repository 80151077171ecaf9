//! The server's URL.

use linecamp_model::{ServerAddress, TokenError};

/// The only supported scheme of a server URL.
const SCHEME: &str = "https://";

/// The port of `https://HOST` without an explicit port.
const HTTPS_PORT: u16 = 443;

/// The URL at which operators reach the server: `https://HOST[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl(ServerAddress);

impl ServerUrl {
    /// Parses `https://HOST[:PORT]`, with or without a trailing slash.
    ///
    /// # Errors
    /// The problem, as a phrase that follows the name of the key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("is `{text}`; use https://HOST:PORT, without a path");
        let rest = text.strip_prefix(SCHEME).ok_or_else(bad)?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let has_port =
            authority.rsplit_once(':').is_some_and(|(host, _)| !host.starts_with('[') || host.ends_with(']'));
        let address = match has_port {
            true => ServerAddress::parse(authority),
            false => ServerAddress::parse(&format!("{authority}:{HTTPS_PORT}")),
        };
        address.map(Self).map_err(|_| bad())
    }

    /// Returns the host and the TCP port.
    pub(crate) const fn address(&self) -> &ServerAddress {
        &self.0
    }

    /// Returns the host, without brackets.
    pub fn host(&self) -> &str {
        self.0.host()
    }

    /// Returns the TCP port.
    pub const fn port(&self) -> u16 {
        self.0.port()
    }

    /// Returns the same host with another port.
    ///
    /// # Errors
    /// [`TokenError`] for port 0.
    pub(crate) fn with_port(&self, port: u16) -> Result<ServerAddress, TokenError> {
        let host = self.host();
        match host.contains(':') {
            true => ServerAddress::parse(&format!("[{host}]:{port}")),
            false => ServerAddress::parse(&format!("{host}:{port}")),
        }
    }
}

impl From<ServerAddress> for ServerUrl {
    fn from(address: ServerAddress) -> Self {
        Self(address)
    }
}

impl std::fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.port() {
            HTTPS_PORT if !self.host().contains(':') => write!(f, "{SCHEME}{}", self.host()),
            _ => write!(f, "{SCHEME}{}", self.0),
        }
    }
}
