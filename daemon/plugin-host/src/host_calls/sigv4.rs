//! AWS Signature Version 4 in headers, as described under "Signing AWS API requests" in the IAM user guide.
//!
//! The signature covers the request exactly as it is sent: all of its headers, the path, the query and the digest of
//! the body. The path is encoded once more than on the wire, as every service except S3 expects.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use http::HeaderMap;
use linecamp_model::WallTime;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode, utf8_percent_encode};
use ring::digest::{SHA256, digest};
use ring::hmac;

/// What is percent-encoded: all but the unreserved characters (RFC 3986, 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The credentials and scope of a signature.
#[derive(Clone, Copy)]
pub(crate) struct Signer<'a> {
    pub(crate) access_key_id: &'a str,
    pub(crate) secret_access_key: &'a [u8],
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    pub(crate) at: WallTime,
}

/// A request as it is sent, with `Host` and `X-Amz-Date` among its headers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signed<'a> {
    pub(crate) method: &'a str,
    /// The path and the query.
    pub(crate) path: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// Returns the value of `X-Amz-Date`.
pub(crate) fn date(at: WallTime) -> String {
    at.to_string().replace(['-', ':'], "")
}

/// Returns the digest of a body, for `X-Amz-Content-Sha256`.
pub(crate) fn body_digest(body: &[u8]) -> String {
    HEXLOWER.encode(digest(&SHA256, body).as_ref())
}

impl Signer<'_> {
    /// Returns the value of `Authorization`.
    pub(crate) fn authorization(&self, request: &Signed<'_>) -> String {
        let headers = canonical_headers(request.headers);
        let names = headers.keys().copied().collect::<Vec<_>>().join(";");
        let date = date(self.at);
        let scope = format!("{}/{}/{}/aws4_request", &date[..8], self.region, self.service);
        let canonical = digest(&SHA256, self.canonical(request, &headers, &names).as_bytes());
        let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", HEXLOWER.encode(canonical.as_ref()));
        let signature = HEXLOWER.encode(mac(self.key(&date[..8]).as_ref(), &to_sign).as_ref());
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.access_key_id
        )
    }

    fn canonical(&self, request: &Signed<'_>, headers: &BTreeMap<&str, String>, names: &str) -> String {
        let (path, query) = request.path.split_once('?').unwrap_or((request.path, ""));
        let mut text = format!("{}\n{}\n{}\n", request.method, self.canonical_path(path), canonical_query(query));
        for (name, value) in headers {
            text += &format!("{name}:{value}\n");
        }
        text + &format!("\n{names}\n{}", body_digest(request.body))
    }

    fn canonical_path(&self, path: &str) -> String {
        if self.service == "s3" {
            return path.to_owned();
        }
        let mut kept = Vec::new();
        for segment in path.split('/').filter(|segment| !segment.is_empty() && *segment != ".") {
            match segment {
                ".." => drop(kept.pop()),
                _ => kept.push(utf8_percent_encode(segment, RESERVED).to_string()),
            }
        }
        let is_folder = path.ends_with('/') && !kept.is_empty();
        format!("/{}{}", kept.join("/"), if is_folder { "/" } else { "" })
    }

    fn key(&self, day: &str) -> hmac::Tag {
        let key = zeroize::Zeroizing::new([b"AWS4", self.secret_access_key].concat());
        let of_day = mac(&key, day);
        let of_region = mac(of_day.as_ref(), self.region);
        let of_service = mac(of_region.as_ref(), self.service);
        mac(of_service.as_ref(), "aws4_request")
    }
}

fn mac(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

/// Returns the headers by name, with the values of one name joined and runs of whitespace collapsed.
fn canonical_headers(headers: &HeaderMap) -> BTreeMap<&str, String> {
    let mut canonical = BTreeMap::<&str, String>::new();
    for (name, value) in headers {
        let text = String::from_utf8_lossy(value.as_bytes());
        let trimmed = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        match canonical.get_mut(name.as_str()) {
            Some(values) => *values += &format!(",{trimmed}"),
            None => drop(canonical.insert(name.as_str(), trimmed)),
        }
    }
    canonical
}

fn canonical_query(query: &str) -> String {
    // Invalid sequences are kept as they are.
    let encoded_once = |text: &str| percent_encode(&percent_decode_str(text).collect::<Vec<_>>(), RESERVED).to_string();
    let pair = |text: &str| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (encoded_once(name), encoded_once(value))
    };
    let mut pairs: Vec<_> = query.split('&').filter(|text| !text.is_empty()).map(pair).collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    /// The key, time and scope of the test suite that AWS publishes (`aws-signing-test-suite/v4`).
    const SUITE: Signer<'_> = Signer {
        access_key_id: "AKIDEXAMPLE",
        secret_access_key: b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        region: "us-east-1",
        service: "service",
        at: WallTime::from_unix_millis(1_440_938_160_000),
    };

    fn signature(request: &str, headers: &[(&str, &str)], body: &str) -> String {
        let (method, path) = request.split_once(' ').unwrap();
        let date = date(SUITE.at);
        let all = [("Host", "example.amazonaws.com"), ("X-Amz-Date", &date)].into_iter().chain(headers.iter().copied());
        let map = all.map(|(name, value)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        });
        let mut headers = HeaderMap::new();
        for (name, value) in map {
            headers.append(name, value);
        }
        let text = SUITE.authorization(&Signed { method, path, headers: &headers, body: body.as_bytes() });
        text.rsplit_once("Signature=").unwrap().1.to_owned()
    }

    #[test]
    fn the_published_requests_get_the_published_signatures() {
        let check = |request: &str, headers: &[(&str, &str)], expected: &str| {
            assert_eq!(signature(request, headers, ""), expected, "{request}");
        };
        // get-vanilla, followed by other cases of the suite.
        check("GET /", &[], "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
        let token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
        check(
            "GET /",
            &[("X-Amz-Security-Token", token)],
            "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
        );
        check("GET //example//", &[], "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84");
        check(
            "GET /?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
            &[],
            "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
        );
        check(
            "GET /",
            &[("My-Header1", "value1"), ("My-Header2", "\"a   b   c\"")],
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        );
    }

    #[test]
    fn a_body_is_signed_with_its_digest() {
        let body = "Param1=value1";
        let headers = [
            ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("Content-Length", "13"),
            ("X-Amz-Content-Sha256", &body_digest(body.as_bytes())),
        ];
        let expected = "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422";
        assert_eq!(signature("POST /", &headers, body), expected);
    }

    #[test]
    fn a_path_is_encoded_once_more_except_for_s3() {
        let check = |service, path: &str, expected: &str| {
            assert_eq!(Signer { service, ..SUITE }.canonical_path(path), expected, "{service} {path}");
        };
        // double-encode-path of the suite.
        check("execute-api", "/test/@connections/JBD%3D", "/test/%40connections/JBD%253D");
        check("s3", "/a//b%3D", "/a//b%3D");
        check("route53", "/a/./b/../c/", "/a/c/");
        check("route53", "/..", "/");
        check("route53", "/", "/");
    }
}
