//! Event streams, as their clients see them.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::Request;
use h2::RecvStream;
use linecamp_core::{BACKLOG_MESSAGES_MAX, MessageKind, STREAMS_MAX, STREAMS_PER_USER_MAX, StreamSubject};
use linecamp_proto::api::{Event, EventSource, STREAM_HEARTBEAT_SECONDS, StreamMessage};
use linecamp_transport::{ApiTrust, ClientTlsStream, connect};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::api_fixture::Bare;
use super::fixture::{Running, soon};
use crate::drivers::https::{OVERDUE_PERIOD, REQUEST_LIMIT};

/// A client over HTTP/1.1.
struct Follower {
    stream: ClientTlsStream,
    head: String,
    /// What was received and not taken yet.
    text: String,
}

impl Follower {
    /// Opens a stream with further headers.
    async fn open(server: &Running, authorization: &str, query: &str, headers: &str) -> Self {
        let trust = ApiTrust::Pin(server.server.pin());
        let mut stream = soon(connect("127.0.0.1", server.server.https_addr().port(), &trust)).await.unwrap();
        let head = format!(
            "GET /api/v1/stream{query} HTTP/1.1\r\nhost: localhost\r\nauthorization: {authorization}\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut follower = Self { stream, head: String::new(), text: String::new() };
        follower.head = follower.take_until("\r\n\r\n").await;
        follower
    }

    /// Receives up to and including `end`, and returns it.
    async fn take_until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.text.find(end) {
                let rest = self.text.split_off(at + end.len());
                return std::mem::replace(&mut self.text, rest);
            }
            let mut piece = vec![0; 4096];
            let length = soon(self.stream.read(&mut piece)).await.unwrap();
            assert_ne!(length, 0, "the stream ended before {end:?}, after {}", self.text);
            self.text += std::str::from_utf8(&piece[..length]).unwrap();
        }
    }

    /// Returns the next message that has `wanted` in its data: its id and its data.
    async fn message(&mut self, wanted: &str) -> (String, Value) {
        loop {
            let text = self.take_until("\n\n").await;
            let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            if let (Some(id), Some(data)) = (field("id: "), field("data: "))
                && text.contains(wanted)
            {
                return (id, serde_json::from_str(&data).unwrap());
            }
        }
    }

    /// Returns everything until the end of the stream.
    async fn rest(mut self) -> String {
        let mut rest = Vec::new();
        // The server may close the connection without a TLS close notification.
        drop(soon(self.stream.read_to_end(&mut rest)).await);
        self.text + &String::from_utf8(rest).unwrap()
    }
}

impl Running {
    fn admin(&self) -> String {
        format!("Bearer {}", self.key.reveal())
    }

    /// Opens a stream of the console's key, after which everything that happens is in it.
    async fn follow(&self, query: &str) -> Follower {
        let mut follower = Follower::open(self, &self.admin(), query, "").await;
        assert!(follower.head.starts_with("HTTP/1.1 200"), "{}", follower.head);
        follower.take_until("\nid: ").await;
        follower.take_until("\n\n").await;
        follower
    }

    /// Creates a service account, and returns the ID of a key of it and the header with the key.
    async fn service_account(&self, account: Value) -> (String, String) {
        let (status, created) = self.ask("POST", "/api/v1/users", Some(account.clone())).await;
        assert_eq!(status, 201, "{created}");
        let key = json!({"name": "key", "user": account["name"]});
        let (status, created) = self.ask("POST", "/api/v1/keys", Some(key)).await;
        assert_eq!(status, 201, "{created}");
        let text = |pointer: &str| created.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
        (text("/key/id"), format!("Bearer {}", text("/secret")))
    }

    /// Causes an event of the server with this text.
    async fn cause_event(&self, text: &str) {
        let request = json!({"name": text, "approval": true});
        assert_eq!(self.ask("POST", "/api/v1/environments", Some(request)).await.0, 201);
    }
}

#[tokio::test]
async fn a_stream_tells_events_and_states_when_they_happen() {
    let server = Running::start().await;
    let mut follower = server.follow("").await;
    let head = follower.head.to_lowercase();
    for line in ["content-type: text/event-stream", "cache-control: no-store", "x-accel-buffering: no"] {
        assert!(head.contains(line), "{head}");
    }
    let (site, mut linked) = server.linked("camp-1").await;
    linked.expect_welcome().await;
    let (_, joined) = follower.message("site-joined").await;
    assert_eq!((&joined["site"], &joined["source"]), (&json!("camp-1"), &json!("server")));
    let (_, state) = follower.message("\"connected\"").await;
    assert_eq!((&state["name"], &state["environment"]), (&json!("camp-1"), &json!("default")));
    drop(linked);
    let (_, state) = follower.message("\"reconnecting\"").await;
    assert_eq!(state["name"], "camp-1");
    drop(site);
    assert_eq!(server.ask("POST", "/api/v1/hosts/camp-1/deactivate", None).await.0, 200);
    let (_, host) = follower.message("event: host").await;
    assert_eq!((&host["name"], &host["state"]), (&json!("camp-1"), &json!("deactivating")));
    // The rest of the API is not affected, and neither is the end of the server.
    soon(server.stop()).await;
    drop(follower.rest().await);
}

#[tokio::test]
async fn a_filter_is_that_of_the_list() {
    let server = Running::start().await;
    assert_eq!(server.ask("POST", "/api/v1/environments", Some(json!({"name": "lab"}))).await.0, 201);
    let _site = server.linked_in("lab", "camp-1").await;
    let mut of_site = server.follow("?site=camp-1&topic=events").await;
    let mut of_lab = server.follow("?environment=lab&topic=states").await;
    let _other = server.linked("camp-2").await;
    assert_eq!(server.ask("POST", "/api/v1/sites/camp-1/deactivate", None).await.0, 200);
    let (_, event) = of_site.message("event: ").await;
    assert_eq!((&event["site"], &event["kind"]), (&json!("camp-1"), &json!("phase-changed")), "{event}");
    let (_, state) = of_lab.message("\"deactivating\"").await;
    assert_eq!(state["name"], "camp-1");
    for (query, status) in [("?site=none", "404"), ("?unknown=1", "400"), ("?environment=%20", "400")] {
        let refused = Follower::open(&server, &server.admin(), query, "").await;
        assert!(refused.head.starts_with(&format!("HTTP/1.1 {status}")), "{query}: {}", refused.head);
    }
}

#[tokio::test]
async fn a_client_that_lost_the_connection_gets_what_it_missed_or_a_reset() {
    let server = Running::start().await;
    let mut follower = server.follow("?topic=events").await;
    server.cause_event("first").await;
    let (id, _) = follower.message("first").await;
    drop(follower);
    server.cause_event("second").await;
    server.cause_event("third").await;
    let header = format!("last-event-id: {id}\r\n");
    let mut follower = Follower::open(&server, &server.admin(), "", &header).await;
    let (_, event) = follower.message("event: event").await;
    assert!(event["text"].as_str().unwrap().contains("second"), "{event}");
    follower.message("third").await;
    // A client that cannot set the header; if it can, the header is newer.
    let query = format!("?last_event_id={id}");
    Follower::open(&server, &server.admin(), &query, "").await.message("second").await;
    for header in ["last-event-id: 0000000000000000-1\r\n", "last-event-id: nonsense\r\n"] {
        let mut follower = Follower::open(&server, &server.admin(), &query, header).await;
        assert_eq!(follower.message("event: ").await.1, json!({"reason": "restarted"}), "{header}");
    }
    let server = server.crash().await;
    let mut follower = Follower::open(&server, &server.admin(), &query, "").await;
    let (reset, message) = follower.message("event: ").await;
    assert_eq!(message, json!({"reason": "restarted"}));
    server.cause_event("fourth").await;
    let (id, _) = follower.message("fourth").await;
    assert!(id.split('-').next() == reset.split('-').next() && id != reset, "{reset} {id}");
}

#[tokio::test]
async fn a_stream_has_only_the_environments_of_its_caller() {
    let server = Running::start().await;
    for name in ["lab", "shop"] {
        assert_eq!(server.ask("POST", "/api/v1/environments", Some(json!({"name": name}))).await.0, 201);
    }
    let (_, key) = server.service_account(json!({"name": "bot", "environment_roles": {"lab": "viewer"}})).await;
    let mut follower = Follower::open(&server, &key, "", "").await;
    follower.message_free_start().await;
    let _hidden = server.linked_in("shop", "hidden").await;
    server.cause_event("also-hidden").await;
    let _seen = server.linked_in("lab", "seen").await;
    let seen = follower.take_until("\"connected\"").await;
    assert!(seen.contains("seen joined") && !seen.contains("hidden"), "{seen}");
    let none = Follower::open(&server, "Bearer lck_none", "", "").await;
    assert!(none.head.starts_with("HTTP/1.1 401"), "{}", none.head);
}

impl Follower {
    /// Receives the start of the stream, which has no message.
    async fn message_free_start(&mut self) {
        self.take_until("\n\n").await;
    }
}

#[tokio::test]
async fn a_stream_ends_at_once_when_its_key_its_user_or_its_session_changes() {
    let server = Running::start().await;
    let ended = async |follower: Follower| {
        let rest = follower.rest().await;
        assert!(rest.contains("event: end\n") && rest.contains("{\"reason\":\"access-changed\"}"), "{rest}");
    };
    let open = async |key: &str| {
        let mut follower = Follower::open(&server, key, "", "").await;
        follower.message_free_start().await;
        follower
    };
    // A change of another user ends nothing.
    let (id, key) = server.service_account(json!({"name": "bot", "role": "viewer"})).await;
    let (other_id, other_key) = server.service_account(json!({"name": "other", "role": "viewer"})).await;
    let (follower, mut other) = (open(&key).await, open(&other_key).await);
    assert_eq!(server.ask("DELETE", &format!("/api/v1/keys/{id}"), None).await.0, 200);
    ended(follower).await;
    server.cause_event("still-here").await;
    other.message("still-here").await;
    assert_eq!(server.ask("PATCH", "/api/v1/users/other", Some(json!({"role": "operator"}))).await.0, 200);
    ended(other).await;
    let other = open(&other_key).await;
    assert_eq!(server.ask("PATCH", "/api/v1/users/other", Some(json!({"disabled": true}))).await.0, 200);
    ended(other).await;
    let refused = Follower::open(&server, &other_key, "", "").await;
    assert!(refused.head.starts_with("HTTP/1.1 401"), "{other_id}: {}", refused.head);

    let session = server.create_user(json!({"name": "anna", "role": "viewer"}), "a much better password").await;
    let follower = open(&session).await;
    assert_eq!(server.ask_as(Some(&session), "POST", "/api/v1/logout", "").await.0, 200);
    ended(follower).await;
    let request = json!({"name": "short", "user": "bot", "ttl_seconds": 1});
    let (status, created) = server.ask("POST", "/api/v1/keys", Some(request)).await;
    assert_eq!(status, 201, "{created}");
    let follower = open(&format!("Bearer {}", created["secret"].as_str().unwrap())).await;
    ended(follower).await;
}

#[tokio::test]
async fn a_fifth_stream_of_a_user_ends_the_first() {
    let server = Running::start().await;
    let (_, key) = server.service_account(json!({"name": "bot", "role": "viewer"})).await;
    let mut open = Vec::new();
    for _ in 0..=STREAMS_PER_USER_MAX {
        let mut follower = Follower::open(&server, &key, "", "").await;
        follower.message_free_start().await;
        open.push(follower);
    }
    let first = open.remove(0).rest().await;
    assert!(first.contains("event: end\n") && first.contains("{\"reason\":\"replaced\"}"), "{first}");
    server.cause_event("for-the-others").await;
    for follower in &mut open {
        follower.message("for-the-others").await;
    }
}

#[tokio::test]
async fn every_one_of_64_streams_is_told_a_change_and_another_one_is_rejected() {
    let server = Running::start().await;
    let mut open = Vec::new();
    for number in 0..STREAMS_MAX / STREAMS_PER_USER_MAX {
        let (_, key) = server.service_account(json!({"name": format!("bot-{number}"), "role": "viewer"})).await;
        for _ in 0..STREAMS_PER_USER_MAX {
            let mut follower = Follower::open(&server, &key, "", "").await;
            follower.message_free_start().await;
            open.push(follower);
        }
    }
    assert_eq!(open.len(), STREAMS_MAX);
    server.cause_event("for-everybody").await;
    for follower in &mut open {
        follower.message("for-everybody").await;
    }
    let (_, metrics) = server.exchange("GET /metrics", "", "").await;
    assert!(metrics.contains(&format!("\nlinecamp_event_streams {STREAMS_MAX}\n")), "{metrics}");
    // Those who have four make room for those who have none, one after another.
    let mut fair = server.follow("").await;
    server.cause_event("for-one-more").await;
    fair.message("for-one-more").await;
}

/// Opens a stream of a client of HTTP/2, which receives nothing unless it is read.
async fn follow_http2(bare: &Bare) -> RecvStream {
    let client = bare.dial_http2("192.0.2.1").await;
    let request = Request::get("https://localhost/api/v1/stream");
    let request = request.header("authorization", format!("Bearer {}", bare.key.reveal())).body(()).unwrap();
    let mut sender = soon(client.sender.clone().ready()).await.unwrap();
    let (response, _) = sender.send_request(request, true).unwrap();
    let (head, body) = soon(response).await.unwrap().into_parts();
    assert_eq!(head.status, 200);
    // The connection ends with its last sender.
    tokio::spawn(async move {
        let _sender = sender;
        std::future::pending::<()>().await;
    });
    body
}

async fn take(body: &mut RecvStream) -> Option<Bytes> {
    let piece = soon(body.data()).await?.ok()?;
    body.flow_control().release_capacity(piece.len()).unwrap();
    Some(piece)
}

fn event(seq: u64) -> StreamMessage {
    let text = "x".repeat(100);
    let at = "2026-11-30T00:00:00Z".to_owned();
    let source = EventSource::Server;
    StreamMessage::Event(Event {
        seq,
        at,
        kind: "edited".into(),
        site: None,
        text,
        source,
        received_at: None,
        actor: None,
    })
}

/// Adds this many messages to the backlog of all streams.
fn push(bare: &Bare, count: usize) {
    for seq in 0..count {
        let kind = MessageKind::Event { is_reported: false };
        bare.streams.push(StreamSubject { kind, environment: None, site: None }, &event(seq as u64));
    }
    bare.streams.wake();
}

#[tokio::test]
async fn a_client_that_does_not_read_is_reset_and_delays_no_other() {
    let bare = Bare::start().await;
    let mut slow = follow_http2(&bare).await;
    let mut quick = follow_http2(&bare).await;
    let rounds = 4;
    for _ in 0..rounds {
        push(&bare, BACKLOG_MESSAGES_MAX / 2);
        let mut text = String::new();
        while text.matches("event: event").count() < BACKLOG_MESSAGES_MAX / 2 {
            text += &String::from_utf8_lossy(&take(&mut quick).await.expect("it goes on"));
        }
        assert!(!text.contains("event: reset"));
    }
    let mut text = String::new();
    while !text.contains("{\"reason\":\"fell-behind\"}") {
        text += &String::from_utf8_lossy(&take(&mut slow).await.expect("it is told"));
    }
    let received = text.matches("event: event").count();
    assert!(received < rounds * BACKLOG_MESSAGES_MAX / 2, "{received}");
    push(&bare, 1);
    assert!(String::from_utf8_lossy(&take(&mut slow).await.expect("it goes on")).contains("event: event"));
}

async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn the_time_limit_of_requests_is_for_clients_that_do_not_read() {
    let bare = Bare::start().await;
    let mut reading = follow_http2(&bare).await;
    assert!(String::from_utf8_lossy(&take(&mut reading).await.unwrap()).starts_with("retry: "));
    let mut stuck = follow_http2(&bare).await;
    push(&bare, 4_000);
    let mut text = String::new();
    while text.matches("event: event").count() < 4_000 {
        text += &String::from_utf8_lossy(&take(&mut reading).await.unwrap());
    }
    let heartbeat = Duration::from_secs(STREAM_HEARTBEAT_SECONDS);
    let mut passed = Duration::ZERO;
    while passed < REQUEST_LIMIT + 2 * OVERDUE_PERIOD {
        pass(heartbeat).await;
        passed += heartbeat;
        let comment = take(&mut reading).await.expect("a stream that is read has no limit");
        assert!(String::from_utf8_lossy(&comment).starts_with(":\nid: "), "{comment:?}");
        bare.connections.streams.evict_overdue(REQUEST_LIMIT);
    }
    while take(&mut stuck).await.is_some() {}
}
