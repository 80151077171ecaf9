//! How soon all event streams have a change.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use linecamp_proto::api::account::{KeyCreated, KeyRequest, User, UserRequest};
use linecamp_proto::api::operation::{CreateKey, CreateUser, FollowEvents, Operation as _, PatchSiteLabels};
use linecamp_proto::api::{LabelChange, Site, StreamMessage};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::api_client::ApiClient;
use crate::server_process::{PATIENCE, Server};

/// Streams of one user, and users: both at the server's limits.
const STREAMS_PER_USER: usize = 4;
const USERS: usize = 16;

/// How many streams there are.
pub(crate) const STREAMS: usize = STREAMS_PER_USER * USERS;

/// All streams that a server allows.
#[derive(Debug)]
pub(crate) struct Streams {
    site: String,
    arrivals: mpsc::Receiver<Instant>,
    changes: usize,
}

impl Streams {
    /// Opens a stream with each client. They note the changes of the labels of `site`.
    pub(crate) async fn open(clients: Vec<ApiClient>, site: String) -> anyhow::Result<Self> {
        let (arrived, arrivals) = mpsc::channel(STREAMS);
        for client in clients {
            let body = client.open(FollowEvents::SPEC.path).await?;
            tokio::spawn(follow(body, site.clone(), arrived.clone()));
        }
        Ok(Self { site, arrivals, changes: 0 })
    }

    /// Changes a label. Returns how long it took from the request to the event on the last stream.
    pub(crate) async fn change(&mut self, api: &mut ApiClient) -> anyhow::Result<Duration> {
        self.changes += 1;
        let set = [("fed".to_owned(), self.changes.to_string())].into();
        let change = LabelChange { set, ..LabelChange::default() };
        let began = Instant::now();
        let _: Site = api.post(&PatchSiteLabels::SPEC.path_of(&self.site), &change).await?;
        let mut last = began;
        for _ in 0..STREAMS {
            let at = timeout(PATIENCE, self.arrivals.recv()).await.context("a stream got nothing")?;
            last = last.max(at.context("all streams have ended")?);
        }
        Ok(last.saturating_duration_since(began))
    }
}

/// Returns the clients that open [`STREAMS`], of as many users as it takes.
pub(crate) async fn viewers(server: &Server) -> anyhow::Result<Vec<ApiClient>> {
    let (mut admin, mut clients) = (server.api(), Vec::new());
    for user in 0..USERS {
        let key = viewer(&mut admin, &format!("viewer-{user}")).await?;
        clients.extend((0..STREAMS_PER_USER).map(|_| server.api_of(&key)));
    }
    Ok(clients)
}

/// Creates a user who sees all environments. Returns a key of this user.
async fn viewer(api: &mut ApiClient, name: &str) -> anyhow::Result<String> {
    let role = Some("viewer".to_owned());
    let user = UserRequest { name: name.to_owned(), role, environment_roles: [].into(), password: None };
    let _: User = api.post(CreateUser::SPEC.path, &user).await?;
    let key = KeyRequest { name: "bench".to_owned(), user: Some(user.name), limit: None, ttl_seconds: None };
    let KeyCreated { secret, .. } = api.post(CreateKey::SPEC.path, &key).await?;
    Ok(secret)
}

/// Reads a stream, and notes each event about the labels of `site`.
async fn follow(mut body: Incoming, site: String, arrived: mpsc::Sender<Instant>) -> anyhow::Result<()> {
    let mut text = String::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        text.push_str(std::str::from_utf8(&data)?);
        while let Some(end) = text.find("\n\n") {
            let message: String = text.drain(..end + 2).collect();
            if is_about_labels(&message, &site)? {
                arrived.send(Instant::now()).await?;
            }
        }
    }
    Ok(())
}

fn is_about_labels(message: &str, site: &str) -> anyhow::Result<bool> {
    let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim_start();
    if field("event:") != "event" {
        return Ok(false);
    }
    let Some(StreamMessage::Event(event)) = StreamMessage::read("event", field("data:"))? else { return Ok(false) };
    Ok(event.kind == "labels-assigned" && event.site.as_deref() == Some(site))
}
