//! Requests whose handlers panic.

use std::io;
use std::sync::{Arc, Mutex};

use linecamp_model::SecretHash;

use super::api_fixture::Bare;
use crate::api::CHANGE_RATE;
use crate::fleet_client::RequestError;

/// The workspace manifest, which contains the release profile of the server.
const MANIFEST: &str = include_str!("../../../../Cargo.toml");

/// A log captured in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_panicking_request_is_answered_and_logged_and_the_server_continues() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let bare = Bare::start().await;
    let answer = bare.ask("GET /defect").await;
    assert!(answer.starts_with("HTTP/1.1 500 ") && answer.contains("\"internal\""), "{answer}");
    assert!(bare.ask("GET /api/v1/sites").await.starts_with("HTTP/1.1 200 "));
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let line = text.lines().find(|line| line.contains("ERROR")).expect("it is an error in the log");
    assert!(line.contains("GET /defect") && line.contains("a bug in a handler"), "{line}");
}

#[tokio::test]
async fn a_list_that_panics_ends_only_its_request() {
    let bare = Bare::start().await;
    let fleet = bare.api.fleet_client();
    let found = fleet.read(|_, _| panic!("a bug in a list")).await;
    assert!(matches!(found, Err::<(), _>(RequestError::Panicked)));
    assert!(bare.ask("GET /api/v1/sites").await.starts_with("HTTP/1.1 200 "));
}

#[test]
fn the_release_profile_of_the_server_unwinds() {
    let (_, profile) = MANIFEST.split_once("[profile.server]").expect("the server has a profile");
    let profile = profile.split("\n[").next().unwrap_or_default();
    assert!(profile.contains("panic = \"unwind\""), "{profile}");
}

#[tokio::test]
async fn changes_by_one_key_are_rate_limited_and_reads_are_not() {
    let bare = Bare::start().await;
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..3 * CHANGE_RATE.burst {
        match bare.api.charge_changes(bare.key.hash(), 1) {
            Ok(()) => taken += 1,
            Err(_) => refused += 1,
        }
    }
    assert!((CHANGE_RATE.burst..CHANGE_RATE.burst + 1_000).contains(&taken), "{taken} taken, {refused} refused");
    let mut answer = String::new();
    // A change may be allowed again by the time that a request takes.
    for _ in 0..100 {
        while bare.api.charge_changes(bare.key.hash(), 1).is_ok() {}
        answer = bare.ask("DELETE /api/v1/tokens/x").await;
        if answer.starts_with("HTTP/1.1 429 ") {
            break;
        }
    }
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert!(answer.contains("retry-after: 1\r\n") && answer.contains("\"too-many-requests\""), "{answer}");
    assert!(bare.ask("GET /api/v1/sites").await.starts_with("HTTP/1.1 200 "));
    let other = SecretHash::of(b"another key");
    assert!(bare.api.charge_changes(other, 1).is_ok(), "another key has its own rate");
}
