//! Lists, page by page.

use serde_json::{Value, json};

use super::fixture::Running;

async fn get(server: &Running, target: &str) -> Value {
    let (status, body) = server.ask("GET", target, None).await;
    assert_eq!(status, 200, "{target}: {body}");
    body
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().expect("a list").iter().map(|item| item["name"].as_str().expect("a name")).collect()
}

#[tokio::test]
async fn a_list_is_read_page_by_page_and_counted_as_a_whole() {
    let server = Running::start().await;
    // Only the last one stays connected: the session of the one before it ends.
    let mut last = None;
    for name in ["c", "a", "b", "d", "e"] {
        last = Some(server.linked(name).await);
    }
    let offline = async || get(&server, "/api/v1/sites?link=offline&limit=1").await["total"] == 4;
    super::fixture::soon(async {
        while !offline().await {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut target = "/api/v1/sites?limit=2&sort=name".to_owned();
    let mut pages = Vec::new();
    loop {
        let page = get(&server, &target).await;
        assert_eq!((&page["total"], &page["offline"]), (&json!(5), &json!(4)), "{page}");
        pages.push(names(&page).join(" "));
        match page["next"].as_str() {
            Some(next) => target = format!("/api/v1/sites?limit=2&sort=name&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(pages, ["a b", "c d", "e"]);
    let found = get(&server, "/api/v1/hosts?limit=3&sort=site&descending=true&text=E&link=connected").await;
    assert_eq!((names(&found), &found["total"], &found["offline"]), (vec!["e"], &json!(1), &json!(0)));
    let sorted = get(&server, "/api/v1/sites?sort=joined&descending=true&state=registering").await;
    assert_eq!(names(&sorted), ["e", "d", "b", "a", "c"]);
    drop(last);
}

#[tokio::test]
async fn a_query_out_of_range_and_a_cursor_of_another_query_are_rejected() {
    let server = Running::start().await;
    for name in ["anna", "ben", "cleo"] {
        let (status, body) = server.ask("POST", "/api/v1/users", Some(json!({ "name": name }))).await;
        assert_eq!(status, 201, "{body}");
    }
    let page = get(&server, "/api/v1/users?limit=2").await;
    assert_eq!((names(&page), &page["total"]), (vec!["admin", "anna"], &json!(4)));
    let next = page["next"].as_str().expect("there is another page");
    let rest = get(&server, &format!("/api/v1/users?cursor={next}")).await;
    assert_eq!((names(&rest), &rest["next"]), (vec!["ben", "cleo"], &Value::Null));
    let check = async |target: &str, field: &str, text: &str| {
        let (status, body) = server.ask("GET", target, None).await;
        assert_eq!((status, &body["code"], &body["field"]), (400, &json!("bad-request"), &json!(field)), "{body}");
        assert!(body["detail"].as_str().expect("a text").contains(text), "{body}");
    };
    check(&format!("/api/v1/keys?cursor={next}"), "cursor", "another query").await;
    check(&format!("/api/v1/sites?cursor={next}"), "cursor", "another query").await;
    check("/api/v1/sites?cursor=AAAA", "cursor", "is not a cursor").await;
    check(&format!("/api/v1/sites?cursor={}", "A".repeat(3_000)), "cursor", "is not a cursor").await;
    check("/api/v1/sites?limit=501", "limit", "from 1 to 500").await;
    check("/api/v1/tokens?limit=0", "limit", "from 1 to 500").await;
    check("/api/v1/events?limit=0", "limit", "from 1 to 1000").await;
    check("/api/v1/events?after=1&wait=51", "wait", "from 0 to 50").await;
    check("/api/v1/audit?limit=501", "limit", "from 1 to 500").await;
    check(&format!("/api/v1/stream?last_event_id={}", "x".repeat(65)), "last_event_id", "at most 64").await;
    check("/api/v1/sites?state=down", "state", "use one of pending").await;
    check("/api/v1/hosts?condition=bad", "condition", "use one of").await;
    check(&format!("/api/v1/sites?text={}", "x".repeat(129)), "text", "at most 128 characters").await;
}
