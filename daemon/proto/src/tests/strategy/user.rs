//! Users, their API keys and their sessions.

use linecamp_model::{
    Access, CallerAccount, IdempotencyKeyHash, KeptAnswer, KeyId, OidcIdentity, PasswordHash, RequestDigest, RequestId,
    Role, ServerSettings, User, UserSession, UserSessionId,
};

use super::*;

fn access() -> impl Strategy<Value = Access> {
    let roles = || select(Role::ALL);
    (option::of(roles()), btree_map(name(), roles(), 0..4))
        .prop_map(|(everywhere, environments)| Access { everywhere, environments })
}

fn user() -> impl Strategy<Value = User> {
    let password = word(&['a', '0', '+', '/'], 60).prop_map(|text| PasswordHash::parse(&format!("$argon2id${text}")));
    let password = option::of(password.prop_map(|hash| hash.expect("valid")));
    let identity = (word(&['a', ':', '/'], 60), word(&['u', '-', '7', 'é'], 20))
        .prop_map(|(issuer, subject)| OidcIdentity::new(&format!("i{issuer}"), &format!("u{subject}")).expect("valid"));
    (password, option::of(identity), any::<bool>(), access(), wall(), option::of(wall())).prop_map(
        |(password, oidc, must_change_password, access, created_at, disabled_at)| User {
            password,
            oidc,
            must_change_password,
            access,
            created_at,
            disabled_at,
        },
    )
}

fn api_key() -> impl Strategy<Value = ApiKey> {
    let id = uniform8(any::<u8>()).prop_map(KeyId::from_bytes);
    let times = (wall(), option::of(wall()), any::<bool>());
    (id, name(), option::of(name()), option::of(access()), times).prop_map(|(id, name, user, limit, times)| ApiKey {
        id,
        name,
        user,
        limit,
        created_at: times.0,
        expires_at: times.1,
        is_replaced: times.2,
    })
}

fn session() -> impl Strategy<Value = UserSession> {
    let id = uniform8(any::<u8>()).prop_map(UserSessionId::from_bytes);
    (id, name(), wall(), wall(), option::of(provider::address()))
        .prop_map(|(id, user, created_at, ends_at, address)| UserSession { id, user, created_at, ends_at, address })
}

fn settings() -> impl Strategy<Value = ServerSettings> {
    (name(), 1..=u16::MAX, wall()).prop_map(|(host, port, confirmed_at)| {
        let server_url = ServerAddress::parse(&format!("{host}.example:{port}")).expect("valid");
        ServerSettings { server_url, confirmed_at }
    })
}

pub(super) fn account() -> impl Strategy<Value = CallerAccount> {
    prop_oneof![
        name().prop_map(CallerAccount::User),
        uniform8(any::<u8>()).prop_map(|id| CallerAccount::Key(KeyId::from_bytes(id))),
        Just(CallerAccount::Console),
    ]
}

fn kept_answer() -> impl Strategy<Value = KeptAnswer> {
    let ids = (uniform32(any::<u8>()), uniform8(any::<u8>()));
    (account(), ids, wall(), ".{0,40}").prop_map(|(account, (digest, request), at, answer)| KeptAnswer {
        account,
        operation: Text::lossy("token.create"),
        digest: RequestDigest::from_bytes(digest),
        request: RequestId::from_bytes(request),
        at,
        answer,
    })
}

/// Any record about users, of the settings, or of a kept answer.
pub(super) fn fleet_record() -> impl Strategy<Value = FleetChange> {
    let digest = || uniform32(any::<u8>()).prop_map(SecretHash::from_bytes);
    prop_oneof![
        (digest(), api_key()).prop_map(|(hash, body)| FleetChange::ApiKey(hash, Some(body))),
        (name(), user()).prop_map(|(name, body)| FleetChange::User(name, Some(body))),
        (digest(), session()).prop_map(|(hash, body)| FleetChange::UserSession(hash, Some(body))),
        (uniform32(any::<u8>()), kept_answer()).prop_map(|(hash, kept)| {
            FleetChange::KeptAnswer(IdempotencyKeyHash::from_bytes(hash), Some(Box::new(kept)))
        }),
        settings().prop_map(|body| FleetChange::Settings(Some(body))),
    ]
}
