//! The device flow (RFC 8628): the person confirms the login in a browser on any machine, with a short code.
//!
//! The server asks the provider, and the program that waits asks the server: the client's secret and the device code
//! stay here. A question is passed on to the provider at the pace that the provider allows.

use std::fmt;
use std::time::Duration;

use linecamp_model::Instant;
use serde::Deserialize;

use crate::endpoint::Endpoint;
use crate::form::form;
use crate::login::{Client, TokenRequest, id_token, refused_by_provider};
use crate::metadata::{ProviderMetadata, SecretPlacement, parse};
use crate::refusal::Refusal;

/// The longest time in which a code may be confirmed. A provider that allows more is cut.
const LIFE_MAX: Duration = Duration::from_secs(30 * 60);

/// The pace of a provider that names none, and the most that is waited between two questions.
const INTERVAL_DEFAULT: Duration = Duration::from_secs(5);
const INTERVAL_MAX: Duration = Duration::from_secs(60);

/// What `slow_down` adds to the pace (RFC 8628, section 3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);

/// Maximum length of the code that a person types, in bytes. A longer one is refused.
const USER_CODE_BYTES_MAX: usize = 64;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The codes of a device login. `Debug` hides them.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceCodes {
    device_code: String,
    /// What the person types.
    pub user_code: String,
    /// Where the person types it.
    pub verification_uri: String,
    /// The same with the code, if the provider has that.
    pub verification_uri_complete: Option<String>,
    /// In which time the person has to confirm.
    pub life: Duration,
    /// How long to wait between two questions.
    pub interval: Duration,
}

/// A device login that was begun. `Debug` hides its code.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceLogin {
    device_code: String,
    secret_placement: SecretPlacement,
    interval: Duration,
    next: Instant,
}

/// What to do when a program asks whether the person has confirmed.
#[derive(Debug, PartialEq, Eq)]
pub enum DevicePoll {
    /// The provider was asked too recently: ask again after this time.
    Wait(Duration),
    /// Send this to the token endpoint.
    Ask(TokenRequest),
}

/// What the token endpoint answered.
#[derive(Clone, PartialEq, Eq)]
pub enum DeviceAnswer {
    /// The person has not confirmed yet: ask again after this time.
    Pending(Duration),
    /// The person has confirmed. The ID token is not verified yet.
    Confirmed(String),
}

impl DeviceCodes {
    /// Makes the request for the codes.
    ///
    /// # Errors
    /// [`Refusal::Unsupported`] if the provider has no device flow.
    pub fn request<'a>(
        provider: &'a ProviderMetadata,
        client: &Client<'_>,
    ) -> Result<(&'a Endpoint, TokenRequest), Refusal> {
        let endpoint = provider.device_authorization_endpoint.as_ref();
        let endpoint = endpoint.ok_or(Refusal::Unsupported { what: "logins without a browser (the device flow)" })?;
        let mut request = client.request(provider.secret_placement, &[("scope", &client.scope())]);
        // RFC 8628, section 3.1: the ID is part of the form in any case that lacks other authentication; some providers
        // expect it always.
        if request.authorization.is_some() {
            request.form += &format!("&{}", form(&[("client_id", client.id)]));
        }
        Ok((endpoint, request))
    }

    /// Parses the response.
    ///
    /// # Errors
    /// [`Refusal::Provider`] if it is an error, [`Refusal::Document`] or [`Refusal::Url`] if it is something else.
    pub fn parse(json: &[u8]) -> Result<Self, Refusal> {
        const WHAT: &str = "response with the codes";
        #[derive(Deserialize)]
        struct Document {
            device_code: Option<String>,
            user_code: Option<String>,
            verification_uri: Option<String>,
            verification_uri_complete: Option<String>,
            expires_in: Option<u64>,
            interval: Option<u64>,
            error: Option<String>,
        }
        let document: Document = parse(json, WHAT)?;
        if let Some(code) = &document.error {
            return Err(refused_by_provider(code));
        }
        let invalid = |problem: &str| Refusal::Document { what: WHAT, problem: problem.to_owned() };
        let (Some(device_code), Some(user_code), Some(verification_uri), Some(seconds)) =
            (document.device_code, document.user_code, document.verification_uri, document.expires_in)
        else {
            return Err(invalid("it lacks a code, an address or a time"));
        };
        if USER_CODE_BYTES_MAX < user_code.len() || !user_code.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid("nobody can type its code"));
        }
        for address in [Some(&verification_uri), document.verification_uri_complete.as_ref()].into_iter().flatten() {
            Endpoint::parse(address)?;
        }
        let interval = document.interval.map_or(INTERVAL_DEFAULT, Duration::from_secs);
        Ok(Self {
            device_code,
            user_code,
            verification_uri,
            verification_uri_complete: document.verification_uri_complete,
            life: Duration::from_secs(seconds).min(LIFE_MAX),
            interval: interval.clamp(Duration::from_secs(1), INTERVAL_MAX),
        })
    }
}

impl DeviceLogin {
    /// Begins to wait for the person.
    pub fn begin(provider: &ProviderMetadata, codes: &DeviceCodes, now: Instant) -> Self {
        Self {
            device_code: codes.device_code.clone(),
            secret_placement: provider.secret_placement,
            interval: codes.interval,
            next: now + codes.interval,
        }
    }

    /// Decides what to do when a program asks. The provider is asked at its pace, however often and by how many
    /// programs.
    pub fn poll(&mut self, client: &Client<'_>, now: Instant) -> DevicePoll {
        let wait = self.next.saturating_since(now);
        if !wait.is_zero() {
            return DevicePoll::Wait(wait);
        }
        self.next = now + self.interval;
        let fields = [("grant_type", GRANT), ("device_code", &*self.device_code)];
        DevicePoll::Ask(client.request(self.secret_placement, &fields))
    }

    /// Parses the response of the token endpoint.
    ///
    /// # Errors
    /// [`Refusal::Provider`]: the person denied the login, or was too late.
    pub fn answer(&mut self, json: &[u8], now: Instant) -> Result<DeviceAnswer, Refusal> {
        match id_token(json) {
            Ok(token) => Ok(DeviceAnswer::Confirmed(token)),
            Err(Refusal::Provider { code }) if code == "authorization_pending" => {
                Ok(DeviceAnswer::Pending(self.interval))
            }
            Err(Refusal::Provider { code }) if code == "slow_down" => {
                self.interval = (self.interval + SLOW_DOWN).min(INTERVAL_MAX);
                self.next = now + self.interval;
                Ok(DeviceAnswer::Pending(self.interval))
            }
            Err(Refusal::Provider { code }) if code == "expired_token" => Err(Refusal::TooLate),
            Err(other) => Err(other),
        }
    }
}

impl fmt::Debug for DeviceCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceCodes").field("life", &self.life).finish_non_exhaustive()
    }
}

impl fmt::Debug for DeviceLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceLogin").field("interval", &self.interval).finish_non_exhaustive()
    }
}

impl fmt::Debug for DeviceAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending(_) => "Pending",
            Self::Confirmed(_) => "Confirmed(hidden)",
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::tests::{CLIENT, provider};

    const SECOND: Duration = Duration::from_secs(1);

    fn response() -> Value {
        json!({
            "device_code": "d-1", "user_code": "WDJB-MJHT", "verification_uri": "https://id.example/device",
            "verification_uri_complete": "https://id.example/device?user_code=WDJB-MJHT", "expires_in": 900,
            "interval": 2,
        })
    }

    fn codes() -> DeviceCodes {
        DeviceCodes::parse(response().to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_device_asks_for_codes_where_the_provider_has_them() {
        let refused = DeviceCodes::request(&provider(), &CLIENT).unwrap_err();
        assert!(matches!(refused, Refusal::Unsupported { .. }), "{refused:?}");
        let endpoint = Endpoint::parse("https://id.example/device").unwrap();
        let able = ProviderMetadata { device_authorization_endpoint: Some(endpoint), ..provider() };
        let (_, request) = DeviceCodes::request(&able, &CLIENT).unwrap();
        assert_eq!(request.form, "scope=openid%20profile%20groups&client_id=linecamp");
        let (_, request) = DeviceCodes::request(&able, &Client { secret: Some("s"), ..CLIENT }).unwrap();
        assert!(request.authorization.is_some() && request.form.ends_with("&client_id=linecamp"));
    }

    #[test]
    fn codes_that_nobody_can_use_are_refused() {
        let codes = codes();
        assert_eq!((codes.life, codes.interval), (900 * SECOND, 2 * SECOND));
        let refused = |key: &str, value: Value| {
            let mut response = response();
            response[key] = value;
            DeviceCodes::parse(response.to_string().as_bytes()).unwrap_err()
        };
        assert!(matches!(refused("user_code", json!("a b")), Refusal::Document { .. }));
        assert!(matches!(refused("user_code", json!("x".repeat(65))), Refusal::Document { .. }));
        assert!(matches!(refused("device_code", Value::Null), Refusal::Document { .. }));
        assert!(matches!(refused("expires_in", Value::Null), Refusal::Document { .. }));
        assert!(matches!(refused("verification_uri", json!("http://id.example/device")), Refusal::Url { .. }));
        assert!(matches!(refused("verification_uri_complete", json!("javascript:x")), Refusal::Url { .. }));
        assert_eq!(refused("error", json!("invalid_client")), Refusal::Provider { code: "invalid_client".into() });
        let mut long = response();
        (long["expires_in"], long["interval"]) = (json!(1_000_000), json!(0));
        let long = DeviceCodes::parse(long.to_string().as_bytes()).unwrap();
        assert_eq!((long.life, long.interval), (LIFE_MAX, SECOND));
    }

    #[test]
    fn the_provider_is_asked_at_its_own_pace() {
        let begin = Instant::ORIGIN;
        let mut login = DeviceLogin::begin(&provider(), &codes(), begin);
        assert_eq!(login.poll(&CLIENT, begin + SECOND), DevicePoll::Wait(SECOND));
        let DevicePoll::Ask(request) = login.poll(&CLIENT, begin + 2 * SECOND) else { panic!("it is time") };
        let expected =
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=d-1&client_id=linecamp";
        assert_eq!(request.form, expected);
        assert_eq!(login.poll(&CLIENT, begin + 2 * SECOND), DevicePoll::Wait(2 * SECOND), "another program asks");
        let pending = br#"{"error":"authorization_pending"}"#;
        assert_eq!(login.answer(pending, begin + 2 * SECOND), Ok(DeviceAnswer::Pending(2 * SECOND)));
        let slow = br#"{"error":"slow_down"}"#;
        assert_eq!(login.answer(slow, begin + 4 * SECOND), Ok(DeviceAnswer::Pending(7 * SECOND)));
        assert_eq!(login.poll(&CLIENT, begin + 10 * SECOND), DevicePoll::Wait(SECOND));
        for _ in 0..20 {
            login.answer(slow, begin).unwrap();
        }
        assert_eq!(login.interval, INTERVAL_MAX);
    }

    #[test]
    fn a_device_login_ends_with_a_token_or_a_refusal() {
        let mut login = DeviceLogin::begin(&provider(), &codes(), Instant::ORIGIN);
        let mut answer = |json: &[u8]| login.answer(json, Instant::ORIGIN);
        assert_eq!(answer(br#"{"id_token":"t"}"#), Ok(DeviceAnswer::Confirmed("t".into())));
        assert_eq!(answer(br#"{"error":"expired_token"}"#), Err(Refusal::TooLate));
        let denied = Refusal::Provider { code: "access_denied".into() };
        assert_eq!(answer(br#"{"error":"access_denied"}"#), Err(denied));
        let shown = format!("{:?} {:?} {:?}", codes(), login, DeviceAnswer::Confirmed("t-1".into()));
        assert!(!shown.contains("d-1") && !shown.contains("WDJB") && !shown.contains("t-1"), "{shown}");
    }
}
