//! ID tokens: their signature and their claims (OpenID Connect Core 1.0, section 3.1.3.7).

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use linecamp_model::WallTime;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::keys::{Algorithm, KeySet};
use crate::refusal::Refusal;

/// Maximum size of an ID token in bytes. A longer one is malformed.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// Maximum number of groups of a person. Further ones are ignored.
const GROUPS_MAX: usize = 256;

/// Maximum length of a subject in bytes (OpenID Connect Core 1.0, section 2). A longer one is refused.
const SUBJECT_BYTES_MAX: usize = 255;

/// How far the clocks of provider and server may differ.
const LEEWAY: Duration = Duration::from_secs(60);

/// What an ID token has to have.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The issuer, as configured.
    pub issuer: &'a str,
    /// The ID of this client at the provider.
    pub client_id: &'a str,
    /// The nonce of the login; `None` for a device's login, which has none.
    pub nonce: Option<&'a str>,
    /// The name of the claim that has the groups.
    pub groups_claim: &'a str,
    /// The time.
    pub now: WallTime,
}

/// The verified claims of an ID token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The person, by an ID that the provider never reuses.
    pub subject: String,
    /// The name that the person has at the provider, for people: `preferred_username`, or else `email`.
    pub name: Option<String>,
    /// The groups of the person.
    pub groups: Vec<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

/// Verifies an ID token: its signature first, then each claim.
///
/// # Errors
/// [`Refusal`]. For [`Refusal::UnknownKey`], the provider's keys have to be read again, once.
pub fn verify(token: &str, keys: &KeySet, expected: &Expected<'_>) -> Result<Claims, Refusal> {
    if TOKEN_BYTES_MAX < token.len() {
        return Err(Refusal::Malformed);
    }
    let (message, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
    let (header, payload) = message.split_once('.').ok_or(Refusal::Malformed)?;
    let header: Header = decode(header)?;
    if header.crit.is_some() {
        // RFC 7515, section 4.1.11: an extension that has to be understood, and is not.
        return Err(Refusal::Malformed);
    }
    let algorithm = Algorithm::parse(&header.alg)?;
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).map_err(|_| Refusal::Malformed)?;
    keys.verify(header.kid.as_deref(), algorithm, message.as_bytes(), &signature)?;
    check(&decode(payload)?, expected)
}

fn decode<T: for<'a> Deserialize<'a>>(part: &str) -> Result<T, Refusal> {
    let bytes = BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| Refusal::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| Refusal::Malformed)
}

fn check(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<Claims, Refusal> {
    let refused = |problem| Err(Refusal::Claim { problem });
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(expected.issuer) {
        return refused("another issuer");
    }
    let audiences = match claims.get("aud") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !audiences.contains(&expected.client_id) {
        return refused("another audience");
    }
    match text("azp") {
        Some(party) if party != expected.client_id => return refused("another authorized party"),
        None if 1 < audiences.len() => return refused("several audiences and no authorized party"),
        _ => {}
    }
    let time = |name: &str| claims.get(name).map(|value| value.as_f64().and_then(seconds));
    match time("exp") {
        Some(Some(end)) if end + LEEWAY <= expected.now => return refused("expired"),
        Some(Some(_)) => {}
        Some(None) | None => return refused("no expiry"),
    }
    match time("iat") {
        Some(Some(begin)) if expected.now + LEEWAY < begin => return refused("an issue time in the future"),
        Some(Some(_)) => {}
        Some(None) | None => return refused("no issue time"),
    }
    match time("nbf") {
        Some(Some(begin)) if expected.now + LEEWAY < begin => return refused("a validity that begins in the future"),
        Some(None) => return refused("an invalid begin of its validity"),
        Some(Some(_)) | None => {}
    }
    if text("nonce") != expected.nonce && expected.nonce.is_some() {
        return refused("the nonce of another login");
    }
    let Some(subject) = text("sub").filter(|subject| !subject.is_empty()) else { return refused("no subject") };
    if SUBJECT_BYTES_MAX < subject.len() {
        return refused("a subject that is too long");
    }
    let groups = match claims.get(expected.groups_claim) {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(several)) => {
            several.iter().filter_map(|group| group.as_str().map(str::to_owned)).take(GROUPS_MAX).collect()
        }
        _ => Vec::new(),
    };
    let name = text("preferred_username").or_else(|| text("email")).map(str::to_owned);
    Ok(Claims { subject: subject.to_owned(), name, groups })
}

/// Converts a NumericDate (RFC 7519): seconds since 1970, possibly with a fraction.
fn seconds(number: f64) -> Option<WallTime> {
    let duration = Duration::try_from_secs_f64(number).ok()?;
    Some(WallTime::from_unix_millis(u64::try_from(duration.as_millis()).ok()?))
}
