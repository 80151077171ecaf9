//! The link, as sites see it.

use linecamp_model::limits::FIRST_FRAME_BYTES_MAX;
use linecamp_model::{
    Delta, Document, DocumentKey, Event, EventBatch, EventKind, FromMember, FromParent, Generation, HostStatus,
    Incarnation, JoinSecret, LabelInput, LabelSet, RefusalCode, SiteStatus, SpecBody, SpecDelta, StatusBody, Text,
    WallTime,
};
use serde_json::json;

use super::fixture::{Linked, Running, Site, soon};

fn assigned(delta: &SpecDelta, key: &str) -> Option<String> {
    match delta.documents.get(&DocumentKey::Site)?.body.as_ref()? {
        SpecBody::Site(spec) => spec.assigned.value(key).map(str::to_owned),
        SpecBody::Host(_) | SpecBody::Provider(_) | SpecBody::HostToken(_) => None,
    }
}

#[tokio::test]
async fn a_site_joins_sends_hello_and_receives_its_spec_and_later_changes() {
    let server = Running::start().await;
    let (_site, mut linked) = server.linked("camp-042").await;
    let spec = linked.expect_welcome().await;
    assert_eq!(assigned(&spec, "region").as_deref(), Some("eu"));
    linked.send(&FromMember::SpecAck(spec.to)).await;

    let (_, sites) = server.ask("GET", "/api/v1/sites?selector=region%3Deu", None).await;
    let site = &sites["items"][0];
    assert_eq!((&site["name"], &site["link"]["state"]), (&json!("camp-042"), &json!("connected")));
    let address = site["link"]["address"].as_str().unwrap();
    assert!(address.starts_with("127.0.0.1:"), "{address}");

    let change = json!({"set": {"rack": "r7"}});
    let (status, labelled) = server.ask("POST", "/api/v1/sites/camp-042/labels", Some(change)).await;
    assert_eq!(status, 200, "{labelled}");
    match linked.recv().await {
        Ok(FromParent::Spec(delta)) => {
            assert_eq!((delta.base, assigned(&delta, "rack").as_deref()), (spec.to, Some("r7")));
        }
        other => panic!("the change goes down at once, not {other:?}"),
    }
    let (_, events) = server.ask("GET", "/api/v1/events?site=camp-042&after=0", None).await;
    let kinds: Vec<_> = events["items"].as_array().unwrap().iter().map(|event| &event["kind"]).collect();
    assert_eq!(kinds, ["site-joined", "labels-assigned"]);
}

#[tokio::test]
async fn sites_are_selected_by_the_requested_kind_of_labels() {
    let server = Running::start().await;
    let (site, mut linked) = server.linked("camp-1").await;
    linked.expect_welcome().await;
    let labels = |text: &str| {
        let input = LabelInput::parse_list([text]).unwrap();
        LabelSet::default().replaced(&input.labels, WallTime::EPOCH).unwrap()
    };
    let host = HostStatus { reported: labels("os=debian"), ..HostStatus::default() };
    let of_site = SiteStatus {
        daemon_version: Text::lossy("0.1.0"),
        spec_incarnation: Incarnation::default(),
        applied: Generation::ZERO,
        converged: Generation::ZERO,
        local: labels("rack=r7"),
        conditions: Vec::new(),
    };
    let document = |body| Document { generation: Generation(1), body: Some(body) };
    let documents = [
        (DocumentKey::Host(site.gateway()), document(StatusBody::Host(host))),
        (DocumentKey::Site, document(StatusBody::Site(of_site))),
    ];
    let delta =
        Delta { base: Generation::ZERO, to: Generation(1), snapshot: true, documents: documents.into(), more: false };
    linked.send(&FromMember::Status(delta)).await;
    assert!(matches!(linked.recv().await, Ok(FromParent::StatusAck(_))));

    for (labels, expected) in [
        ("", [1, 1, 1]),
        ("&labels=effective", [1, 1, 1]),
        ("&labels=assigned-and-reported", [1, 1, 0]),
        ("&labels=assigned", [1, 0, 0]),
    ] {
        let mut found = [0; 3];
        for (selector, found) in ["region%3Deu", "os%3Ddebian", "rack%3Dr7"].iter().zip(&mut found) {
            let (_, sites) = server.ask("GET", &format!("/api/v1/sites?selector={selector}{labels}"), None).await;
            *found = sites["items"].as_array().unwrap().len();
        }
        assert_eq!(found, expected, "{labels}");
    }
}

#[tokio::test]
async fn events_are_filtered_by_their_source() {
    let server = Running::start().await;
    let (_site, mut linked) = server.linked("camp-1").await;
    linked.expect_welcome().await;
    let (at, text) = (WallTime::EPOCH, Text::lossy("rack=r7"));
    let event = Event { at, kind: EventKind::LabelsSetLocally, site: None, host: None, text };
    linked.send(&FromMember::Events(EventBatch { first: 1, dropped: 0, events: vec![event] })).await;
    assert!(matches!(linked.recv().await, Ok(FromParent::EventsAck(_))));

    let kinds = async |source: &str| {
        let (_, events) = server.ask("GET", &format!("/api/v1/events?after=0{source}"), None).await;
        let kinds = events["items"].as_array().unwrap().iter().map(|event| event["kind"].clone());
        kinds.collect::<Vec<_>>()
    };
    let (of_server, of_site) = (json!(["token-created", "site-joined"]), json!(["labels-set-locally"]));
    assert_eq!(json!(kinds("&source=server").await), of_server);
    assert_eq!(json!(kinds("&source=site").await), of_site);
    assert_eq!(kinds("").await.len(), 3);
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
async fn a_join_is_rejected_with_a_code_and_a_message() {
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
async fn malformed_bytes_end_their_own_session_and_no_other() {
    let server = Running::start().await;
    let (_site, mut linked) = server.linked("camp-1").await;
    linked.expect_welcome().await;
    for garbage in [vec![0xff; 40], vec![0x0a; FIRST_FRAME_BYTES_MAX + 1]] {
        let vandal = Site::new();
        let refusal = vandal.say(&server, &garbage).await.recv().await.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::Protocol);
    }
    linked.send(&FromMember::Renew).await;
    assert!(matches!(linked.recv().await, Ok(FromParent::Identity(_))));
}

#[tokio::test]
async fn a_large_message_is_read_only_after_authentication() {
    let server = Running::start().await;
    let (_site, mut linked) = server.linked("camp-1").await;
    linked.expect_welcome().await;
    // Too large for a newcomer but not for an admitted site, so it is decoded, and decoding fails.
    let garbage = vec![0xff; FIRST_FRAME_BYTES_MAX + 1];
    soon(linked.sender.send(&garbage)).await.unwrap();
    let refusal = linked.recv().await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Protocol);
    assert!(refusal.text.as_str().contains("decode"), "{refusal}");
}

#[tokio::test]
async fn a_peer_that_does_not_read_responses_is_closed_as_busy() {
    let server = Running::start().await;
    let (_site, mut linked) = server.linked("camp-1").await;
    linked.expect_welcome().await;
    // Each is answered with what the server holds of this site's status.
    let question = FromMember::Status(Delta {
        base: Generation(1),
        to: Generation(2),
        snapshot: false,
        documents: std::collections::BTreeMap::new(),
        more: false,
    });
    let question = linecamp_proto::encode_from_member(&question);
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
async fn a_removed_site_is_notified_and_cannot_return() {
    let server = Running::start().await;
    let (site, mut linked) = server.linked("camp-1").await;
    linked.expect_welcome().await;
    let (status, removed) = server.ask("DELETE", "/api/v1/sites/camp-1?force=true", None).await;
    assert_eq!((status, &removed["state"]), (200, &json!("removed")));
    assert_eq!(last_word(&mut linked).await, RefusalCode::Removed);
    assert_eq!(last_word(&mut site.greet(&server).await).await, RefusalCode::Removed);
}

#[tokio::test]
async fn a_stopping_server_assigns_retry_slots_to_its_sites() {
    let server = Running::start().await;
    let (_site, mut linked) = server.linked("camp-1").await;
    linked.expect_welcome().await;
    let (stopped, refusal) = soon(async { tokio::join!(server.server.stop(), linked.recv()) }).await;
    stopped.unwrap();
    let refusal = refusal.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::ServerStopping);
    assert!(refusal.retry_after.is_some());
}

async fn last_word(linked: &mut Linked) -> RefusalCode {
    loop {
        if let Err(refusal) = linked.recv().await {
            return refusal.code;
        }
    }
}
