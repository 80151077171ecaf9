//! mosquitto: MQTT 3.1.1, QoS 1 to each subscriber, which acknowledges and publishes an answer (QoS 0, the cheaper
//! one).

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::task::JoinSet;

use super::{MESSAGE_BYTES, MemberCredentials, Pushed, Stream, connect, wait_for};
use crate::environment::free_address;
use crate::machine;
use crate::serving::Process;

/// Packet types (MQTT 3.1.1, table 2.1), with their fixed flags.
const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH_QOS0: u8 = 0x30;
const PUBLISH_QOS1: u8 = 0x32;
const PUBACK: u8 = 0x40;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;

/// The topic of all subscribers, and the topic for answers.
const TOPIC: &[u8] = b"d";
const ANSWERS: &[u8] = b"a";

/// Maximum concurrent handshakes.
const CONNECTING_MAX: usize = 32;

/// A broker with its subscribers.
pub(crate) struct Mosquitto {
    process: Process,
    publisher: BufStream<Stream>,
    subscribers: JoinSet<anyhow::Result<()>>,
    sites: usize,
    packet: u16,
}

impl Mosquitto {
    /// Starts a broker in `folder`, and `sites` subscribers.
    pub(crate) async fn start(program: &Path, folder: &Path, online: usize, sites: usize) -> anyhow::Result<Self> {
        let (credentials, address) = (MemberCredentials::make(folder)?, free_address()?);
        let config = config(folder, &credentials, address)?;
        let mut command: Command = machine::on_server_core(program, online);
        command.arg("-c").arg(config).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Process::spawn(&mut command)?;
        wait_for(address, "mosquitto").await?;
        let mut publisher = open(&credentials, address, "publisher", ANSWERS).await?;
        publisher.flush().await?;
        let credentials = std::sync::Arc::new(credentials);
        let (mut opening, mut subscribers) = (JoinSet::new(), JoinSet::new());
        for site in 0..sites {
            if CONNECTING_MAX <= opening.len() {
                subscribers.spawn(answer_all(opening.join_next().await.context("some connect")???));
            }
            let credentials = std::sync::Arc::clone(&credentials);
            opening.spawn(async move { open(&credentials, address, &format!("s{site}"), TOPIC).await });
        }
        while let Some(opened) = opening.join_next().await {
            subscribers.spawn(answer_all(opened??));
        }
        Ok(Self { process, publisher, subscribers, sites, packet: 0 })
    }

    /// Returns the broker's process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends one message to all subscribers and waits for every answer.
    pub(crate) async fn push(&mut self) -> anyhow::Result<Pushed> {
        if let Some(lost) = self.subscribers.try_join_next() {
            bail!("a subscriber was lost: {lost:?}");
        }
        self.packet += 1;
        let message = publish(PUBLISH_QOS1, TOPIC, Some(self.packet), &[b'x'; MESSAGE_BYTES]);
        let began = Instant::now();
        self.publisher.write_all(&message).await?;
        self.publisher.flush().await?;
        let (mut answers, mut middle) = (0, began.elapsed());
        while answers < self.sites {
            let (kind, _) = read_packet(&mut self.publisher).await?;
            // The broker's acknowledgement of our own message arrives in between.
            if kind == PUBLISH_QOS0 {
                answers += 1;
                if answers == self.sites.div_ceil(2) {
                    middle = began.elapsed();
                }
            }
        }
        Ok(Pushed { middle, last: began.elapsed() })
    }

    /// Stops the broker and its subscribers.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.subscribers.shutdown().await;
        self.process.terminate().await
    }
}

fn config(folder: &Path, credentials: &MemberCredentials, address: SocketAddr) -> anyhow::Result<PathBuf> {
    let path = folder.join("mosquitto.conf");
    let user = if rustix::process::geteuid().is_root() { "user root\n" } else { "" };
    let text = format!(
        "listener {port} 127.0.0.1\ncafile {ca}\ncertfile {certificate}\nkeyfile {key}\nrequire_certificate true\n\
         allow_anonymous true\npersistence false\nmax_inflight_messages 0\nmax_queued_messages 0\n\
         set_tcp_nodelay true\nlog_type none\n{user}",
        port = address.port(),
        ca = credentials.ca.display(),
        certificate = credentials.certificate.display(),
        key = credentials.key.display(),
    );
    fs::write(&path, text).context("failed to write mosquitto's configuration")?;
    Ok(path)
}

/// Connects and subscribes.
async fn open(
    credentials: &MemberCredentials,
    address: SocketAddr,
    name: &str,
    topic: &[u8],
) -> anyhow::Result<BufStream<Stream>> {
    let mut stream = BufStream::with_capacity(2048, 2048, credentials.secure(connect(address).await?).await?);
    // Protocol level 4, clean session, no keep-alive.
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, 0x02, 0, 0];
    text(&mut body, name.as_bytes());
    stream.write_all(&packet(CONNECT, &body)).await?;
    let mut body = vec![0, 1];
    text(&mut body, topic);
    body.push(1);
    stream.write_all(&packet(SUBSCRIBE, &body)).await?;
    stream.flush().await?;
    for expected in [CONNACK, SUBACK] {
        let (kind, body) = read_packet(&mut stream).await?;
        if kind != expected || body.get(1).is_some_and(|code| expected == CONNACK && *code != 0) {
            bail!("mosquitto answered with packet {kind:#x}: {body:?}");
        }
    }
    Ok(stream)
}

/// Acknowledges every message and publishes an answer.
async fn answer_all(mut stream: BufStream<Stream>) -> anyhow::Result<()> {
    let answer = publish(PUBLISH_QOS0, ANSWERS, None, b"applied!");
    loop {
        let (kind, body) = read_packet(&mut stream).await?;
        if kind != PUBLISH_QOS1 {
            continue;
        }
        let after_topic = 2 + TOPIC.len();
        let id = body.get(after_topic..after_topic + 2).context("a message has its number")?;
        stream.write_all(&packet(PUBACK, id)).await?;
        stream.write_all(&answer).await?;
        stream.flush().await?;
    }
}

fn publish(kind: u8, topic: &[u8], id: Option<u16>, message: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, topic);
    body.extend(id.map(u16::to_be_bytes).into_iter().flatten());
    body.extend(message);
    packet(kind, &body)
}

fn text(body: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).expect("our texts are short");
    body.extend(length.to_be_bytes());
    body.extend(bytes);
}

/// Prepends the fixed header: seven bits of the length per byte, lowest first.
fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let (mut bytes, mut length) = (vec![kind], body.len());
    loop {
        let [low, ..] = (length % 128).to_le_bytes();
        length /= 128;
        bytes.push(if 0 < length { low | 0x80 } else { low });
        if length == 0 {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

/// Returns the type and body of the next packet; a message's "duplicate" and "retain" flags are cleared.
async fn read_packet(stream: &mut BufStream<Stream>) -> anyhow::Result<(u8, Vec<u8>)> {
    let first = stream.read_u8().await?;
    let kind = if first & 0xf0 == PUBLISH_QOS0 { first & 0xf6 } else { first };
    let (mut length, mut shift) = (0_usize, 0);
    loop {
        let byte = stream.read_u8().await?;
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
        anyhow::ensure!(shift <= 21, "a length of more than four bytes");
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok((kind, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_takes_seven_bits_a_byte() {
        assert_eq!(packet(PUBACK, &[0, 1]), [0x40, 2, 0, 1]);
        assert_eq!(packet(PUBLISH_QOS1, &[0; 321])[..3], [0x32, 0xc1, 2]);
    }
}
