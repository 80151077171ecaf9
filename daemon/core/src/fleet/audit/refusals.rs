//! Refused requests. Anybody can cause any number of them, so they must neither fill the log nor the disk.
//!
//! The first of equal ones gets an entry, and the others are counted until the interval ends, when one entry with the
//! count is written. Equal are those of one network, caller, account, operation and outcome. At the limit of different
//! ones, all others are counted together. Callers with valid credentials have a limit of their own, so that others
//! cannot keep theirs from being listed.
//!
//! So all refusals together add at most `2 (16 + 128) + 2` entries in ten minutes, and without valid credentials at
//! most 33.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use linecamp_model::{
    AuditActor, AuditChanges, AuditEntry, AuditOutcome, AuditRepeats, Identity, Instant, Name, Now, Text, WallTime,
};

use crate::fleet::audit_note::{AuditNote, entry};
use crate::login_delay::network_of;

/// How long equal refusals are counted before they are written.
const INTERVAL: Duration = Duration::from_secs(600);

/// Different refusals of callers without valid credentials in an interval that are listed. Others are counted together.
const ANONYMOUS_MAX: usize = 16;

/// The same for callers with valid credentials.
const KNOWN_MAX: usize = 128;

/// What makes refusals equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    network: Option<IpAddr>,
    caller: String,
    account: Option<Name>,
    operation: &'static str,
    outcome: (&'static str, Option<Text>),
}

/// Equal refusals.
#[derive(Clone, Debug)]
struct Counted {
    /// The last one.
    note: AuditNote,
    repeats: Repeats,
}

/// Refusals that have no entry yet.
#[derive(Clone, Copy, Debug, Default)]
struct Repeats {
    count: u64,
    first: WallTime,
    last: WallTime,
}

impl Repeats {
    fn add(&mut self, now: WallTime) {
        if self.count == 0 {
            self.first = now;
        }
        (self.count, self.last) = (self.count + 1, now);
    }

    fn repeats(self) -> AuditRepeats {
        AuditRepeats { count: self.count, since: WallTime::from_unix_millis(self.first.unix_millis() / 1000 * 1000) }
    }
}

/// Whether a refusal is written now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is the first of its kind in this interval.
    New,
    /// It is counted.
    Counted,
}

/// The refusals of one kind of callers in an interval.
#[derive(Clone, Debug, Default)]
struct Group {
    listed: BTreeMap<Key, Counted>,
    others: Repeats,
}

/// The refusals of an interval.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusals {
    ends_at: Option<Instant>,
    anonymous: Group,
    known: Group,
    folded: u64,
}

impl Refusals {
    /// Handles a refusal.
    pub(super) fn note(&mut self, note: &AuditNote, now: Now) -> Refusal {
        self.ends_at.get_or_insert(now.instant + INTERVAL);
        let is_anonymous = note.caller.identity == Identity::Anonymous;
        let (group, max) = match is_anonymous {
            true => (&mut self.anonymous, ANONYMOUS_MAX),
            false => (&mut self.known, KNOWN_MAX),
        };
        let key = key(note);
        if let Some(counted) = group.listed.get_mut(&key) {
            counted.note = note.clone();
            counted.repeats.add(now.wall);
        } else if group.listed.len() < max {
            group.listed.insert(key, Counted { note: note.clone(), repeats: Repeats::default() });
            return Refusal::New;
        } else {
            group.others.add(now.wall);
        }
        self.folded += 1;
        Refusal::Counted
    }

    /// Returns when the interval ends.
    pub(super) const fn ends_at(&self) -> Option<Instant> {
        self.ends_at
    }

    /// Returns how many refusals were counted instead of getting an entry of their own.
    pub(super) const fn folded(&self) -> u64 {
        self.folded
    }

    /// Ends the interval and returns the entries of what was counted in it. What was counted keeps its place in the
    /// next interval, so that a refusal that goes on does not get an entry of its own in each.
    pub(super) fn take(&mut self, now: Now) -> Vec<AuditEntry> {
        let mut entries = Vec::new();
        for (group, credentials) in [(&mut self.anonymous, "without"), (&mut self.known, "with")] {
            group.listed.retain(|_, counted| counted.repeats.count != 0);
            for counted in group.listed.values_mut() {
                let repeats = std::mem::take(&mut counted.repeats);
                let written = counted.note.clone().entry(repeats.last);
                entries.push(AuditEntry { repeats: Some(repeats.repeats()), ..written });
            }
            let others = std::mem::take(&mut group.others);
            if others.count != 0 {
                let target = Text::lossy(&format!("requests {credentials} valid credentials, from further clients"));
                let summary = entry(AuditActor::Server, "audit.refusals", target, AuditChanges::default(), others.last);
                let outcome = AuditOutcome::Refused(Text::lossy("several"));
                entries.push(AuditEntry { outcome, repeats: Some(others.repeats()), ..summary });
            }
        }
        let is_empty = self.anonymous.listed.is_empty() && self.known.listed.is_empty();
        self.ends_at = (!is_empty).then_some(now.instant + INTERVAL);
        entries
    }
}

fn key(note: &AuditNote) -> Key {
    Key {
        network: note.caller.address.map(network_of),
        caller: note.caller.identity.to_string(),
        account: note.account.clone(),
        operation: note.request.operation,
        outcome: (note.outcome.kind(), note.outcome.code().cloned()),
    }
}

#[cfg(test)]
mod tests {
    use linecamp_model::{Caller, KeyId, KeyIdentity, RequestId};

    use super::*;
    use crate::fleet::audit_note::AuditedRequest;
    use crate::fleet::testing::NOW;
    use crate::testing::name;

    fn note(address: [u8; 4], account: Option<&str>, code: &str) -> AuditNote {
        let identity = Identity::Anonymous;
        AuditNote {
            request: AuditedRequest { operation: "session.login", target: Text::lossy("/api/v1/login") },
            caller: Caller { identity, address: Some(address.into()), request: RequestId::from_bytes([1; 8]) },
            account: account.map(name),
            outcome: AuditOutcome::Refused(Text::lossy(code)),
        }
    }

    fn later(seconds: u64) -> Now {
        let time = Duration::from_secs(seconds);
        Now { instant: NOW.instant + time, wall: NOW.wall + time }
    }

    #[test]
    fn equal_refusals_are_counted_and_written_once_per_interval() {
        let mut refusals = Refusals::default();
        let same = note([192, 0, 2, 1], Some("anna"), "unauthorized");
        assert_eq!(refusals.note(&same, NOW), Refusal::New);
        for second in 1..=1_000 {
            assert_eq!(refusals.note(&same, later(second / 2)), Refusal::Counted);
        }
        for other in [
            note([192, 0, 2, 2], Some("anna"), "unauthorized"),
            note([192, 0, 2, 1], None, "unauthorized"),
            note([192, 0, 2, 1], Some("anna"), "too-many-requests"),
        ] {
            assert_eq!(refusals.note(&other, NOW), Refusal::New);
        }
        assert_eq!(refusals.ends_at(), Some(later(600).instant));
        let entries = refusals.take(later(600));
        let repeats: Vec<_> = entries.iter().filter_map(|entry| entry.repeats).collect();
        assert_eq!(repeats, [AuditRepeats { count: 1_000, since: NOW.wall }]);
        assert_eq!((&entries[0].account, entries[0].at), (&Some(name("anna")), later(500).wall));
        // What goes on is counted, and what stopped is forgotten.
        assert_eq!(refusals.note(&same, later(601)), Refusal::Counted);
        assert_eq!(refusals.note(&note([192, 0, 2, 1], None, "unauthorized"), later(601)), Refusal::New);
        assert_eq!(refusals.take(later(1_200)).len(), 1);
        assert_eq!((refusals.take(later(1_800)).len(), refusals.ends_at()), (0, None));
        assert_eq!(refusals.folded(), 1_001);
    }

    #[test]
    fn a_flood_from_many_networks_is_bounded() {
        let (mut refusals, mut entries) = (Refusals::default(), 0);
        for interval in 0..10 {
            let now = later(600 * interval);
            for number in 0..10_000_u16 {
                let [high, low] = number.to_be_bytes();
                let flood = note([10, 0, high, low], None, "unauthorized");
                entries += usize::from(refusals.note(&flood, now) == Refusal::New);
            }
            // A caller with valid credentials is still listed.
            let key = KeyIdentity { id: KeyId::from_bytes([1; 8]), name: name("ci"), user: None };
            let mut known = note([192, 0, 2, 1], None, &format!("forbidden-{interval}"));
            known.caller.identity = Identity::Key(key);
            assert_eq!(refusals.note(&known, now), Refusal::New);
            let written = refusals.take(later(600 * (interval + 1)));
            let others = written.iter().filter(|entry| entry.operation.as_str() == "audit.refusals");
            let count: u64 = others.filter_map(|entry| entry.repeats).map(|repeats| repeats.count).sum();
            assert!(9_968 <= count, "{count}");
            entries += written.len();
        }
        assert!(entries <= 10 * (2 * ANONYMOUS_MAX + 1), "{entries}");
    }
}
