//! The audit log, as an admin reads it.

use linecamp_model::{AuditHash, AuditHead, AuditVerifier, Name, Requirement};
use linecamp_proto::api::operation;
use linecamp_proto::api::{AuditEntry, AuditPage};
use serde_json::{Value, json};

use super::fixture::{PASSWORD, Running};
use super::roles::{attempt, rows, server_with_objects};
use crate::reset_password;

impl Running {
    async fn audit_page(&self, query: &str) -> AuditPage {
        let (status, page) = self.ask("GET", &format!("/api/v1/audit{query}"), None).await;
        assert_eq!(status, 200, "{page}");
        serde_json::from_value(page).unwrap()
    }

    /// Waits until all entries are durable: the response to a request that was refused does not wait for its entry.
    async fn settled(&self) {
        for _ in 0..1_000 {
            let (_, metrics) = self.exchange("GET /metrics", "", "").await;
            let number = metrics.lines().find_map(|line| line.strip_prefix("linecamp_audit_entries_total "));
            if number.unwrap().parse() == Ok(self.audit_page("?limit=1").await.head.number) {
                return;
            }
        }
        panic!("the entries of the audit log are not written");
    }

    /// Returns the entries above a number.
    pub(super) async fn audit_after(&self, after: u64) -> Vec<AuditEntry> {
        self.settled().await;
        self.audit_page(&format!("?after={after}")).await.items
    }

    /// Verifies the log, and returns its head.
    async fn verified(&self, known: &[AuditHead]) -> AuditHead {
        let mut page = self.audit_page("?after=0").await;
        let mut verifier = AuditVerifier::new(page.start.to_head().unwrap(), known.to_vec()).unwrap();
        while let Some(last) = page.items.last() {
            for entry in &page.items {
                let hashes = AuditHash::parse(&entry.previous).zip(AuditHash::parse(&entry.hash)).unwrap();
                let fields = entry.fields();
                let fields = fields.iter().map(|(name, value)| (*name, value.as_str()));
                verifier.check((entry.number, hashes.0, hashes.1), fields).unwrap();
            }
            page = self.audit_page(&format!("?after={}", last.number)).await;
        }
        let (head, is_confirmed) = verifier.finish().unwrap();
        assert_eq!(page.head.to_head(), Some(head));
        assert_eq!(is_confirmed, !known.is_empty());
        head
    }
}

/// Each audited operation is requested once by an admin with a session, and once by a user with an API key who may do
/// nothing. Each request has one entry, which names the user, the request, the address and the outcome.
#[tokio::test]
async fn every_audited_operation_leaves_one_entry_with_its_actor() {
    let (server, _site) = server_with_objects().await;
    let admin = server.create_user(json!({"name": "root", "role": "admin"}), PASSWORD).await;
    let nobody = server.create_user(json!({"name": "nobody"}), PASSWORD).await;
    let (status, key) = server.ask_as(Some(&nobody), "POST", "/api/v1/keys", "{\"name\":\"own\"}").await;
    assert_eq!(status, 201, "{key}");
    let key = format!("Bearer {}", key["secret"].as_str().unwrap());

    let is_audited = |name: &str| operation::ALL.iter().any(|spec| spec.name == name && spec.is_audited);
    let is_public =
        |name: &str| operation::ALL.iter().any(|spec| spec.name == name && spec.requires == Requirement::Nothing);
    let (last, rest): (Vec<_>, Vec<_>) = rows().into_iter().partition(|row| row.name() == "session.logout");
    let mut wrong = Vec::new();
    for row in rest.iter().chain(&last) {
        let name = row.name();
        if !is_audited(name) {
            continue;
        }
        for (user, kind, credential) in [("root", "user", &admin), ("nobody", "key", &key)] {
            server.settled().await;
            let before = server.audit_page("?limit=1").await.head.number;
            let (_, answer) = attempt(&server, row, Some(credential)).await;
            let entries = server.audit_after(before).await;
            let is_login = is_public(name);
            let of_request = entries.iter().filter(|entry| match is_login {
                true => entry.operation == name && entry.actor.kind == "anonymous",
                false => entry.actor.user.as_deref() == Some(user) && entry.actor.kind == kind,
            });
            let of_request: Vec<_> = of_request.collect();
            let is_known = !(is_login && user == "nobody");
            let is_complete = |entry: &&AuditEntry| {
                entry.operation == name
                    && entry.request.is_some()
                    && entry.address.as_deref() == Some("127.0.0.1")
                    && entry.target.starts_with("/api/v1/")
                    && (entry.outcome == "done") == entry.code.is_none()
            };
            // The second login is equal to the first one, and counted.
            let expected = usize::from(is_known);
            if of_request.len() != expected || !of_request.iter().all(is_complete) {
                wrong.push(format!("{name} by {user}: {of_request:?} ({answer})"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    server.verified(&[]).await;
}

#[tokio::test]
async fn an_entry_has_what_changed_and_the_request_and_no_secret() {
    let server = Running::start().await;
    let body = json!({"name": "lab", "approval": true}).to_string();
    let (head, _) = server.exchange("POST /api/v1/environments", "content-type: application/json\r\n", &body).await;
    let request = head.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap();
    let page = server.audit_page("?limit=1").await;
    let entry = page.items.last().unwrap();
    assert_eq!(entry.request.as_deref(), Some(request));
    assert_eq!((entry.operation.as_str(), entry.outcome.as_str()), ("environment.create", "done"));
    assert_eq!((entry.actor.kind.as_str(), entry.actor.key.as_deref()), ("key", Some("admin")));
    let change = entry.changes.iter().find(|change| change.field == "approval").unwrap();
    assert_eq!(change.object, "environment lab");
    assert_eq!((change.before.as_deref(), change.after.as_deref()), (None, Some("true")));

    // Everything that has a secret: users, sessions, keys, tokens.
    let session = server.create_user(json!({"name": "anna", "role": "operator"}), PASSWORD).await;
    let (_, key) = server.ask_as(Some(&session), "POST", "/api/v1/keys", "{\"name\":\"own\"}").await;
    let id = key["key"]["id"].as_str().unwrap();
    server.ask_as(Some(&session), "POST", &format!("/api/v1/keys/{id}/rotate"), "{}").await;
    let (_site, _linked) = server.linked("camp").await;
    let events = server.ask("GET", "/api/v1/events", None).await.1;
    let created = events["items"].as_array().unwrap().iter().find(|event| event["kind"] == "token-created").unwrap();
    assert_eq!(created["actor"], "key admin", "an event names who caused it");
    let entries = serde_json::to_string(&server.audit_after(0).await).unwrap();
    for secret in ["a first password", PASSWORD, &server.password, "lck_", "lcs_", "$argon2", "secret"] {
        assert!(!entries.contains(secret), "{secret}: {entries}");
    }
    let joined = server.audit_after(0).await;
    let joined = joined.iter().find(|entry| entry.operation == "site.join").expect("a join has an entry");
    assert_eq!((joined.actor.site.as_deref(), joined.address.as_deref()), (Some("camp"), Some("127.0.0.1")));
}

#[tokio::test]
async fn failed_logins_are_counted_and_do_not_fill_the_log() {
    let server = Running::start().await;
    server.create_user(json!({"name": "anna"}), PASSWORD).await;
    let before = server.audit_page("?limit=1").await.head.number;
    for _ in 0..40 {
        assert!(400 <= server.log_in("anna", "a wrong password").await.0);
    }
    assert!(400 <= server.log_in("no-such-user", "a wrong password").await.0);
    let entries = server.audit_after(before).await;
    let outcomes: Vec<_> =
        entries.iter().map(|entry| (entry.account.as_deref(), entry.code.as_deref().unwrap_or_default())).collect();
    let expected = [(Some("anna"), "unauthorized"), (Some("anna"), "too-many-requests"), (None, "unauthorized")];
    assert_eq!(outcomes, expected, "what is typed as a name may be a password: only names of users are recorded");
    let (_, metrics) = server.exchange("GET /metrics", "", "").await;
    assert!(metrics.contains("linecamp_audit_refusals_counted_total 38\n"), "{metrics}");
}

#[tokio::test]
async fn the_log_survives_a_crash_and_has_what_is_done_at_the_console() {
    let server = Running::start().await;
    let first = server.audit_after(0).await;
    assert_eq!((first[0].operation.as_str(), first[0].actor.kind.as_str()), ("server.init", "console"));
    server.token().await;
    let head = server.verified(&[]).await;
    let server = server.crash().await;
    assert_eq!(server.verified(&[head]).await, head);
    server.token().await;
    let stopped = server.stop().await;
    let name = Name::parse("admin").unwrap();
    reset_password(&stopped.layout, &name).unwrap();
    let server = stopped.start().await;
    let last = server.audit_after(head.number + 1).await;
    assert_eq!((last[0].operation.as_str(), last[0].actor.kind.as_str()), ("user.reset-password", "console"));
    let fields: Vec<_> = last[0].changes.iter().map(|change| change.field.as_str()).collect();
    assert!(fields.contains(&"password"), "{fields:?}");
    server.verified(&[head]).await;
}

#[tokio::test]
async fn the_log_is_read_from_either_end() {
    let server = Running::start().await;
    for number in 0..5 {
        let body = json!({"name": format!("e{number}")});
        assert_eq!(server.ask("POST", "/api/v1/environments", Some(body)).await.0, 201);
    }
    let numbers = |page: AuditPage| page.items.iter().map(|entry| entry.number).collect::<Vec<_>>();
    assert_eq!(numbers(server.audit_page("?limit=2").await), [5, 6]);
    assert_eq!(numbers(server.audit_page("?before=5&limit=2").await), [3, 4]);
    assert_eq!(numbers(server.audit_page("?after=1&limit=2").await), [2, 3]);
    assert_eq!(numbers(server.audit_page("?after=6").await), Vec::<u64>::new());
    let (status, refused): (u16, Value) = server.ask("GET", "/api/v1/audit?after=1&before=3", None).await;
    assert_eq!((status, &refused["field"]), (400, &json!("before")));
}

/// The codes are those of the API.
#[test]
fn an_error_of_a_command_has_the_code_of_its_response() {
    use linecamp_core::{FleetCommandError as Error, StoreFault};
    use linecamp_model::LabelError;

    let text = String::new;
    for error in [
        Error::NotFound(text()),
        Error::Ambiguous(text()),
        Error::NameTaken(text()),
        Error::Forbidden(text()),
        Error::SetupRequired(text()),
        Error::Stale(text()),
        Error::KeyReused(text()),
        Error::NotPossible(text()),
        Error::Limit(text()),
        Error::Invalid(text()),
        Error::Labels(LabelError::EmptyKey),
        Error::Store(StoreFault::DiskFull),
    ] {
        let code = error.code();
        assert_eq!(crate::api::code_of(error), code);
    }
}
