//! More changes than the disk accepts.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use linecamp_core::{
    CERTIFICATE_LIFE, Fleet, FleetCommand, FleetCommandError, FleetConfig, IssuedCommand, NewToken, Rng, SavedFleet,
    StoreFault,
};
use linecamp_downlink::MemberDriver;
use linecamp_model::limits::{LABEL_KEY_BYTES_MAX, LABEL_VALUE_BYTES_MAX, LABELS_PER_OWNER_MAX};
use linecamp_model::{FleetChange, LabelKey, LabelPatch, LabelValue, Name, SecretHash, TokenId};
use linecamp_proto::VERSIONS;
use linecamp_service::{Clock, StoreDriver};
use linecamp_store::{Kind, OnCorruption, QUEUE_WRITES_MAX, Store};
use linecamp_transport::Authority;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::fixture::soon;
use crate::commit_notifier::CommitNotifier;
use crate::drivers::plugin::PluginDriver;
use crate::drivers::store;
use crate::event_streams::StreamFeed;
use crate::plugin_folder::PluginFolder;
use crate::server::{Inbox, PendingReplies, REQUESTS_MAX, Request, ServerLoop};
use crate::server_addresses::ServerAddresses;
use crate::session_stats::SessionStats;
use crate::{Layout, ServerUrl, init};

/// Each token has the maximum of labels, 25 KB, so that together they exceed the store's queue of 16 MiB.
const TOKENS: u64 = 800;

fn create(id: TokenId) -> FleetCommand {
    let label = |index| {
        let key = format!("{index:0LABEL_KEY_BYTES_MAX$}");
        let value = "v".repeat(LABEL_VALUE_BYTES_MAX);
        (LabelKey::parse(&key).unwrap(), LabelValue::parse(&value).unwrap())
    };
    FleetCommand::CreateToken(NewToken {
        joins_as: linecamp_core::JoinsAs::Site,
        id,
        secret: SecretHash::of(id.as_bytes()),
        environment: Name::parse("default").unwrap(),
        ttl: Duration::from_secs(60),
        uses: 1,
        labels: LabelPatch { set: (0..LABELS_PER_OWNER_MAX).map(label).collect(), ..LabelPatch::default() },
    })
}

/// A disk that blocks for a while, a queue that overflows, and a store that resumes afterwards.
#[tokio::test]
async fn acknowledged_writes_are_on_the_disk_and_nothing_else_is() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    init(&layout, &ServerUrl::parse("https://localhost").unwrap(), &[]).unwrap();
    let (open_gate, gate) = std::sync::mpsc::channel();
    let (stop, requests, server_loop) = held_up(&layout, gate);
    let running = tokio::spawn(server_loop.run());

    let mut asking = JoinSet::new();
    let ask = async |number: u64| {
        let id = TokenId::from_bytes(number.to_be_bytes());
        let (sender, answer) = oneshot::channel();
        requests.send(Request::Command(Box::new(IssuedCommand::of_console(create(id))), sender)).await.unwrap();
        (id, answer)
    };
    for number in 0..TOKENS {
        let (id, answer) = ask(number).await;
        asking.spawn(async move { (id, answer.await.unwrap()) });
    }
    // The first rejection shows that the queue is full.
    let mut answers = vec![soon(asking.join_next()).await.unwrap().unwrap()];
    assert_eq!(answers[0].1, Err(FleetCommandError::Store(StoreFault::Failed)));
    open_gate.send(()).unwrap();
    answers.extend(soon(asking.join_all()).await);
    let (id, answer) = ask(TOKENS).await;
    let later = (id, soon(answer).await.unwrap());
    assert_eq!(later.1, Ok(()));
    answers.push(later);
    let done: BTreeSet<_> = answers.iter().filter(|(_, result)| result.is_ok()).map(|(id, _)| *id).collect();
    assert!(1 < done.len(), "what was in the queue before is done");

    stop.send_replace(true);
    soon(running).await.unwrap().close();
    let records = store::open(&layout.database()).unwrap().saved.records;
    let found = records.into_iter().filter_map(|record| match record {
        FleetChange::Token(id, Some(_)) => Some(id),
        _ => None,
    });
    assert_eq!(found.collect::<BTreeSet<_>>(), done);
}

/// A query that panics fails only its own request.
#[tokio::test]
async fn a_query_that_panics_affects_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    init(&layout, &ServerUrl::parse("https://localhost").unwrap(), &[]).unwrap();
    let (open_gate, gate) = std::sync::mpsc::channel();
    open_gate.send(()).unwrap();
    let (stop, requests, server_loop) = held_up(&layout, gate);
    let running = tokio::spawn(server_loop.run());
    requests.send(Request::Query(Box::new(|_, _| panic!("a defect in a look")))).await.unwrap();
    let (sender, answer) = oneshot::channel();
    requests.send(Request::Query(Box::new(|fleet, _| sender.send(fleet.view().last_event()).unwrap()))).await.unwrap();
    assert_eq!(soon(answer).await.unwrap(), 0);
    stop.send_replace(true);
    soon(running).await.unwrap().close();
}

/// Creates a loop whose store answers nothing until `gate` opens.
fn held_up(
    layout: &Layout,
    gate: std::sync::mpsc::Receiver<()>,
) -> (watch::Sender<bool>, mpsc::Sender<Request>, ServerLoop) {
    let (sender, answers) = mpsc::channel(QUEUE_WRITES_MAX);
    let mut is_open = false;
    let opened = Store::open(&layout.database(), Kind::Fleet, OnCorruption::Refuse, move |answer| {
        if !std::mem::replace(&mut is_open, true) {
            gate.recv().unwrap();
        }
        sender.blocking_send(answer).unwrap();
    })
    .unwrap();
    let (stop, stopping) = watch::channel(false);
    let (requests, inbox) = mpsc::channel(REQUESTS_MAX);
    let (_, sessions) = mpsc::channel(1);
    let (_, servers) = watch::channel(Vec::new());
    let clock = Clock::start();
    let config = FleetConfig { versions: VERSIONS, certificate_life: CERTIFICATE_LIFE };
    let server_loop = ServerLoop {
        fleet: Fleet::new(config, SavedFleet::default(), Rng::new(1), clock.now()),
        clock,
        inbox: Inbox { stop: stopping, servers, requests: inbox, sessions },
        store: StoreDriver::new(opened.store, Kind::Fleet, answers),
        link: MemberDriver::new(Arc::new(Authority::load(&layout.ca()).unwrap())),
        plugins: PluginDriver::new(Arc::new(PluginFolder::open(layout.plugins(), []).unwrap())),
        commit_notifier: CommitNotifier::new(0),
        streams: StreamFeed::new(1, 0),
        sessions: SessionStats::default(),
        handshakes: Arc::default(),
        pending_replies: PendingReplies::default(),
        manager: linecamp_service::ServiceManager::from_environment(),
        addresses: Arc::new(ServerAddresses::new(&super::fixture::config(layout), None, 1).unwrap()),
    };
    (stop, requests, server_loop)
}
