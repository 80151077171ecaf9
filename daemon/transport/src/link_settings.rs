//! Constants of a link, derived from measurements of one server with 10,000 sites.

use std::sync::Arc;
use std::time::Duration;

use quinn::{IdleTimeout, TransportConfig, VarInt};

/// Interval of a site's keep-alives: short enough for the NAT tables of ordinary routers (30 s), at 30 KB an hour. The
/// server sends none; it would double the traffic without any benefit.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Silence after which a link is lost: three keep-alives. QUIC counts from the first packet that stays unacknowledged
/// (RFC 9000, 10.1), so an idle site notices one keep-alive later, after 60 s.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);

/// Keep-alive interval on metered links: 7 KB an hour.
const METERED_KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Three metered keep-alives. Also the longest silence a server tolerates, whatever a site requests.
const METERED_IDLE_TIMEOUT: Duration = Duration::from_secs(180);

/// Time limit for a handshake: three round trips over a satellite link, each lost twice. After that the attempt fails.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// Maximum bytes in flight on one message stream. A peer that stops reading holds no more than this.
const STREAM_WINDOW: u32 = 16 * 1024;

/// Maximum bytes in flight on one session.
const SESSION_WINDOW: u32 = 64 * 1024;

/// The settings of a site's link. The smaller idle timeout of the two ends applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkSettings {
    /// Interval of keep-alives.
    pub keep_alive: Duration,
    /// Silence after which the link is lost.
    pub idle_timeout: Duration,
    /// Time limit for a handshake.
    pub handshake_limit: Duration,
}

impl LinkSettings {
    /// Returns the settings for metered links.
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

/// The settings of all links of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerSettings {
    /// The longest silence the server tolerates. A site can request less, so this is not the usual value: at 45 s, a
    /// metered site's link would be lost between two of its keep-alives.
    pub idle_timeout_max: Duration,
    /// Time limit for a handshake together with the peer's first bytes.
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

/// Returns the settings common to both ends: one stream, small windows, no datagrams, no MTU discovery (1,200 bytes are
/// enough for labels), and no batches of packets for the kernel to split: each connection would keep a buffer for ten
/// of them, 13 KB, and the window of the stream allows 14 packets in flight, so there is rarely a batch.
fn transport(idle_timeout: Duration) -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(SESSION_WINDOW))
        .send_window(u64::from(SESSION_WINDOW))
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(IdleTimeout::try_from(idle_timeout).ok())
        .enable_segmentation_offload(false)
        .mtu_discovery_config(None);
    config
}
