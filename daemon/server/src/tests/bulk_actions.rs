//! Bulk actions over HTTP.

use linecamp_proto::api::AuditChange;
use serde_json::{Value, json};

use super::fixture::{PASSWORD, Running};
use crate::api::CHANGE_RATE;

const TARGET: &str = "/api/v1/bulk-actions";

/// The ID of a site, and the generation with which it is listed.
async fn listed(server: &Running, name: &str) -> (String, u64) {
    let (status, site) = server.ask("GET", &format!("/api/v1/sites/{name}"), None).await;
    assert_eq!(status, 200, "{site}");
    (site["id"].as_str().unwrap().to_owned(), site["spec_generation"].as_u64().unwrap())
}

fn states(action: &Value) -> Vec<(&str, &str)> {
    let sites = action["sites"].as_array().unwrap().iter();
    sites.map(|site| (site["name"].as_str().unwrap(), site["state"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn a_list_of_sites_is_changed_once_and_its_progress_can_be_asked_for() {
    let server = Running::start().await;
    for name in ["lab", "shop"] {
        assert_eq!(server.ask("POST", "/api/v1/environments", Some(json!({"name": name}))).await.0, 201);
    }
    let _links = (server.linked_in("lab", "a1").await, server.linked_in("shop", "b1").await);
    let ((a1, seen), (b1, _)) = (listed(&server, "a1").await, listed(&server, "b1").await);
    let labels = json!({"set": {"ring": "canary"}});
    let body = json!({"action": "label", "labels": labels, "sites": {&a1: seen, &b1: 999}});
    let key = "6f1d2c3b-0000-4000-8000-000000000007";
    let (status, is_replayed, created) = server.ask_keyed(&format!("POST {TARGET}"), key, &body).await;
    assert_eq!((status, is_replayed), (201, false), "{created}");
    assert_eq!(created["sites"][1]["error"]["code"], "stale", "{created}");
    assert_eq!((&created["action"], &created["created_by"]), (&json!("label"), &json!("key admin")));
    assert_eq!((&created["progress"]["sites"], &created["progress"]["rejected"]), (&json!(2), &json!(1)));
    assert_eq!((listed(&server, "a1").await.1, listed(&server, "b1").await.1), (seen + 1, seen));

    let (status, is_replayed, again) = server.ask_keyed(&format!("POST {TARGET}"), key, &body).await;
    assert_eq!((status, is_replayed, &again["id"]), (201, true, &created["id"]));
    let entries = server.audit_after(0).await;
    let entries: Vec<_> = entries.iter().filter(|entry| entry.operation == "bulk-action.create").collect();
    let [entry] = entries[..] else { panic!("{entries:?}") };
    let id = created["id"].as_str().unwrap();
    let (action, of) =
        (format!("bulk action {id}"), |change: &AuditChange| (change.object.clone(), change.field.clone()));
    let changed: Vec<_> = entry.changes.iter().map(of).collect();
    let expected = [
        (&*action, "action"),
        (&action, "label ring"),
        (&action, "sites"),
        (&action, "sites in lab, part 01"),
        ("site lab/a1", "label ring"),
    ];
    assert_eq!(changed, expected.map(|(object, field)| (object.to_owned(), field.to_owned())));

    let (_, shown) = server.ask("GET", &format!("{TARGET}/{id}"), None).await;
    assert!(matches!(states(&shown)[..], [("a1", "applied" | "waiting"), ("b1", "rejected")]), "{shown}");
    let (_, all) = server.ask("GET", TARGET, None).await;
    assert_eq!(
        (&all["total"], &all["items"][0]["id"], &all["items"][0]["sites"]),
        (&json!(1), &json!(id), &json!(null))
    );

    // A viewer of one environment sees only its sites.
    let viewer = server.create_user(json!({"name": "v", "environment_roles": {"lab": "viewer"}}), PASSWORD).await;
    let (_, seen) = server.ask_as(Some(&viewer), "GET", &format!("{TARGET}/{id}"), "").await;
    assert_eq!((states(&seen).len(), &seen["progress"]["sites"]), (1, &json!(1)), "{seen}");
    let other = server.create_user(json!({"name": "w", "environment_roles": {"default": "viewer"}}), PASSWORD).await;
    assert_eq!(server.ask_as(Some(&other), "GET", &format!("{TARGET}/{id}"), "").await.0, 404);
    assert_eq!(server.ask_as(Some(&other), "GET", TARGET, "").await.1["total"], 0);
}

#[tokio::test]
async fn an_invalid_request_changes_nothing() {
    let server = Running::start().await;
    let _link = server.linked_in("default", "s1").await;
    let (site, seen) = listed(&server, "s1").await;
    let check = async |body: Value, status: u16, code: &str| {
        let (found, problem) = server.ask("POST", TARGET, Some(body)).await;
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{problem}");
    };
    check(json!({"action": "deactivate", "sites": {}}), 400, "bad-request").await;
    check(json!({"action": "explode", "sites": {&site: null}}), 400, "bad-request").await;
    check(json!({"action": "label", "sites": {"s1": null}}), 400, "bad-request").await;
    check(json!({"action": "deactivate", "labels": {"set": {"a": "b"}}, "sites": {&site: null}}), 400, "bad-request")
        .await;
    check(json!({"action": "deactivate", "sites": {&site: null, "09".repeat(16): null}}), 404, "not-found").await;
    let keys: Vec<_> = (0..65).map(|number| format!("k{number}")).collect();
    check(json!({"action": "label", "labels": {"remove": keys}, "sites": {&site: null}}), 400, "bad-request").await;
    let many: serde_json::Map<_, _> = (0..501_u32).map(|number| (format!("{number:032x}"), json!(null))).collect();
    check(json!({"action": "deactivate", "sites": many}), 404, "not-found").await;
    assert_eq!(listed(&server, "s1").await, (site, seen));
    for (path, status) in [("zz", 400), ("0808080808080808", 404)] {
        assert_eq!(server.ask("GET", &format!("{TARGET}/{path}"), None).await.0, status);
    }
}

#[tokio::test]
async fn each_site_of_an_action_counts_for_the_rate_limit() {
    let server = Running::start().await;
    // They do not exist: the limit is checked before anything is looked for.
    let sites: serde_json::Map<_, _> = (0..500_u32).map(|number| (format!("{number:032x}"), json!(null))).collect();
    let body = json!({"action": "deactivate", "sites": sites});
    let mut refused = 0;
    for _ in 0..2 * CHANGE_RATE.burst / 500 {
        match server.ask("POST", TARGET, Some(body.clone())).await.0 {
            404 => {}
            429 => refused += 1,
            other => panic!("{other}"),
        }
    }
    assert!(0 < refused, "a burst of {} changes is 20 such requests", CHANGE_RATE.burst);
}
