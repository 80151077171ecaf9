//! What a provider publishes about itself (OpenID Connect Discovery 1.0).

use serde::Deserialize;

use crate::DOCUMENT_BYTES_MAX;
use crate::refusal::Refusal;

/// A provider's metadata, as far as it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderMetadata {
    /// The issuer: exactly the text that its tokens have.
    pub issuer: String,
    /// Where a browser is sent to log in.
    pub authorization_endpoint: String,
    /// Where a code is exchanged for a token.
    pub token_endpoint: String,
    /// Where its keys are.
    pub jwks_uri: String,
    /// Where a device asks for a code (RFC 8628), if the provider supports it.
    pub device_authorization_endpoint: Option<String>,
    /// Whether it names itself when the browser returns (RFC 9207); then it has to.
    pub names_itself: bool,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    device_authorization_endpoint: Option<String>,
    response_types_supported: Vec<String>,
    code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl ProviderMetadata {
    /// Returns the URL of the metadata of an issuer.
    pub fn url(issuer: &str) -> String {
        format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
    }

    /// Parses the metadata of `issuer`.
    ///
    /// # Errors
    /// [`Refusal`]: it is that of another issuer, an endpoint is neither HTTPS nor on this machine, or the code flow or
    /// PKCE is not supported.
    pub fn parse(issuer: &str, json: &[u8]) -> Result<Self, Refusal> {
        let document: Document = parse(json, "metadata")?;
        if document.issuer != issuer {
            return Err(Refusal::OtherIssuer { found: document.issuer, expected: issuer.to_owned() });
        }
        let endpoints = [&document.authorization_endpoint, &document.token_endpoint, &document.jwks_uri];
        if let Some(insecure) =
            endpoints.into_iter().chain(&document.device_authorization_endpoint).find(|url| !is_secure(url))
        {
            let problem = format!("{insecure} is not HTTPS");
            return Err(Refusal::Document { what: "metadata", problem });
        }
        if !document.response_types_supported.iter().any(|kind| kind == "code") {
            return Err(Refusal::Unsupported { what: "the code flow" });
        }
        // Who does not say which methods it supports may support it; who says, has to.
        let methods = document.code_challenge_methods_supported;
        if methods.is_some_and(|methods| !methods.iter().any(|method| method == "S256")) {
            return Err(Refusal::Unsupported { what: "PKCE with S256" });
        }
        Ok(Self {
            issuer: document.issuer,
            authorization_endpoint: document.authorization_endpoint,
            token_endpoint: document.token_endpoint,
            jwks_uri: document.jwks_uri,
            device_authorization_endpoint: document.device_authorization_endpoint,
            names_itself: document.authorization_response_iss_parameter_supported,
        })
    }
}

/// Whether a URL is HTTPS, or on this machine.
fn is_secure(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return url.starts_with("https://") };
    let authority = rest.split('/').next().unwrap_or_default();
    ["127.0.0.1", "localhost", "[::1]"]
        .iter()
        .any(|host| authority.strip_prefix(host).is_some_and(|port| port.is_empty() || port.starts_with(':')))
}

/// Parses a document of a provider.
pub(crate) fn parse<'a, T: Deserialize<'a>>(json: &'a [u8], what: &'static str) -> Result<T, Refusal> {
    if DOCUMENT_BYTES_MAX < json.len() {
        let problem = format!("it has {} bytes, and {DOCUMENT_BYTES_MAX} are the most", json.len());
        return Err(Refusal::Document { what, problem });
    }
    serde_json::from_slice(json).map_err(|error| Refusal::Document { what, problem: error.to_string() })
}
