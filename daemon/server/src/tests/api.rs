//! The API, as its clients see it.

use linecamp_model::ServerAddress;
use serde_json::{Value, json};

use super::fixture::{Running, soon};
use crate::ApiKeyText;

#[tokio::test]
async fn only_requests_with_a_key_of_this_server_are_accepted() {
    let server = Running::start().await;
    let admin = server.key.reveal();
    let stranger = ApiKeyText::generate().unwrap().reveal();
    let check = async |authorization: Option<String>, target: &str, expected: u16| {
        let (status, body) = server.ask_as(authorization.as_deref(), "GET", target, "").await;
        assert_eq!(status, expected, "{authorization:?} {target}: {body}");
        if status == 401 {
            assert_eq!(body["code"], "unauthorized");
            assert!(body["detail"].as_str().unwrap().contains("linecamp login"), "{body}");
        }
    };
    check(None, "/healthz", 200).await;
    for target in ["/api/v1/sites", "/api/v1/server", "/metrics"] {
        check(None, target, 401).await;
        check(Some(format!("Basic {admin}")), target, 401).await;
        check(Some(format!("Bearer {admin}x")), target, 401).await;
        check(Some(format!("Bearer {stranger}")), target, 401).await;
    }
    check(Some(format!("Bearer {admin}")), "/api/v1/sites", 200).await;
    check(Some(format!("bearer {admin}")), "/api/v1/server", 200).await;
    check(Some(format!("Bearer {admin}")), "/nowhere", 404).await;
}

#[tokio::test]
async fn an_invalid_request_is_rejected_with_the_location() {
    let server = Running::start().await;
    let token = |more: &str| format!("{{\"environment\":\"default\",\"ttl_seconds\":60,\"uses\":1{more}}}");
    let long = format!("{{\"description\":\"{}\"}}", "x".repeat(300_000));
    let authorization = format!("Bearer {}", server.key.reveal());
    let table: [(&str, &str, &str, u16, &str, &str); 23] = [
        ("GET", "/api/v1/sites?selector=a%3D1%2C%2C", "", 400, "bad-request", "column 5"),
        ("GET", "/api/v1/sites?selektor=a", "", 400, "bad-request", "selektor"),
        ("GET", "/api/v1/sites?environment=Lab", "", 400, "bad-request", "column 1"),
        ("GET", "/api/v1/hosts?site=-", "", 400, "bad-request", "site: "),
        ("GET", "/api/v1/hosts/box-1?site=-", "", 400, "bad-request", "site: "),
        ("GET", "/api/v1/hosts/box-1?sit=a", "", 400, "bad-request", "sit"),
        ("GET", "/api/v1/hosts/box-1?site=camp-1", "", 404, "not-found", "camp-1/box-1"),
        ("GET", "/api/v1/sites/camp_1", "", 400, "bad-request", "column 5"),
        ("GET", "/api/v1/sites/camp-1", "", 404, "not-found", "camp-1"),
        ("DELETE", "/api/v1/sites/camp-1?force=maybe", "", 400, "bad-request", "force"),
        ("DELETE", "/api/v1/sites/camp-1?force=true", "", 404, "not-found", "camp-1"),
        ("PATCH", "/api/v1/hosts/camp-1", "{\"nmae\":\"x\"}", 400, "bad-request", "nmae"),
        ("PATCH", "/api/v1/hosts/camp-1", "{", 400, "bad-request", "line 1"),
        ("PATCH", "/api/v1/hosts/camp-1", &long, 413, "too-large", "256 KiB"),
        ("POST", "/api/v1/sites/c/labels", "{\"set\":{\"a b\":\"\"}}", 400, "bad-request", "labels: "),
        ("POST", "/api/v1/sites/c", "", 405, "method-not-allowed", "method"),
        ("POST", "/api/v1/tokens", &token(",\"use\":2"), 400, "bad-request", "use"),
        ("POST", "/api/v1/tokens", &token("").replace("60", "0"), 400, "bad-request", "time"),
        ("POST", "/api/v1/tokens", &token("").replace("default", "lab"), 404, "not-found", "default"),
        ("DELETE", "/api/v1/tokens/7", "", 400, "bad-request", "16 hexadecimal"),
        ("GET", "/api/v1/events?wait=5", "", 400, "bad-request", "after"),
        ("GET", "/api/v1/events?environment=lab", "", 400, "bad-request", "site"),
        ("POST", "/api/v1/environments", "{\"name\":\"default\"}", 409, "name-taken", "exists"),
    ];
    for (method, target, body, status, code, words) in table {
        let (found, answer) = server.ask_as(Some(&authorization), method, target, body).await;
        assert_eq!((found, &answer["code"]), (status, &json!(code)), "{method} {target}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(words), "{method} {target}: {answer}");
    }
}

#[tokio::test]
async fn a_token_joins_where_the_server_listens_and_can_be_revoked() {
    let server = Running::start().await;
    let target = server.token().await;
    assert_eq!(target.token.pin, server.server.pin());
    let port = server.server.quic_addr().port();
    assert_eq!(target.servers, [ServerAddress::parse(&format!("localhost:{port}")).unwrap()]);

    let (_, tokens) = server.ask("GET", "/api/v1/tokens", None).await;
    assert_eq!(tokens["items"][0]["id"], target.token.id.to_string());
    assert_eq!(tokens["items"][0]["labels"][0]["value"], "eu");
    let path = format!("/api/v1/tokens/{}", target.token.id);
    let (status, revoked) = server.ask("DELETE", &path, None).await;
    assert_eq!((status, &revoked["state"]), (200, &json!("revoked")));
}

#[tokio::test]
async fn a_host_is_selected_by_its_name_and_its_site() {
    let server = Running::start().await;
    let rename = |name: &str| Some(json!({"name": name}));
    let (_first, _link) = server.linked("camp").await;
    server.ask("PATCH", "/api/v1/sites/camp", rename("moved")).await;
    let (_second, _other_link) = server.linked("camp").await;

    let (status, error) = server.ask("GET", "/api/v1/hosts/camp", None).await;
    assert_eq!((status, &error["code"]), (409, &json!("ambiguous")));
    let message = error["detail"].as_str().unwrap();
    assert!(message.contains("camp/camp") && message.contains("moved/camp"), "{message}");

    let labels = json!({"set": {"rack": "r7"}});
    let (status, _) = server.ask("POST", "/api/v1/hosts/camp/labels?site=moved", Some(labels)).await;
    assert_eq!(status, 200);
    let (status, edited) = server.ask("PATCH", "/api/v1/hosts/camp?site=moved", rename("box-1")).await;
    assert_eq!((status, &edited["name"], &edited["site"]), (200, &json!("box-1"), &json!("moved")));
    for verb in ["deactivate", "activate"] {
        let target = format!("/api/v1/hosts/camp/{verb}?site=camp&environment=default");
        let (status, host) = server.ask("POST", &target, None).await;
        assert_eq!((status, &host["site"]), (200, &json!("camp")), "{verb}: {host}");
    }
    let (status, host) = server.ask("GET", "/api/v1/hosts/camp", None).await;
    assert_eq!((status, &host["site"]), (200, &json!("camp")), "the name alone works again");
}

#[tokio::test]
async fn environments_are_created_edited_and_listed() {
    let server = Running::start().await;
    let lab = json!({"name": "lab", "approval": true, "removed_keep_seconds": 60});
    let (status, made) = server.ask("POST", "/api/v1/environments", Some(lab)).await;
    assert_eq!((status, &made["approval"], &made["sites"]), (201, &json!(true), &json!(0)));
    let edit = json!({"recoveries_per_day_max": 2});
    let (status, edited) = server.ask("PATCH", "/api/v1/environments/lab", Some(edit)).await;
    assert_eq!((status, &edited["recoveries_per_day_max"], &edited["approval"]), (200, &json!(2), &json!(true)));
    let (_, all) = server.ask("GET", "/api/v1/environments", None).await;
    let names: Vec<_> = all["items"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["default", "lab"]);
}

#[tokio::test]
async fn a_request_waiting_for_events_is_answered_by_the_next_one() {
    let server = Running::start().await;
    server.token().await;
    let (_, before) = server.ask("GET", "/api/v1/events?limit=1", None).await;
    let last = &before["items"][0];
    assert_eq!(last["kind"], "token-created");

    let waiting = format!("/api/v1/events?wait=50&after={}", last["seq"]);
    let ((status, after), _) = soon(async { tokio::join!(server.ask("GET", &waiting, None), server.token()) }).await;
    let items = after["items"].as_array().unwrap();
    assert_eq!((status, items.len(), &items[0]["kind"]), (200, 1, &json!("token-created")));
    let nothing = format!("/api/v1/events?wait=0&after={}", items[0]["seq"]);
    assert_eq!(server.ask("GET", &nothing, None).await, (200, json!({"items": []})));
}

#[tokio::test]
async fn a_waiting_request_is_answered_when_the_server_stops() {
    let server = Running::start().await;
    let port = server.server.https_addr().port();
    let mut stream =
        linecamp_transport::connect("127.0.0.1", port, &linecamp_transport::ApiTrust::Pin(server.server.pin()))
            .await
            .unwrap();
    let request = format!(
        "GET /api/v1/events?wait=50&after=99 HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {}\r\n\r\n",
        server.key.reveal()
    );
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
    // The request is in progress once a later one has been answered.
    assert_eq!(
        server.ask("GET", "/healthz", None).await,
        (200, json!({"status": "ok", "store": "ok", "version": env!("CARGO_PKG_VERSION")}))
    );
    soon(server.server.stop()).await.unwrap();
    let mut answer = Vec::new();
    soon(tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer)).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").expect("there is an answer");
    let body: Value = serde_json::from_str(body).unwrap();
    assert!(body == json!({"items": []}) || body["code"] == "busy", "{answer}");
}

#[tokio::test]
async fn a_change_of_an_old_version_is_rejected() {
    let server = Running::start().await;
    let (_site, _link) = server.linked("camp").await;
    let describe = |text: &str| format!("{{\"description\":\"{text}\"}}");
    let (head, _) = server.exchange("GET /api/v1/sites/camp", "", "").await;
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("a site has an entity tag").to_owned();
    let media = "content-type: application/merge-patch+json\r\n";
    let changed = |tag: &str| format!("{media}if-match: {tag}\r\n");
    let (head, _) = server.exchange("PATCH /api/v1/sites/camp", &changed(&tag), &describe("a")).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let (head, body) = server.exchange("PATCH /api/v1/sites/camp", &changed(&tag), &describe("b")).await;
    assert!(head.starts_with("HTTP/1.1 412") && body.contains("\"code\":\"stale\""), "{head} {body}");
    let (head, _) = server.exchange("PATCH /api/v1/sites/camp", &changed("*"), &describe("b")).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    for (line, tag) in [("PATCH /api/v1/sites/camp", "g7"), ("PATCH /api/v1/environments/default", "\"g7\"")] {
        let (head, body) = server.exchange(line, &changed(tag), "{}").await;
        assert!(head.starts_with("HTTP/1.1 400") && body.contains("If-Match"), "{head} {body}");
    }
}

#[tokio::test]
async fn a_wrong_method_or_media_type_is_answered_with_the_right_ones() {
    let server = Running::start().await;
    let (head, body) = server.exchange("PUT /api/v1/sites/camp", "", "").await;
    assert!(head.starts_with("HTTP/1.1 405") && body.contains("method-not-allowed"), "{head} {body}");
    let allowed = head.lines().find_map(|line| line.strip_prefix("allow: ")).expect("it says what is allowed");
    let mut allowed: Vec<_> = allowed.split(',').map(str::trim).collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["DELETE", "GET", "HEAD", "PATCH"]);
    for media in ["", "content-type: application/json\r\n", "content-type: text/plain; charset=utf-8\r\n"] {
        let (head, body) = server.exchange("PATCH /api/v1/sites/camp", media, "{}").await;
        assert!(head.starts_with("HTTP/1.1 415") && body.contains("application/merge-patch+json"), "{head} {body}");
        assert!(head.contains("content-type: application/problem+json"), "{head}");
    }
    let (head, body) = server.exchange("POST /api/v1/sites/camp/accept", "", "{}").await;
    assert!(head.starts_with("HTTP/1.1 400") && body.contains("takes no body"), "{head} {body}");
}
