//! The directory: initialized once, used by one process, rejected when incomplete.

use std::fs;

use linecamp_model::limits::API_KEYS_MAX;
use linecamp_model::{ApiKey, EventKind, FleetChange, Name, Pin, SecretHash, WallTime};
use linecamp_store::{Change, Kind, OnCorruption, Store};

use super::fixture::{Running, config};
use crate::{ApiKeyText, Layout, Overrides, Server, ServerError, ServerUrl, create_key, init, keys, remove_key};

fn url() -> ServerUrl {
    ServerUrl::parse("https://localhost:8443").unwrap()
}

fn made() -> (tempfile::TempDir, Layout) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path().join("server"));
    init(&layout, &url(), &["camp.example".to_owned()]).unwrap();
    (dir, layout)
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

#[test]
fn init_prints_key_and_pin_and_rejects_a_second_run() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path().join("server"));
    let made = init(&layout, &url(), &[]).unwrap();
    let lines = made.report(&layout, &url());
    let key = lines[0].strip_prefix("admin key: ").unwrap();
    assert_eq!(ApiKeyText::parse(key), Some(made.admin_key.clone()));
    assert_eq!(lines[1], format!("admin password: {}", made.reveal_password()));
    let pin = lines[2].strip_prefix("pin: ").unwrap();
    assert_eq!(Pin::parse(pin), Ok(made.pin));
    let names = fs::read_to_string(layout.ca().join("names")).unwrap();
    assert_eq!(names, "localhost\n127.0.0.1\n::1\n");

    let again = init(&layout, &url(), &[]).unwrap_err();
    assert!(matches!(again, ServerError::Initialized { .. }), "{again}");
    assert!(again.blames_input() && again.to_string().contains("linecamp-server run --data"));

    fs::remove_file(layout.config()).unwrap();
    let half = init(&layout, &url(), &[]).unwrap_err();
    assert!(matches!(half, ServerError::PartlyInitialized { .. }), "{half}");
}

#[test]
fn keys_are_added_and_removed_while_the_server_is_stopped() {
    let (_dir, layout) = made();
    let shown = |layout: &Layout| {
        let keys = keys(layout).unwrap();
        keys.iter().map(|key| key.name.to_string()).collect::<Vec<_>>()
    };
    create_key(&layout, name("ci")).unwrap();
    assert_eq!(shown(&layout), ["admin", "ci"]);
    assert!(matches!(create_key(&layout, name("ci")), Err(ServerError::KeyExists { .. })));
    remove_key(&layout, name("admin")).unwrap();
    assert_eq!(shown(&layout), ["ci"]);
    assert!(matches!(remove_key(&layout, name("admin")), Err(ServerError::KeyUnknown { .. })));
}

#[test]
fn a_key_beyond_the_limit_is_rejected() {
    let (_dir, layout) = made();
    let key = |number: usize| {
        let secret = SecretHash::of(&number.to_be_bytes());
        let key = ApiKey::of_console(secret, name(&format!("key-{number}")), WallTime::EPOCH);
        FleetChange::ApiKey(secret, Some(key))
    };
    // The admin key exists already.
    let nearly_all: Vec<_> = (2..API_KEYS_MAX).map(key).collect();
    crate::drivers::store::write_once(&layout.database(), &nearly_all).unwrap();
    create_key(&layout, name("last")).unwrap();
    assert!(matches!(create_key(&layout, name("one-more")), Err(ServerError::KeysFull)));
    remove_key(&layout, name("last")).unwrap();
    create_key(&layout, name("one-more")).unwrap();
}

#[tokio::test]
async fn a_data_directory_has_one_process() {
    let running = Running::start().await;
    let error = Server::start(config(&running.layout)).await.unwrap_err();
    assert!(!error.needs_operator() && !error.blames_input(), "{error}");
    assert!(error.to_string().ends_with("Stop it first: systemctl stop linecamp-server"), "{error}");
    assert!(keys(&running.layout).unwrap_err().to_string().contains("locked"));
    running.server.stop().await.unwrap();
    assert_eq!(keys(&running.layout).unwrap().len(), 1);
}

#[tokio::test]
async fn an_address_in_use_is_reported_with_a_command_that_finds_its_owner() {
    let (first, (_dir, layout)) = (Running::start().await, made());
    for is_quic in [true, false] {
        let mut config = config(&layout);
        match is_quic {
            true => config.quic = first.server.quic_addr(),
            false => config.https = first.server.https_addr(),
        }
        let taken = if is_quic { config.quic } else { config.https };
        let error = Server::start(config).await.unwrap_err();
        assert!(error.to_string().contains(&taken.to_string()), "{error}");
        assert!(error.advice().unwrap().contains(&format!("sport = :{}", taken.port())));
        assert!(!error.needs_operator() && !error.blames_input());
    }
}

#[tokio::test]
async fn a_missing_file_is_reported_and_needs_an_operator() {
    let (dir, layout) = made();
    let nothing = Layout::new(dir.path().join("nothing"));
    let error = crate::Config::load(nothing, None, Overrides::default()).unwrap_err();
    assert!(error.blames_input() && error.to_string().contains("linecamp-server init"), "{error}");

    fs::remove_file(layout.database()).unwrap();
    let error = Server::start(config(&layout)).await.unwrap_err();
    assert!(error.needs_operator() && error.to_string().contains("fleet.db"), "{error}");

    fs::remove_file(layout.ca().join("key.pem")).unwrap();
    let error = Server::start(config(&layout)).await.unwrap_err();
    assert!(error.needs_operator() && error.to_string().contains("key.pem"), "{error}");
}

/// An unreadable record affects only what it describes; the server starts and serves.
#[tokio::test]
async fn unreadable_records_do_not_prevent_the_server_from_starting() {
    let (_dir, layout) = made();
    let site = "11".repeat(16);
    let opened = Store::open(&layout.database(), Kind::Fleet, OnCorruption::Refuse, drop).unwrap();
    let keys =
        ["token/zz".to_owned(), format!("site/{site}"), format!("site/{site}/status/site"), "event/1".to_owned()];
    let changes = keys.iter().map(|key| Change { key: key.clone().into_bytes(), body: Some(vec![1]) });
    opened.store.submit(1, changes.collect()).unwrap();
    opened.store.close();
    for _ in 0..2 {
        let server = Server::start(config(&layout)).await.unwrap();
        server.stop().await.unwrap();
    }
    let saved = crate::drivers::store::open(&layout.database()).unwrap().saved;
    let logged = saved.records.iter().filter(|record| {
        matches!(record, FleetChange::Event(_, Some(logged)) if logged.event.kind == EventKind::RecordUnreadable)
    });
    assert_eq!(logged.count(), 4 + 3, "each is logged at each start, and the status is gone since the first");
}
