use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use linecamp_model::{SecretHash, WallTime};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::*;

/// The modulus of a key made by OpenSSL; its exponent is 65537.
const RSA_MODULUS: &str = concat!(
    "nkYDYfaqj6a4PK1L74aEUtnQ5jiEM1YwhJY-kUdW0kfEjysNK2i9-_x1Tz7xg8i1R-wOXlmub3SZg4I2sGACzMASQElU",
    "PbVEQ2EYiYffVDYqpLTsBk7Jfn4uCLN7UbUBEIsaBzu3mVe_8J0g6dryGU2gGc0McsgPCw4C_byvCc_IvrUmyWJ28N66",
    "XYwSc4TRxbmGhs6Yzb9iFvyRWIu1G2hoUKB-YlOLGdQEHy3Eg4eh3kkHdr9o1NAT5kAOSnWXIWHoS8rIGPRUQVFVCkty",
    "JLr2Y_bxxvWb02M4nD97PuLyY4S5F3f7c4Jh3b59C_gFQa1Dq1rf9SiqtqbozD4p2Q",
);

/// A token signed with it, by OpenSSL.
const RSA_TOKEN: &str = concat!(
    "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYS0xIn0.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJhdWQiOiJsaW5l",
    "Y2FtcCIsInN1YiI6InUtNyIsImV4cCI6MTAwMDYwMCwiaWF0IjoxMDAwMDAwLCJub25jZSI6IkFnSUNBZ0lDQWdJQ0Fn",
    "SUNBZ0lDQWdJQ0FnSUNBZ0lDQWdJQ0FnSUNBZ0kiLCJncm91cHMiOlsib3BzIl19.ALdq4LaOs7JfZvSAWuXKMa6gFt4",
    "AYhEUUuztGpp9P1BeyfhAnjbJBGIUmNN6Y_RIJLzsNfMTQ36LbP-KUfGt2Qmp9KbnV8eYOb0EqSNp-1nrpxtiOxTvMrq",
    "aNydsifzL8d080Sd2wDJPMwYqBvsh18EixG87eOLhO9z4UC9DJR6TUnk9T3u-PSKnmNfQOrUXsorNWzRuyfjoXfco3s3",
    "U3GcdE3T8xgH78XjpUt1vMPUvPRDdi8t-48rB425WuDIqxV1lYsF0U7UtFzpywI-DoQX8HBDT-y2mfXfHb_qTHpfSgyn",
    "x0gcEDBf5EkiiivEQf83J7KdffTAcb9uDwyEa2Q",
);

const ISSUER: &str = "https://id.example";
const NOW: WallTime = WallTime::from_unix_millis(1_000_100_000);
const SECRETS: LoginSecrets = LoginSecrets { state: [1; 32], nonce: [2; 32], verifier: [3; 32] };
pub(crate) const CLIENT: Client<'_> = Client {
    id: "linecamp",
    secret: None,
    redirect_uri: "https://camp.example/api/v1/login/oidc/callback",
    scopes: "profile groups",
};

fn encode(json: &Value) -> String {
    BASE64URL_NOPAD.encode(json.to_string().as_bytes())
}

fn nonce() -> String {
    BASE64URL_NOPAD.encode(&[2; 32])
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": "linecamp", "sub": "u-7", "exp": 1_000_600, "iat": 1_000_000, "nonce": nonce(),
        "preferred_username": "mara", "groups": ["ops", "lab"],
    })
}

/// A provider with an Ed25519 key.
struct Signer(Ed25519KeyPair);

impl Signer {
    fn new() -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap())
    }

    fn keys(&self) -> KeySet {
        let x = BASE64URL_NOPAD.encode(self.0.public_key().as_ref());
        let keys = json!({"keys": [
            {"kty": "oct", "k": "c2VjcmV0"},
            "no key",
            {"kty": "OKP", "crv": "Ed25519", "use": "enc", "kid": "for-encryption", "x": x},
            {"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": "ed-1", "x": x},
        ]});
        KeySet::parse(keys.to_string().as_bytes()).unwrap()
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = self.0.sign(message.as_bytes());
        format!("{message}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }

    fn token(&self, claims: &Value) -> String {
        self.sign(&json!({"alg": "EdDSA", "kid": "ed-1"}), claims)
    }
}

fn expected(nonce: &str) -> Expected<'_> {
    Expected { issuer: ISSUER, client_id: "linecamp", nonce: Some(nonce), groups_claim: "groups", now: NOW }
}

fn verify_at(token: &str, keys: &KeySet, now: WallTime) -> Result<Claims, Refusal> {
    let nonce = nonce();
    verify(token, keys, &Expected { now, ..expected(&nonce) })
}

#[test]
fn a_token_that_holds_is_accepted_with_its_groups() {
    let signer = Signer::new();
    let accepted = verify_at(&signer.token(&claims()), &signer.keys(), NOW).unwrap();
    let groups = vec!["ops".to_owned(), "lab".to_owned()];
    assert_eq!(accepted, Claims { subject: "u-7".to_owned(), name: Some("mara".to_owned()), groups });
    let mut one = claims();
    one["groups"] = json!("ops");
    one["aud"] = json!(["linecamp", "other"]);
    one["azp"] = json!("linecamp");
    assert_eq!(verify_at(&signer.token(&one), &signer.keys(), NOW).unwrap().groups, ["ops"]);
    let nameless = signer.sign(&json!({"alg": "EdDSA"}), &claims());
    assert!(verify_at(&nameless, &signer.keys(), NOW).is_ok(), "a provider with one key need not name it");
}

#[test]
fn each_claim_that_does_not_hold_is_refused() {
    let signer = Signer::new();
    let table: [(&str, Value, &str); 17] = [
        ("iss", json!("https://other.example"), "another issuer"),
        ("iss", json!("https://id.example/"), "another issuer"),
        ("aud", json!("other"), "another audience"),
        ("aud", json!(["other"]), "another audience"),
        ("aud", json!(["linecamp", "other"]), "several audiences and no authorized party"),
        ("azp", json!("other"), "another authorized party"),
        ("exp", json!(1_000_000), "expired"),
        ("exp", Value::Null, "no expiry"),
        ("exp", json!("1000600"), "no expiry"),
        ("iat", json!(1_000_200), "an issue time in the future"),
        ("iat", Value::Null, "no issue time"),
        ("nbf", json!(1_000_200), "a validity that begins in the future"),
        ("nbf", json!("1000000"), "an invalid begin of its validity"),
        ("nbf", json!(-1), "an invalid begin of its validity"),
        ("nonce", json!("other"), "the nonce of another login"),
        ("sub", json!(""), "no subject"),
        ("sub", json!("s".repeat(256)), "a subject that is too long"),
    ];
    for (claim, value, problem) in table {
        let mut claims = claims();
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(claim)),
            value => claims[claim] = value,
        }
        let refused = verify_at(&signer.token(&claims), &signer.keys(), NOW);
        assert_eq!(refused, Err(Refusal::Claim { problem }), "{claim}");
    }
    let mut without = claims();
    without.as_object_mut().unwrap().remove("nonce");
    let refused = verify_at(&signer.token(&without), &signer.keys(), NOW);
    assert_eq!(refused, Err(Refusal::Claim { problem: "the nonce of another login" }));
}

#[test]
fn clocks_may_differ_by_a_minute() {
    let signer = Signer::new();
    let token = signer.token(&claims());
    let at = |seconds: u64| verify_at(&token, &signer.keys(), WallTime::from_unix_millis(seconds * 1000)).is_ok();
    assert!(at(1_000_600 + 59) && !at(1_000_600 + 60));
    assert!(at(1_000_000 - 60) && !at(1_000_000 - 61));
}

#[test]
fn a_signature_that_does_not_hold_is_refused() {
    let signer = Signer::new();
    let keys = signer.keys();
    let token = signer.token(&claims());
    let (message, signature) = token.rsplit_once('.').unwrap();
    let unsigned = |header: Value| format!("{}.{}.", encode(&header), encode(&claims()));
    let algorithm = |name: &str| Refusal::Algorithm { algorithm: name.to_owned() };
    let mut forged = claims();
    forged["groups"] = json!(["admins"]);
    let header = message.split_once('.').unwrap().0;
    let table = [
        (unsigned(json!({"alg": "none"})), algorithm("none")),
        (unsigned(json!({"alg": "None"})), algorithm("None")),
        (signer.sign(&json!({"alg": "HS256", "kid": "ed-1"}), &claims()), algorithm("HS256")),
        (signer.sign(&json!({"alg": "RS256", "kid": "ed-1"}), &claims()), Refusal::UnknownKey),
        (signer.sign(&json!({"alg": "EdDSA", "kid": "other"}), &claims()), Refusal::UnknownKey),
        (signer.sign(&json!({"alg": "EdDSA", "kid": "for-encryption"}), &claims()), Refusal::UnknownKey),
        (signer.sign(&json!({"alg": "EdDSA", "crit": ["b64"], "b64": false}), &claims()), Refusal::Malformed),
        (format!("{header}.{}.{signature}", encode(&forged)), Refusal::Signature),
        (format!("{message}."), Refusal::Signature),
        (message.to_owned(), Refusal::Malformed),
        (format!("{token}="), Refusal::Malformed),
        ("a.b.c".to_owned(), Refusal::Malformed),
        ("x".repeat(20_000), Refusal::Malformed),
        (String::new(), Refusal::Malformed),
    ];
    for (token, refusal) in table {
        let refused = verify_at(&token, &keys, NOW);
        assert_eq!(refused, Err(refusal), "{}", &token[..token.len().min(200)]);
    }
    assert_eq!(verify_at(&token, &KeySet::default(), NOW), Err(Refusal::UnknownKey));
}

#[test]
fn the_three_accepted_algorithms_are_verified() {
    let rsa = json!({"keys": [{"kty": "RSA", "kid": "rsa-1", "n": RSA_MODULUS, "e": "AQAB"}]});
    let rsa = KeySet::parse(rsa.to_string().as_bytes()).unwrap();
    assert_eq!(verify_at(RSA_TOKEN, &rsa, NOW).unwrap().subject, "u-7");

    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let encode_bytes = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
    let keys = json!({"keys": [{"kty": "EC", "crv": "P-256", "x": encode_bytes(x), "y": encode_bytes(y)}]});
    let keys = KeySet::parse(keys.to_string().as_bytes()).unwrap();
    let message = format!("{}.{}", encode(&json!({"alg": "ES256"})), encode(&claims()));
    let signature = pair.sign(&random, message.as_bytes()).unwrap();
    let token = format!("{message}.{}", encode_bytes(signature.as_ref()));
    assert_eq!(verify_at(&token, &keys, NOW).unwrap().subject, "u-7");
}

fn metadata() -> Value {
    json!({
        "issuer": ISSUER, "authorization_endpoint": "https://id.example/auth",
        "token_endpoint": "https://id.example/token", "jwks_uri": "https://id.example/jwks",
        "response_types_supported": ["code", "id_token"], "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    })
}

pub(crate) fn provider() -> ProviderMetadata {
    ProviderMetadata::parse(ISSUER, metadata().to_string().as_bytes()).unwrap()
}

#[test]
fn a_provider_that_cannot_do_what_is_required_is_refused() {
    let location = ProviderMetadata::location("https://id.example/realm/").unwrap();
    assert_eq!(location.to_string(), "https://id.example/realm/.well-known/openid-configuration");
    for issuer in ["http://id.example", "http://localhost:x@evil.example", "https://id.example?x", "id.example"] {
        let mut metadata = metadata();
        metadata["issuer"] = json!(issuer);
        let refused = ProviderMetadata::parse(issuer, metadata.to_string().as_bytes());
        assert!(matches!(refused, Err(Refusal::Url { .. })), "{issuer}: {refused:?}");
    }
    let check = |key: &str, value: Value, words: &str| {
        let mut metadata = metadata();
        metadata[key] = value;
        let refused = ProviderMetadata::parse(ISSUER, metadata.to_string().as_bytes()).unwrap_err().to_string();
        assert!(refused.contains(words), "{key}: {refused}");
    };
    check("issuer", json!("https://id.example/"), "configure the issuer exactly");
    check("token_endpoint", json!("http://id.example/token"), "not HTTPS");
    check("jwks_uri", json!("http://localhost.example/jwks"), "not HTTPS");
    check("jwks_uri", json!("http://localhost:x@evil.example/jwks"), "invalid port");
    check("authorization_endpoint", json!("javascript:alert(1)"), "not HTTPS");
    check("device_authorization_endpoint", json!("http://id.example/device"), "not HTTPS");
    check("token_endpoint_auth_methods_supported", json!(["private_key_jwt"]), "client_secret_basic");
    check("jwks_uri", json!(7), "metadata is invalid");
    check("response_types_supported", json!(["id_token"]), "the code flow");
    check("code_challenge_methods_supported", json!(["plain"]), "PKCE");
    let mut local = metadata();
    local["token_endpoint"] = json!("http://127.0.0.1:9000/token");
    assert!(ProviderMetadata::parse(ISSUER, local.to_string().as_bytes()).is_ok());
    let long = format!("{}{}", metadata(), " ".repeat(DOCUMENT_BYTES_MAX));
    assert!(matches!(ProviderMetadata::parse(ISSUER, long.as_bytes()), Err(Refusal::Document { .. })));
}

#[test]
fn a_browser_is_sent_with_pkce_and_returns_with_a_code() {
    // The example of RFC 7636, appendix B.
    let (verifier, challenge) =
        ("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    let bytes = BASE64URL_NOPAD.decode(verifier.as_bytes()).unwrap().try_into().unwrap();
    let (login, url) = Login::begin(&provider(), &CLIENT, LoginSecrets { verifier: bytes, ..SECRETS }, NOW);
    let (state, nonce) = (login.state(), login.nonce());
    assert_eq!(
        url,
        format!(
            "https://id.example/auth?response_type=code&client_id=linecamp&redirect_uri=https%3A%2F%2Fcamp.example\
             %2Fapi%2Fv1%2Flogin%2Foidc%2Fcallback&scope=openid%20profile%20groups&state={state}&nonce={nonce}\
             &code_challenge={challenge}&code_challenge_method=S256"
        )
    );
    let callback = Callback { code: Some("c/1".into()), state: Some(state), iss: Some(ISSUER.into()), error: None };
    let request = login.clone().accept(&callback, &CLIENT, NOW + Duration::from_secs(599)).unwrap();
    assert!(request.form.starts_with("grant_type=authorization_code&code=c%2F1&redirect_uri=https%3A"), "{request:?}");
    assert!(request.form.ends_with(&format!("&code_verifier={verifier}&client_id=linecamp")), "{request:?}");
    let secretive = Client { secret: Some("p w:1"), ..CLIENT };
    let accept = |login: Login| login.accept(&callback, &secretive, NOW).unwrap();
    let request = accept(login.clone());
    // `linecamp:p%20w%3A1`, each part encoded before it is joined (RFC 6749, section 2.3.1).
    assert_eq!(request.authorization.as_deref(), Some("Basic bGluZWNhbXA6cCUyMHclM0Ex"));
    assert!(!request.form.contains("client_"));
    let posting = ProviderMetadata { secret_placement: SecretPlacement::Form, ..provider() };
    let posted = accept(Login::begin(&posting, &CLIENT, SECRETS, NOW).0);
    assert!(posted.form.ends_with("&client_id=linecamp&client_secret=p%20w%3A1") && posted.authorization.is_none());
    assert!(!format!("{secretive:?}").contains("p w"));
    for shown in [format!("{login:?}"), format!("{request:?}"), format!("{callback:?}"), format!("{SECRETS:?}")] {
        assert!(!shown.contains(verifier) && !shown.contains("c/1"), "{shown}");
    }
}

#[test]
fn a_return_that_does_not_belong_to_the_login_is_refused() {
    let (login, _) = Login::begin(&provider(), &CLIENT, SECRETS, NOW);
    let good = Callback {
        code: Some("c".into()),
        state: Some(login.state()),
        iss: Some(ISSUER.into()),
        ..Callback::default()
    };
    let refused = |callback: Callback, after: u64| {
        login.clone().accept(&callback, &CLIENT, NOW + Duration::from_secs(after)).unwrap_err()
    };
    assert_eq!(refused(Callback { state: None, ..good.clone() }, 0), Refusal::State);
    assert_eq!(refused(Callback { state: Some("other".into()), ..good.clone() }, 0), Refusal::State);
    assert_eq!(refused(good.clone(), 600), Refusal::TooLate);
    assert_eq!(refused(Callback { iss: Some("https://evil.example".into()), ..good.clone() }, 0), Refusal::MixUp);
    assert_eq!(refused(Callback { iss: None, ..good.clone() }, 0), Refusal::MixUp, "it always names itself");
    let denied = Callback { error: Some("access_denied".into()), code: None, ..good.clone() };
    assert_eq!(refused(denied, 0), Refusal::Provider { code: "access_denied".into() });
    assert_eq!(refused(Callback { code: None, ..good }, 0), Refusal::Malformed);
}

#[test]
fn another_browser_than_the_one_that_was_sent_is_refused() {
    let sent = SecretHash::of(b"cookie");
    assert_eq!(check_browser(&sent, Some("cookie")), Ok(()));
    for other in [None, Some(""), Some("other")] {
        assert_eq!(check_browser(&sent, other), Err(Refusal::OtherBrowser));
    }
}

#[test]
fn a_response_without_an_id_token_is_refused() {
    assert_eq!(id_token(br#"{"access_token":"a","id_token":"t"}"#), Ok("t".to_owned()));
    assert_eq!(id_token(br#"{"error":"invalid_grant"}"#), Err(Refusal::Provider { code: "invalid_grant".into() }));
    for bad in [&b"{}"[..], b"<html>", b""] {
        assert!(matches!(id_token(bad), Err(Refusal::Document { .. })));
    }
}
