//! Requests that are sent again with their idempotency key.

use serde_json::{Value, json};

use super::fixture::Running;

const KEY: &str = "6f1d2c3b-0000-4000-8000-000000000000";

impl Running {
    /// Sends a request with the admin key and an idempotency key. Returns the status, whether the answer is that of an
    /// earlier request, and the answer.
    pub(super) async fn ask_keyed(&self, line: &str, key: &str, body: &Value) -> (u16, bool, Value) {
        let authorization = format!("Bearer {}", self.key.reveal());
        self.ask_keyed_as(&authorization, line, key, body).await
    }

    async fn ask_keyed_as(&self, authorization: &str, line: &str, key: &str, body: &Value) -> (u16, bool, Value) {
        let headers = format!("authorization: {authorization}\r\nidempotency-key: {key}\r\n");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (head, answer) = self.request(line, &headers, &body).await;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let is_replayed = head.to_lowercase().contains("\r\nidempotency-replayed: true");
        (status, is_replayed, serde_json::from_str(&answer).unwrap_or(Value::Null))
    }
}

#[tokio::test]
async fn a_create_that_is_sent_again_gets_the_first_answer_also_after_a_crash() {
    let server = Running::start().await;
    let lab = json!({"name": "lab", "approval": true});
    let (status, is_replayed, first) = server.ask_keyed("POST /api/v1/environments", KEY, &lab).await;
    assert_eq!((status, is_replayed), (201, false), "{first}");
    let _site = server.linked_in("lab", "s1").await;
    let again = server.ask_keyed("POST /api/v1/environments", KEY, &lab).await;
    assert_eq!(again, (201, true, first.clone()), "the answer of then, though it has a site now");
    // The answer may have been lost on its way: the server knows nothing of that.
    let server = server.crash().await;
    let again = server.ask_keyed("POST /api/v1/environments", KEY, &lab).await;
    assert_eq!(again, (201, true, first));
    let (_, events) = server.ask("GET", "/api/v1/events", None).await;
    let changed = events["items"].as_array().unwrap().iter().filter(|event| event["kind"] == "environment-changed");
    assert_eq!(changed.count(), 1, "{events}");
    let without = server.ask("POST", "/api/v1/environments", Some(lab)).await;
    assert_eq!((without.0, &without.1["code"]), (409, &json!("name-taken")));
    let entries = server.audit_after(0).await;
    let created = entries.iter().filter(|entry| entry.operation == "environment.create");
    let outcomes: Vec<_> = created.map(|entry| (entry.outcome.as_str(), entry.code.as_deref())).collect();
    assert_eq!(outcomes, [("done", None), ("refused", Some("name-taken"))], "a repetition has no entry");
}

#[tokio::test]
async fn a_key_is_for_one_request_of_one_caller() {
    let server = Running::start().await;
    let (lab, shop) = (json!({"name": "lab"}), json!({"name": "shop"}));
    assert_eq!(server.ask_keyed("POST /api/v1/environments", KEY, &lab).await.0, 201);
    let (_, created) = server.ask("POST", "/api/v1/keys", Some(json!({"name": "other"}))).await;
    let other = format!("Bearer {}", created["secret"].as_str().unwrap());
    for refused in [
        server.ask_keyed("POST /api/v1/environments", KEY, &shop).await,
        server.ask_keyed("POST /api/v1/users", KEY, &lab).await,
        server.ask_keyed_as(&other, "POST /api/v1/environments", KEY, &lab).await,
    ] {
        let (status, is_replayed, problem) = refused;
        assert_eq!((status, is_replayed, &problem["code"]), (422, false, &json!("key-reused")), "{problem}");
        assert_eq!(problem["field"], "Idempotency-Key");
    }
    let refused = server.audit_after(0).await;
    let refused = refused.iter().filter(|entry| entry.code.as_deref() == Some("key-reused"));
    assert_eq!(refused.count(), 3);
    for (line, key) in [
        ("POST /api/v1/environments", "short"),
        ("POST /api/v1/environments", "not printable: \u{e4}\u{e4}\u{e4}\u{e4}"),
        ("PATCH /api/v1/environments/lab", KEY),
        ("POST /api/v1/plugins?name=x", KEY),
    ] {
        let (status, _, problem) = server.ask_keyed(line, key, &json!({"name": "new"})).await;
        assert_eq!((status, &problem["field"]), (400, &json!("Idempotency-Key")), "{line} {key}: {problem}");
    }
    // A refused request is not kept: the same key may be used when its cause is gone.
    let key = "6f1d2c3b-0000-4000-8000-000000000001";
    let token = json!({"environment": "shop", "ttl_seconds": 60, "uses": 1});
    assert_eq!(server.ask_keyed("POST /api/v1/tokens", key, &token).await.0, 404);
    assert_eq!(server.ask("POST", "/api/v1/environments", Some(shop)).await.0, 201);
    assert_eq!(server.ask_keyed("POST /api/v1/tokens", key, &token).await.0, 201);
}

#[tokio::test]
async fn a_new_provider_is_answered_with_the_sites_that_get_it() {
    let server = Running::start().await;
    let _site = server.linked_in("default", "s1").await;
    let settings = json!({"name": "dns", "plugin": "dns-fake", "owner": "acme", "zones": ["example.org"]});
    let body = json!({"environment": "default", "sites": "region=eu", "settings": settings});
    let first = server.ask_keyed("POST /api/v1/providers", KEY, &body).await;
    assert_eq!((first.0, first.1, &first.2["site_count"]), (201, false, &json!(1)), "{}", first.2);
    assert_eq!(server.ask("GET", "/api/v1/providers/dns", None).await.1, first.2);
    assert_eq!(server.ask_keyed("POST /api/v1/providers", KEY, &body).await, (201, true, first.2));
}

#[tokio::test]
async fn an_answer_with_a_secret_is_sent_again_without_it() {
    let server = Running::start().await;
    let token = json!({"environment": "default", "ttl_seconds": 60, "uses": 1});
    let (_, _, first) = server.ask_keyed("POST /api/v1/tokens", KEY, &token).await;
    assert!(first["join"].as_str().unwrap().starts_with("lct_") && first.get("secret_withheld").is_none(), "{first}");
    let (status, is_replayed, again) = server.ask_keyed("POST /api/v1/tokens", KEY, &token).await;
    assert_eq!((status, is_replayed, &again["token"]), (201, true, &first["token"]), "{again}");
    assert_eq!((&again["secret_withheld"], &again["join"], &again["command"]), (&json!(true), &json!(""), &json!("")));
    let (_, tokens) = server.ask("GET", "/api/v1/tokens", None).await;
    assert_eq!(tokens["items"].as_array().unwrap().len(), 1, "{tokens}");

    let key = "6f1d2c3b-0000-4000-8000-000000000002";
    let (_, _, first) = server.ask_keyed("POST /api/v1/keys", key, &json!({"name": "deploy"})).await;
    assert!(first["secret"].as_str().unwrap().starts_with("lck_"), "{first}");
    let (status, is_replayed, again) = server.ask_keyed("POST /api/v1/keys", key, &json!({"name": "deploy"})).await;
    assert_eq!((status, is_replayed, &again["key"]["id"]), (201, true, &first["key"]["id"]), "{again}");
    assert_eq!((&again["secret_withheld"], &again["secret"]), (&json!(true), &json!("")));
}
