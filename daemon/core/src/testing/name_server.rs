//! A fake name server that stores records and fails the way real ones do.
//!
//! It has the interface of a provider: requests in, replies out. A change is a compare-and-swap; the changes of a call
//! are atomic if `atomic` is set. [`NameServerFault`] describes the fault modes; a test or the simulator selects them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use linecamp_model::{
    Capabilities, DnsCapabilities, DnsReply, DnsRequest, DomainName, ProviderFailure, ProviderReply, ProviderRequest,
    RecordChange, RecordKey, RecordSet, RecordType, Text, Ttl,
};

/// The fault mode of the name server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameServerFault {
    /// Works.
    #[default]
    Well,
    /// Unreachable.
    Away,
    /// Rate-limited: answers 429 with a retry delay.
    Busy(Duration),
    /// Applies the changes, but the answer is lost.
    Mute,
    /// Applies half of the changes, and the answer is lost. If atomic, applies none.
    HalfDone,
    /// Rejects the credentials.
    Locked,
    /// The plugin cannot be used. A call counts as an observation.
    Unspoken,
}

/// Zones and their records.
#[derive(Clone, Debug)]
pub struct NameServer {
    /// The fault mode.
    pub fault: NameServerFault,
    /// Whether the changes of a call are atomic.
    pub atomic: bool,
    /// Whether zones can be listed.
    pub can_list_records: bool,
    /// Whether reads lag behind by one write.
    pub is_stale: bool,
    /// Writes that changed something, in order.
    pub writes: Vec<(DomainName, RecordChange)>,
    /// Names that are rejected.
    pub refused: BTreeSet<DomainName>,
    /// Names that cannot be changed for now: a call that changes them fails and may be retried.
    pub frozen: BTreeSet<DomainName>,
    /// Names that have records of a type that no query asks for: a CNAME conflicts with them.
    pub unseen: BTreeSet<DomainName>,
    /// Names whose changes are confirmed but not applied.
    pub dropped: BTreeSet<DomainName>,
    /// Names where a delegated zone starts. Records of the parent zone there are kept but not served.
    pub hidden: BTreeSet<DomainName>,
    /// Whether a call that names a hidden record is rejected, as it should be, rather than answered with nothing.
    pub names_hidden: bool,
    /// The number of names one call may query or change. A call with more exceeds its limit.
    pub names_max: usize,
    /// The number of record sets of a zone that can be listed. A listing of more exceeds its limit.
    pub listed_max: usize,
    /// The lowest TTL that it stores, in seconds.
    pub ttl_min: u32,
    /// How listing a zone fails; `None` if it works.
    pub listing_fails: Option<ProviderFailure>,
    /// Record sets that exist and cannot be parsed.
    pub unreadable: BTreeSet<RecordKey>,
    /// The number of requests per second that it permits; `None`: any number. A validation, each name and each change
    /// cost one request.
    pub requests_per_second: Option<usize>,
    /// The second of the last request, and the number of requests in it.
    requested: (u64, usize),
    /// The number of validations.
    pub validations: u64,
    /// The number of observations.
    pub looks: u64,
    zones: BTreeMap<DomainName, Sets>,
    before: BTreeMap<DomainName, Sets>,
}

/// The record sets of a zone.
pub type Sets = BTreeMap<RecordKey, RecordSet>;

impl NameServer {
    /// Creates a working name server with these zones, all empty.
    pub fn new(zones: &[&str]) -> Self {
        let name = |zone: &&str| DomainName::parse(zone).expect("a test's zone is a name");
        let zones: BTreeMap<_, _> = zones.iter().map(|zone| (name(zone), Sets::new())).collect();
        Self {
            fault: NameServerFault::Well,
            atomic: true,
            can_list_records: true,
            is_stale: false,
            writes: Vec::new(),
            refused: BTreeSet::new(),
            frozen: BTreeSet::new(),
            unseen: BTreeSet::new(),
            dropped: BTreeSet::new(),
            hidden: BTreeSet::new(),
            names_hidden: true,
            names_max: usize::MAX,
            listed_max: usize::MAX,
            ttl_min: 1,
            listing_fails: None,
            unreadable: BTreeSet::new(),
            requests_per_second: None,
            requested: (0, 0),
            validations: 0,
            looks: 0,
            before: zones.clone(),
            zones,
        }
    }

    /// Adds a record set as another writer would.
    pub fn plant(&mut self, zone: &str, name: &str, rtype: &str, values: &[&str]) {
        let key = RecordKey { name: DomainName::parse(name).expect("a name"), rtype: RecordType::of(rtype) };
        let set = RecordSet::observed(key.clone(), Ttl::DEFAULT, values);
        let zone = DomainName::parse(zone).expect("a name");
        self.zones.entry(zone).or_default().insert(key, set);
    }

    /// Removes a record set as another writer would.
    pub fn pluck(&mut self, zone: &str, name: &str, rtype: &str) {
        let key = RecordKey { name: DomainName::parse(name).expect("a name"), rtype: RecordType::of(rtype) };
        self.zones.entry(DomainName::parse(zone).expect("a name")).or_default().remove(&key);
    }

    /// Replaces or removes a record set as another writer would.
    pub fn put(&mut self, zone: &str, key: &RecordKey, set: Option<RecordSet>) {
        let sets = self.zones.entry(DomainName::parse(zone).expect("a name")).or_default();
        match set {
            Some(set) => sets.insert(key.clone(), set),
            None => sets.remove(key),
        };
    }

    /// Takes a snapshot of a zone: stale answers show this state until the next write.
    pub fn remember(&mut self, zone: &str) {
        let zone = DomainName::parse(zone).expect("a name");
        if let Some(sets) = self.zones.get(&zone) {
            self.before.insert(zone, sets.clone());
        }
    }

    /// Returns the records of a zone.
    pub fn zone(&self, zone: &str) -> Sets {
        self.zones.get(&DomainName::parse(zone).expect("a name")).cloned().unwrap_or_default()
    }

    /// Returns all zones.
    pub fn zones(&self) -> &BTreeMap<DomainName, Sets> {
        &self.zones
    }

    /// Handles a request in this second as the permitted rate and the fault mode allow.
    pub fn answer_at(&mut self, second: u64, request: &ProviderRequest) -> ProviderReply {
        let cost = match request {
            ProviderRequest::Validate => 1,
            ProviderRequest::Dns(DnsRequest::Observe { names, .. }) => names.len().max(1),
            ProviderRequest::Dns(DnsRequest::Apply { changes, .. }) => changes.len(),
        };
        let before = if self.requested.0 == second { self.requested.1 } else { 0 };
        self.requested = (second, before + cost);
        if self.requests_per_second.is_some_and(|permitted| permitted < before + cost) {
            let (after, reason) = (Some(Duration::from_secs(1)), Text::lossy("429 Too Many Requests"));
            return ProviderReply::Failed(ProviderFailure::Retry { after, reason });
        }
        self.answer(request)
    }

    /// Handles a request as the fault mode allows.
    pub fn answer(&mut self, request: &ProviderRequest) -> ProviderReply {
        let failed = |failure| ProviderReply::Failed(failure);
        let reason = Text::lossy;
        match self.fault {
            NameServerFault::Away => {
                return failed(ProviderFailure::Retry { after: None, reason: reason("connection refused") });
            }
            NameServerFault::Busy(after) => {
                return failed(ProviderFailure::Retry { after: Some(after), reason: reason("too many requests") });
            }
            NameServerFault::Locked => return failed(ProviderFailure::Unauthorized { reason: reason("wrong key") }),
            NameServerFault::Unspoken => {
                self.looks += 1;
                return failed(ProviderFailure::Missing { reason: reason("it says that it is another plugin") });
            }
            NameServerFault::Well | NameServerFault::Mute | NameServerFault::HalfDone => {}
        }
        let reply = match request {
            ProviderRequest::Validate => {
                self.validations += 1;
                ProviderReply::Validated(Capabilities::Dns(self.capabilities()))
            }
            ProviderRequest::Dns(DnsRequest::Observe { zone, names }) => self.observe(zone, names),
            ProviderRequest::Dns(DnsRequest::Apply { zone, changes, .. }) => self.apply(zone, changes),
        };
        match self.fault {
            NameServerFault::Mute | NameServerFault::HalfDone => {
                failed(ProviderFailure::Retry { after: None, reason: reason("the answer was lost") })
            }
            _ => reply,
        }
    }

    fn capabilities(&self) -> DnsCapabilities {
        let ttl = |seconds| Ttl::of(seconds).expect("a time to live");
        DnsCapabilities {
            atomic: self.atomic,
            can_list_records: self.can_list_records,
            ttl_min: ttl(self.ttl_min),
            ttl_max: ttl(86_400),
            max_batch_size: 20,
        }
    }

    fn is_hidden(&self, name: &DomainName) -> bool {
        self.hidden.iter().any(|below| name == below || name.is_within(below))
    }

    /// Rejects a name in a delegated zone, if `names_hidden` is set.
    fn in_zone_below(&self, name: &DomainName) -> Option<ProviderReply> {
        let reason = Text::lossy(&format!("name {name} lies in a zone below, which is served separately"));
        let is_said = self.names_hidden && self.is_hidden(name);
        is_said
            .then(|| ProviderReply::Failed(ProviderFailure::Refused { reason, part: Some(Text::lossy(name.as_str())) }))
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
            Some(sets) if names.is_empty() && self.listed_max < sets.len() => limit_exceeded(),
            Some(sets) => {
                let is_meant = |set: &&RecordSet| {
                    (names.is_empty() || names.contains(&set.key.name)) && !self.is_hidden(&set.key.name)
                };
                let read = |set: &RecordSet| match self.unreadable.contains(&set.key) {
                    true => RecordSet::unreadable(set.key.clone(), "300 values, more than 256"),
                    false => set.clone(),
                };
                ProviderReply::Dns(DnsReply::Observed(sets.values().filter(is_meant).map(read).collect()))
            }
            None => {
                let reason = Text::lossy(&format!("there is no zone {zone}"));
                ProviderReply::Failed(ProviderFailure::Refused { reason, part: None })
            }
        }
    }

    fn apply(&mut self, zone: &DomainName, changes: &[RecordChange]) -> ProviderReply {
        let Some(sets) = self.zones.get(zone) else {
            let reason = Text::lossy("there is no such zone");
            return ProviderReply::Failed(ProviderFailure::Refused { reason, part: None });
        };
        if self.names_max < changes.len() {
            return limit_exceeded();
        }
        if let Some(name) = changes.iter().filter_map(RecordChange::key).find(|key| self.refused.contains(&key.name)) {
            let reason = Text::lossy("the name is not allowed");
            return ProviderReply::Failed(ProviderFailure::Refused {
                reason,
                part: Some(Text::lossy(name.name.as_str())),
            });
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
        let part = if self.fault == NameServerFault::HalfDone { changes.len() / 2 } else { changes.len() };
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
                return conflict(key, reason);
            }
            if after.get(key) != change.before.as_ref() {
                return conflict(key, Text::lossy(&format!("{key} is not as expected")));
            }
            match &change.after {
                Some(set) => after.insert(key.clone(), set.clone()),
                None => after.remove(key),
            };
            done.push((zone.clone(), change.clone()));
        }
        let is_dropped = self.atomic && self.fault == NameServerFault::HalfDone;
        if !is_dropped && !done.is_empty() {
            self.before = self.zones.clone();
            self.zones.insert(zone.clone(), after);
            self.writes.extend(done);
        }
        ProviderReply::Dns(DnsReply::Applied)
    }
}

fn conflict(key: &RecordKey, reason: Text) -> ProviderReply {
    let part = Some(Text::lossy(key.name.as_str()));
    ProviderReply::Failed(ProviderFailure::Conflict { reason, part })
}

fn limit_exceeded() -> ProviderReply {
    let reason = Text::lossy("the call has used up its requests");
    ProviderReply::Failed(ProviderFailure::LimitExceeded { reason })
}
