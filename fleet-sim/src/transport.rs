//! Transport: connects the machines.
//!
//! The world requests dials, messages and closes, sets power and line outages, and polls for arrivals. There
//! are two implementations: [`Net`](crate::net::Net) models links and is fast; the one of QUIC mode carries every byte
//! through the production transport.

use std::time::Duration;

use linecamp_core::{Dial, IssueRequest, LinkEvent, SessionEvent, SiteIdentity};
use linecamp_model::{
    AuthorityRotation, AuthoritySet, DialId, FromMember, FromParent, IdentityGrant, KeyFingerprint, KnownAuthorities,
    Pin, Refusal, RotationStep, SessionId, Text, WallTime,
};

use crate::clock::Clock;
use crate::line_profile::Profile;

/// Index of a machine that runs a daemon. Each clone of a site has its own index.
pub(crate) type NodeId = usize;

/// An event delivered to one of the machines.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// At a site.
    AtSite(NodeId, LinkEvent),
    /// At the server.
    AtServer(SessionId, SessionEvent),
}

/// Traffic on the lines so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// Bytes with all headers, both ways.
    pub(crate) bytes: u64,
    /// Dials that reached the server.
    pub(crate) dials_arrived: u64,
}

/// Connects the machines.
pub(crate) trait Transport {
    /// Connects a machine with its own key to a line and returns the key's fingerprint.
    fn add_node(&mut self, node: NodeId, profile: Profile, clock: Clock) -> KeyFingerprint;
    /// Connects a machine that has a copy of another machine's key and certificate, with the same line profile.
    fn copy_node(&mut self, node: NodeId, original: NodeId, clock: Clock);
    /// Returns the server pin that join tokens carry.
    fn pin(&self) -> Pin;
    /// Sets the clock of a site's machine.
    fn set_node_clock(&mut self, node: NodeId, clock: Clock);
    /// Sets the clock of the server's machine.
    fn set_server_clock(&mut self, clock: Clock);

    /// Starts a daemon.
    fn start_node(&mut self, node: NodeId);
    /// Kills a daemon immediately; nothing more leaves it.
    fn kill_node(&mut self, node: NodeId);
    /// Starts the server.
    fn start_server(&mut self);
    /// Kills the server immediately.
    fn kill_server(&mut self);

    /// Dials from a daemon.
    fn dial(&mut self, node: NodeId, dial: &Dial);
    /// Sends a message from a daemon.
    fn send_to_server(&mut self, node: NodeId, dial: DialId, message: &FromMember, bytes: &[u8]);
    /// Closes a daemon's session, or cancels its dial.
    fn hang_up_on_server(&mut self, node: NodeId, dial: DialId, refusal: &Refusal);
    /// Saves a certificate granted to a daemon.
    fn save_identity(&mut self, node: NodeId, grant: &IdentityGrant) -> Result<SiteIdentity, Text>;
    /// Erases a daemon's key and certificate.
    fn forget_identity(&mut self, node: NodeId);
    /// Saves the server's authorities that a daemon accepts. Returns what is stored, and which issued its certificate.
    fn save_authorities(&mut self, node: NodeId, told: &AuthoritySet) -> Result<(KnownAuthorities, Option<Pin>), Text>;
    /// Returns what a daemon has stored, and which of it issued its certificate.
    fn authorities(&self, node: NodeId) -> (KnownAuthorities, Option<Pin>);
    /// Performs a step of the replacement of the server's authority in its data directory.
    fn rotate(&mut self, step: RotationStep, now: WallTime);
    /// Returns the authorities in the server's data directory.
    fn rotation(&self) -> AuthorityRotation;
    /// Sends a message from the server.
    fn send_to_site(&mut self, session: SessionId, message: &FromParent, bytes: &[u8]);
    /// Issues a certificate and sends it.
    fn issue(&mut self, session: SessionId, request: IssueRequest);
    /// Closes a session from the server's side.
    fn hang_up_on_site(&mut self, session: SessionId, refusal: &Refusal);

    /// Opens or blocks each direction of a site's line: to the server, and from it.
    fn set_line(&mut self, node: NodeId, is_up_open: bool, is_down_open: bool);
    /// Drops the NAT mapping of the router in front of a site.
    fn rebind(&mut self, node: NodeId);
    /// Sets how many times slower than usual the server's machine is.
    fn set_server_slowness(&mut self, factor: u32);
    /// Replays earlier events that a site no longer waits for.
    fn echo(&mut self, node: NodeId);

    /// Returns the time of the next arrival, as far as the transport knows it in advance.
    fn next_at(&self) -> Option<Duration>;
    /// Returns the next arrival at or before `now`.
    fn poll(&mut self, now: Duration) -> Option<Arrival>;
    /// Returns the traffic of a site's line so far.
    fn traffic(&self, node: NodeId, now: Duration) -> Traffic;
    /// Returns a digest of every datagram, or `None` if the transport has no datagrams.
    fn wire_hash(&self) -> Option<u64>;
}
