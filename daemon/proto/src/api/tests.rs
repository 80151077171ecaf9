use std::time::Duration;

use linecamp_model as model;
use linecamp_model::{
    ConditionKind, EffectiveLabel, EffectiveLabels, EventKind, EventView, Generation, HostId, HostView, JoinSecret,
    JoinTarget, JoinToken, LabelKey, LabelValue, Level, LinkState, LinkView, Name, Origin, Owner, Parent, Phase, Pin,
    ServerAddress, SiteId, SiteView, Text, TokenId, TokenState, TokenView, WallTime,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;

fn name(text: &str) -> Name {
    Name::parse(text).expect("valid")
}

fn minute(minutes: u64) -> WallTime {
    WallTime::from_unix_millis(1_795_314_420_000 + minutes * 60_000)
}

fn labels() -> EffectiveLabels {
    let rack = EffectiveLabel {
        value: LabelValue::parse("r7").expect("valid"),
        owner: Owner::Assigned,
        level: Level::Site,
        since: minute(3),
    };
    EffectiveLabels::from([(LabelKey::parse("rack").expect("valid"), rack)])
}

pub(crate) fn site() -> SiteView {
    let id = SiteId::from_bytes([0x11; 16]);
    let link = LinkView { state: LinkState::Reconnecting, since: minute(9), address: Text::lossy("192.0.2.7:4711") };
    let host = HostView {
        id: HostId::from_bytes([0x22; 16]),
        name: name("camp-042"),
        site: name("camp-042"),
        environment: name("default"),
        origin: Origin::Gateway,
        description: Text::default(),
        phase: Phase::Active,
        phase_since: minute(1),
        waits_for: None,
        link: link.clone(),
        via: Parent::Server,
        joined_at: minute(0),
        daemon_version: Text::lossy("0.1.0"),
        conditions: Vec::new(),
        spec_generation: Generation(19),
        labels: labels(),
    };
    SiteView {
        id,
        name: name("camp-042"),
        environment: name("default"),
        description: Text::lossy("behind the shop"),
        phase: Phase::Deactivating,
        phase_since: minute(8),
        waits_for: Some(Text::lossy("the site to confirm spec 19")),
        link,
        labels: labels(),
        spec_generation: Generation(19),
        applied_generation: Generation(18),
        converged_generation: Generation(17),
        daemon_version: Text::lossy("0.1.0"),
        joined_at: minute(0),
        token: TokenId::from_bytes([7; 8]),
        recoveries: 2,
        hosts: vec![host],
        conditions: vec![model::Condition {
            kind: ConditionKind::ClockSkew,
            since: minute(5),
            detail: Text::lossy("ahead by 7 min"),
        }],
    }
}

fn token() -> TokenView {
    TokenView {
        replaces: None,
        hosts_of: None,
        id: TokenId::from_bytes([7; 8]),
        environment: name("default"),
        created_at: minute(0),
        expires_at: minute(60),
        uses_max: 50,
        uses_left: 49,
        labels: labels(),
        state: TokenState::UsedUp,
    }
}

/// Checks that a value round-trips through JSON, and returns the JSON for a snapshot: scripts depend on it.
pub(crate) fn written<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(value: &T) -> String {
    let text = serde_json::to_string_pretty(value).expect("serialises");
    assert_eq!(&serde_json::from_str::<T>(&text).expect("own text reads"), value);
    text
}

#[test]
fn a_site_is_written_as_promised() {
    insta::assert_snapshot!(written(&Site::from(&site())));
}

#[test]
fn a_token_an_event_an_environment_and_a_preview_are_written_as_promised() {
    let event = EventView {
        seq: 41,
        site: Some(name("camp-042")),
        event: model::Event {
            at: minute(1),
            kind: EventKind::SiteJoined,
            site: None,
            host: None,
            text: Text::lossy("joined"),
        },
        received_at: Some(minute(2)),
        actor: Some(Text::lossy("user anna")),
    };
    let rules =
        model::Environment { approval: true, recoveries_per_day_max: 3, removed_keep: Duration::from_secs(3600) };
    let all = [
        written(&List::from_iter([Token::from(&token())])),
        written(&Event::from(&event)),
        written(&Environment::new(&name("default"), &rules, 12)),
        written(&Preview::from(&[Site::from(&site())][..])),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn a_new_token_serializes_its_secret_and_omits_it_from_logs() {
    let secret =
        JoinToken { id: TokenId::from_bytes([7; 8]), secret: JoinSecret::from_bytes([9; 16]), pin: Pin::of(b"ca") };
    let target = JoinTarget {
        servers: ServerAddress::parse_list("camp.example:8443,[::1]:8444").expect("valid"),
        token: secret.clone(),
    };
    let created = TokenCreated::new((&token()).into(), &target);
    assert_eq!(created.join, format!("{}@camp.example:8443,[::1]:8444", secret.reveal()));
    let command =
        format!("printf '%s\\n' '{}' | sudo linecampd join - --data /var/lib/linecamp --name NAME", created.join);
    assert_eq!(created.command, command);
    assert!(!format!("{created:?}").contains(&secret.reveal()));
    written(&created);
}

#[test]
fn a_label_change_is_validated_when_it_is_parsed() {
    let change = |text: &str| serde_json::from_str::<LabelChange>(text).expect("reads");
    let patch = change(r#"{"set":{"rack":" r7 "},"remove":["tier"]}"#).to_patch().expect("valid");
    assert_eq!(LabelChange::from(&patch), change(r#"{"set":{"rack":"r7"},"remove":["tier"]}"#));
    assert!(change(r#"{"set":{"ra ck":"r7"}}"#).to_patch().is_err());
    assert!(change(r#"{"remove":["-"]}"#).to_patch().is_err());
    let many: BTreeMap<_, _> = (0..65).map(|index| (format!("k{index}"), String::new())).collect();
    let many = LabelChange { set: many, ..LabelChange::default() };
    assert_eq!(many.to_patch(), Err(model::LabelError::TooMany { count: 65 }));
}

#[test]
fn unknown_fields_are_rejected_in_requests_and_ignored_in_responses() {
    assert!(serde_json::from_str::<Edit>(r#"{"nmae":"x"}"#).is_err());
    assert!(serde_json::from_str::<TokenRequest>(r#"{"environment":"e","ttl_seconds":1,"uses":1,"use":2}"#).is_err());
    let link: Link = serde_json::from_str(r#"{"state":"connected","since":"","address":"","speed":9}"#).expect("reads");
    assert!(link.is_connected());
}

#[test]
fn an_error_code_of_a_newer_server_is_still_an_error() {
    let problem = r#"{"type":"urn:x","title":"On fire","status":599,"detail":"run","code":"on-fire","more":1}"#;
    let problem: Problem = serde_json::from_str(problem).expect("reads");
    assert_eq!((problem.code, &*problem.detail), (ErrorCode::Unknown, "run"));
    let body: ErrorBody = serde_json::from_str(r#"{"error":{"code":"on-fire","message":"run"}}"#).expect("reads");
    assert_eq!(body.error, Error::new(ErrorCode::Unknown, "run"));
}
