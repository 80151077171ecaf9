//! Join tokens and server addresses.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;

use crate::digest::{Pin, SecretHash};
use crate::endpoint_host::{HostError, canonical_host};
use crate::id::TokenId;
use crate::limits::{SERVER_ADDRESS_BYTES_MAX, SERVERS_PER_SITE_MAX};

const PREFIX: &str = "lct_";
const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 16;
const PIN_BYTES: usize = 32;

/// What a site needs to join: the token's ID and secret, and the pin of the server's key.
///
/// Its text is `lct_` and 75 characters of base64url. `Debug` prints only the ID. `Display` is deliberately not
/// implemented, so that the secret is written only where [`JoinToken::reveal`] is called.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// The ID of the token.
    pub id: TokenId,
    /// 128 random bits known only to the holder; the server stores their hash.
    pub secret: JoinSecret,
    /// The pin of the server's certificate authority.
    pub pin: Pin,
}

/// The secret of a join token. `Debug` hides it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct JoinSecret([u8; SECRET_BYTES]);

impl JoinSecret {
    /// Wraps 16 bytes from a cryptographic random source.
    pub const fn from_bytes(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, to be sent.
    pub const fn as_bytes(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }

    /// Returns the hash, which the server stores.
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(&self.0)
    }
}

impl fmt::Debug for JoinSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "token {}", self.id)
    }
}

impl JoinToken {
    /// Parses `lct_…`.
    ///
    /// # Errors
    /// [`TokenError::Malformed`], which does not include the text because it may contain a secret.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let body = text.strip_prefix(PREFIX).ok_or(TokenError::Malformed)?;
        let bytes = BASE64URL_NOPAD.decode(body.as_bytes()).map_err(|_| TokenError::Malformed)?;
        let (id, rest) = bytes.split_first_chunk::<ID_BYTES>().ok_or(TokenError::Malformed)?;
        let (secret, rest) = rest.split_first_chunk::<SECRET_BYTES>().ok_or(TokenError::Malformed)?;
        let pin: [u8; PIN_BYTES] = rest.try_into().map_err(|_| TokenError::Malformed)?;
        Ok(Self { id: TokenId::from_bytes(*id), secret: JoinSecret(*secret), pin: Pin::from_bytes(pin) })
    }

    /// Returns the token as text, including the secret. Anyone who reads it can join.
    pub fn reveal(&self) -> String {
        let bytes = [&self.id.as_bytes()[..], &self.secret.0, self.pin.as_bytes()].concat();
        format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes))
    }
}

/// `host:port` of a server that a site connects to. The host is a DNS name, an IPv4 address, or an IPv6 address in
/// brackets, in canonical form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerAddress {
    host: Box<str>,
    port: u16,
}

impl ServerAddress {
    /// Parses `host:port`.
    ///
    /// # Errors
    /// [`TokenError::Address`] and [`TokenError::Host`] include the text. [`TokenError::Malformed`] does not: it may
    /// contain a token.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        if text.contains(PREFIX) {
            return Err(TokenError::Malformed);
        }
        let bad = || TokenError::Address { text: text.chars().take(80).collect() };
        if SERVER_ADDRESS_BYTES_MAX < text.len() {
            return Err(bad());
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(bad)?;
        match canonical_host(host) {
            Ok(host) => Ok(Self { host, port }),
            Err(HostError::Invalid) => Err(bad()),
            Err(reason) => Err(TokenError::Host { text: text.into(), reason }),
        }
    }

    /// Parses `host:port[,host:port…]` with one to [`SERVERS_PER_SITE_MAX`] addresses.
    ///
    /// # Errors
    /// [`TokenError::Address`] for the first invalid address, [`TokenError::Addresses`] for too many.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, TokenError> {
        let servers = text.split(',').map(|one| Self::parse(one.trim())).collect::<Result<Vec<_>, _>>()?;
        if SERVERS_PER_SITE_MAX < servers.len() {
            return Err(TokenError::Addresses { count: servers.len() });
        }
        Ok(servers)
    }

    /// Returns the host without brackets, as a resolver expects it.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the UDP port.
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A complete join argument: `TOKEN@HOST:PORT[,HOST:PORT…]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinTarget {
    /// The token.
    pub token: JoinToken,
    /// The servers to use it at: one or more, tried in turn.
    pub servers: Vec<ServerAddress>,
}

impl JoinTarget {
    /// Parses the output of `linecamp token create`.
    ///
    /// # Errors
    /// [`TokenError`] tells which half is invalid and never includes the secret.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let (token, servers) = text.trim().split_once('@').ok_or(TokenError::Malformed)?;
        Ok(Self { token: JoinToken::parse(token)?, servers: ServerAddress::parse_list(servers)? })
    }
}

/// Why a text is not a valid join token or server address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not `lct_…@host:port`.
    #[error(
        "a join token reads `lct_…@HOST:PORT`, as `linecamp token create` prints it; part of this one is missing or changed"
    )]
    Malformed,
    /// Not `host:port`.
    #[error("`{text}` is not a server address; write HOST:PORT, or [IPV6]:PORT")]
    Address {
        /// The text, truncated to 80 characters.
        text: String,
    },
    /// A host in a form that programs read differently.
    #[error("`{text}` is not a server address: {reason}")]
    Host {
        /// The text.
        text: String,
        /// What to write instead.
        reason: HostError,
    },
    /// Too many addresses.
    #[error("a site has at most {SERVERS_PER_SITE_MAX} server addresses, not {count}")]
    Addresses {
        /// The number of addresses.
        count: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> JoinToken {
        JoinToken { id: TokenId::from_bytes([7; 8]), secret: JoinSecret([9; 16]), pin: Pin::of(b"ca") }
    }

    #[test]
    fn a_formatted_token_parses_to_itself() {
        let text = format!("{}@camp.example:443,[::1]:444", token().reveal());
        let target = JoinTarget::parse(&text).expect("own text parses");
        assert_eq!(target.token, token());
        assert_eq!(target.servers[1].to_string(), "[::1]:444");
    }

    #[test]
    fn an_invalid_token_is_rejected_without_repeating_it() {
        let text = token().reveal();
        for broken in [&text[..text.len() - 1], "lct_", "", "x@y:1", &text.replace("lct_", "lck_")] {
            let error = JoinTarget::parse(&format!("{broken}@h:1")).expect_err("broken");
            assert_eq!(error, TokenError::Malformed);
        }
        assert!(!format!("{:?}", token()).contains(&text[10..20]));
    }

    #[test]
    fn a_server_address_has_one_form() {
        for bad in
            ["127.1:443", "0x7f.1:443", "2130706433:443", "127.0.0.01:443", "[127.0.0.1]:1", "[::ffff:1.2.3.4]:1"]
        {
            assert!(ServerAddress::parse(bad).is_err(), "{bad}");
        }
        let said = ServerAddress::parse("127.1:443").unwrap_err().to_string();
        let expected =
            "`127.1:443` is not a server address: write an IPv4 address as four decimal numbers, such as 192.0.2.1";
        assert_eq!(said, expected);
        let check = |text: &str, form: &str| assert_eq!(ServerAddress::parse(text).unwrap().to_string(), form);
        check("Camp.Example.:443", "camp.example:443");
        check("[2001:DB8:0::1]:443", "[2001:db8::1]:443");
        check("192.0.2.1:443", "192.0.2.1:443");
    }

    #[test]
    fn an_address_needs_a_host_and_a_port() {
        for bad in ["h", "h:", ":1", "h:0", "h:70000", "::1:443", "a b:1", "[x]:1"] {
            assert!(matches!(ServerAddress::parse(bad), Err(TokenError::Address { .. })), "{bad}");
        }
        assert_eq!(ServerAddress::parse(&token().reveal()), Err(TokenError::Malformed), "a secret is not repeated");
        assert!(matches!(ServerAddress::parse_list(&["h:1"; 9].join(",")), Err(TokenError::Addresses { count: 9 })));
    }
}
