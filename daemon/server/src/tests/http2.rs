//! Clients of HTTP/2, which send several requests on one connection.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, Request, StatusCode};
use h2::RecvStream;
use h2::client::ResponseFuture;
use linecamp_service::{ConnectionCounts, ShareLimits};

use super::api_fixture::{Bare, Http2Client};
use super::fixture::soon;
use crate::drivers::http2::{IDLE_LIMIT, STREAMS_MAX};
use crate::drivers::https::{ApiConnections, OVERDUE_PERIOD, REQUEST_LIMIT, SHARES, STREAM_SHARES};

/// The client's networks.
const HERE: &str = "192.0.2.1";
const ELSEWHERE: &str = "192.0.2.2";

/// Limits with room for `streams` streams without a key.
fn with_streams(streams: usize) -> ApiConnections {
    ApiConnections::with_limits(SHARES, ShareLimits { unauthenticated_max: streams, ..STREAM_SHARES })
}

impl Http2Client {
    /// Sends a request without a body, unless it is `open`: then its body never comes.
    async fn begin(&mut self, method: &str, path: &str, key: Option<&str>, open: bool) -> Begun {
        let mut request = Request::builder().method(method).uri(format!("https://localhost{path}"));
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let mut sender = soon(self.sender.clone().ready()).await.unwrap();
        let (response, body) = sender.send_request(request.body(()).unwrap(), !open).unwrap();
        self.sender = sender;
        Begun { response, _body: body }
    }

    async fn status(&mut self, path: &str) -> StatusCode {
        let begun = self.begin("GET", path, None, false).await;
        begun.finish().await.unwrap().0
    }
}

struct Begun {
    response: ResponseFuture,
    _body: h2::SendStream<Bytes>,
}

impl Begun {
    async fn finish(self) -> Result<(StatusCode, HeaderMap, RecvStream), h2::Error> {
        let (head, body) = soon(self.response).await?.into_parts();
        Ok((head.status, head.headers, body))
    }
}

/// Waits until this many requests are in progress.
async fn wait_streams(bare: &Bare, count: usize) {
    soon(async {
        while bare.connections.streams.counts().unauthenticated != count {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn requests_share_a_connection_and_are_answered_as_over_http_1() {
    let bare = Bare::start().await;
    let mut client = bare.dial_http2(HERE).await;
    let key = bare.key.reveal();
    let endless = client.begin("GET", "/endless", None, false).await;
    soon(bare.began.notified()).await;
    assert_eq!(client.status("/healthz").await, 200);
    assert_eq!(client.status("/api/v1/sites").await, 401);
    let (status, headers, mut body) =
        client.begin("GET", "/api/v1/doctor/request", Some(&key), false).await.finish().await.unwrap();
    assert_eq!((status, &headers["strict-transport-security"]), (StatusCode::OK, &"max-age=31536000".parse().unwrap()));
    let report: serde_json::Value = serde_json::from_slice(&soon(body.data()).await.unwrap().unwrap()).unwrap();
    assert_eq!(report["http_version"], "HTTP/2.0");
    assert_eq!(report["forwarding_headers"][0]["value"], "localhost", "{report}");
    let counts = ConnectionCounts { authenticated: 1, ..ConnectionCounts::default() };
    assert_eq!(bare.connections.connections.counts(), counts, "the connection is charged to the key");
    drop(endless);
}

#[tokio::test]
async fn a_connection_opens_no_more_streams_than_its_limit() {
    let bare = Bare::start().await;
    let mut client = bare.dial_http2(HERE).await;
    // The settings of the server are known with its first answer.
    assert_eq!(client.status("/healthz").await, 200);
    let mut open = Vec::new();
    for _ in 0..STREAMS_MAX {
        open.push(client.begin("GET", "/endless", None, false).await);
    }
    wait_streams(&bare, STREAMS_MAX as usize).await;
    let waiting = client.begin("GET", "/healthz", None, false).await;
    assert_eq!(bare.connections.streams.counts().unauthenticated, STREAMS_MAX as usize);
    open.pop();
    assert_eq!(waiting.finish().await.unwrap().0, 200, "it begins when one of the others has ended");
}

/// 32 streams on each of many connections are as many requests: they share the places by client.
#[tokio::test]
async fn streams_that_stall_take_no_places_from_other_networks() {
    let bare = Bare::start_with(with_streams(8)).await;
    let mut flood = bare.dial_http2(HERE).await;
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(flood.begin("GET", "/endless", None, false).await);
    }
    let (status, headers, _) = flood.begin("GET", "/healthz", None, false).await.finish().await.unwrap();
    assert_eq!((status, &headers["retry-after"]), (StatusCode::SERVICE_UNAVAILABLE, &"1".parse().unwrap()));
    let mut other = bare.dial_http2(ELSEWHERE).await;
    assert_eq!(other.status("/healthz").await, 200);
    assert_eq!(soon(flood.served).await.unwrap(), Err("evicted".to_owned()), "the flood makes room");
    for begun in open {
        begun.finish().await.unwrap_err();
    }
    assert_eq!(other.status("/healthz").await, 200);
}

#[tokio::test]
async fn streams_without_a_key_take_no_places_from_those_with_one() {
    let bare = Bare::start_with(with_streams(1)).await;
    let mut operator = bare.dial_http2(HERE).await;
    let key = bare.key.reveal();
    let ask = async |operator: &mut Http2Client| {
        operator.begin("GET", "/api/v1/sites", Some(&key), false).await.finish().await.unwrap().0
    };
    assert_eq!(ask(&mut operator).await, 200);
    let mut flood = bare.dial_http2(HERE).await;
    let _stalled = flood.begin("GET", "/endless", None, true).await;
    soon(bare.began.notified()).await;
    assert_eq!(ask(&mut operator).await, 200, "a connection with a key starts its streams with the key's share");
}

#[tokio::test]
async fn a_stream_longer_than_fifteen_minutes_ends_its_connection_whatever_else_is_on_it() {
    let bare = Bare::start().await;
    let mut client = bare.dial_http2(HERE).await;
    let endless = client.begin("GET", "/endless", None, false).await;
    soon(bare.began.notified()).await;
    let _later = client.begin("GET", "/endless", None, false).await;
    soon(bare.began.notified()).await;
    bare.connections.streams.evict_overdue(REQUEST_LIMIT);
    assert_eq!(client.status("/healthz").await, 200, "nothing is overdue");
    pass(REQUEST_LIMIT + OVERDUE_PERIOD).await;
    endless.finish().await.unwrap_err();
    assert_eq!(soon(client.served).await.unwrap(), Err("evicted".to_owned()));
}

#[tokio::test]
async fn a_connection_without_streams_is_closed_and_one_with_a_stream_is_not() {
    let bare = Bare::start().await;
    let mut idle = bare.dial_http2(HERE).await;
    assert_eq!(idle.status("/healthz").await, 200);
    let mut busy = bare.dial_http2(HERE).await;
    let _endless = busy.begin("GET", "/endless", None, false).await;
    soon(bare.began.notified()).await;
    pass(IDLE_LIMIT + Duration::from_secs(1)).await;
    // The client closes its end while the server says goodbye, or after.
    drop(soon(idle.served).await.unwrap());
    assert_eq!(busy.status("/healthz").await, 200);
}

#[tokio::test]
async fn a_head_of_100_kilobytes_is_rejected_and_the_connection_stays_bounded() {
    let bare = Bare::start().await;
    let mut client = bare.dial_http2(HERE).await;
    assert_eq!(client.status("/healthz").await, 200);
    let long = Request::get("https://localhost/healthz").header("x-long", "x".repeat(100 * 1024)).body(()).unwrap();
    let (response, _) = client.sender.send_request(long, true).unwrap();
    match soon(response).await {
        Ok(answer) => assert_eq!(answer.status(), 431),
        Err(error) => assert!(error.is_go_away() || error.is_reset(), "{error}"),
    }
}

/// Resets as fast as the client can send them (CVE-2023-44487).
#[tokio::test]
async fn streams_that_are_reset_at_once_end_the_connection_or_are_harmless() {
    let bare = Bare::start().await;
    let mut client = bare.dial_http2(HERE).await;
    for _ in 0..2_000 {
        let Ok(mut sender) = soon(client.sender.clone().ready()).await else { break };
        let request = Request::get("https://localhost/endless").body(()).unwrap();
        let Ok((response, mut body)) = sender.send_request(request, false) else { break };
        body.send_reset(h2::Reason::CANCEL);
        drop(response);
        client.sender = sender;
    }
    let mut other = bare.dial_http2(ELSEWHERE).await;
    assert_eq!(other.status("/healthz").await, 200);
    client.connection.abort();
    wait_streams(&bare, 0).await;
}

#[tokio::test]
async fn no_stream_outlives_its_connection() {
    let bare = Bare::start().await;
    let mut client = bare.dial_http2(HERE).await;
    let _endless = client.begin("GET", "/endless", None, false).await;
    soon(bare.began.notified()).await;
    client.served.abort();
    wait_streams(&bare, 0).await;
}
