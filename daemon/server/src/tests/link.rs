//! The link, as sites meet it.

use linecamp_model::limits::FIRST_FRAME_BYTES_MAX;
use linecamp_model::{DocumentKey, FromServer, FromSite, JoinSecret, RefusalCode, SpecBody, SpecDelta};
use linecamp_transport::Incoming;
use serde_json::json;

use super::fixture::{Linked, Running, Site, soon};
use crate::drive::session;

/// What one idle session may cost in its task. QUIC takes 29 KB of the 40 KB that it may cost in all; the machine's
/// part and the queue take some 2 KB.
const TASK_BYTES_MAX: usize = 4 * 1024;

fn assigned(delta: &SpecDelta, key: &str) -> Option<String> {
    match delta.documents.get(&DocumentKey::Site)?.body.as_ref()? {
        SpecBody::Site(spec) => spec.assigned.value(key).map(str::to_owned),
        SpecBody::Host(_) | SpecBody::Provider(_) => None,
    }
}

#[tokio::test]
async fn a_site_joins_greets_and_gets_its_spec_and_what_is_changed_later() {
    let server = Running::start().await;
    let (_site, mut linked) = server.linked("camp-042").await;
    let spec = linked.expect_welcome().await;
    assert_eq!(assigned(&spec, "region").as_deref(), Some("eu"));
    linked.tell(&FromSite::SpecAck(spec.to)).await;

    let (_, sites) = server.ask("GET", "/api/v1/sites?selector=region%3Deu", None).await;
    let site = &sites["items"][0];
    assert_eq!((&site["name"], &site["link"]["state"]), (&json!("camp-042"), &json!("connected")));
    let address = site["link"]["address"].as_str().unwrap();
    assert!(address.starts_with("127.0.0.1:"), "{address}");

    let change = json!({"set": {"rack": "r7"}});
    let (status, labelled) = server.ask("POST", "/api/v1/sites/camp-042/labels", Some(change)).await;
    assert_eq!(status, 200, "{labelled}");
    match linked.hear().await {
        Ok(FromServer::Spec(delta)) => {
            assert_eq!((delta.base, assigned(&delta, "rack").as_deref()), (spec.to, Some("r7")));
        }
        other => panic!("the change goes down at once, not {other:?}"),
    }
    let (_, events) = server.ask("GET", "/api/v1/events?site=camp-042&after=0", None).await;
    let kinds: Vec<_> = events["items"].as_array().unwrap().iter().map(|event| &event["kind"]).collect();
    assert_eq!(kinds, ["site-joined", "labels-assigned"]);
}

#[tokio::test]
async fn a_registration_survives_a_crash_of_the_server() {
    let server = Running::start().await;
    let (site, mut linked) = server.linked("camp-1").await;
    linked.expect_welcome().await;
    let edit = json!({"name": "camp-2", "description": "behind the shop"});
    let (status, edited) = server.ask("PATCH", "/api/v1/sites/camp-1", Some(edit)).await;
    assert_eq!((status, &edited["name"]), (200, &json!("camp-2")));

    let server = server.crash().await;
    let (_, found) = server.ask("GET", "/api/v1/sites/camp-2", None).await;
    assert_eq!(found["description"], "behind the shop");
    site.greet(&server).await.expect_welcome().await;
}

#[tokio::test]
async fn a_join_is_refused_with_the_reason_for_machines_and_people() {
    let server = Running::start().await;
    let good = server.token().await;
    let mut wrong = good.clone();
    wrong.token.secret = JoinSecret::from_bytes([0; 16]);
    let refusal = Site::new().join(&server, &wrong, "camp-1").await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::TokenUnknown);
    assert!(refusal.text.as_str().contains("join token"), "{refusal}");

    Site::new().join(&server, &good, "camp-1").await.unwrap();
    let refusal = Site::new().join(&server, &good, "camp-1").await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::NameTaken);
}

#[tokio::test]
async fn bytes_that_are_no_message_cost_their_own_session_and_no_other() {
    let server = Running::start().await;
    let (_site, mut linked) = server.linked("camp-1").await;
    linked.expect_welcome().await;
    for garbage in [vec![0xff; 40], vec![0x0a; FIRST_FRAME_BYTES_MAX + 1]] {
        let vandal = Site::new();
        let refusal = vandal.say(&server, &garbage).await.hear().await.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::Protocol);
    }
    linked.tell(&FromSite::Renew).await;
    assert!(matches!(linked.hear().await, Ok(FromServer::Identity(_))));
}

#[tokio::test]
async fn a_large_message_is_read_once_the_server_knows_who_speaks() {
    let server = Running::start().await;
    let (_site, mut linked) = server.linked("camp-1").await;
    linked.expect_welcome().await;
    // Too large for a newcomer, and for nobody else: so it is looked into, and is no message.
    let garbage = vec![0xff; FIRST_FRAME_BYTES_MAX + 1];
    soon(linked.sender.send(&garbage)).await.unwrap();
    let refusal = linked.hear().await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Protocol);
    assert!(refusal.text.as_str().contains("decode"), "{refusal}");
}

#[tokio::test]
async fn who_asks_and_does_not_read_is_closed_as_busy() {
    let server = Running::start().await;
    let (_site, mut linked) = server.linked("camp-1").await;
    linked.expect_welcome().await;
    // Each is answered with what is held of its status.
    let question = FromSite::Status(linecamp_model::Delta {
        base: linecamp_model::Generation(1),
        to: linecamp_model::Generation(2),
        snapshot: false,
        documents: std::collections::BTreeMap::new(),
    });
    let question = linecamp_proto::encode_from_site(&question);
    let end = soon(async {
        loop {
            if let Err(end) = linked.sender.send(&question).await {
                return end;
            }
        }
    })
    .await;
    let linecamp_transport::SessionEnd::Closed { code, reason } = end else {
        panic!("closed by the server, not {end}");
    };
    let refusal = linecamp_proto::decode_refusal(code, &reason).unwrap();
    assert_eq!(refusal.code, RefusalCode::Busy);
}

#[tokio::test]
async fn a_removed_site_is_told_and_never_comes_back() {
    let server = Running::start().await;
    let (site, mut linked) = server.linked("camp-1").await;
    linked.expect_welcome().await;
    let (status, removed) = server.ask("DELETE", "/api/v1/sites/camp-1?force=true", None).await;
    assert_eq!((status, &removed["state"]), (200, &json!("removed")));
    assert_eq!(last_word(&mut linked).await, RefusalCode::Removed);
    assert_eq!(last_word(&mut site.greet(&server).await).await, RefusalCode::Removed);
}

#[tokio::test]
async fn a_stopping_server_tells_its_sites_when_to_come_back() {
    let server = Running::start().await;
    let (_site, mut linked) = server.linked("camp-1").await;
    linked.expect_welcome().await;
    let (stopped, refusal) = soon(async { tokio::join!(server.server.stop(), linked.hear()) }).await;
    stopped.unwrap();
    let refusal = refusal.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::ServerStopping);
    assert!(refusal.retry_after.is_some());
}

#[test]
fn an_idle_session_costs_little() {
    type Serve<F> =
        fn(Incoming, session::NewcomerPermit, std::sync::Arc<session::HandshakeStats>, session::SessionNotes) -> F;
    fn task_bytes<F>(_: Serve<F>) -> usize {
        size_of::<F>()
    }
    let bytes = task_bytes(session::serve);
    assert!(bytes <= TASK_BYTES_MAX, "{bytes} bytes");
}

async fn last_word(linked: &mut Linked) -> RefusalCode {
    loop {
        if let Err(refusal) = linked.hear().await {
            return refusal.code;
        }
    }
}
