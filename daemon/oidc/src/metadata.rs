//! What a provider publishes about itself (OpenID Connect Discovery 1.0).

use serde::Deserialize;

use crate::DOCUMENT_BYTES_MAX;
use crate::endpoint::Endpoint;
use crate::refusal::Refusal;

/// A provider's metadata, as far as it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderMetadata {
    /// The issuer: exactly the text that its tokens have.
    pub issuer: String,
    /// Where a browser is sent to log in.
    pub authorization_endpoint: String,
    /// Where a code is exchanged for a token.
    pub token_endpoint: Endpoint,
    /// Where its keys are.
    pub jwks: Endpoint,
    /// Where a device asks for a code (RFC 8628), if the provider supports it.
    pub device_authorization_endpoint: Option<Endpoint>,
    /// Whether it names itself when the browser returns (RFC 9207); then it has to.
    pub names_itself: bool,
    /// How it expects a client with a secret to authenticate.
    pub secret_placement: SecretPlacement,
}

/// How a client with a secret authenticates at a provider (RFC 6749, section 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretPlacement {
    /// In the header `Authorization`, which every provider supports unless it says otherwise.
    Header,
    /// In the form.
    Form,
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
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl ProviderMetadata {
    /// Returns where the metadata of an issuer is.
    ///
    /// # Errors
    /// [`Refusal::Url`]: the issuer is neither HTTPS nor on this machine, or has a query.
    pub fn location(issuer: &str) -> Result<Endpoint, Refusal> {
        if issuer.contains('?') {
            return Err(Refusal::Url { url: linecamp_model::excerpt(issuer, 128), problem: "has a query" });
        }
        Endpoint::parse(&format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')))
    }

    /// Parses the metadata of `issuer`.
    ///
    /// # Errors
    /// [`Refusal`]: it is that of another issuer, the issuer or an endpoint is neither HTTPS nor on this machine, or
    /// the code flow or PKCE is not supported.
    pub fn parse(issuer: &str, json: &[u8]) -> Result<Self, Refusal> {
        Self::location(issuer)?;
        let document: Document = parse(json, "metadata")?;
        if document.issuer != issuer {
            let found = linecamp_model::excerpt(&document.issuer, 128);
            return Err(Refusal::OtherIssuer { found, expected: issuer.to_owned() });
        }
        // A browser is sent there with a query.
        Endpoint::parse(&document.authorization_endpoint)?;
        if !document.response_types_supported.iter().any(|kind| kind == "code") {
            return Err(Refusal::Unsupported { what: "the code flow" });
        }
        // Who does not say which methods it supports may support it; who says, has to.
        let methods = document.code_challenge_methods_supported;
        if methods.is_some_and(|methods| !methods.iter().any(|method| method == "S256")) {
            return Err(Refusal::Unsupported { what: "PKCE with S256" });
        }
        let device = document.device_authorization_endpoint.as_deref().map(Endpoint::parse).transpose()?;
        Ok(Self {
            secret_placement: secret_placement(document.token_endpoint_auth_methods_supported)?,
            authorization_endpoint: document.authorization_endpoint,
            token_endpoint: Endpoint::parse(&document.token_endpoint)?,
            jwks: Endpoint::parse(&document.jwks_uri)?,
            device_authorization_endpoint: device,
            names_itself: document.authorization_response_iss_parameter_supported,
            issuer: document.issuer,
        })
    }
}

/// Chooses among the methods that a provider supports; one that does not say supports the header.
fn secret_placement(methods: Option<Vec<String>>) -> Result<SecretPlacement, Refusal> {
    let Some(methods) = methods else { return Ok(SecretPlacement::Header) };
    let has = |name: &str| methods.iter().any(|method| method == name);
    match (has("client_secret_basic"), has("client_secret_post"), has("none")) {
        (true, _, _) => Ok(SecretPlacement::Header),
        (false, true, _) => Ok(SecretPlacement::Form),
        // A client without a secret needs neither.
        (false, false, true) => Ok(SecretPlacement::Header),
        (false, false, false) => Err(Refusal::Unsupported { what: "client_secret_basic, client_secret_post or none" }),
    }
}

/// Parses a document of a provider.
pub(crate) fn parse<'a, T: Deserialize<'a>>(json: &'a [u8], what: &'static str) -> Result<T, Refusal> {
    if DOCUMENT_BYTES_MAX < json.len() {
        let problem = format!("it has {} bytes, and {DOCUMENT_BYTES_MAX} are the most", json.len());
        return Err(Refusal::Document { what, problem });
    }
    serde_json::from_slice(json).map_err(|error| Refusal::Document { what, problem: error.to_string() })
}
