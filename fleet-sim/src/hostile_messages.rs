//! Messages of a hostile member, derived from randomness and from what the server sent to it.
//!
//! Every message is one that the decoder accepts, so that only the state machine behind it is tested; the fuzz targets
//! cover what the decoder rejects. Numbers are chosen where sums overflow and comparisons wrap around.

mod events;
mod parts;
mod status;

use std::collections::BTreeMap;
use std::time::Duration;

use linecamp_model::limits::LINK_GAPS_WAITING_MAX;
use linecamp_model::{
    FromMember, GapCause, GapReport, Generation, Hello, HostId, Incarnation, JoinRequest, JoinSecret, MemberKind, Name,
    PluginDigest, PluginWant, RunId, SiteId, Text, TokenId, VersionRange, WallTime,
};
use linecamp_proto::{COUNTER_MAX, VERSIONS};

use crate::act_kind::ActKind;
use crate::sim_rng::SimRng;

pub(crate) use self::events::FORGED;

/// What a hostile member knows about itself and from the server.
#[derive(Clone, Debug)]
pub(crate) struct MemberState {
    pub(crate) site: SiteId,
    pub(crate) gateway: HostId,
    pub(crate) run: RunId,
    pub(crate) status_incarnation: Incarnation,
    /// The server's, once received.
    pub(crate) spec_incarnation: Incarnation,
    /// The newest spec generation received.
    pub(crate) spec_head: Generation,
    /// The status generation that the server reported as stored.
    pub(crate) status_held: Generation,
    /// The number of events that the server reported as stored.
    pub(crate) events_held: u64,
    /// What a correct clock shows.
    pub(crate) wall: WallTime,
}

/// Returns the messages that a hostile member sends for an act of this kind, in order.
pub(crate) fn messages(kind: ActKind, known: &MemberState, chance: &mut SimRng) -> Vec<FromMember> {
    match kind {
        ActKind::LieStatus => status::wild(known, chance),
        ActKind::LieParts => parts::invalid(known, chance),
        ActKind::LieEvents => events::wild(known, chance),
        ActKind::LieAcks => acks(known, chance),
        ActKind::LieOrder => vec![out_of_order(known, chance)],
        ActKind::FloodDocuments => status::documents(known, chance),
        ActKind::FloodSnapshots => status::snapshots(known, chance),
        ActKind::FloodEvents => events::flood(known, chance),
        _ => Vec::new(),
    }
}

/// Returns a truthful hello.
pub(crate) fn greeting(known: &MemberState) -> Hello {
    Hello {
        versions: VERSIONS,
        run: known.run,
        daemon_version: Text::lossy("0.1.0"),
        wall: known.wall,
        spec_incarnation: known.spec_incarnation,
        spec_held: known.spec_head,
        status_incarnation: known.status_incarnation,
        target: None,
        facts: BTreeMap::new(),
        gaps: Vec::new(),
    }
}

/// Returns a hello that is false in part.
pub(crate) fn wild_greeting(known: &mut MemberState, chance: &mut SimRng) -> Hello {
    if chance.happens(300) {
        known.run = RunId::from_bytes(chance.bytes());
    }
    if chance.happens(300) {
        known.status_incarnation = Incarnation(chance.bits());
    }
    let right = greeting(known);
    let spec_incarnation = if chance.happens(700) { right.spec_incarnation } else { Incarnation(chance.bits()) };
    let spec_held = Generation(number(known.spec_head.0, chance));
    let versions = match chance.below(8) {
        0 => VersionRange { min: 1, max: u32::MAX },
        1 => VersionRange { min: u32::MAX, max: u32::MAX },
        _ => VERSIONS,
    };
    let daemon_version = Text::lossy(&"9".repeat(1 + usize::try_from(chance.below(512)).unwrap_or(0)));
    let facts = if chance.happens(300) { status::labels(chance) } else { BTreeMap::new() };
    let gaps = wild_gaps(spec_held.0);
    let wall = moment(known.wall, chance);
    Hello { versions, daemon_version, facts, wall, spec_incarnation, spec_held, gaps, ..right }
}

/// Returns reports of gaps that cannot have been: longer than time, before time, after time, overlapping.
fn wild_gaps(bits: u64) -> Vec<GapReport> {
    let gap = |index: u64| {
        let turned = bits.rotate_left(u32::try_from(7 * (index % 9)).unwrap_or(0)).wrapping_mul(index | 1);
        let moment = |bits: u64| (!bits.is_multiple_of(5)).then(|| WallTime::from_unix_millis(bits));
        let cause = GapCause::ALL[usize::try_from(turned % GapCause::ALL.len() as u64).unwrap_or(0)];
        GapReport {
            began_at: moment(turned),
            ended_at: moment(turned.reverse_bits()),
            times: [(cause, Duration::from_millis(turned.swap_bytes()))].into_iter().collect(),
            refusal: None,
            last_error: Text::lossy("a lie"),
            merged: u32::MAX,
        }
    };
    (0..bits % (LINK_GAPS_WAITING_MAX as u64 + 1)).map(gap).collect()
}

/// Acknowledges generations that were never sent.
fn acks(known: &MemberState, chance: &mut SimRng) -> Vec<FromMember> {
    let count = 1 + chance.below(20);
    (0..count).map(|_| FromMember::SpecAck(Generation(number(known.spec_head.0, chance)))).collect()
}

/// Returns a message that is invalid in an established session, or that a site may not send.
fn out_of_order(known: &MemberState, chance: &mut SimRng) -> FromMember {
    match chance.below(6) {
        0 => FromMember::Join(JoinRequest {
            versions: VERSIONS,
            token: TokenId::from_bytes(chance.bytes()),
            secret: JoinSecret::from_bytes(chance.bytes()),
            kind: if chance.happens(500) { MemberKind::Site } else { MemberKind::Host },
            name: name("in-the-middle"),
            site: None,
            daemon_version: Text::default(),
        }),
        1 => FromMember::Hello(greeting(known)),
        2 => FromMember::Renew,
        3 => FromMember::Alive,
        4 => status::of_another(known, chance),
        _ => FromMember::WantPlugin(PluginWant {
            digest: PluginDigest::from_bytes(chance.bytes()),
            offset: number(0, chance) & linecamp_model::limits::PLUGIN_BYTES_MAX,
        }),
    }
}

/// Returns a number that the decoder accepts: the correct one, one close to it, or one near either end of the range.
fn number(right: u64, chance: &mut SimRng) -> u64 {
    match chance.below(8) {
        0 => 0,
        1 => right,
        2 => right.saturating_add(1).min(COUNTER_MAX),
        3 => COUNTER_MAX,
        4 => COUNTER_MAX - chance.below(128),
        5 => 1 << chance.below(63),
        6 => right.saturating_add(chance.below(1_000)).min(COUNTER_MAX),
        _ => chance.bits() & COUNTER_MAX,
    }
}

/// Returns a time: the correct one, or a false one.
fn moment(right: WallTime, chance: &mut SimRng) -> WallTime {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    match chance.below(6) {
        0 => right,
        1 => WallTime::EPOCH,
        2 => WallTime::from_unix_millis(u64::MAX),
        3 => right + chance.between(Duration::ZERO, YEAR),
        4 => WallTime::from_unix_millis(right.unix_millis() / 2),
        _ => WallTime::from_unix_millis(chance.bits()),
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("names of lies are made of letters and digits")
}

#[cfg(test)]
mod tests {
    use linecamp_proto::{decode_from_member, encode_from_member};

    use super::*;
    use crate::sim_rng::Purpose;

    /// A message that the decoder rejects never reaches the machine under test.
    #[test]
    fn every_lie_passes_the_wire() {
        const KINDS: [ActKind; 8] = [
            ActKind::LieStatus,
            ActKind::LieParts,
            ActKind::LieEvents,
            ActKind::LieAcks,
            ActKind::LieOrder,
            ActKind::FloodDocuments,
            ActKind::FloodSnapshots,
            ActKind::FloodEvents,
        ];
        let mut known = MemberState {
            site: SiteId::from_bytes([7; 16]),
            gateway: HostId::from_bytes([8; 16]),
            run: RunId::from_bytes([7; 8]),
            status_incarnation: Incarnation(1),
            spec_incarnation: Incarnation(2),
            spec_head: Generation(3),
            status_held: Generation(4),
            events_held: 5,
            wall: WallTime::from_unix_millis(1_795_305_600_000),
        };
        let check = |message: FromMember| {
            let bytes = encode_from_member(&message);
            assert!(bytes.len() <= linecamp_model::limits::FRAME_BYTES_MAX, "{} bytes", bytes.len());
            assert_eq!(decode_from_member(&bytes).as_ref(), Ok(&message));
        };
        for draw in 0..60 {
            let mut chance = SimRng::of(draw, Purpose::Hostile, 0);
            check(FromMember::Hello(wild_greeting(&mut known, &mut chance)));
            for kind in KINDS {
                messages(kind, &known, &mut chance).into_iter().for_each(check);
            }
        }
    }
}
