//! Puts secrets into HTTP requests.

use data_encoding::BASE64;
use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, HeaderValue};
use linecamp_model::WallTime;
use zeroize::Zeroizing;

use super::secret_handles::{Destination, Handles};
use super::sigv4::{self, Signed, Signer};
use super::{HostCallError, header};
use crate::secret_binding::SecretUse;

/// How a request is authenticated; secrets are handles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Auth {
    /// `Authorization: Bearer SECRET`.
    Bearer(String),
    /// `Authorization: Basic`, with the user and the secret.
    Basic { user: String, secret: String },
    /// `HEADER: PREFIXSECRET`.
    Header { header: String, prefix: String, secret: String },
    /// AWS Signature Version 4.
    SigV4(SigV4),
}

/// The credentials and scope of a SigV4 signature; secrets are handles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SigV4 {
    pub(crate) access_key_id_secret: String,
    pub(crate) secret_access_key_secret: String,
    pub(crate) session_token_secret: Option<String>,
    pub(crate) region: String,
    pub(crate) service: String,
}

/// The request to authenticate, with `Host` among its headers.
pub(crate) struct RequestToSign<'a> {
    pub(crate) destination: Destination<'a>,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a mut HeaderMap,
    pub(crate) body: &'a [u8],
}

impl Auth {
    /// Inserts the secret, if the site allows this use for this host.
    pub(crate) fn apply(
        &self,
        request: &mut RequestToSign<'_>,
        handles: &mut Handles,
        now: WallTime,
    ) -> Result<(), HostCallError> {
        let destination = request.destination;
        match self {
            Self::Bearer(secret) => {
                let token = handles.secret(secret, SecretUse::Bearer, destination)?;
                let value = Zeroizing::new([b"Bearer ", token.expose()].concat());
                set(request.headers, AUTHORIZATION, &value, secret)
            }
            Self::Basic { user, secret } => {
                if user.contains(':') {
                    return Err(HostCallError::Denied("the user name of basic auth contains `:`".into()));
                }
                let password = handles.secret(secret, SecretUse::Basic, destination)?;
                let pair = Zeroizing::new([user.as_bytes(), b":", password.expose()].concat());
                let encoded = Zeroizing::new(BASE64.encode(&pair));
                handles.redact_form(secret, encoded.as_bytes());
                let value = Zeroizing::new(format!("Basic {}", *encoded));
                set(request.headers, AUTHORIZATION, value.as_bytes(), secret)
            }
            Self::Header { header, prefix, secret } => {
                let name = header::for_secret(header)?;
                let key = handles.secret(secret, SecretUse::Header, destination)?;
                let value = Zeroizing::new([prefix.as_bytes(), key.expose()].concat());
                set(request.headers, name, &value, secret)
            }
            Self::SigV4(scope) => scope.apply(request, handles, now),
        }
    }
}

impl SigV4 {
    fn apply(
        &self,
        request: &mut RequestToSign<'_>,
        handles: &mut Handles,
        now: WallTime,
    ) -> Result<(), HostCallError> {
        let is_token = |word: &str| {
            let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            !word.is_empty() && word.len() <= 64 && word.bytes().all(fits)
        };
        if !is_token(&self.region) || !is_token(&self.service) {
            return Err(HostCallError::Denied(
                "the signing region and service must consist of a-z, 0-9 and `-`".into(),
            ));
        }
        if let Some(name) = &self.session_token_secret {
            let token = handles.secret(name, SecretUse::SigV4SessionToken, request.destination)?;
            set(request.headers, HeaderName::from_static("x-amz-security-token"), token.expose(), name)?;
        }
        let date = sigv4::date(now);
        set(request.headers, HeaderName::from_static("x-amz-date"), date.as_bytes(), "")?;
        let digest = sigv4::body_digest(request.body);
        set(request.headers, HeaderName::from_static("x-amz-content-sha256"), digest.as_bytes(), "")?;
        let access_key_id = handles.secret(&self.access_key_id_secret, SecretUse::SigV4KeyId, request.destination)?;
        let Ok(access_key_id) = std::str::from_utf8(access_key_id.expose()) else {
            return Err(HostCallError::Denied(format!(
                "the secret `{}` is not an access key ID",
                self.access_key_id_secret
            )));
        };
        let secret_access_key =
            handles.secret(&self.secret_access_key_secret, SecretUse::SigV4, request.destination)?;
        let signer = Signer {
            access_key_id,
            secret_access_key: secret_access_key.expose(),
            region: &self.region,
            service: &self.service,
            at: now,
        };
        let RequestToSign { method, path, ref headers, body, .. } = *request;
        let value = signer.authorization(&Signed { method, path, headers, body });
        set(request.headers, AUTHORIZATION, value.as_bytes(), &self.access_key_id_secret)
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &[u8], secret: &str) -> Result<(), HostCallError> {
    let Ok(mut value) = HeaderValue::from_bytes(value) else {
        let why = "contains bytes that a header cannot carry, such as a line end";
        return Err(HostCallError::Denied(format!("the secret `{}` {why}", secret.escape_debug())));
    };
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}
