//! The hosts of endpoints and servers, in one form.
//!
//! A grant is compared with a host as text before anything is resolved, so a host that two programs could read
//! differently is rejected where it is written, and wherever it is used.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::dns::DomainName;

/// Why a text is not a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Neither a name nor an address.
    #[error("write a DNS name, an IPv4 address, or an IPv6 address in brackets")]
    Invalid,
    /// Resolvers may read it as an IPv4 address (`127.1`, `0x7f.1`), or it has zeros that make a number octal for some.
    #[error("write an IPv4 address as four decimal numbers, such as 192.0.2.1")]
    Ipv4Form,
    /// An IPv6 address that stands for an IPv4 address.
    #[error("write the IPv4 address instead of its IPv6 form")]
    Ipv4Mapped,
}

/// Returns a host in its canonical form: a DNS name in lower case without a trailing dot, an IPv4 address, or an IPv6
/// address without its brackets.
///
/// # Errors
/// [`HostError`] says what to write instead.
pub(crate) fn canonical_host(text: &str) -> Result<Box<str>, HostError> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let address = bracketed.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
        return match address.ok_or(HostError::Invalid)? {
            address if address.to_ipv4_mapped().is_some() => Err(HostError::Ipv4Mapped),
            address => Ok(address.to_string().into()),
        };
    }
    if ends_in_number(text) {
        // Rust's parser accepts the canonical form only.
        let address = text.parse::<Ipv4Addr>().map_err(|_| HostError::Ipv4Form)?;
        return Ok(address.to_string().into());
    }
    let name = DomainName::parse(text).map_err(|_| HostError::Invalid)?;
    if name.first_label() == "*" { Err(HostError::Invalid) } else { Ok(name.as_str().into()) }
}

/// Whether resolvers may read a host as an IPv4 address: its last label is a decimal or hexadecimal number (WHATWG URL
/// Standard, 3.5).
fn ends_in_number(host: &str) -> bool {
    let last = host.strip_suffix('.').unwrap_or(host).rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let is_decimal = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    is_decimal || hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_to_write() {
        for host in ["127.1", "0x7f.1", "2130706433", "0177.0.0.1", "127.0.0.01", "1.2.3.4.", "a.0X1f", "256.1.1.1"] {
            assert_eq!(canonical_host(host), Err(HostError::Ipv4Form), "{host}");
        }
        assert_eq!(canonical_host("[::ffff:127.0.0.1]"), Err(HostError::Ipv4Mapped));
        for host in ["", ".", "*", "*.example", "::1", "[::1", "[]", "[127.0.0.1]", "[fe80::1%1]", "a b", "ä.example"]
        {
            assert_eq!(canonical_host(host), Err(HostError::Invalid), "{host}");
        }
    }

    #[test]
    fn a_canonical_host_is_its_own_form() {
        for (text, form) in
            [("A.Example.", "a.example"), ("[2001:DB8:0::1]", "2001:db8::1"), ("192.0.2.1", "192.0.2.1")]
        {
            let host = canonical_host(text).unwrap();
            assert_eq!(&*host, form);
            let written = if host.contains(':') { format!("[{host}]") } else { host.to_string() };
            assert_eq!(canonical_host(&written), Ok(host));
        }
    }
}
