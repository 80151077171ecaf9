//! A URL of a provider to which the server itself connects: HTTPS, or HTTP on this machine.
//!
//! It is parsed once, and the connection goes to exactly the host and port that were checked.

use std::fmt;

use crate::refusal::Refusal;

/// Maximum length of a URL, in bytes. A longer one is refused.
const URL_BYTES_MAX: usize = 2048;

const HTTPS: &str = "https://";
const HTTP: &str = "http://";

/// The hosts to which a connection without TLS is allowed: traffic to them does not leave this machine.
const LOCAL_HOSTS: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// Where to send a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    is_tls: bool,
    host: String,
    port: u16,
    target: String,
}

impl Endpoint {
    /// Parses a URL: `https://HOST[:PORT][/PATH][?QUERY]`, or the same with `http://` and a host on this machine.
    ///
    /// # Errors
    /// [`Refusal::Url`].
    pub fn parse(url: &str) -> Result<Self, Refusal> {
        let refused = |problem| Refusal::Url { url: linecamp_model::excerpt(url, 128), problem };
        if URL_BYTES_MAX < url.len() {
            return Err(refused("is too long"));
        }
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) || url.contains(['\\', '#']) {
            return Err(refused("has characters that a URL cannot have, or a fragment"));
        }
        let (is_tls, rest) = match (url.strip_prefix(HTTPS), url.strip_prefix(HTTP)) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(refused("is not HTTPS")),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let (host, port) = split_port(authority);
        let port = match port {
            None if is_tls => 443,
            None => 80,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|port| *port != 0).ok_or_else(|| refused("has an invalid port"))?
            }
            Some(_) => return Err(refused("has an invalid port")),
        };
        if !is_host(host) {
            return Err(refused("has an invalid host"));
        }
        if !is_tls && !LOCAL_HOSTS.contains(&host) {
            return Err(refused("is not HTTPS"));
        }
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Self { is_tls, host: host.trim_matches(['[', ']']).to_owned(), port, target })
    }

    /// Whether the connection uses TLS.
    pub const fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Returns the host, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the TCP port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the path and the query.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Returns `HOST[:PORT]`, the value of the header `Host`.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.is_tls, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { HTTPS } else { HTTP };
        write!(f, "{scheme}{}{}", self.authority(), self.target)
    }
}

/// Splits `HOST:PORT`; an IPv6 address is in brackets.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.starts_with('[') || host.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// Whether a text is a DNS name, an IPv4 address, or an IPv6 address in brackets. A user before `@` is none.
fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !host.is_empty() && host.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_url_of_this_machine_may_be_without_tls() {
        for local in ["http://127.0.0.1:9000/token", "http://localhost", "http://[::1]:80/a?b=c"] {
            assert!(Endpoint::parse(local).is_ok_and(|endpoint| !endpoint.is_tls()), "{local}");
        }
        let refused = [
            "http://id.example",
            "http://localhost:x@evil.example",
            "http://localhost:80@evil.example/",
            "http://127.0.0.1@evil.example",
            "http://127.0.0.1.evil.example",
            "http://localhost\\@evil.example",
            "http://[::1]evil.example",
            "http://LOCALHOST:1:2",
            "ftp://localhost",
            "//id.example",
            "",
        ];
        for url in refused {
            assert!(matches!(Endpoint::parse(url), Err(Refusal::Url { .. })), "{url}");
        }
    }

    #[test]
    fn a_url_is_a_host_a_port_and_a_target() {
        let check = |url: &str, host: &str, port: u16, target: &str, written: &str| {
            let endpoint = Endpoint::parse(url).unwrap();
            assert_eq!((endpoint.host(), endpoint.port(), endpoint.target()), (host, port, target), "{url}");
            assert_eq!(endpoint.to_string(), written, "{url}");
        };
        check("https://id.example", "id.example", 443, "/", "https://id.example/");
        check("https://id.example?x=1", "id.example", 443, "/?x=1", "https://id.example/?x=1");
        check("https://[2001:db8::1]:8443/a", "2001:db8::1", 8443, "/a", "https://[2001:db8::1]:8443/a");
        for bad in [
            "https://",
            "https://:443",
            "https://id.example:",
            "https://id.example:0",
            "https://id.example:70000",
            "https://user@id.example",
            "https://user:1@id.example",
            "https://id.example/#f",
            "https://id.example/\u{e9}",
            "https://[::1",
            &format!("https://id.example/{}", "a".repeat(URL_BYTES_MAX)),
        ] {
            assert!(matches!(Endpoint::parse(bad), Err(Refusal::Url { .. })), "{bad}");
        }
    }
}
