//! Strict parsing of plugins' URLs: a URL that two parsers could read differently is rejected, not guessed at.
//!
//! A host is what a grant may name ([`Endpoint`]): a DNS name, or an address in its canonical form. A host that a
//! resolver would read as an address in another form (`2130706433`, `0x7f.1`, `127.1`) is neither. Everything after the
//! host is sent unchanged.

use linecamp_model::Endpoint;

use super::HostCallError;

/// Bytes of a URL: the most that servers accept. A longer one is rejected.
const URL_BYTES_MAX: usize = 8 * 1024;

/// A parsed URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// Whether the scheme is `https`.
    pub(crate) is_tls: bool,
    /// The host and port to reach.
    pub(crate) endpoint: Endpoint,
    /// The path and the query, starting with `/`.
    pub(crate) path: String,
}

impl Url {
    /// Parses `https://HOST[:PORT][/PATH][?QUERY]`, or the same with `http`.
    pub(crate) fn parse(text: &str) -> Result<Self, HostCallError> {
        let refuse = |why: &str| {
            // The text before an `@` may contain a password, even if the URL is malformed.
            let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
            let text = rest.rsplit_once('@').map_or_else(|| text.into(), |(_, host)| format!("{scheme}://…@{host}"));
            let shown: String = text.chars().take(200).flat_map(char::escape_debug).collect();
            Err(HostCallError::Denied(format!("the URL `{shown}` {why}")))
        };
        if URL_BYTES_MAX < text.len() {
            return refuse("is too long");
        }
        if let Some(found) = text.chars().find(|found| !is_url_character(*found)) {
            return refuse(&format!("contains `{}`, which must be percent-encoded", found.escape_debug()));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return refuse("is not `https://HOST/…`");
        };
        let is_tls = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return refuse("is neither `https` nor `http`"),
        };
        if rest.contains('#') {
            return refuse("has a fragment, which is never sent");
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return refuse("contains credentials; use a secret in `auth` instead");
        }
        let Some(endpoint) = endpoint(authority, if is_tls { 443 } else { 80 }) else {
            return refuse("has no valid host: a DNS name, or an address in canonical form");
        };
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { is_tls, endpoint, path })
    }

    /// Returns the value of the `Host` header, with the port only if it is not the default one.
    pub(crate) fn host_header(&self) -> String {
        match (self.is_tls, self.endpoint.port()) {
            (true, 443) | (false, 80) if self.endpoint.host().contains(':') => format!("[{}]", self.endpoint.host()),
            (true, 443) | (false, 80) => self.endpoint.host().to_owned(),
            (_, _) => self.endpoint.to_string(),
        }
    }
}

/// Parses `HOST[:PORT]` into an endpoint that can be compared with a grant.
pub(crate) fn endpoint(authority: &str, port_default: u16) -> Option<Endpoint> {
    let port_at = match authority.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at_checked(port_at)?;
    let port = match port.strip_prefix(':') {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok()?
        }
        Some(_) => return None,
        None if port.is_empty() => port_default,
        None => return None,
    };
    Endpoint::new(host, port)
}

/// Whether a character is allowed in a URL (RFC 3986), including the percent sign.
fn is_url_character(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_host_a_port_and_the_rest() {
        let check = |text: &str, endpoint: &str, path: &str, host: &str| {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.endpoint.to_string().as_str(), url.path.as_str()), (endpoint, path), "{text}");
            assert_eq!(url.host_header(), host, "{text}");
        };
        check("https://api.example.org", "api.example.org:443", "/", "api.example.org");
        check("HTTPS://API.Example.org./a//b?c=%2F", "api.example.org:443", "/a//b?c=%2F", "api.example.org");
        check("http://pdns:8081?x", "pdns:8081", "/?x", "pdns:8081");
        check("http://api.example.org/x", "api.example.org:80", "/x", "api.example.org");
        check("https://api.example.org:443/", "api.example.org:443", "/", "api.example.org");
        check("http://127.0.0.1:8081/", "127.0.0.1:8081", "/", "127.0.0.1:8081");
        check("https://[2001:DB8::1]/", "[2001:db8::1]:443", "/", "[2001:db8::1]");
        check("https://3com.example/", "3com.example:443", "/", "3com.example");
    }

    #[test]
    fn ambiguous_urls_are_rejected() {
        let refused = [
            "api.example.org",
            "ftp://api.example.org/",
            "file:///etc/passwd",
            "https://",
            "https:///path",
            "https://user@api.example.org/",
            "https://user:pass@api.example.org/",
            "https://api.example.org@evil.example/",
            "https://api.example.org#@evil.example/",
            "https://api.example.org\\@evil.example/",
            "https://api.example.org /",
            "https://api.example.org/\r\nHost: evil",
            "https://api.example.org/ä",
            "https://bücher.example/",
            "https://api.example.org:/",
            "https://api.example.org:0/",
            "https://api.example.org:65536/",
            "https://api.example.org:+443/",
            "https://api.example.org:443:443/",
            "https://*.example.org/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0x7F.1/",
            "https://0177.0.0.1/",
            "https://127.1/",
            "https://127.0.0.1./",
            "https://127.0.0.01/",
            "https://1.2.3.4.5/",
            "https://0x/",
            "https://[::1/",
            "https://[::1]x/",
            "https://[127.0.0.1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[fe80::1%25eth0]/",
            "https://::1/",
        ];
        for text in refused {
            assert!(matches!(Url::parse(text), Err(HostCallError::Denied(_))), "{text}");
        }
        for text in ["http://u:PASSWORD@host", "http://u:PASSWORD@host/ä", "u:PASSWORD@host", "http://u:PASS/WORD@host"]
        {
            let said = Url::parse(text).unwrap_err().to_string();
            assert!(!said.contains("PASS") && said.contains("@host"), "{said}");
        }
        assert!(Url::parse(&format!("https://a.example/{}", "a".repeat(URL_BYTES_MAX))).is_err());
    }
}
