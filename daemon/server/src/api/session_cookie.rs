//! The cookie of a session, and the protection against requests that other web sites cause.
//!
//! The prefix `__Host-` makes browsers accept the cookie only over HTTPS, for exactly this host. A browser sends it
//! with requests that other sites cause; `SameSite=Lax` prevents most of that, and [`check_origin`] the rest.

use axum::http::header::{COOKIE, ORIGIN};
use axum::http::{HeaderMap, HeaderValue};
use linecamp_core::SESSION_LIFE;
use linecamp_oidc::LOGIN_LIMIT;

use super::error::ApiError;
use crate::secret::SessionText;
use crate::server_url::ServerUrl;

/// The name of the cookie.
const NAME: &str = "__Host-linecamp";

/// The most bytes of cookies that are searched. Browsers send all cookies of a host, those of other ports included.
const COOKIES_BYTES_MAX: usize = 8 * 1024;

/// The header in which browsers tell where a request comes from (Fetch Metadata).
const FETCH_SITE: &str = "sec-fetch-site";

/// Returns the value of `Set-Cookie` that begins a session.
pub(super) fn begin(secret: &SessionText) -> Option<HeaderValue> {
    let life = SESSION_LIFE.as_secs();
    let mut value = HeaderValue::try_from(format!("{NAME}={}; {ATTRIBUTES}; Max-Age={life}", secret.reveal())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Returns the value of `Set-Cookie` that ends a session.
pub(super) const fn end() -> HeaderValue {
    HeaderValue::from_static("__Host-linecamp=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
}

const ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Lax";

/// The name of the cookie that ties a login at the identity provider to the browser.
const LOGIN_NAME: &str = "__Host-linecamp-login";

/// Returns the value of `Set-Cookie` for a login at the identity provider. The browser sends it when the provider
/// redirects back, which is a navigation.
pub(super) fn begin_login(secret: &str) -> Option<HeaderValue> {
    let life = LOGIN_LIMIT.as_secs();
    let mut value = HeaderValue::try_from(format!("{LOGIN_NAME}={secret}; {ATTRIBUTES}; Max-Age={life}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Returns the value of `Set-Cookie` after a login at the identity provider.
pub(super) const fn end_login() -> HeaderValue {
    HeaderValue::from_static("__Host-linecamp-login=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
}

/// Returns the secret in the session's cookie, if there is one.
///
/// # Errors
/// The cookies are too long, or there are several of this name: a request must not be able to choose between sessions.
pub(super) fn find(headers: &HeaderMap) -> Result<Option<&str>, &'static str> {
    find_named(headers, NAME)
}

/// Returns the secret in the cookie of a login at the identity provider, if there is one.
///
/// # Errors
/// As for [`find`].
pub(super) fn find_login(headers: &HeaderMap) -> Result<Option<&str>, &'static str> {
    find_named(headers, LOGIN_NAME)
}

fn find_named<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, &'static str> {
    let values = headers.get_all(COOKIE);
    if COOKIES_BYTES_MAX < values.iter().map(|value| value.as_bytes().len()).sum() {
        return Err("the cookies of the request are too long");
    }
    let pairs = values.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    let mut found = pairs.filter_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='));
    match (found.next(), found.next()) {
        (_, Some(_)) => Err("the request has several session cookies"),
        (secret, None) => Ok(secret),
    }
}

/// Whether a request that a browser may have sent comes from this server's own pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OriginCheck {
    /// The request proves it.
    Same,
    /// The request is from elsewhere.
    Foreign,
    /// The request does not say: no browser sent it, or a very old one.
    Unknown,
}

/// Checks where a request comes from: by `Sec-Fetch-Site`, or else by `Origin`, which is compared with the server's URL
/// and not with `Host`, because proxies change that.
pub(super) fn origin(headers: &HeaderMap, server: &ServerUrl) -> OriginCheck {
    let same = |is_same| if is_same { OriginCheck::Same } else { OriginCheck::Foreign };
    match (headers.get(FETCH_SITE), headers.get(ORIGIN)) {
        (Some(site), _) => same(matches!(site.as_bytes(), b"same-origin" | b"none")),
        (None, Some(origin)) => same(origin.as_bytes() == server.to_string().as_bytes()),
        (None, None) => OriginCheck::Unknown,
    }
}

/// Rejects a change that is authenticated by a cookie and does not come from this server's own pages.
pub(super) fn check_origin(headers: &HeaderMap, server: &ServerUrl) -> Result<(), ApiError> {
    match origin(headers, server) {
        OriginCheck::Same => Ok(()),
        OriginCheck::Foreign | OriginCheck::Unknown => Err(ApiError::forbidden(format!(
            "a request with a session cookie must come from a page of {server}: Sec-Fetch-Site must be same-origin or \
             none, or Origin that URL. Other clients send Authorization: Bearer"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn the_cookie_is_found_among_others_and_only_once() {
        let find = |value| find(&headers(&[("cookie", value)])).map(|found| found.map(str::to_owned));
        assert_eq!(find("a=b; __Host-linecamp=lcs_x; c=d"), Ok(Some("lcs_x".to_owned())));
        assert_eq!(find("a=b"), Ok(None));
        assert_eq!(find("__Host-linecamp-login=s; __Host-linecamp=lcs_x"), Ok(Some("lcs_x".to_owned())));
        let both = headers(&[("cookie", "__Host-linecamp=lcs_x; __Host-linecamp-login=s")]);
        assert_eq!(find_login(&both), Ok(Some("s")));
        assert_eq!(find("x__Host-linecamp=lcs_x; __Host-linecampx=lcs_y"), Ok(None));
        assert!(find("__Host-linecamp=lcs_x; __Host-linecamp=lcs_y").is_err());
        let long = HeaderValue::try_from("a".repeat(COOKIES_BYTES_MAX + 1)).unwrap();
        assert!(super::find(&[("cookie".parse().unwrap(), long)].into_iter().collect()).is_err());
    }

    #[test]
    fn the_cookie_is_for_this_host_over_https_and_hidden_from_scripts() {
        let secret = SessionText::generate().unwrap();
        let value = begin(&secret).unwrap();
        let expected =
            format!("__Host-linecamp={}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=43200", secret.reveal());
        assert_eq!(value.to_str().unwrap(), expected);
        let login = begin_login("s").unwrap();
        let expected = "__Host-linecamp-login=s; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600";
        assert_eq!(login.to_str().unwrap(), expected);
        assert!(end_login().to_str().unwrap().starts_with("__Host-linecamp-login=; Path=/; Secure;"));
        assert!(end().to_str().unwrap().contains("; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"));
    }

    #[test]
    fn a_request_from_another_site_is_foreign() {
        let server = ServerUrl::parse("https://camp.example:8443").unwrap();
        let check = |pairs: &[(&'static str, &'static str)]| origin(&headers(pairs), &server);
        assert_eq!(check(&[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")]), OriginCheck::Same);
        assert_eq!(check(&[("sec-fetch-site", "none")]), OriginCheck::Same);
        for site in ["same-site", "cross-site", ""] {
            assert_eq!(
                check(&[("sec-fetch-site", site), ("origin", "https://camp.example:8443")]),
                OriginCheck::Foreign
            );
        }
        assert_eq!(check(&[("origin", "https://camp.example:8443")]), OriginCheck::Same);
        for origin in ["https://camp.example", "http://camp.example:8443", "https://camp.example:8443.evil", "null"] {
            assert_eq!(check(&[("origin", origin)]), OriginCheck::Foreign, "{origin}");
        }
        assert_eq!(check(&[]), OriginCheck::Unknown);
    }
}
