//! One site's line.

use std::collections::BTreeSet;
use std::time::Duration;

use linecamp_model::{DialId, KeyFingerprint, SessionId, Text, WallTime};

use super::authorities::Trust;
use crate::clock::Clock;
use crate::line_profile::{Line, Profile};
use crate::sim_rng::{Purpose, SimRng};
use crate::transport::{NodeId, Traffic};

/// Bytes of the first packet of a dial, headers included: QUIC pads it (RFC 9000, 14.1).
pub(super) const HELLO_BYTES: u64 = 1_228;

/// Bytes of the rest of a handshake with both certificates, as measured in QUIC mode.
pub(super) const HANDSHAKE_BYTES: u64 = 5_500;

/// Bytes of a keep-alive and its acknowledgement with all headers, as measured on the wire by `cargo xtask bench link`:
/// 21.2 MB a month at one every 15 s.
const KEEP_ALIVE_BYTES: u64 = 123;

/// Overhead of a message: IPv4, UDP and QUIC headers, the frame's length, and the same for the acknowledgement.
const MESSAGE_EXTRA_BYTES: u64 = 125;

/// Message bytes that fit in one packet.
const PACKET_BYTES: u64 = 1_150;

/// Returns the bytes of a message on the wire.
pub(super) fn message_bytes(payload: usize) -> u64 {
    let payload = payload as u64;
    payload + MESSAGE_EXTRA_BYTES * (1 + payload / PACKET_BYTES)
}

/// The line between one machine and the server.
#[derive(Debug)]
pub(super) struct NodeLine {
    pub(super) profile: Profile,
    pub(super) key: KeyFingerprint,
    pub(super) certificate: Option<(WallTime, WallTime)>,
    /// What it trusts, and who issued its certificate.
    pub(super) trust: Trust,
    pub(super) clock: Clock,
    pub(super) is_up_open: bool,
    pub(super) is_down_open: bool,
    /// Counts cuts and restorations of the line: a silence that started before the last change is void.
    pub(super) changes: u32,
    /// When the line was last cut or restored.
    pub(super) changed_at: Duration,
    /// Whether the router has a NAT mapping for what the server sends.
    pub(super) is_mapped: bool,
    pub(super) address_number: u32,
    pub(super) dialing: BTreeSet<DialId>,
    pub(super) traffic: Traffic,
    /// The last closed session and its dial.
    pub(super) last_session: Option<(DialId, SessionId)>,
    node: NodeId,
    line: Line,
    rng: SimRng,
}

impl NodeLine {
    pub(super) fn new(node: NodeId, profile: Profile, key: KeyFingerprint, clock: Clock, seed: u64) -> Self {
        Self {
            profile,
            key,
            certificate: None,
            trust: Trust::default(),
            clock,
            is_up_open: true,
            is_down_open: true,
            changes: 0,
            changed_at: Duration::ZERO,
            is_mapped: true,
            address_number: 0,
            dialing: BTreeSet::new(),
            traffic: Traffic::default(),
            last_session: None,
            node,
            line: profile.line(),
            rng: SimRng::of(seed, Purpose::Line, node as u64),
        }
    }

    /// Returns the delay of the next packet, including retransmissions after losses.
    pub(super) fn delay(&mut self) -> Duration {
        let round_trip = (self.line.latency + self.line.jitter) * 2;
        let mut again = (round_trip * 3 / 2).max(Duration::from_millis(20));
        let mut lost = Duration::ZERO;
        for _ in 0..6 {
            if !self.loses() {
                break;
            }
            lost += again;
            again *= 2;
        }
        lost + self.line.latency + self.rng.between(Duration::ZERO, self.line.jitter)
    }

    /// Returns whether the next packet is lost.
    pub(super) fn loses(&mut self) -> bool {
        self.rng.happens(self.line.loss_per_mille)
    }

    /// Returns the time until the site's next keep-alive.
    pub(super) fn until_keep_alive(&mut self) -> Duration {
        let keep_alive = self.keep_alive();
        self.rng.between(Duration::ZERO, keep_alive)
    }

    /// Returns the time until a silence that starts now is detected, counted from the last keep-alive.
    pub(super) fn until_silent(&mut self) -> Duration {
        let idle_timeout = self.keep_alive() * 3;
        idle_timeout.saturating_sub(self.until_keep_alive())
    }

    /// Returns the delay before lost data is retransmitted once the line is restored: it grows with the length of the
    /// cut.
    pub(super) fn until_retransmitted(&mut self, cut_for: Duration) -> Duration {
        let longest = cut_for.clamp(Duration::from_millis(50), Duration::from_secs(10));
        self.rng.between(Duration::from_millis(10), longest)
    }

    pub(super) fn keep_alive_bytes(&self, linked_for: Duration) -> u64 {
        linked_for.as_secs() / self.keep_alive().as_secs() * KEEP_ALIVE_BYTES
    }

    /// Returns the address that the server sees.
    pub(super) fn address(&self) -> Text {
        let (high, low) = (self.node / 250 % 250, self.node % 250);
        Text::lossy(&format!("10.0.{high}.{low}:{}", 7_000 + self.address_number % 50_000))
    }

    /// The production settings: 15 s, or 60 s on metered lines; the idle timeout is three times that.
    const fn keep_alive(&self) -> Duration {
        Duration::from_secs(if self.profile.is_metered() { 60 } else { 15 })
    }
}
