//! nats-server: core NATS, one publish with a reply subject, and an answer of each subscriber to it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use async_nats::{Client, ConnectOptions, Subscriber};
use futures_util::StreamExt as _;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{MESSAGE_BYTES, MemberCredentials, Pushed, wait_for};
use crate::machine;
use crate::paths::free_address;
use crate::server_process::{PATIENCE, Process};

/// The subject of all subscribers, and the subject for answers.
const SUBJECT: &str = "d";
const ANSWERS: &str = "a";

/// Maximum concurrent handshakes.
const CONNECTING_MAX: usize = 32;

/// Longer than the bench: the clients send no pings of their own.
const PING_INTERVAL: Duration = Duration::from_hours(1);

/// A server with its subscribers.
pub(crate) struct Nats {
    process: Process,
    publisher: Client,
    answers: Subscriber,
    subscribers: JoinSet<anyhow::Result<()>>,
    sites: usize,
}

impl Nats {
    /// Starts a server in `folder`, and `sites` subscribers.
    pub(crate) async fn start(program: &Path, folder: &Path, online: usize, sites: usize) -> anyhow::Result<Self> {
        let (credentials, address) = (MemberCredentials::make(folder)?, free_address()?);
        let config = folder.join("nats.conf");
        let text = format!(
            "host: 127.0.0.1\nport: {port}\ntls {{\n cert_file: \"{certificate}\"\n key_file: \"{key}\"\n \
             ca_file: \"{ca}\"\n verify: true\n timeout: 10\n}}\n",
            port = address.port(),
            certificate = credentials.certificate.display(),
            key = credentials.key.display(),
            ca = credentials.ca.display(),
        );
        fs::write(&config, text).context("failed to write nats-server's configuration")?;
        let mut command: Command = machine::on_server_core(program, online);
        command.arg("-c").arg(config).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Process::spawn(&mut command)?;
        wait_for(address, "nats-server").await?;
        let publisher = open(&credentials, address).await?;
        let mut answers = publisher.subscribe(ANSWERS).await?;
        publisher.publish(ANSWERS, "ready".into()).await?;
        answers.next().await.context("nats-server closed the connection")?;
        let credentials = Arc::new(credentials);
        let (mut opening, mut subscribers) = (JoinSet::new(), JoinSet::new());
        for _ in 0..sites {
            if CONNECTING_MAX <= opening.len() {
                subscribers.spawn(opening.join_next().await.context("some connect")???);
            }
            let credentials = Arc::clone(&credentials);
            opening.spawn(async move { subscribe(open(&credentials, address).await?).await });
        }
        while let Some(opened) = opening.join_next().await {
            subscribers.spawn(opened??);
        }
        let mut peer = Self { process, publisher, answers, subscribers, sites };
        // The server does not acknowledge a subscription, but it reads a client's lines in order: a subscriber that has
        // reported is subscribed.
        timeout(PATIENCE, peer.collect(Instant::now())).await.context("a subscriber did not report")??;
        Ok(peer)
    }

    /// Returns the server's process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends one message to all subscribers and waits for every answer.
    pub(crate) async fn push(&mut self) -> anyhow::Result<Pushed> {
        if let Some(lost) = self.subscribers.try_join_next() {
            bail!("a subscriber was lost: {lost:?}");
        }
        let began = Instant::now();
        self.publisher.publish_with_reply(SUBJECT, ANSWERS, vec![b'x'; MESSAGE_BYTES].into()).await?;
        self.collect(began).await
    }

    /// Waits for a message of each subscriber.
    async fn collect(&mut self, began: Instant) -> anyhow::Result<Pushed> {
        let mut middle = began.elapsed();
        for answers in 1..=self.sites {
            self.answers.next().await.context("nats-server closed the connection")?;
            if answers == self.sites.div_ceil(2) {
                middle = began.elapsed();
            }
        }
        Ok(Pushed { middle, last: began.elapsed() })
    }

    /// Stops the server and its subscribers.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.subscribers.shutdown().await;
        self.process.terminate().await
    }
}

/// Connects. The client never pings the server: the bench is shorter than any interval that it would need.
async fn open(credentials: &MemberCredentials, address: SocketAddr) -> anyhow::Result<Client> {
    let options = ConnectOptions::new()
        .require_tls(true)
        .add_root_certificates(credentials.ca.clone())
        .add_client_certificate(credentials.client_certificate.clone(), credentials.client_key.clone())
        .ping_interval(PING_INTERVAL);
    Ok(options.connect(format!("tls://localhost:{}", address.port())).await?)
}

/// Subscribes, reports to the publisher, and returns what answers every message.
async fn subscribe(client: Client) -> anyhow::Result<impl Future<Output = anyhow::Result<()>>> {
    let mut messages = client.subscribe(SUBJECT).await?;
    client.publish(ANSWERS, "ready".into()).await?;
    Ok(async move {
        while let Some(message) = messages.next().await {
            let reply = message.reply.context("a message names where answers go")?;
            client.publish(reply, "applied!".into()).await?;
        }
        bail!("nats-server closed the connection")
    })
}
