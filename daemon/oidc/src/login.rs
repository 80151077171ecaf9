//! The code flow: the URL to which a browser is sent, its return, and the request for the token.

use std::fmt;
use std::time::Duration;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use linecamp_model::{SecretHash, WallTime};
use serde::Deserialize;

use crate::destination::challenge;
use crate::form::{encoded, form};
use crate::metadata::{ProviderMetadata, SecretPlacement, parse};
use crate::refusal::Refusal;

/// How long a person may take at the provider. After that the login has to begin again.
pub const LOGIN_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Maximum length of an error code of a provider that is shown, in bytes.
const CODE_BYTES_MAX: usize = 64;

/// This client, as it is registered at the provider. `Debug` hides its secret.
#[derive(Clone, Copy)]
pub struct Client<'a> {
    /// Its ID.
    pub id: &'a str,
    /// Its secret; `None` for a public client.
    pub secret: Option<&'a str>,
    /// Where the browser returns to.
    pub redirect_uri: &'a str,
    /// What is asked for beside `openid`, such as `profile groups`.
    pub scopes: &'a str,
}

/// The random parts of a login, 256 bits each. `Debug` hides them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LoginSecrets {
    /// Ties the return of the browser to the login.
    pub state: [u8; 32],
    /// Ties the ID token to the login.
    pub nonce: [u8; 32],
    /// Ties the exchange of the code to the login (PKCE).
    pub verifier: [u8; 32],
}

/// A login that has begun: what to remember until the browser returns. `Debug` hides its secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    issuer: String,
    names_itself: bool,
    secret_placement: SecretPlacement,
    redirect_uri: String,
    secrets: LoginSecrets,
    began: WallTime,
}

/// The parameters with which the browser returns.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Callback {
    /// The code to exchange.
    pub code: Option<String>,
    /// The state of the login.
    pub state: Option<String>,
    /// The provider, if it names itself.
    pub iss: Option<String>,
    /// The error, instead of a code.
    pub error: Option<String>,
}

/// A request to the token endpoint or the device endpoint. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// The body, as `application/x-www-form-urlencoded`.
    pub form: String,
    /// The value of the header `Authorization`, if there is one.
    pub authorization: Option<String>,
}

impl Client<'_> {
    /// Returns what is asked for.
    pub(crate) fn scope(&self) -> String {
        format!("openid {}", self.scopes).trim().to_owned()
    }

    /// Makes a request that is authenticated as the provider expects it (RFC 6749, section 2.3.1).
    pub(crate) fn request(&self, placement: SecretPlacement, fields: &[(&str, &str)]) -> TokenRequest {
        let own = [("client_id", self.id)];
        match (self.secret, placement) {
            (None, _) => TokenRequest { form: form(&[fields, &own].concat()), authorization: None },
            (Some(secret), SecretPlacement::Form) => {
                let secret = [("client_secret", secret)];
                TokenRequest { form: form(&[fields, &own, &secret].concat()), authorization: None }
            }
            (Some(secret), SecretPlacement::Header) => {
                let pair = format!("{}:{}", encoded(self.id), encoded(secret));
                let authorization = Some(format!("Basic {}", BASE64.encode(pair.as_bytes())));
                TokenRequest { form: form(fields), authorization }
            }
        }
    }
}

impl Login {
    /// Begins a login. Returns what to remember, and the URL to which the browser is sent.
    pub fn begin(
        provider: &ProviderMetadata,
        client: &Client<'_>,
        secrets: LoginSecrets,
        now: WallTime,
    ) -> (Self, String) {
        let login = Self {
            issuer: provider.issuer.clone(),
            names_itself: provider.names_itself,
            secret_placement: provider.secret_placement,
            redirect_uri: client.redirect_uri.to_owned(),
            secrets,
            began: now,
        };
        let challenge = challenge(&login.verifier());
        let query = form(&[
            ("response_type", "code"),
            ("client_id", client.id),
            ("redirect_uri", client.redirect_uri),
            ("scope", &client.scope()),
            ("state", &login.state()),
            ("nonce", &login.nonce()),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let separator = if provider.authorization_endpoint.contains('?') { '&' } else { '?' };
        (login, format!("{}{separator}{query}", provider.authorization_endpoint))
    }

    /// Returns the state, by which the login is found when the browser returns.
    pub fn state(&self) -> String {
        BASE64URL_NOPAD.encode(&self.secrets.state)
    }

    /// Returns the nonce that the ID token has to have.
    pub fn nonce(&self) -> String {
        BASE64URL_NOPAD.encode(&self.secrets.nonce)
    }

    fn verifier(&self) -> String {
        BASE64URL_NOPAD.encode(&self.secrets.verifier)
    }

    /// Whether the login has taken too long.
    pub fn is_over(&self, now: WallTime) -> bool {
        self.began + LOGIN_LIMIT <= now
    }

    /// Checks the return of the browser and makes the request for the token. A login is accepted once: the caller has
    /// removed it.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn accept(self, callback: &Callback, client: &Client<'_>, now: WallTime) -> Result<TokenRequest, Refusal> {
        // The login was found by the hash of its state; it is checked again, because it costs nothing.
        if callback.state.as_deref() != Some(&*self.state()) {
            return Err(Refusal::State);
        }
        if self.is_over(now) {
            return Err(Refusal::TooLate);
        }
        match &callback.iss {
            Some(issuer) if *issuer != self.issuer => return Err(Refusal::MixUp),
            None if self.names_itself => return Err(Refusal::MixUp),
            _ => {}
        }
        let code = match (&callback.error, &callback.code) {
            (Some(code), _) => return Err(refused_by_provider(code)),
            (None, Some(code)) => code,
            (None, None) => return Err(Refusal::Malformed),
        };
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", &self.verifier()),
        ];
        Ok(client.request(self.secret_placement, &fields))
    }
}

/// Checks that the browser that returned is the one that was sent: its cookie has the secret with this hash. Otherwise
/// an attacker could begin a login, and let another person's browser complete it.
///
/// # Errors
/// [`Refusal::OtherBrowser`].
pub fn check_browser(sent: &SecretHash, cookie: Option<&str>) -> Result<(), Refusal> {
    // Both are hashes, so the time that the comparison takes says nothing about the secret.
    match cookie.is_some_and(|cookie| SecretHash::of(cookie.as_bytes()) == *sent) {
        true => Ok(()),
        false => Err(Refusal::OtherBrowser),
    }
}

/// Returns the ID token in the response of the token endpoint, which is not verified yet.
///
/// # Errors
/// [`Refusal::Provider`] if the response is an error, [`Refusal::Document`] if it is something else.
pub fn id_token(json: &[u8]) -> Result<String, Refusal> {
    #[derive(Deserialize)]
    struct Document {
        id_token: Option<String>,
        error: Option<String>,
    }
    match parse(json, "response with the token")? {
        Document { error: Some(code), .. } => Err(refused_by_provider(&code)),
        Document { id_token: Some(token), .. } => Ok(token),
        Document { .. } => {
            Err(Refusal::Document { what: "response with the token", problem: "it has no ID token".to_owned() })
        }
    }
}

/// Returns an error code of a provider, shortened.
pub(crate) fn refused_by_provider(code: &str) -> Refusal {
    Refusal::Provider { code: linecamp_model::excerpt(code, CODE_BYTES_MAX) }
}

impl fmt::Debug for Client<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for LoginSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("issuer", &self.issuer).field("began", &self.began).finish_non_exhaustive()
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback").field("iss", &self.iss).field("error", &self.error).finish_non_exhaustive()
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenRequest(hidden)")
    }
}
