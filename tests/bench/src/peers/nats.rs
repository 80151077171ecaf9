//! nats-server: core NATS, one publish with a reply subject, and an answer of each subscriber to it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, BufStream};
use tokio::task::JoinSet;

use super::{MESSAGE_BYTES, MemberCredentials, Pushed, Stream, connect, wait_for};
use crate::environment::free_address;
use crate::machine;
use crate::serving::Process;

/// The subject of all subscribers, and the subject for answers.
const SUBJECT: &str = "d";
const ANSWERS: &str = "a";

/// Maximum concurrent handshakes.
const CONNECTING_MAX: usize = 32;

/// A server with its subscribers.
pub(crate) struct Nats {
    process: Process,
    publisher: BufStream<Stream>,
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
        let publisher = open(&credentials, address, ANSWERS).await?;
        let credentials = Arc::new(credentials);
        let (mut opening, mut subscribers) = (JoinSet::new(), JoinSet::new());
        for _ in 0..sites {
            if CONNECTING_MAX <= opening.len() {
                subscribers.spawn(answer_all(opening.join_next().await.context("some connect")???));
            }
            let credentials = Arc::clone(&credentials);
            opening.spawn(async move { open(&credentials, address, SUBJECT).await });
        }
        while let Some(opened) = opening.join_next().await {
            subscribers.spawn(answer_all(opened??));
        }
        Ok(Self { process, publisher, subscribers, sites })
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
        let message = publish(SUBJECT, Some(ANSWERS), &[b'x'; MESSAGE_BYTES]);
        let began = Instant::now();
        self.publisher.write_all(&message).await?;
        self.publisher.flush().await?;
        let (mut answers, mut middle) = (0, began.elapsed());
        while answers < self.sites {
            next_message(&mut self.publisher).await?;
            answers += 1;
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

/// Connects and subscribes. The server sends the first line in the clear; everything after is encrypted.
async fn open(
    credentials: &MemberCredentials,
    address: SocketAddr,
    subject: &str,
) -> anyhow::Result<BufStream<Stream>> {
    let mut stream = connect(address).await?;
    let mut info = String::new();
    // Dropping the reader would lose what it read ahead, but the server sends nothing more before we answer.
    BufReader::new(&mut stream).read_line(&mut info).await?;
    anyhow::ensure!(info.starts_with("INFO "), "nats-server said {info:?}");
    let mut stream = BufStream::with_capacity(2048, 2048, credentials.secure(stream).await?);
    let hello = format!(
        "CONNECT {{\"verbose\":false,\"pedantic\":false,\"tls_required\":true,\"lang\":\"bench\",\"version\":\"1\"}}\r\n\
         SUB {subject} 1\r\nPING\r\n"
    );
    stream.write_all(hello.as_bytes()).await?;
    stream.flush().await?;
    let mut line = String::new();
    while line != "PONG\r\n" {
        line.clear();
        let bytes = stream.read_line(&mut line).await?;
        if bytes == 0 || line.starts_with("-ERR") {
            bail!("nats-server refused: {line:?}");
        }
        if line == "PING\r\n" {
            stream.write_all(b"PONG\r\n").await?;
            stream.flush().await?;
        }
    }
    Ok(stream)
}

/// Answers every message.
async fn answer_all(mut stream: BufStream<Stream>) -> anyhow::Result<()> {
    loop {
        let reply = next_message(&mut stream).await?.context("a message names where answers go")?;
        stream.write_all(&publish(&reply, None, b"applied!")).await?;
        stream.flush().await?;
    }
}

fn publish(subject: &str, reply: Option<&str>, message: &[u8]) -> Vec<u8> {
    let reply = reply.map_or_else(String::new, |reply| format!("{reply} "));
    let mut bytes = format!("PUB {subject} {reply}{}\r\n", message.len()).into_bytes();
    bytes.extend(message);
    bytes.extend(b"\r\n");
    bytes
}

/// Reads the next message and returns its reply subject. Answers the server's pings on the way.
async fn next_message(stream: &mut BufStream<Stream>) -> anyhow::Result<Option<String>> {
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            bail!("nats-server closed the connection");
        }
        let scheduling: Vec<_> = line.split_whitespace().collect();
        match scheduling.as_slice() {
            ["MSG", _, _, rest @ .., bytes] => {
                let reply = rest.first().map(|&reply| reply.to_owned());
                let mut body = vec![0; bytes.parse::<usize>()? + 2];
                stream.read_exact(&mut body).await?;
                return Ok(reply);
            }
            ["PING"] => {
                stream.write_all(b"PONG\r\n").await?;
                stream.flush().await?;
            }
            ["-ERR", ..] => bail!("nats-server says {line:?}"),
            _ => {}
        }
    }
}
