//! mosquitto: MQTT 3.1.1, QoS 1 to each subscriber, which acknowledges and publishes an answer (QoS 0, the cheaper
//! one).
//!
//! Packets are encoded by `rumqttc`. Its event loop is not used: it writes an acknowledgement and an answer separately,
//! and its TLS support depends on a version of `rustls-webpki` with known vulnerabilities.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{
    Codec, ConnAck, Connect, ConnectReturnCode, Packet, PubAck, Publish, Subscribe, SubscribeReasonCode,
};
use tokio::task::JoinSet;
use tokio_util::codec::Framed;

use super::{MESSAGE_BYTES, MemberCredentials, Pushed, Stream, connect, wait_for};
use crate::machine;
use crate::paths::free_address;
use crate::server_process::Process;

/// The topic of all subscribers, and the topic for answers.
const TOPIC: &str = "d";
const ANSWERS: &str = "a";

/// The largest packet: a message with its header.
const PACKET_BYTES_MAX: usize = 1_024;
/// The read buffer of a connection.
const BUFFER_BYTES: usize = 2_048;

/// Maximum concurrent handshakes.
const CONNECTING_MAX: usize = 32;

/// A connection that reads and writes packets.
type Connection = Framed<Stream, Codec>;

/// A broker with its subscribers.
pub(crate) struct Mosquitto {
    process: Process,
    publisher: Connection,
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
        let publisher = open(&credentials, address, "publisher", ANSWERS).await?;
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
        let mut message = Publish::new(TOPIC, QoS::AtLeastOnce, [b'x'; MESSAGE_BYTES]);
        message.pkid = self.packet;
        let began = Instant::now();
        self.publisher.send(Packet::Publish(message)).await?;
        let (mut answers, mut middle) = (0, began.elapsed());
        while answers < self.sites {
            // The broker's acknowledgement of our own message arrives in between.
            if let Packet::Publish(_) = next_packet(&mut self.publisher).await? {
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
    topic: &str,
) -> anyhow::Result<Connection> {
    let codec = Codec { max_incoming_size: PACKET_BYTES_MAX, max_outgoing_size: PACKET_BYTES_MAX };
    let mut connection = Framed::with_capacity(credentials.secure(connect(address).await?).await?, codec, BUFFER_BYTES);
    // MQTT 3.1.1, clean session, no keep-alive.
    let request = Connect { keep_alive: 0, ..Connect::new(name) };
    connection.feed(Packet::Connect(request)).await?;
    let request = Subscribe { pkid: 1, ..Subscribe::new(topic, QoS::AtLeastOnce) };
    connection.send(Packet::Subscribe(request)).await?;
    match next_packet(&mut connection).await? {
        Packet::ConnAck(ConnAck { code: ConnectReturnCode::Success, .. }) => {}
        other => bail!("mosquitto answered {other:?}"),
    }
    match next_packet(&mut connection).await? {
        Packet::SubAck(answer) if answer.return_codes == [SubscribeReasonCode::Success(QoS::AtLeastOnce)] => {}
        other => bail!("mosquitto answered {other:?}"),
    }
    Ok(connection)
}

/// Acknowledges every message and publishes an answer, both in one write.
async fn answer_all(mut connection: Connection) -> anyhow::Result<()> {
    let answer = Publish::new(ANSWERS, QoS::AtMostOnce, *b"applied!");
    loop {
        if let Packet::Publish(message) = next_packet(&mut connection).await? {
            connection.feed(Packet::PubAck(PubAck::new(message.pkid))).await?;
            connection.send(Packet::Publish(answer.clone())).await?;
        }
    }
}

async fn next_packet(connection: &mut Connection) -> anyhow::Result<Packet> {
    Ok(connection.next().await.context("mosquitto closed the connection")??)
}
