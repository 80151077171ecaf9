//! The headers that a plugin may set: those about what it requests, not those about the sender's identity or the
//! message framing.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::HostCallError;

/// Headers of one request from a plugin. A request with more is rejected.
const HEADERS_MAX: usize = 64;

/// Headers that only the host sets, or that are never set: framing, routing and credentials. Neither is a header whose
/// name starts with `proxy-`.
pub const RESERVED_HEADERS: [&str; 19] = [
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-amz-security-token",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

/// Whether a plugin may not set this header.
fn is_reserved(name: &HeaderName) -> bool {
    RESERVED_HEADERS.contains(&name.as_str()) || name.as_str().starts_with("proxy-")
}

/// Validates the headers of a plugin's request.
pub(crate) fn checked(given: &[(String, String)]) -> Result<HeaderMap, HostCallError> {
    if HEADERS_MAX < given.len() {
        return Err(HostCallError::Denied(format!("a request has at most {HEADERS_MAX} headers, not {}", given.len())));
    }
    let mut headers = HeaderMap::with_capacity(given.len());
    for (name, value) in given {
        let shown = || name.chars().take(64).flat_map(char::escape_debug).collect::<String>();
        let Ok(parsed) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(HostCallError::Denied(format!("`{}` is not a header name", shown())));
        };
        if is_reserved(&parsed) {
            let why = "is reserved for the sandbox; credentials go into `auth`";
            return Err(HostCallError::Denied(format!("the header `{}` {why}", shown())));
        }
        let Ok(value) = HeaderValue::from_str(value) else {
            return Err(HostCallError::Denied(format!("the value of the header `{}` contains invalid bytes", shown())));
        };
        headers.append(parsed, value);
    }
    Ok(headers)
}

/// Validates the name of a header that carries a secret: any header that a plugin may set, and `Authorization`.
pub(crate) fn for_secret(name: &str) -> Result<HeaderName, HostCallError> {
    match HeaderName::from_bytes(name.as_bytes()) {
        Ok(parsed) if parsed == http::header::AUTHORIZATION || !is_reserved(&parsed) => Ok(parsed),
        Ok(parsed) => Err(HostCallError::Denied(format!("the header `{parsed}` cannot carry a secret"))),
        Err(_) => Err(HostCallError::Denied("the header for the secret has an invalid name".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_cannot_set_headers_of_identity_or_framing() {
        let check = |name: &str, value: &str| checked(&[(name.to_owned(), value.to_owned())]);
        assert!(check("Accept", "application/json").is_ok());
        assert!(check("X-Custom", "").is_ok());
        let names = [
            "Host",
            "HOST",
            "Connection",
            "Transfer-Encoding",
            "Content-Length",
            "Proxy-Authorization",
            "Proxy-Foo",
            "Authorization",
            "Upgrade",
            "TE",
            "Expect",
            "X-Forwarded-For",
            "Cookie",
            "",
            "a b",
            "a:b",
            "a\r\nb",
            "ä",
            ":path",
        ];
        for name in names {
            assert!(matches!(check(name, "x"), Err(HostCallError::Denied(_))), "{name:?}");
        }
        assert!(check("Accept", "a\r\nHost: evil").is_err());
        assert!(checked(&vec![("a".to_owned(), String::new()); HEADERS_MAX + 1]).is_err());
    }

    #[test]
    fn a_secret_goes_into_a_header_of_its_own_or_authorization() {
        assert!(for_secret("X-API-Key").is_ok());
        assert!(for_secret("authorization").is_ok());
        for name in ["Host", "proxy-authorization", "a b", "content-length"] {
            assert!(for_secret(name).is_err(), "{name}");
        }
    }
}
