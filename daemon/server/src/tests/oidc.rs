//! Logins at an identity provider that is correct, malicious, or broken.

use data_encoding::BASE64URL_NOPAD;
use linecamp_model::{Name, SecretHash};
use linecamp_proto::api::AuditEntry;
use serde_json::{Value, json};

use super::fake_provider::{CLIENT_SECRET, FakeProvider};
use super::fixture::Running;

/// A login that was sent to the provider.
struct Sent {
    cookie: String,
    state: String,
    nonce: String,
}

/// A response to a browser.
#[derive(Debug)]
struct Page {
    status: u16,
    head: String,
    body: String,
}

impl Page {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Returns the value of a cookie that the response sets.
    fn cookie(&self, name: &str) -> Option<String> {
        let set = self.head.lines().filter_map(|line| line.strip_prefix("set-cookie: "));
        let mut values = set.filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        values.find_map(|value| value.split(';').next().filter(|value| !value.is_empty())).map(str::to_owned)
    }
}

async fn server_with(provider: &FakeProvider) -> Running {
    let directory = tempfile::tempdir().unwrap();
    let oidc = provider.config(directory.path());
    Running::start_with(directory, |config| config.oidc = Some(oidc)).await
}

impl Running {
    async fn get(&self, target: &str, cookie: &str) -> Page {
        let cookie = if cookie.is_empty() { String::new() } else { format!("cookie: {cookie}\r\n") };
        let (head, body) = self.request_with(&format!("GET {target}"), &cookie, "").await;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Page { status, head, body }
    }

    async fn begin_login(&self, query: &str) -> Sent {
        let page = self.get(&format!("/api/v1/login/oidc{query}"), "").await;
        assert_eq!(page.status, 303, "{page:?}");
        let location = page.header("location").unwrap();
        let value = |name: &str| {
            let value = location.split_once(&format!("&{name}=")).unwrap().1;
            value.split('&').next().unwrap().to_owned()
        };
        let cookie = format!("__Host-linecamp-login={}", page.cookie("__Host-linecamp-login").unwrap());
        Sent { cookie, state: value("state"), nonce: value("nonce") }
    }

    async fn return_with(&self, sent: &Sent) -> Page {
        self.get(&format!("/api/v1/login/oidc/callback?code=the-code&state={}", sent.state), &sent.cookie).await
    }

    /// Logs in a browser as a person with these claims.
    async fn log_in_browser(&self, provider: &FakeProvider, edit: impl FnOnce(&mut Value)) -> Page {
        let sent = self.begin_login("").await;
        let mut claims = provider.claims(Some(&sent.nonce));
        edit(&mut claims);
        provider.issue(&claims);
        self.return_with(&sent).await
    }

    async fn users(&self) -> usize {
        self.ask("GET", "/api/v1/users", None).await.1["items"].as_array().unwrap().len()
    }

    async fn post_json(&self, target: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.ask_as(None, "POST", target, &body).await
    }

    /// Returns the entries of an operation.
    async fn entries(&self, operation: &str) -> Vec<AuditEntry> {
        let entries = self.audit_after(0).await;
        entries.into_iter().filter(|entry| entry.operation == operation).collect()
    }
}

#[tokio::test]
async fn a_login_has_an_audit_entry_with_the_user_and_is_not_repeated() {
    let provider = FakeProvider::start().await;
    let server = server_with(&provider).await;
    let sent = server.begin_login("").await;
    provider.issue(&provider.claims(Some(&sent.nonce)));
    let page = server.return_with(&sent).await;
    assert_eq!((page.status, page.header("location")), (303, Some("/api/v1/whoami")), "{page:?}");
    let session = format!("__Host-linecamp={}", page.cookie("__Host-linecamp").unwrap());
    let me = server.get("/api/v1/whoami", &session).await;
    assert!(me.status == 200 && me.body.contains("\"mara\""), "{me:?}");
    let again = server.return_with(&sent).await;
    assert!(again.status == 401 && again.body.contains("completed before"), "{again:?}");

    let entries = server.entries("session.finish-oidc").await;
    let [login, refused] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!((login.actor.kind.as_str(), login.actor.user.as_deref()), ("user", Some("mara")));
    assert_eq!((login.outcome.as_str(), refused.code.as_deref()), ("done", Some("unauthorized")));
    let written = serde_json::to_string(&server.audit_after(0).await).unwrap();
    for secret in [&sent.state, &sent.nonce, "the-code", CLIENT_SECRET, "lcs_"] {
        assert!(!written.contains(secret), "{secret}: {written}");
    }
}

#[tokio::test]
async fn a_removed_user_is_locked_out_and_a_person_without_a_role_loses_roles_and_sessions() {
    let provider = FakeProvider::start().await;
    let server = server_with(&provider).await;
    let page = server.log_in_browser(&provider, |_| ()).await;
    let session = format!("__Host-linecamp={}", page.cookie("__Host-linecamp").unwrap());
    assert_eq!(server.ask("DELETE", "/api/v1/users/mara", None).await.0, 200);
    assert_eq!(server.get("/api/v1/whoami", &session).await.status, 401);

    let page = server.log_in_browser(&provider, |_| ()).await;
    let session = format!("__Host-linecamp={}", page.cookie("__Host-linecamp").unwrap());
    let refused = server.log_in_browser(&provider, |claims| claims["groups"] = json!(["others"])).await;
    assert!(refused.status == 403 && refused.body.contains("none of your groups"), "{refused:?}");
    assert_eq!(server.get("/api/v1/whoami", &session).await.status, 401);
    let user = server.ask("GET", "/api/v1/users/mara", None).await.1;
    assert_eq!((&user["role"], &user["sessions"]), (&Value::Null, &json!(0)), "{user}");

    let withdrawn = server.entries("user.withdraw").await;
    let [withdrawn] = &withdrawn[..] else { panic!("{withdrawn:?}") };
    assert_eq!(withdrawn.actor.kind, "server");
    assert!(withdrawn.changes.iter().any(|change| change.field == "role" && change.after.is_none()), "{withdrawn:?}");
    let login = server.entries("session.finish-oidc").await.pop().unwrap();
    assert_eq!((login.account.as_deref(), login.code.as_deref()), (Some("mara"), Some("forbidden")));
}

#[tokio::test]
async fn a_token_that_does_not_hold_logs_nobody_in() {
    let provider = FakeProvider::start().await;
    let server = server_with(&provider).await;
    let claims: [(&str, Value, &str); 6] = [
        ("nonce", json!("of another login"), "the nonce of another login"),
        ("nonce", Value::Null, "the nonce of another login"),
        ("iss", json!("https://evil.example"), "another issuer"),
        ("aud", json!("another client"), "another audience"),
        ("exp", json!(1_000), "expired"),
        ("sub", json!(""), "no subject"),
    ];
    for (claim, value, problem) in claims {
        let refused = server.log_in_browser(&provider, |claims| claims[claim] = value).await;
        assert!(refused.status == 401 && refused.body.contains(problem), "{claim}: {refused:?}");
        assert_eq!(refused.cookie("__Host-linecamp"), None);
    }
    let headers = [
        (json!({"alg": "none"}), "signed with `none`"),
        (json!({"alg": "HS256", "kid": "k-1"}), "signed with `HS256`"),
        (json!({"alg": "EdDSA", "kid": "another"}), "does not publish"),
        (json!({"alg": "RS256", "kid": "k-1"}), "does not publish"),
    ];
    for (header, problem) in headers {
        let sent = server.begin_login("").await;
        provider.issue_signed(&header, &provider.claims(Some(&sent.nonce)));
        let refused = server.return_with(&sent).await;
        assert!(refused.status == 401 && refused.body.contains(problem), "{header}: {refused:?}");
    }
    assert!(provider.asked("/jwks") <= 2, "unknown keys cause no traffic");
    assert_eq!(server.users().await, 1);
}

#[tokio::test]
async fn a_return_that_was_not_sent_is_refused() {
    let provider = FakeProvider::start().await;
    let server = server_with(&provider).await;
    let check = async |target: String, cookie: &str, status: u16, problem: &str| {
        let refused = server.get(&format!("/api/v1/login/oidc{target}"), cookie).await;
        assert!(refused.status == status && refused.body.contains(problem), "{target}: {refused:?}");
    };
    check("/callback?code=c&state=made-up".into(), "", 401, "not begun here").await;
    check("/callback?code=c".into(), "", 401, "not begun here").await;
    let sent = server.begin_login("").await;
    check(format!("/callback?code=c&state={}", sent.state), "", 401, "another browser").await;
    check(format!("/callback?code=c&state={}", sent.state), &sent.cookie, 401, "completed before").await;
    let sent = server.begin_login("").await;
    let evil = format!("/callback?code=c&state={}&iss=https://evil.example", sent.state);
    check(evil, &sent.cookie, 401, "another provider").await;
    let sent = server.begin_login("").await;
    let denied = format!("/callback?error=access_denied&state={}", sent.state);
    check(denied, &sent.cookie, 401, "access_denied").await;
    for path in ["//evil.example", "https://evil.example", "/%5Cevil.example", "sites"] {
        check(format!("?return_to={path}"), "", 400, "return_to").await;
    }
    check("?port=80&challenge=c&state=s".into(), "", 400, "port").await;
    check("?redirect_uri=https://evil.example".into(), "", 400, "redirect_uri").await;
    assert_eq!((provider.asked("/token"), server.users().await), (0, 1));
}

#[tokio::test]
async fn a_provider_that_fails_is_named_without_a_secret() {
    let provider = FakeProvider::start().await;
    let server = server_with(&provider).await;
    let large = " ".repeat(linecamp_oidc::DOCUMENT_BYTES_MAX + 1);
    let answers: [(u16, &'static str, String); 4] = [
        (200, "", large.clone()),
        (302, "location: http://127.0.0.1:1/\r\n", String::new()),
        (500, "", "{\"id_token\":\"t\"}".to_owned()),
        (404, "", String::new()),
    ];
    for answer in answers {
        let sent = server.begin_login("").await;
        provider.answer_with("/token", answer);
        let failed = server.return_with(&sent).await;
        assert!(failed.status == 503 && failed.body.contains("Log in with a password"), "{failed:?}");
        assert!(!failed.body.contains(CLIENT_SECRET) && !failed.body.contains("the-code"), "{failed:?}");
    }
    for (status, body) in [(200, "<html>"), (400, "{\"error\":\"invalid_grant\"}")] {
        let sent = server.begin_login("").await;
        provider.answer_with("/token", (status, "", body.to_owned()));
        assert_eq!(server.return_with(&sent).await.status, 401);
    }
    assert_eq!(server.users().await, 1);

    // What it publishes about itself is read when it is needed, and not again at once after a failure.
    let broken = FakeProvider::start().await;
    broken.answer_with("/.well-known/openid-configuration", (200, "", large));
    let server = server_with(&broken).await;
    for _ in 0..3 {
        let failed = server.get("/api/v1/login/oidc", "").await;
        assert_eq!(failed.status, 503, "{failed:?}");
    }
    assert_eq!(broken.asked("/.well-known/openid-configuration"), 1);
}

#[tokio::test]
async fn a_code_for_a_program_is_exchanged_once_and_by_this_program_only() {
    let provider = FakeProvider::start().await;
    let server = server_with(&provider).await;
    let challenge = BASE64URL_NOPAD.encode(SecretHash::of(b"the verifier").as_bytes());
    let code = async || {
        let sent = server.begin_login(&format!("?port=4000&challenge={challenge}&state=s-1")).await;
        provider.issue(&provider.claims(Some(&sent.nonce)));
        let page = server.return_with(&sent).await;
        assert_eq!(page.cookie("__Host-linecamp"), None, "the browser gets no session");
        let location = page.header("location").unwrap();
        assert!(location.starts_with("http://127.0.0.1:4000/?code=") && location.ends_with("&state=s-1"), "{page:?}");
        location.split_once("code=").unwrap().1.split('&').next().unwrap().to_owned()
    };
    let redeem = async |code: &str, verifier: &str| {
        server.post_json("/api/v1/login/oidc/token", json!({"code": code, "verifier": verifier})).await
    };
    let stolen = code().await;
    assert_eq!(redeem(&stolen, "a guess").await.0, 401);
    assert_eq!(redeem(&stolen, "the verifier").await.0, 401, "an attempt uses it up");
    let own = code().await;
    let (status, answer) = redeem(&own, "the verifier").await;
    assert_eq!((status, &answer["caller"]["user"]), (200, &json!("mara")), "{answer}");
    assert!(answer["secret"].as_str().unwrap().starts_with("lcs_"));
    assert_eq!(redeem(&own, "the verifier").await.0, 401);

    // A program that waits is told why a login is refused.
    let sent = server.begin_login(&format!("?port=4000&challenge={challenge}&state=s-1")).await;
    provider.issue(&provider.claims(Some("another")));
    let location = server.return_with(&sent).await.header("location").unwrap().to_owned();
    assert!(location.starts_with("http://127.0.0.1:4000/?error=access_denied"), "{location}");
}

#[tokio::test]
async fn a_device_waits_without_filling_the_audit_log() {
    let provider = FakeProvider::start().await;
    let server = server_with(&provider).await;
    provider.answer(
        "/device",
        &json!({
            "device_code": "d-1", "user_code": "WDJB-MJHT", "verification_uri": "https://id.example/device",
            "expires_in": 900, "interval": 1,
        }),
    );
    provider.answer_with("/token", (400, "", "{\"error\":\"authorization_pending\"}".to_owned()));
    let (status, begun) = server.post_json("/api/v1/login/oidc/device", Value::Null).await;
    assert_eq!((status, &begun["user_code"]), (200, &json!("WDJB-MJHT")), "{begun}");
    assert!(!begun.to_string().contains("d-1"), "the device's code stays at the server: {begun}");
    let poll =
        async |handle: &Value| server.post_json("/api/v1/login/oidc/device/token", json!({"handle": handle})).await;
    for _ in 0..3 {
        let (status, state) = poll(&begun["handle"]).await;
        assert_eq!((status, &state["logged_in"], &state["retry_after_seconds"]), (200, &Value::Null, &json!(1)));
    }
    assert_eq!(poll(&json!("made up")).await.0, 401);
    provider.issue(&provider.claims(None));
    let logged_in = super::fixture::soon(async {
        loop {
            let (status, state) = poll(&begun["handle"]).await;
            assert_eq!(status, 200, "{state}");
            if !state["logged_in"].is_null() {
                return state;
            }
        }
    })
    .await;
    assert_eq!(logged_in["logged_in"]["caller"]["user"], "mara");
    assert_eq!(poll(&begun["handle"]).await.0, 401, "it is used up");
    let entries = server.entries("session.finish-device").await;
    let outcomes: Vec<_> = entries.iter().map(|entry| (entry.outcome.as_str(), entry.actor.user.as_deref())).collect();
    assert_eq!(outcomes, [("refused", None), ("done", Some("mara"))]);
}

#[tokio::test]
async fn without_a_provider_each_login_there_says_so() {
    let server = Running::start().await;
    let begun = server.get("/api/v1/login/oidc", "").await;
    assert!(begun.status == 409 && begun.body.contains("no identity provider is configured"), "{begun:?}");
    let (status, refused) = server.post_json("/api/v1/login/oidc/device", Value::Null).await;
    assert_eq!((status, &refused["code"]), (409, &json!("not-possible")), "{refused}");
}

#[tokio::test]
async fn the_console_does_not_give_a_password_to_a_person_at_the_provider() {
    let provider = FakeProvider::start().await;
    let server = server_with(&provider).await;
    assert_eq!(server.log_in_browser(&provider, |_| ()).await.status, 303);
    let stopped = server.stop().await;
    let refused = crate::reset_password(&stopped.layout, &Name::parse("mara").unwrap()).map(drop).unwrap_err();
    assert!(refused.to_string().contains("identity provider"), "{refused}");
}
