//! A name server that keeps what it is told, and fails as real ones do.
//!
//! It speaks as a provider does: requests in, replies out. A change is a comparison and an exchange, all or none of a
//! call where it is atomic. What each mood does is said there; a test or a simulator decides when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use linecamp_model::{
    DnsAbilities, DomainName, ProviderFailure, ProviderReply, ProviderRequest, RecordChange, RecordKey, RecordSet,
    RecordType, Text, Ttl,
};

/// How the name server is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// Well.
    #[default]
    Well,
    /// Not there.
    Away,
    /// There, and asks for patience: 429 with a time.
    Busy(Duration),
    /// It does what it is told, and its answer is lost.
    Mute,
    /// It does half of what it is told, and its answer is lost. One that is atomic does nothing.
    HalfDone,
    /// It does not accept the credentials.
    Locked,
    /// The plugin that would speak with it cannot be used. A call counts as a look.
    Unspoken,
}

/// Zones and what they hold.
#[derive(Clone, Debug)]
pub struct NameServer {
    /// How it is.
    pub mood: Mood,
    /// Whether the changes of a call are done all or none.
    pub atomic: bool,
    /// Whether zones can be listed.
    pub lists_zones: bool,
    /// What is answered is as it was before the last change: reads lag behind by one write.
    pub is_stale: bool,
    /// Writes that changed something, in order.
    pub writes: Vec<(DomainName, RecordChange)>,
    /// Names that are refused.
    pub refused: BTreeSet<DomainName>,
    /// Names that cannot be changed for now: a call about them fails, and may work later.
    pub frozen: BTreeSet<DomainName>,
    /// Names that have records of a type that nobody asks for: an alias does not come beside them.
    pub unseen: BTreeSet<DomainName>,
    /// Names at which it confirms changes and does none.
    pub dropped: BTreeSet<DomainName>,
    /// Where zones of their own begin below a zone. What a zone holds there is served to nobody, and stays in it.
    pub hidden: BTreeSet<DomainName>,
    /// Whether a call that names something hidden is refused, as it should be, instead of answered with nothing.
    pub names_hidden: bool,
    /// Names that one call can ask for or change. With more it uses up its requests.
    pub names_max: usize,
    /// How a listing of a zone fails; `None`: it does not.
    pub listing_fails: Option<ProviderFailure>,
    /// Record sets that are there and cannot be read.
    pub unreadable: BTreeSet<RecordKey>,
    /// Questions asked.
    pub looks: u64,
    zones: BTreeMap<DomainName, Sets>,
    before: BTreeMap<DomainName, Sets>,
}

/// The record sets of a zone.
pub type Sets = BTreeMap<RecordKey, RecordSet>;

impl NameServer {
    /// A name server that is well, with these zones, all empty.
    pub fn new(zones: &[&str]) -> Self {
        let name = |zone: &&str| DomainName::parse(zone).expect("a test's zone is a name");
        let zones: BTreeMap<_, _> = zones.iter().map(|zone| (name(zone), Sets::new())).collect();
        Self {
            mood: Mood::Well,
            atomic: true,
            lists_zones: true,
            is_stale: false,
            writes: Vec::new(),
            refused: BTreeSet::new(),
            frozen: BTreeSet::new(),
            unseen: BTreeSet::new(),
            dropped: BTreeSet::new(),
            hidden: BTreeSet::new(),
            names_hidden: true,
            names_max: usize::MAX,
            listing_fails: None,
            unreadable: BTreeSet::new(),
            looks: 0,
            before: zones.clone(),
            zones,
        }
    }

    /// Puts a set there as somebody else would.
    pub fn plant(&mut self, zone: &str, name: &str, rtype: &str, values: &[&str]) {
        let key = RecordKey { name: DomainName::parse(name).expect("a name"), rtype: RecordType::of(rtype) };
        let set = RecordSet::observed(key.clone(), Ttl::DEFAULT, values);
        let zone = DomainName::parse(zone).expect("a name");
        self.zones.entry(zone).or_default().insert(key, set);
    }

    /// Takes a set away as somebody else would.
    pub fn pluck(&mut self, zone: &str, name: &str, rtype: &str) {
        let key = RecordKey { name: DomainName::parse(name).expect("a name"), rtype: RecordType::of(rtype) };
        self.zones.entry(DomainName::parse(zone).expect("a name")).or_default().remove(&key);
    }

    /// Puts a set there as somebody else would, in place of what is there, or takes it away.
    pub fn put(&mut self, zone: &str, key: &RecordKey, set: Option<RecordSet>) {
        let sets = self.zones.entry(DomainName::parse(zone).expect("a name")).or_default();
        match set {
            Some(set) => sets.insert(key.clone(), set),
            None => sets.remove(key),
        };
    }

    /// Remembers what a zone holds: stale answers are of this moment, until the next write.
    pub fn remember(&mut self, zone: &str) {
        let zone = DomainName::parse(zone).expect("a name");
        if let Some(sets) = self.zones.get(&zone) {
            self.before.insert(zone, sets.clone());
        }
    }

    /// Returns what a zone holds.
    pub fn zone(&self, zone: &str) -> Sets {
        self.zones.get(&DomainName::parse(zone).expect("a name")).cloned().unwrap_or_default()
    }

    /// Returns all zones.
    pub fn zones(&self) -> &BTreeMap<DomainName, Sets> {
        &self.zones
    }

    /// Does what it is asked, as its mood allows.
    pub fn answer(&mut self, request: &ProviderRequest) -> ProviderReply {
        let failed = |failure| ProviderReply::Failed(failure);
        let reason = Text::lossy;
        match self.mood {
            Mood::Away => return failed(ProviderFailure::Retry { after: None, reason: reason("connection refused") }),
            Mood::Busy(after) => {
                return failed(ProviderFailure::Retry { after: Some(after), reason: reason("too many requests") });
            }
            Mood::Locked => return failed(ProviderFailure::Unauthorized { reason: reason("wrong key") }),
            Mood::Unspoken => {
                self.looks += 1;
                return failed(ProviderFailure::Missing { reason: reason("it says that it is another plugin") });
            }
            Mood::Well | Mood::Mute | Mood::HalfDone => {}
        }
        let reply = match request {
            ProviderRequest::Check => ProviderReply::Checked(self.abilities()),
            ProviderRequest::Observe { zone, names } => self.observe(zone, names),
            ProviderRequest::Apply { zone, changes, .. } => self.apply(zone, changes),
        };
        match self.mood {
            Mood::Mute | Mood::HalfDone => {
                failed(ProviderFailure::Retry { after: None, reason: reason("the answer was lost") })
            }
            _ => reply,
        }
    }

    fn abilities(&self) -> DnsAbilities {
        let ttl = |seconds| Ttl::of(seconds).expect("a time to live");
        DnsAbilities {
            atomic: self.atomic,
            lists_zones: self.lists_zones,
            ttl_min: ttl(1),
            ttl_max: ttl(86_400),
            changes_max: 20,
        }
    }

    fn is_hidden(&self, name: &DomainName) -> bool {
        self.hidden.iter().any(|below| name == below || name.is_within(below))
    }

    /// Refuses a name that lies in a zone below, if it is said.
    fn in_zone_below(&self, name: &DomainName) -> Option<ProviderReply> {
        let reason = Text::lossy(&format!("name {name} lies in a zone below, which is served separately"));
        let is_said = self.names_hidden && self.is_hidden(name);
        is_said.then(|| ProviderReply::Failed(ProviderFailure::Refused { reason, name: Some(name.clone()) }))
    }

    fn observe(&mut self, zone: &DomainName, names: &BTreeSet<DomainName>) -> ProviderReply {
        self.looks += 1;
        if let Some(failure) = self.listing_fails.clone().filter(|_| names.is_empty()) {
            return ProviderReply::Failed(failure);
        }
        if self.names_max < names.len() {
            return limit_exceeded();
        }
        if let Some(refused) = names.iter().find_map(|name| self.in_zone_below(name)) {
            return refused;
        }
        let zones = if self.is_stale { &self.before } else { &self.zones };
        match zones.get(zone) {
            Some(sets) => {
                let is_meant = |set: &&RecordSet| {
                    (names.is_empty() || names.contains(&set.key.name)) && !self.is_hidden(&set.key.name)
                };
                let read = |set: &RecordSet| match self.unreadable.contains(&set.key) {
                    true => RecordSet::unreadable(set.key.clone(), "300 values, more than 256"),
                    false => set.clone(),
                };
                ProviderReply::Observed(sets.values().filter(is_meant).map(read).collect())
            }
            None => {
                let reason = Text::lossy(&format!("there is no zone {zone}"));
                ProviderReply::Failed(ProviderFailure::Refused { reason, name: None })
            }
        }
    }

    fn apply(&mut self, zone: &DomainName, changes: &[RecordChange]) -> ProviderReply {
        let Some(sets) = self.zones.get(zone) else {
            let reason = Text::lossy("there is no such zone");
            return ProviderReply::Failed(ProviderFailure::Refused { reason, name: None });
        };
        if self.names_max < changes.len() {
            return limit_exceeded();
        }
        if let Some(name) = changes.iter().filter_map(RecordChange::key).find(|key| self.refused.contains(&key.name)) {
            let reason = Text::lossy("the name is not allowed");
            return ProviderReply::Failed(ProviderFailure::Refused { reason, name: Some(name.name.clone()) });
        }
        if changes.iter().filter_map(RecordChange::key).any(|key| self.frozen.contains(&key.name)) {
            let reason = Text::lossy("the zone is locked");
            return ProviderReply::Failed(ProviderFailure::Retry { after: None, reason });
        }
        let writes = changes.iter().filter(|change| change.after.is_some()).filter_map(RecordChange::key);
        if let Some(refused) = writes.map(|key| &key.name).find_map(|name| self.in_zone_below(name)) {
            return refused;
        }
        let (mut after, mut done) = (sets.clone(), Vec::new());
        let part = if self.mood == Mood::HalfDone { changes.len() / 2 } else { changes.len() };
        for change in changes.iter().take(part) {
            let Some(key) = change.key() else { continue };
            if after.get(key) == change.after.as_ref() {
                continue;
            }
            if self.dropped.contains(&key.name) {
                continue;
            }
            let is_new_alias = key.rtype == RecordType::Cname && change.before.is_none() && change.after.is_some();
            if is_new_alias && self.unseen.contains(&key.name) {
                let reason = Text::lossy(&format!("{} has records of another type", key.name));
                return ProviderReply::Failed(ProviderFailure::Conflict { reason });
            }
            if after.get(key) != change.before.as_ref() {
                let reason = Text::lossy(&format!("{key} is not as expected"));
                return ProviderReply::Failed(ProviderFailure::Conflict { reason });
            }
            match &change.after {
                Some(set) => after.insert(key.clone(), set.clone()),
                None => after.remove(key),
            };
            done.push((zone.clone(), change.clone()));
        }
        let is_dropped = self.atomic && self.mood == Mood::HalfDone;
        if !is_dropped && !done.is_empty() {
            self.before = self.zones.clone();
            self.zones.insert(zone.clone(), after);
            self.writes.extend(done);
        }
        ProviderReply::Applied
    }
}

fn limit_exceeded() -> ProviderReply {
    let reason = Text::lossy("the call has used up its requests");
    ProviderReply::Failed(ProviderFailure::LimitExceeded { reason })
}
