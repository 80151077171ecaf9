//! Building URLs.

/// Appends path segments to a base URL, each escaped: `join("https://a.example/v1/", &["zones", "b/c"])` is
/// `https://a.example/v1/zones/b%2Fc`.
pub fn join(base: &str, segments: &[&str]) -> String {
    let mut url = base.trim_end_matches('/').to_owned();
    for segment in segments {
        url.push('/');
        url.push_str(&escape(segment));
    }
    url
}

/// Percent-encodes all characters except the unreserved ones (RFC 3986, 2.3).
pub fn escape(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(byte.into()),
            _ => {
                escaped.push('%');
                escaped.push(HEX[usize::from(byte >> 4)].into());
                escaped.push(HEX[usize::from(byte & 15)].into());
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_cannot_leave_their_place() {
        assert_eq!(join("https://a/v1//", &["zones", "../x?y#z", "*.b"]), "https://a/v1/zones/..%2Fx%3Fy%23z/%2A.b");
        assert_eq!(join("https://a", &[]), "https://a");
        assert_eq!(escape("é "), "%C3%A9%20");
    }
}
