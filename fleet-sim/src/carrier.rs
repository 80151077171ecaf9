//! Carrier: what stands between the machines.
//!
//! The world asks it to dial, send and hang up, tells it whose power or line is gone, and takes from it what
//! arrives. There are two: [`Net`](crate::net::Net) models links, and is fast; the QUIC mode's carries every byte
//! through the production transport.

use std::time::Duration;

use linecamp_core::{Dial, IssueRequest, LinkEvent, SessionEvent, SiteIdentity};
use linecamp_model::{DialId, FromServer, FromSite, IdentityGrant, KeyFingerprint, Pin, Refusal, SessionId, Text};

use crate::clock::Clock;
use crate::line::Profile;

/// The number of a machine that a daemon runs on. Copies of a site have numbers of their own.
pub(crate) type NodeId = usize;

/// Something that arrives.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// At a site.
    AtSite(NodeId, LinkEvent),
    /// At the server.
    AtServer(SessionId, SessionEvent),
}

/// What went over the lines so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// Bytes with all headers, both ways.
    pub(crate) bytes: u64,
    /// Dials that reached the server.
    pub(crate) dials_arrived: u64,
}

/// What stands between the machines.
pub(crate) trait Carrier {
    /// Puts a machine on a line, with a key of its own, and returns the key's fingerprint.
    fn add_node(&mut self, node: NodeId, profile: Profile, clock: Clock) -> KeyFingerprint;
    /// Puts a machine with a copy of another one's key and certificate on a line like the other's.
    fn copy_node(&mut self, node: NodeId, original: NodeId, clock: Clock);
    /// Returns what join tokens carry of the server.
    fn pin(&self) -> Pin;
    /// Sets the clock of a site's machine.
    fn set_node_clock(&mut self, node: NodeId, clock: Clock);
    /// Sets the clock of the server's machine.
    fn set_server_clock(&mut self, clock: Clock);

    /// A daemon starts.
    fn start_node(&mut self, node: NodeId);
    /// A daemon is gone at this very moment; nothing of it leaves any more.
    fn kill_node(&mut self, node: NodeId);
    /// The server starts.
    fn start_server(&mut self);
    /// The server is gone at this very moment.
    fn kill_server(&mut self);

    /// A daemon dials.
    fn dial(&mut self, node: NodeId, dial: &Dial);
    /// A daemon sends.
    fn send_to_server(&mut self, node: NodeId, dial: DialId, message: &FromSite, bytes: &[u8]);
    /// A daemon hangs up, or gives up a dial.
    fn hang_up_on_server(&mut self, node: NodeId, dial: DialId, refusal: &Refusal);
    /// A daemon saves a certificate it was given.
    fn save_identity(&mut self, node: NodeId, grant: &IdentityGrant) -> Result<SiteIdentity, Text>;
    /// A daemon forgets its key and certificate.
    fn forget_identity(&mut self, node: NodeId);
    /// The server sends.
    fn send_to_site(&mut self, session: SessionId, message: &FromServer, bytes: &[u8]);
    /// The server makes a certificate and sends it.
    fn issue(&mut self, session: SessionId, request: IssueRequest);
    /// The server hangs up.
    fn hang_up_on_site(&mut self, session: SessionId, refusal: &Refusal);

    /// Says which ways of a site's line are open: to the server, and from it.
    fn set_line(&mut self, node: NodeId, is_up_open: bool, is_down_open: bool);
    /// The router in front of a site forgets its mapping.
    fn rebind(&mut self, node: NodeId);
    /// Says how much slower than usual the server's machine is.
    fn set_server_slowness(&mut self, factor: u32);
    /// Says some of what was said before again, to nobody who waits for it.
    fn echo(&mut self, node: NodeId);

    /// Returns when the next thing arrives, as far as the carrier knows beforehand.
    fn next_at(&self) -> Option<Duration>;
    /// Returns what arrives at `now` or before, one after the other.
    fn poll(&mut self, now: Duration) -> Option<Arrival>;
    /// Returns what went over a site's line so far.
    fn traffic(&self, node: NodeId, now: Duration) -> Traffic;
    /// Returns a digest of every datagram, if there are any.
    fn wire_hash(&self) -> Option<u64>;
}
