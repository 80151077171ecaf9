//! An identity provider on the loopback interface, which answers whatever a test tells it to.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use data_encoding::BASE64URL_NOPAD;
use linecamp_model::Role;
use linecamp_oidc::GroupRole;
use linecamp_transport::{SystemClock, WallClock as _};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::OidcConfig;

/// The secret of the server at the provider.
pub(super) const CLIENT_SECRET: &str = "the-secret-of-the-client";

/// A response: the status, more headers, and the body.
type Answer = (u16, &'static str, String);

/// What the provider has, and what it was asked.
#[derive(Debug, Default)]
struct Shared {
    answers: BTreeMap<&'static str, Answer>,
    asked: Vec<String>,
}

/// The provider. It stops with the runtime of the test.
pub(super) struct FakeProvider {
    issuer: String,
    key: Ed25519KeyPair,
    shared: Arc<Mutex<Shared>>,
}

impl FakeProvider {
    /// Starts a provider that publishes correct metadata and one key.
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let shared: Arc<Mutex<Shared>> = Arc::default();
        tokio::spawn(serve(listener, Arc::clone(&shared)));
        let provider = Self { issuer, key, shared };
        provider.answer("/.well-known/openid-configuration", &provider.metadata());
        let x = BASE64URL_NOPAD.encode(provider.key.public_key().as_ref());
        provider.answer("/jwks", &json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k-1", "x": x}]}));
        provider
    }

    pub(super) fn metadata(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer);
        json!({
            "issuer": self.issuer, "authorization_endpoint": at("/auth"), "token_endpoint": at("/token"),
            "jwks_uri": at("/jwks"), "device_authorization_endpoint": at("/device"),
            "response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"],
        })
    }

    /// Returns the settings of a server that uses it. The file with the secret is in `directory`.
    pub(super) fn config(&self, directory: &Path) -> OidcConfig {
        let secret = directory.join("oidc-secret");
        std::fs::write(&secret, CLIENT_SECRET).unwrap();
        OidcConfig {
            issuer: self.issuer.clone(),
            client_id: "linecamp".to_owned(),
            secret_file: Some(secret),
            ca_file: None,
            scopes: "groups".to_owned(),
            groups_claim: "groups".to_owned(),
            groups: vec![GroupRole { group: "ops".to_owned(), role: Role::Operator, environment: None }],
        }
    }

    /// Answers requests for a path with a document from now on.
    pub(super) fn answer(&self, path: &'static str, document: &Value) {
        self.answer_with(path, (200, "", document.to_string()));
    }

    pub(super) fn answer_with(&self, path: &'static str, answer: Answer) {
        self.shared.lock().unwrap().answers.insert(path, answer);
    }

    /// Returns how often a path was requested.
    pub(super) fn asked(&self, path: &str) -> usize {
        self.shared.lock().unwrap().asked.iter().filter(|asked| *asked == path).count()
    }

    /// Returns the claims of a person in the group `ops`.
    pub(super) fn claims(&self, nonce: Option<&str>) -> Value {
        let now = SystemClock.now().unix_millis() / 1000;
        json!({
            "iss": self.issuer, "aud": "linecamp", "sub": "u-7", "iat": now, "exp": now + 600, "nonce": nonce,
            "preferred_username": "mara", "groups": ["ops"],
        })
    }

    /// Answers the token endpoint with an ID token that has these claims.
    pub(super) fn issue(&self, claims: &Value) {
        self.issue_signed(&json!({"alg": "EdDSA", "kid": "k-1"}), claims);
    }

    /// Answers the token endpoint with an ID token that has this header and these claims.
    pub(super) fn issue_signed(&self, header: &Value, claims: &Value) {
        let encode = |part: &Value| BASE64URL_NOPAD.encode(part.to_string().as_bytes());
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = BASE64URL_NOPAD.encode(self.key.sign(message.as_bytes()).as_ref());
        self.answer("/token", &json!({"id_token": format!("{message}.{signature}")}));
    }
}

async fn serve(listener: TcpListener, shared: Arc<Mutex<Shared>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move { drop(exchange(stream, &shared).await) });
    }
}

async fn exchange(stream: TcpStream, shared: &Mutex<Shared>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await? == 0 {
            return Ok(());
        }
    }
    for line in head.lines() {
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
    }
    stream.read_exact(&mut vec![0; length]).await?;
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let (status, headers, body) = {
        let mut shared = shared.lock().unwrap();
        shared.asked.push(path.clone());
        shared.answers.get(&*path).cloned().unwrap_or((404, "", String::new()))
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status} -\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    stream.shutdown().await
}
