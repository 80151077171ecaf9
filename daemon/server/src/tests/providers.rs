//! Providers, plugins and records, as seen by operators and sites.

use std::collections::BTreeSet;

use linecamp_model::limits::{PLUGIN_BYTES_MAX, PLUGIN_PIECE_BYTES_MAX};
use linecamp_model::{
    Delta, DnsStatus, Document, DocumentKey, DomainName, FromMember, FromParent, Generation, Name, PluginDigest,
    PluginPiece, PluginWant, ProviderId, ProviderStatus, RecordKey, RecordState, RecordStatus, RecordType, RefusalCode,
    SpecBody, StatusBody, Text,
};
use serde_json::{Value, json};

use super::fixture::{Linked, Running, soon};

/// A component as far as the server checks it: two pieces, the second one short.
fn component() -> Vec<u8> {
    [&b"\0asm\x0d\0\x01\0"[..], &[7; PLUGIN_PIECE_BYTES_MAX]].concat()
}

fn settings(digest: Option<PluginDigest>) -> Value {
    let mut settings =
        json!({"name": "main-dns", "plugin": "dns-fake", "owner": "acme", "zones": ["example.org"], "config": {}});
    if let Some(digest) = digest {
        settings["digest"] = json!(digest.to_string());
    }
    settings
}

fn request(digest: Option<PluginDigest>) -> Value {
    json!({"environment": "default", "sites": "region=eu", "settings": settings(digest)})
}

async fn pushed(server: &Running) -> PluginDigest {
    let component = component();
    let (status, view) = server.push("dns-fake", &component, component.len() as u64).await;
    let digest = PluginDigest::of(&component);
    assert_eq!((status, &view["digest"]), (201, &json!(digest.to_string())), "{view}");
    digest
}

async fn piece(linked: &mut Linked, want: PluginWant) -> PluginPiece {
    linked.send(&FromMember::WantPlugin(want)).await;
    loop {
        match linked.recv().await {
            Ok(FromParent::Plugin(piece)) => return piece,
            Ok(_) => {}
            Err(refusal) => panic!("expected a piece, not {refusal}"),
        }
    }
}

/// Receives and acknowledges specs until one contains the provider; returns its generation.
async fn recv_provider(linked: &mut Linked) -> Generation {
    let key = DocumentKey::Provider(ProviderId::of(&Name::parse("main-dns").unwrap()));
    loop {
        if let Ok(FromParent::Spec(delta)) = linked.recv().await {
            linked.send(&FromMember::SpecAck(delta.to)).await;
            if let Some(Document { body: Some(SpecBody::Provider(_)), .. }) = delta.documents.get(&key) {
                return delta.to;
            }
        }
    }
}

#[tokio::test]
async fn a_plugin_is_pushed_listed_and_removed() {
    let server = Running::start().await;
    let digest = pushed(&server).await;
    pushed(&server).await;
    let (_, all) = server.ask("GET", "/api/v1/plugins", None).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 1);
    let plugin = &all["items"][0];
    assert_eq!((&plugin["name"], &plugin["bytes"]), (&json!("dns-fake"), &json!(component().len())));

    let folder = server.layout.plugins();
    let files = || std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(files(), 1);
    let path = format!("/api/v1/plugins/{digest}");
    let (status, removed) = server.ask("DELETE", &path, None).await;
    assert_eq!((status, &removed["digest"]), (200, &json!(digest.to_string())));
    assert_eq!(files(), 0);
    let (status, gone) = server.ask("DELETE", &path, None).await;
    assert_eq!((status, &gone["code"]), (404, &json!("not-found")));
}

#[tokio::test]
async fn a_file_that_is_not_a_plugin_is_rejected_and_deleted() {
    let server = Running::start().await;
    let check = async |name: &str, bytes: &[u8], announced: u64, status: u16, words: &str| {
        let (found, answer) = server.push(name, bytes, announced).await;
        let message = answer["detail"].as_str().unwrap_or_default().to_owned();
        assert!(found == status && message.contains(words), "{found} {answer}");
    };
    check("dns-fake", b"", 0, 400, "the file is empty").await;
    check("dns-fake", b"\0asm\x01\0\0\0", 8, 400, "a core WebAssembly module").await;
    check("dns-fake", b"#!/bin/sh\n", 10, 400, "not a WebAssembly component").await;
    check("dns-fake", b"", PLUGIN_BYTES_MAX + 1, 413, "maximum 33554432 bytes").await;
    check("Dns_Fake", &component(), 8, 400, "name: ").await;
    let (status, answer) = server.ask("POST", "/api/v1/plugins", None).await;
    assert!(status == 400 && answer["detail"].as_str().unwrap().contains("name"), "{answer}");
    assert_eq!(std::fs::read_dir(server.layout.plugins()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_site_resumes_the_download_of_a_plugin_in_its_spec() {
    let server = Running::start().await;
    let component = component();
    let digest = pushed(&server).await;
    let (site, mut linked) = server.linked("camp-1").await;
    let spec = linked.expect_welcome().await;
    linked.send(&FromMember::SpecAck(spec.to)).await;
    let nothing = piece(&mut linked, PluginWant { digest, offset: 0 }).await;
    assert_eq!((nothing.total, nothing.bytes.len()), (0, 0), "its spec names no plugin");

    let (status, made) = server.ask("POST", "/api/v1/providers", Some(request(Some(digest)))).await;
    assert_eq!((status, &made["site_count"]), (201, &json!(1)), "{made}");
    recv_provider(&mut linked).await;
    let first = piece(&mut linked, PluginWant { digest, offset: 0 }).await;
    assert_eq!((first.total, &first.bytes[..]), (component.len() as u64, &component[..PLUGIN_PIECE_BYTES_MAX]));

    let server = server.crash().await;
    let offset = first.bytes.len() as u64;
    let mut linked = site.greet(&server).await;
    let rest = piece(&mut linked, PluginWant { digest, offset }).await;
    assert_eq!((rest.offset, &rest.bytes[..]), (offset, &component[PLUGIN_PIECE_BYTES_MAX..]));

    let (status, used) = server.ask("DELETE", &format!("/api/v1/plugins/{digest}"), None).await;
    assert_eq!((status, &used["code"]), (409, &json!("not-possible")));
    std::fs::remove_dir_all(server.layout.plugins()).unwrap();
    let lost = piece(&mut linked, PluginWant { digest, offset: 0 }).await;
    assert_eq!((lost.total, lost.bytes.len()), (0, 0));
}

#[tokio::test]
async fn a_site_that_requests_pieces_without_waiting_is_closed_as_busy() {
    let server = Running::start().await;
    let digest = pushed(&server).await;
    let (_site, mut linked) = server.linked("camp-1").await;
    let spec = linked.expect_welcome().await;
    linked.send(&FromMember::SpecAck(spec.to)).await;
    server.ask("POST", "/api/v1/providers", Some(request(Some(digest)))).await;
    recv_provider(&mut linked).await;
    let request = linecamp_proto::encode_from_member(&FromMember::WantPlugin(PluginWant { digest, offset: 0 }));
    let end = soon(async {
        loop {
            if let Err(end) = linked.sender.send(&request).await {
                return end;
            }
        }
    })
    .await;
    let linecamp_transport::SessionEnd::Closed { code, reason } = end else {
        panic!("closed by the server, not {end}");
    };
    assert_eq!(linecamp_proto::decode_refusal(code, &reason).unwrap().code, RefusalCode::Busy);
}

#[tokio::test]
async fn a_provider_is_created_changed_and_removed() {
    let server = Running::start().await;
    let (status, made) = server.ask("POST", "/api/v1/providers", Some(request(None))).await;
    assert_eq!((status, &made["sites"], &made["settings"]["ttl"]), (201, &json!("region=eu"), &json!(300)), "{made}");
    let (status, again) = server.ask("POST", "/api/v1/providers", Some(request(None))).await;
    assert_eq!((status, &again["code"]), (409, &json!("name-taken")));

    let mut changed = settings(None);
    changed["allow_deletes"] = json!(true);
    let edit = json!({"sites": "", "settings": changed});
    let (status, edited) = server.ask("PATCH", "/api/v1/providers/main-dns", Some(edit)).await;
    assert_eq!((status, &edited["sites"], &edited["settings"]["allow_deletes"]), (200, &json!(""), &json!(true)));
    let (_, all) = server.ask("GET", "/api/v1/providers?environment=default", None).await;
    assert_eq!(all["items"], json!([edited]));

    let (status, removed) = server.ask("DELETE", "/api/v1/providers/main-dns", None).await;
    assert_eq!((status, &removed["withdraw"]), (200, &json!(false)), "no site has it");
    let (status, gone) = server.ask("GET", "/api/v1/providers/main-dns", None).await;
    assert_eq!((status, &gone["code"]), (404, &json!("not-found")));
}

#[tokio::test]
async fn an_invalid_provider_is_rejected_with_its_key() {
    let server = Running::start().await;
    server.ask("POST", "/api/v1/providers", Some(request(None))).await;
    let with = |key: &str, value: Value| {
        let mut request = request(None);
        request["settings"][key] = value;
        request
    };
    let mut absent = with("digest", json!(PluginDigest::of(b"absent").to_string()));
    absent["settings"]["name"] = json!("other");
    let renamed = json!({"settings": with("name", json!("other"))["settings"]});
    let post = "/api/v1/providers";
    let table = [
        ("POST", post, with("zones", json!([])), 400, "settings.zones: is empty"),
        ("POST", post, with("secret", json!({})), 400, "unknown field `secret`"),
        ("POST", post, with("digest", json!("7")), 400, "settings.digest"),
        ("POST", post, absent, 404, "push it with `linecamp plugin push FILE`"),
        ("POST", post, json!({"environment": "lab", "sites": "", "settings": settings(None)}), 404, "environment lab"),
        ("POST", post, json!({"environment": "default", "sites": ",", "settings": settings(None)}), 400, "sites: "),
        ("PATCH", "/api/v1/providers/main-dns", renamed, 400, "cannot be renamed"),
        ("PATCH", "/api/v1/providers/other", json!({}), 404, "provider other not found"),
        ("DELETE", "/api/v1/providers/main-dns?forced=true", Value::Null, 400, "forced"),
        ("DELETE", "/api/v1/plugins/7", Value::Null, 400, "64 hexadecimal"),
        ("GET", "/api/v1/records?state=lost", Value::Null, 400, "quarantined"),
        ("GET", "/api/v1/records?site=-", Value::Null, 400, "site: "),
    ];
    for (method, target, body, status, words) in table {
        let (found, answer) = server.ask(method, target, Some(body).filter(|body| !body.is_null())).await;
        let message = answer["detail"].as_str().unwrap_or_default();
        assert!(found == status && message.contains(words), "{method} {target}: {found} {answer}");
    }
}

#[tokio::test]
async fn the_reported_records_of_a_site_can_be_requested() {
    let server = Running::start().await;
    server.ask("POST", "/api/v1/providers", Some(request(None))).await;
    let (_site, mut linked) = server.linked("camp-1").await;
    recv_provider(&mut linked).await;
    linked.send(&provider_report()).await;

    let records = async |query: &str| server.ask("GET", &format!("/api/v1/records?{query}"), None).await.1;
    let all = soon(async {
        loop {
            let all = records("").await;
            if !all["items"].as_array().unwrap().is_empty() {
                return all;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let found: Vec<_> =
        all["items"].as_array().unwrap().iter().map(|record| (&record["name"], &record["state"])).collect();
    assert_eq!(found, [(&json!("a.example.org"), &json!("in-sync")), (&json!("b.example.org"), &json!("conflict"))]);
    assert_eq!(all["items"][0]["values"], json!(["192.0.2.7"]));
    let count = async |query: &str| records(query).await["items"].as_array().unwrap().len();
    for query in ["site=camp-1&environment=default", "selector=region%3Deu", "provider=main-dns"] {
        assert_eq!(count(query).await, 2, "{query}");
    }
    assert_eq!(count("state=conflict").await, 1);
    for query in ["site=camp-2", "environment=lab", "selector=region%3Dus", "provider=other", "state=retained"] {
        assert_eq!(count(query).await, 0, "{query}");
    }
}

/// A status with one record in sync and one in conflict.
fn provider_report() -> FromMember {
    let name = Name::parse("main-dns").unwrap();
    let record = |host: &str, state| RecordStatus {
        zone: DomainName::parse("example.org").unwrap(),
        key: RecordKey { name: DomainName::parse(host).unwrap(), rtype: RecordType::A },
        values: BTreeSet::from(["192.0.2.7".into()]),
        ttl: None,
        observed: None,
        state,
        detail: Text::default(),
    };
    let status = ProviderStatus {
        name: name.clone(),
        is_local: false,
        plugin: Text::lossy("dns-fake"),
        failure: None,
        converged: Generation(0),
        kind: DnsStatus {
            records: vec![record("a.example.org", RecordState::InSync), record("b.example.org", RecordState::Conflict)],
        }
        .into(),
    };
    let body = Some(StatusBody::Provider(status));
    let document = Document { generation: Generation(1), body };
    FromMember::Status(Delta {
        base: Generation::ZERO,
        to: Generation(1),
        snapshot: true,
        documents: [(DocumentKey::Provider(ProviderId::of(&name)), document)].into(),
        more: false,
    })
}
