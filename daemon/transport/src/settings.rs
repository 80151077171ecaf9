//! The numbers of a link. Where they come from: measurements of one server with 10,000 sites.

use std::sync::Arc;
use std::time::Duration;

use quinn::{IdleTimeout, TransportConfig, VarInt};

/// How often a site says that it is there: often enough for the address tables of ordinary routers
/// (30 s), at 30 KB an hour. The server never does; it would double the traffic and tell nobody more.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Silence after which a link is lost: three keep-alives. QUIC counts it from the first word that stays without an
/// answer (RFC 9000, 10.1), so a site that was quiet notices after a keep-alive more, 60 s.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);

/// The same on links that are paid by the byte: 7 KB an hour.
const METERED_KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Three of these. It is also the longest silence a server bears, whatever a site asks for.
const METERED_IDLE_TIMEOUT: Duration = Duration::from_secs(180);

/// Time for a handshake: three round trips over a satellite, each lost twice. Past it the attempt is over.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// Bytes of one message stream that may be under way. A peer that stops reading holds no more than this.
const STREAM_WINDOW: u32 = 16 * 1024;

/// Bytes of one session that may be under way.
const SESSION_WINDOW: u32 = 64 * 1024;

/// What a site chooses about its link. The idle timeout in force is the smaller one of both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkSettings {
    /// How often it says that it is there.
    pub keep_alive: Duration,
    /// How much silence it bears.
    pub idle_timeout: Duration,
    /// How long a handshake may take.
    pub handshake_limit: Duration,
}

impl LinkSettings {
    /// Returns the settings for links that are paid by the byte.
    pub const fn metered() -> Self {
        Self { keep_alive: METERED_KEEP_ALIVE, idle_timeout: METERED_IDLE_TIMEOUT, handshake_limit: HANDSHAKE_LIMIT }
    }

    pub(crate) fn transport(&self) -> Arc<TransportConfig> {
        let mut config = transport(self.idle_timeout);
        config.max_concurrent_bidi_streams(VarInt::from_u32(0)).keep_alive_interval(Some(self.keep_alive));
        Arc::new(config)
    }
}

impl Default for LinkSettings {
    fn default() -> Self {
        Self { keep_alive: KEEP_ALIVE, idle_timeout: IDLE_TIMEOUT, handshake_limit: HANDSHAKE_LIMIT }
    }
}

/// What a server chooses about all its links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerSettings {
    /// The most silence it bears. A site that wants less gets less, so this is not the usual one: with
    /// 45 s here, the link of a metered site would be lost between two of its keep-alives.
    pub idle_timeout_max: Duration,
    /// How long a handshake, with the peer's first bytes, may take.
    pub handshake_limit: Duration,
}

impl ListenerSettings {
    pub(crate) fn transport(&self) -> Arc<TransportConfig> {
        let mut config = transport(self.idle_timeout_max);
        config.max_concurrent_bidi_streams(VarInt::from_u32(1));
        Arc::new(config)
    }
}

impl Default for ListenerSettings {
    fn default() -> Self {
        Self { idle_timeout_max: METERED_IDLE_TIMEOUT, handshake_limit: HANDSHAKE_LIMIT }
    }
}

/// Returns what both ends share: one stream, small windows, no datagrams, no probing for larger packets
/// (1,200 bytes are enough for labels).
fn transport(idle_timeout: Duration) -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(SESSION_WINDOW))
        .send_window(u64::from(SESSION_WINDOW))
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(IdleTimeout::try_from(idle_timeout).ok())
        .mtu_discovery_config(None);
    config
}
