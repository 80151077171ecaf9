//! Who may perform which operation: every operation over HTTP, with every role in every scope and every kind of
//! credential, against a table that is written by hand. It repeats what the table of operations says, on purpose.

use linecamp_model::Role;
use linecamp_proto::api::operation;
use serde_json::{Value, json};

use super::fixture::{Linked, PASSWORD, Running, Site};

/// Who may perform an operation in this test, where the object is in the environment `lab`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    /// Everybody, without credentials.
    Public,
    /// Everybody with credentials.
    Account,
    /// Who has the role in `lab`; to those who have no role in it, its objects do not exist.
    InLab(Role),
    /// Who has the role in any environment.
    Anywhere(Role),
    /// Who has the role in all environments.
    Everywhere(Role),
    /// An admin in all environments; for others the object, which belongs to another user, does not exist.
    OfAnother,
    /// A session of an admin in all environments.
    AdminSession,
}

use Rule::{Account, AdminSession, Anywhere, Everywhere, InLab, OfAnother, Public};

/// An operation, the rule, and a request that is well-formed and changes nothing that the test needs.
pub(super) struct Row(&'static str, Rule, &'static str, &'static str);

impl Row {
    /// Returns the name of the operation.
    pub(super) const fn name(&self) -> &'static str {
        self.0
    }
}

/// A body of no request.
const NONE: &str = "";

const PROVIDER: &str = r#"{"environment": "lab", "sites": "region=eu",
    "settings": {"name": "dns", "plugin": "dns-fake", "owner": "acme", "zones": ["example.org"], "config": {}}}"#;
const TOKEN: &str = r#"{"environment": "lab", "ttl_seconds": 60, "uses": 1}"#;
/// A generation that the spec never has: the action is kept, and changes nothing.
const BULK: &str = r#"{"action": "activate", "sites": {"{site}": 999}}"#;
const SHORT: &str = r#"{"old_password": "x", "new_password": "short"}"#;

pub(super) fn rows() -> Vec<Row> {
    let (viewer, operator, admin) = (Role::Viewer, Role::Operator, Role::Admin);
    vec![
        Row("health.show", Public, "GET /healthz", NONE),
        Row("readiness.show", Public, "GET /readyz", NONE),
        Row("installer.show", Public, "GET /install", NONE),
        Row("package.show", Public, "GET /install/none", NONE),
        Row("openapi.show", Public, "GET /api/v1/openapi.json", NONE),
        Row("metrics.show", Everywhere(viewer), "GET /metrics", NONE),
        Row("server.show", Account, "GET /api/v1/server", NONE),
        Row("request.show", Account, "GET /api/v1/doctor/request", NONE),
        Row("server.edit", Everywhere(admin), "PATCH /api/v1/server", "{}"),
        Row("session.login", Public, "POST /api/v1/login", "{}"),
        // Without a provider, each of them says so.
        Row("session.begin-oidc", Public, "GET /api/v1/login/oidc", NONE),
        Row("session.finish-oidc", Public, "GET /api/v1/login/oidc/callback?code=c&state=s", NONE),
        Row("session.redeem-oidc", Public, "POST /api/v1/login/oidc/token", r#"{"code": "c", "verifier": "v"}"#),
        Row("session.begin-device", Public, "POST /api/v1/login/oidc/device", NONE),
        Row("session.finish-device", Public, "POST /api/v1/login/oidc/device/token", r#"{"handle": "h"}"#),
        Row("session.logout", Account, "POST /api/v1/logout", NONE),
        Row("caller.show", Account, "GET /api/v1/whoami", NONE),
        Row("password.change", Account, "POST /api/v1/password", SHORT),
        Row("server.setup", AdminSession, "POST /api/v1/setup", r#"{"server_url": "https://localhost:8443"}"#),
        Row("user.list", Everywhere(admin), "GET /api/v1/users", NONE),
        Row("user.create", Everywhere(admin), "POST /api/v1/users", r#"{"name": "other"}"#),
        Row("user.show", Everywhere(admin), "GET /api/v1/users/other", NONE),
        Row("user.edit", Everywhere(admin), "PATCH /api/v1/users/other", "{}"),
        Row("user.remove", Everywhere(admin), "DELETE /api/v1/users/ghost", NONE),
        Row("user.password", Everywhere(admin), "POST /api/v1/users/other/password", r#"{"password": "short"}"#),
        Row("user.logout", OfAnother, "POST /api/v1/users/other/logout", NONE),
        Row("key.list", Account, "GET /api/v1/keys", NONE),
        Row("key.create", Account, "POST /api/v1/keys", r#"{"name": "k", "ttl_seconds": 0}"#),
        Row("key.show", OfAnother, "GET /api/v1/keys/{key}", NONE),
        Row("key.rotate", OfAnother, "POST /api/v1/keys/{key}/rotate", r#"{"grace_seconds": 99999999}"#),
        Row("key.revoke", OfAnother, "DELETE /api/v1/keys/{key}", NONE),
        Row("session.list", Account, "GET /api/v1/sessions", NONE),
        Row("session.show", OfAnother, "GET /api/v1/sessions/{session}", NONE),
        Row("session.end", OfAnother, "DELETE /api/v1/sessions/{session}", NONE),
        Row("site.list", Anywhere(viewer), "GET /api/v1/sites", NONE),
        Row("site.show", InLab(viewer), "GET /api/v1/sites/s1", NONE),
        Row("site.history", InLab(viewer), "GET /api/v1/sites/s1/history", NONE),
        Row("site.edit", InLab(operator), "PATCH /api/v1/sites/s1", "{}"),
        Row("site.remove", InLab(operator), "DELETE /api/v1/sites/s1", NONE),
        Row("site.label", InLab(operator), "POST /api/v1/sites/s1/labels", "{}"),
        Row("site.deactivate", InLab(operator), "POST /api/v1/sites/s1/deactivate", NONE),
        Row("site.activate", InLab(operator), "POST /api/v1/sites/s1/activate", NONE),
        Row("site.accept", InLab(operator), "POST /api/v1/sites/s1/accept", NONE),
        Row("bulk-action.list", Anywhere(viewer), "GET /api/v1/bulk-actions", NONE),
        Row("bulk-action.create", InLab(operator), "POST /api/v1/bulk-actions", BULK),
        Row("bulk-action.show", InLab(viewer), "GET /api/v1/bulk-actions/{bulk}", NONE),
        Row("host.list", Anywhere(viewer), "GET /api/v1/hosts", NONE),
        Row("host.select", Anywhere(viewer), "GET /api/v1/selection", NONE),
        Row("host.show", InLab(viewer), "GET /api/v1/hosts/s1", NONE),
        Row("host.edit", InLab(operator), "PATCH /api/v1/hosts/s1", "{}"),
        Row("host.remove", InLab(operator), "DELETE /api/v1/hosts/s1", NONE),
        Row("host.label", InLab(operator), "POST /api/v1/hosts/s1/labels", "{}"),
        Row("host.deactivate", InLab(operator), "POST /api/v1/hosts/s1/deactivate", NONE),
        Row("host.activate", InLab(operator), "POST /api/v1/hosts/s1/activate", NONE),
        Row("token.list", Anywhere(viewer), "GET /api/v1/tokens", NONE),
        Row("token.create", InLab(operator), "POST /api/v1/tokens", TOKEN),
        Row("token.revoke", InLab(operator), "DELETE /api/v1/tokens/{token}", NONE),
        Row("audit.list", Everywhere(admin), "GET /api/v1/audit", NONE),
        Row("event.list", Anywhere(viewer), "GET /api/v1/events", NONE),
        // A stream has no end; this one does not begin.
        Row("event.stream", Anywhere(viewer), "GET /api/v1/stream?site=none", NONE),
        Row("environment.list", Anywhere(viewer), "GET /api/v1/environments", NONE),
        Row("environment.create", Everywhere(admin), "POST /api/v1/environments", r#"{"name": "lab"}"#),
        Row("environment.edit", InLab(admin), "PATCH /api/v1/environments/lab", "{}"),
        Row("provider.list", Anywhere(viewer), "GET /api/v1/providers", NONE),
        Row("provider.create", InLab(operator), "POST /api/v1/providers", PROVIDER),
        Row("provider.show", InLab(viewer), "GET /api/v1/providers/dns", NONE),
        Row("provider.edit", InLab(operator), "PATCH /api/v1/providers/dns", "{}"),
        Row("provider.remove", InLab(operator), "DELETE /api/v1/providers/dns", NONE),
        Row("provider.preview", InLab(operator), "POST /api/v1/providers/dns/preview", PROVIDER),
        Row("plugin.list", Account, "GET /api/v1/plugins", NONE),
        Row("plugin.push", Everywhere(admin), "POST /api/v1/plugins?name=p", NONE),
        Row("plugin.show", Account, "GET /api/v1/plugins/none", NONE),
        Row("plugin.remove", Everywhere(admin), "DELETE /api/v1/plugins/none", NONE),
        Row("record.list", Anywhere(viewer), "GET /api/v1/records", NONE),
        Row("ca.show", Everywhere(admin), "GET /api/v1/ca", NONE),
        Row("ca.switch", Everywhere(admin), "POST /api/v1/ca/switch", NONE),
        Row("ca.retire", Everywhere(admin), "POST /api/v1/ca/retire", "{}"),
        Row("ca.add", Everywhere(admin), "POST /api/v1/ca/add", NONE),
        Row("ca.abort", Everywhere(admin), "POST /api/v1/ca/abort", NONE),
        Row("restore.show", Everywhere(admin), "GET /api/v1/restore", NONE),
        Row("restore.accept", Everywhere(admin), "POST /api/v1/restore/accept", "{}"),
        Row("restore.reject", Everywhere(admin), "POST /api/v1/restore/reject", "{}"),
    ]
}

/// Where a user has a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Lab,
    Shop,
    All,
}

/// A user of the test.
struct Person {
    role: Option<Role>,
    scope: Scope,
    session: String,
    key: String,
}

impl Person {
    fn role_if(&self, holds: bool) -> Option<Role> {
        self.role.filter(|_| holds)
    }
}

/// The outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Unauthorized,
    Forbidden,
    NotFound,
    Allowed,
}

/// Returns what the rule says: for a person with a session or a key, or for nobody.
fn expected(rule: Rule, person: Option<(&Person, bool)>) -> Outcome {
    let allowed = |is_allowed, otherwise| if is_allowed { Outcome::Allowed } else { otherwise };
    let Some((person, is_session)) = person else {
        return allowed(matches!(rule, Public), Outcome::Unauthorized);
    };
    let everywhere = person.role_if(person.scope == Scope::All);
    let in_lab = person.role_if(person.scope != Scope::Shop);
    let is_admin = everywhere == Some(Role::Admin);
    match rule {
        Public | Account => Outcome::Allowed,
        Anywhere(role) => allowed(Some(role) <= person.role, Outcome::Forbidden),
        Everywhere(role) => allowed(Some(role) <= everywhere, Outcome::Forbidden),
        InLab(role) if Some(role) > person.role => Outcome::Forbidden,
        InLab(_) => allowed(in_lab.is_some(), Outcome::NotFound),
        OfAnother => allowed(is_admin, Outcome::NotFound),
        AdminSession => allowed(is_admin && is_session, Outcome::Forbidden),
    }
}

async fn person(server: &Running, role: Option<Role>, scope: Scope) -> Person {
    let text = role.map_or("none", Role::as_str);
    let name = format!("{text}-{scope:?}").to_lowercase();
    let mut user = json!({"name": name});
    match (role, scope) {
        (None, _) => {}
        (Some(role), Scope::All) => user["role"] = json!(role.as_str()),
        (Some(role), Scope::Lab) => user["environment_roles"] = json!({"lab": role.as_str()}),
        (Some(role), Scope::Shop) => user["environment_roles"] = json!({"shop": role.as_str()}),
    }
    let session = server.create_user(user, PASSWORD).await;
    let (status, created) = server.ask_as(Some(&session), "POST", "/api/v1/keys", "{\"name\":\"own\"}").await;
    assert_eq!(status, 201, "{created}");
    let key = format!("Bearer {}", created["secret"].as_str().unwrap());
    Person { role, scope, session, key }
}

/// Creates what a request needs, and returns its target and its body with the IDs.
async fn prepare(server: &Running, target: &str, body: &str) -> (String, String) {
    let mut body = body.to_owned();
    if body.contains("{site}") {
        let (_, site) = server.ask("GET", "/api/v1/sites/s1", None).await;
        body = body.replace("{site}", site["id"].as_str().unwrap());
    }
    (prepared_target(server, target).await, body)
}

async fn prepared_target(server: &Running, target: &str) -> String {
    let id = async |line: &str, body: &str, pointer: &str, authorization: Option<&str>| {
        let (method, target) = line.split_once(' ').unwrap();
        let (status, made) = server.ask_as(authorization, method, target, body).await;
        assert!(status < 300, "{line}: {made}");
        made.pointer(pointer).and_then(Value::as_str).unwrap().to_owned()
    };
    let admin = format!("Bearer {}", server.key.reveal());
    let admin = Some(admin.as_str());
    if target.starts_with("/api/v1/providers/dns") {
        // It exists already, unless the last request removed it.
        server.ask_as(admin, "POST", "/api/v1/providers", PROVIDER).await;
    }
    if target.contains("{key}") {
        let number = u64::from_ne_bytes(linecamp_transport::random_bytes().unwrap());
        let name = format!("k{number}");
        let request = json!({"name": name, "user": "other"}).to_string();
        return target.replace("{key}", &id("POST /api/v1/keys", &request, "/key/id", admin).await);
    }
    if target.contains("{session}") {
        let request = json!({"name": "victim", "password": PASSWORD}).to_string();
        return target.replace("{session}", &id("POST /api/v1/login", &request, "/caller/session/id", None).await);
    }
    if target.contains("{bulk}") {
        let site = id("GET /api/v1/sites/s1", NONE, "/id", admin).await;
        let request = BULK.replace("{site}", &site);
        return target.replace("{bulk}", &id("POST /api/v1/bulk-actions", &request, "/id", admin).await);
    }
    if target.contains("{token}") {
        return target.replace("{token}", &id("POST /api/v1/tokens", TOKEN, "/token/id", admin).await);
    }
    target.to_owned()
}

/// Performs an operation, and returns the outcome and what the server answered.
pub(super) async fn attempt(server: &Running, row: &Row, credential: Option<&str>) -> (Outcome, String) {
    let Row(name, rule, line, body) = row;
    let (method, target) = line.split_once(' ').unwrap();
    let (target, body) = prepare(server, target, body).await;
    // A generation that the spec never has: what is allowed fails with 412, and changes nothing.
    let spec = operation::ALL.iter().find(|spec| spec.name == *name).unwrap();
    let stale = if spec.has_etag && !spec.method.is_read() { "if-match: \"g999\"\r\n" } else { "" };
    let media = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let media = if body.is_empty() { String::new() } else { format!("content-type: {media}\r\n") };
    let credential = credential.map_or_else(String::new, |value| format!("authorization: {value}\r\n"));
    let line = format!("{method} {target}");
    let (head, answer) = server.request_with(&line, &format!("{credential}{stale}{media}"), &body).await;
    let outcome = match head.split(' ').nth(1).unwrap() {
        "401" => Outcome::Unauthorized,
        "403" => Outcome::Forbidden,
        // Elsewhere, the object is missing for everybody, on purpose.
        "404" if matches!(rule, InLab(_) | OfAnother) => Outcome::NotFound,
        _ => Outcome::Allowed,
    };
    (outcome, answer)
}

/// Starts a server with what the requests of the table are about.
pub(super) async fn server_with_objects() -> (Running, (Site, Linked)) {
    let server = Running::start().await;
    for name in ["lab", "shop"] {
        assert_eq!(server.ask("POST", "/api/v1/environments", Some(json!({"name": name}))).await.0, 201);
    }
    let url = json!({"server_url": "https://localhost:8443"});
    assert_eq!(server.ask("PATCH", "/api/v1/server", Some(url)).await.0, 200);
    server.ask("POST", "/api/v1/users", Some(json!({"name": "other"}))).await;
    server.create_user(json!({"name": "victim"}), PASSWORD).await;
    let site = server.linked_in("lab", "s1").await;
    (server, site)
}

#[tokio::test]
async fn every_operation_is_allowed_to_exactly_the_roles_of_this_table() {
    let rows = rows();
    let mut names: Vec<_> = rows.iter().map(|Row(name, ..)| *name).collect();
    let mut all: Vec<_> = operation::ALL.iter().map(|spec| spec.name).collect();
    names.sort_unstable();
    all.sort_unstable();
    assert_eq!(names, all, "each operation has one row");

    let (server, _site) = server_with_objects().await;
    let mut people = vec![person(&server, None, Scope::All).await];
    for role in Role::ALL {
        for scope in [Scope::Lab, Scope::Shop, Scope::All] {
            people.push(person(&server, Some(*role), scope).await);
        }
    }
    // The operation that ends the session comes last.
    let (last, rest): (Vec<_>, Vec<_>) = rows.iter().partition(|Row(name, ..)| *name == "session.logout");
    let mut wrong = Vec::new();
    for row in rest.into_iter().chain(last) {
        let Row(name, rule, ..) = row;
        let (found, answer) = attempt(&server, row, None).await;
        if found != expected(*rule, None) {
            wrong.push(format!("{name} without credentials: {found:?} {answer}"));
        }
        for person in &people {
            for (is_session, credential) in [(false, &person.key), (true, &person.session)] {
                let (found, answer) = attempt(&server, row, Some(credential)).await;
                let expected = expected(*rule, Some((person, is_session)));
                let (role, scope) = (person.role, person.scope);
                if found != expected {
                    let by = if is_session { "session" } else { "key" };
                    wrong.push(format!("{name}: {role:?} in {scope:?} by {by}: {found:?}, not {expected:?}: {answer}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
