//! Users, their passwords, keys and sessions, as their clients see them.

use linecamp_model::Name;
use serde_json::{Value, json};

use super::fixture::{PASSWORD, Running};
use crate::reset_password;

fn head_value<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

fn bearer(answer: &Value) -> String {
    format!("Bearer {}", answer["secret"].as_str().unwrap())
}

#[tokio::test]
async fn the_first_login_changes_the_password_and_confirms_the_url() {
    let server = Running::start().await;
    let (found, answer) = server.log_in("admin", &server.password).await;
    assert_eq!(found, 200, "{answer}");
    assert_eq!(answer["caller"]["pending"], json!(["change-password", "confirm-server-url"]));
    assert_eq!(answer["caller"]["server_url"], "https://localhost:8443");
    let session = bearer(&answer);
    for (method, target) in [("GET", "/api/v1/sites"), ("GET", "/api/v1/server"), ("GET", "/api/v1/users")] {
        let (found, refused) = server.ask_as(Some(&session), method, target, "").await;
        assert_eq!((found, &refused["code"]), (403, &json!("setup-required")), "{target}: {refused}");
        assert!(refused["detail"].as_str().unwrap().contains("POST /api/v1/setup"), "{refused}");
    }
    let setup = |password: &str| json!({"new_password": password, "server_url": "https://camp.example"}).to_string();
    let (found, refused) = server.ask_as(Some(&session), "POST", "/api/v1/setup", &setup("short")).await;
    assert_eq!((found, &refused["field"]), (400, &json!("new_password")), "{refused}");
    let (found, answer) = server.ask_as(Some(&session), "POST", "/api/v1/setup", &setup(PASSWORD)).await;
    assert_eq!((found, &answer["pending"]), (200, &json!([])), "{answer}");
    assert_eq!(answer["server_url"], "https://camp.example");
    let (found, answer) = server.ask_as(Some(&session), "GET", "/api/v1/server", "").await;
    assert_eq!((found, &answer["server_url"]), (200, &json!("https://camp.example")));
    assert_eq!(server.log_in("admin", &server.password).await.0, 401, "the one-time password is gone");

    let target = server.token().await;
    assert_eq!(target.servers[0].host(), "camp.example", "sites join at the host of the URL");
    let server = server.crash().await;
    assert_eq!(server.token().await.servers[0].host(), "camp.example", "the URL is durable");
    assert_eq!(server.log_in("admin", PASSWORD).await.0, 200);
    let (found, _) = server.ask_as(Some(&session), "GET", "/api/v1/sites", "").await;
    assert_eq!(found, 200, "the session is durable");
}

#[tokio::test]
async fn a_browser_logs_in_with_a_cookie_and_other_sites_cannot_use_it() {
    let server = Running::start().await;
    server.create_user(json!({"name": "anna", "role": "operator"}), PASSWORD).await;
    let login = json!({"name": "anna", "password": PASSWORD}).to_string();
    let (head, body) = server.request("POST /api/v1/login", "", &login).await;
    assert!(!body.contains("lcs_"), "{body}");
    let cookie = head_value(&head, "set-cookie").unwrap().to_owned();
    assert!(cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=43200"), "{cookie}");
    let cookie = format!("cookie: {}\r\n", cookie.split(';').next().unwrap());
    let (head, _) = server.request("GET /api/v1/sites", &cookie, "").await;
    assert_eq!(status(&head), 200, "a read needs no origin");
    let token = json!({"environment": "default", "ttl_seconds": 60, "uses": 1}).to_string();
    let check = async |more: &str, expected: u16| {
        let (head, body) = server.request("POST /api/v1/tokens", &format!("{cookie}{more}"), &token).await;
        assert_eq!(status(&head), expected, "{more}: {body}");
    };
    check("", 403).await;
    check("sec-fetch-site: cross-site\r\n", 403).await;
    check("origin: https://evil.example\r\n", 403).await;
    check("sec-fetch-site: same-origin\r\n", 201).await;
    check("origin: https://localhost:8443\r\n", 201).await;
    let bearer = format!("authorization: Bearer {}\r\n", server.key.reveal());
    check(&bearer, 201).await;
    let (head, body) = server.request("POST /api/v1/logout", &format!("{cookie}sec-fetch-site: none\r\n"), "").await;
    assert_eq!(status(&head), 200, "{body}");
    assert!(head_value(&head, "set-cookie").unwrap().contains("Max-Age=0"), "{head}");
    let (head, body) = server.request("GET /api/v1/sites", &cookie, "").await;
    assert_eq!(status(&head), 401, "{body}");
    assert!(body.contains("unknown session"), "{body}");
    let foreign = "sec-fetch-site: cross-site\r\n";
    let (head, _) = server.request("POST /api/v1/login", foreign, &login).await;
    assert_eq!(status(&head), 403, "another site cannot log a browser in");
}

#[tokio::test]
async fn failed_logins_are_alike_and_are_delayed() {
    let server = Running::start().await;
    let service = json!({"name": "deploy", "role": "viewer"});
    assert_eq!(server.ask("POST", "/api/v1/users", Some(service)).await.0, 201);
    let (_, wrong) = server.log_in("admin", "not the password").await;
    for name in ["nobody", "deploy", "Not A Name"] {
        let (found, answer) = server.log_in(name, "not the password").await;
        assert_eq!((found, &answer), (401, &wrong), "{name}");
    }
    let mut delayed = Value::Null;
    for _ in 0..4 {
        delayed = server.log_in("admin", "not the password").await.1;
    }
    assert_eq!(delayed["code"], "too-many-requests", "{delayed}");
    let login = json!({"name": "admin", "password": server.password}).to_string();
    let (head, _) = server.request("POST /api/v1/login", "", &login).await;
    assert_eq!(status(&head), 429, "the right password waits as well");
    assert!(head_value(&head, "retry-after").is_some(), "{head}");
}

#[tokio::test]
async fn a_removed_user_is_locked_out_at_once_and_the_last_admin_stays() {
    let server = Running::start().await;
    let session = server.create_user(json!({"name": "anna", "role": "admin"}), PASSWORD).await;
    let setup = json!({"server_url": "https://localhost:8443"}).to_string();
    assert_eq!(server.ask_as(Some(&session), "POST", "/api/v1/setup", &setup).await.0, 200);
    let (found, created) = server.ask_as(Some(&session), "POST", "/api/v1/keys", "{\"name\":\"ci\"}").await;
    assert_eq!((found, &created["key"]["user"]), (201, &json!("anna")), "{created}");
    let key = bearer(&created);
    assert_eq!(server.ask("DELETE", "/api/v1/users/admin", None).await.0, 200);
    let (found, refused) = server.ask("DELETE", "/api/v1/users/anna", None).await;
    assert_eq!((found, &refused["code"]), (409, &json!("not-possible")), "{refused}");
    server.create_user(json!({"name": "bob", "role": "admin"}), PASSWORD).await;
    for (edit, expected) in [(json!({"role": "viewer"}), 403), (json!({"role": "admin"}), 200)] {
        let patched = server.ask("PATCH", "/api/v1/users/anna", Some(edit)).await;
        assert_eq!(patched.0, 200, "{}", patched.1);
        for credential in [&session, &key] {
            assert_eq!(server.ask_as(Some(credential), "GET", "/api/v1/users", "").await.0, expected);
        }
    }
    assert_eq!(server.ask("DELETE", "/api/v1/users/anna", None).await.0, 200);
    for credential in [&session, &key] {
        assert_eq!(server.ask_as(Some(credential), "GET", "/api/v1/sites", "").await.0, 401);
    }
}

#[tokio::test]
async fn a_rotated_key_has_a_new_secret_and_a_revoked_one_ends() {
    let server = Running::start().await;
    let session = server.create_user(json!({"name": "anna", "role": "operator"}), PASSWORD).await;
    let request = json!({"name": "ci", "limit": {"role": "viewer"}, "ttl_seconds": 600}).to_string();
    let (_, created) = server.ask_as(Some(&session), "POST", "/api/v1/keys", &request).await;
    let (old, id) = (bearer(&created), created["key"]["id"].as_str().unwrap().to_owned());
    let token = json!({"environment": "default", "ttl_seconds": 60, "uses": 1}).to_string();
    assert_eq!(server.ask_as(Some(&old), "POST", "/api/v1/tokens", &token).await.0, 403, "it is limited to viewer");
    let rotate = async |grace: u64| {
        let body = json!({"grace_seconds": grace}).to_string();
        let (found, answer) = server.ask_as(Some(&session), "POST", &format!("/api/v1/keys/{id}/rotate"), &body).await;
        assert_eq!((found, &answer["key"]["id"]), (200, &json!(id)), "{answer}");
        bearer(&answer)
    };
    let works = async |key: &str| server.ask_as(Some(key), "GET", "/api/v1/whoami", "").await.0;
    let new = rotate(60).await;
    assert_eq!((works(&old).await, works(&new).await), (200, 200));
    let newest = rotate(0).await;
    assert_eq!((works(&old).await, works(&new).await, works(&newest).await), (401, 401, 200));
    let (_, listed) = server.ask_as(Some(&session), "GET", "/api/v1/keys", "").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    assert!(listed["items"][0]["last_used_at"].is_string(), "{listed}");
    assert_eq!(server.ask_as(Some(&session), "DELETE", &format!("/api/v1/keys/{id}"), "").await.0, 200);
    assert_eq!(works(&newest).await, 401);
}

#[tokio::test]
async fn a_change_of_the_password_ends_the_other_sessions() {
    let server = Running::start().await;
    let first = server.create_user(json!({"name": "anna", "role": "viewer"}), PASSWORD).await;
    let second = bearer(&server.log_in("anna", PASSWORD).await.1);
    let change = |old: &str| json!({"old_password": old, "new_password": "yet another password"}).to_string();
    let (found, refused) = server.ask_as(Some(&second), "POST", "/api/v1/password", &change("wrong password")).await;
    assert_eq!((found, &refused["field"]), (400, &json!("old_password")), "{refused}");
    assert_eq!(server.ask_as(Some(&second), "POST", "/api/v1/password", &change(PASSWORD)).await.0, 200);
    assert_eq!(server.ask_as(Some(&first), "GET", "/api/v1/whoami", "").await.0, 401);
    assert_eq!(server.ask_as(Some(&second), "GET", "/api/v1/whoami", "").await.0, 200);
}

#[tokio::test]
async fn a_lost_password_is_reset_at_the_console() {
    let server = Running::start().await;
    let admin = Name::parse("admin").unwrap();
    let session = bearer(&server.log_in("admin", &server.password).await.1);
    let Running { server: running, layout, .. } = &server;
    assert!(reset_password(layout, &admin).is_err(), "the server {} uses the directory", running.pin());
    let stopped = server.stop().await;
    let reset = reset_password(&stopped.layout, &admin).unwrap();
    assert!(!reset.is_new_admin);
    let ghost = Name::parse("ghost").unwrap();
    assert!(matches!(reset_password(&stopped.layout, &ghost), Err(crate::ServerError::UserUnknown { .. })));
    let server = stopped.start().await;
    assert_eq!(server.log_in("admin", &server.password).await.0, 401);
    assert_eq!(server.ask_as(Some(&session), "GET", "/api/v1/whoami", "").await.0, 401, "its sessions have ended");
    let (found, answer) = server.log_in("admin", reset.reveal()).await;
    assert_eq!((found, &answer["caller"]["pending"][0]), (200, &json!("change-password")), "{answer}");
}
