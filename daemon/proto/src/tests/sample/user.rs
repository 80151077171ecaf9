//! Users, their API keys and their sessions.

use linecamp_model::{
    Access, CallerAccount, IdempotencyKeyHash, KeptAnswer, KeyId, OidcIdentity, PasswordHash, RequestDigest, RequestId,
    Role, ServerSettings, User, UserSession, UserSessionId,
};

use super::*;

/// The records about users, and the settings.
pub(super) fn fleet_records() -> Vec<(&'static str, FleetChange)> {
    vec![
        ("api-key-of-user", FleetChange::ApiKey(SecretHash::from_bytes([0x89; 32]), Some(api_key()))),
        ("user", FleetChange::User(name("anna"), Some(person()))),
        ("user-oidc", FleetChange::User(name("mara"), Some(person_at_provider()))),
        ("user-service", FleetChange::User(name("deploy"), Some(service_account()))),
        ("user-session", FleetChange::UserSession(SecretHash::from_bytes([0x8a; 32]), Some(session()))),
        (
            "kept-answer",
            FleetChange::KeptAnswer(IdempotencyKeyHash::from_bytes([0x8d; 32]), Some(Box::new(kept_answer()))),
        ),
        ("settings", FleetChange::Settings(Some(settings()))),
    ]
}

fn person() -> User {
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
    User {
        password: Some(PasswordHash::parse(hash).expect("valid")),
        oidc: None,
        must_change_password: true,
        access: access(),
        created_at: WALL,
        disabled_at: None,
    }
}

fn service_account() -> User {
    User { password: None, must_change_password: false, disabled_at: Some(LATER), ..person() }
}

fn person_at_provider() -> User {
    let oidc = OidcIdentity::new("https://id.example/realm", "u-7").expect("valid");
    User { password: None, oidc: Some(oidc), must_change_password: false, ..person() }
}

fn api_key() -> ApiKey {
    ApiKey {
        id: KeyId::from_bytes([0x8b; 8]),
        name: name("deploy"),
        user: Some(name("anna")),
        limit: Some(access()),
        created_at: WALL,
        expires_at: Some(LATER),
        is_replaced: true,
    }
}

fn session() -> UserSession {
    UserSession {
        id: UserSessionId::from_bytes([0x8c; 8]),
        user: name("anna"),
        created_at: WALL,
        ends_at: LATER,
        address: Some("192.0.2.7".parse().expect("valid")),
    }
}

fn settings() -> ServerSettings {
    let server_url = ServerAddress::parse("camp.example:8443").expect("valid");
    ServerSettings { server_url, confirmed_at: WALL }
}

fn access() -> Access {
    Access { everywhere: Some(Role::Operator), environments: [(name("lab"), Role::Admin)].into() }
}

fn kept_answer() -> KeptAnswer {
    KeptAnswer {
        account: CallerAccount::User(name("anna")),
        operation: Text::lossy("environment.create"),
        digest: RequestDigest::from_bytes([0x8e; 32]),
        request: RequestId::from_bytes([0x8f; 8]),
        at: WALL,
        answer: r#"{"name":"lab"}"#.to_owned(),
    }
}
