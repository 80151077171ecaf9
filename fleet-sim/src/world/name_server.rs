//! The name server that all sites' providers use: the calls to it, its faults, and the records of others in it.
//!
//! A call is answered after a while. When a daemon is killed, each of its calls in flight is completed at that moment
//! or not at all, at random: this simulates a crash between an ownership TXT record and its record. Half of the runs
//! have a name server that applies the changes of a call one by one, and half of the runs one that cannot list a zone.
//! In a quarter of the runs it sometimes answers with outdated records. That exceeds what the machines guarantee for a
//! site's own records: a site that sees no record where it has just created one forgets it. The guarantees for everyone
//! else's records still hold.

use std::collections::BTreeMap;
use std::time::Duration;

use linecamp_core::testing::{NameServer, NameServerFault, Sets};
use linecamp_model::{
    CallId, Claim, DomainName, OwnerId, ProviderReply, ProviderRequest, RecordKey, RecordSet, RecordType, SiteId, Ttl,
};

use super::{FaultEnd, RunPhase, SimEvent, World};
use crate::act_kind::ActKind;
use crate::plan::{Act, SiteSlot};
use crate::sim_rng::{Purpose, SimRng};
use crate::transport::{NodeId, Transport};

/// The zone of all providers.
pub(super) const ZONE: &str = "camp.example";

/// The owner id of the sites' records.
pub(super) const OWNER: &str = "sim";

/// Share of calls affected while the name server has a fault, per thousand.
const FAULT_PER_MILLE: u32 = 800;

/// Longest retry delay that the name server asks for: nine minutes, so that a site that receives it at the last
/// moment still converges in time.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(540);

/// The name server, and the calls in flight to it.
#[derive(Debug)]
pub(super) struct Dns {
    server: NameServer,
    seed: u64,
    /// Whether it may answer with outdated records.
    may_be_stale: bool,
    outage: Option<NameServerFault>,
    /// Counts the faults, so that the end of one does not end a later one.
    outages: u64,
    calls: BTreeMap<NodeId, Vec<(CallId, ProviderRequest)>>,
    rngs: BTreeMap<NodeId, SimRng>,
    /// The number of lookups when the quiet phase started.
    looks: u64,
}

impl Dns {
    /// Creates a name server with records of others, some of them under names that sites will want.
    pub(super) fn new(seed: u64, site_slots: &[SiteSlot]) -> Self {
        let mut server = NameServer::new(&[ZONE]);
        let mut rng = SimRng::of(seed, Purpose::NameServer, u64::MAX);
        server.atomic = rng.happens(500);
        server.can_list_records = rng.happens(500);
        let may_be_stale = rng.happens(250);
        server.plant(ZONE, ZONE, "MX", &["10 mail.camp.example"]);
        server.plant(ZONE, &format!("www.{ZONE}"), "A", &["198.51.100.1"]);
        server.plant(ZONE, &format!("*.guests.{ZONE}"), "CNAME", &["www.camp.example"]);
        for (site, site_slot) in site_slots.iter().enumerate() {
            if let Some(way) = site_slot.dns.foreign {
                plant_foreign(&mut server, site, way);
            }
        }
        Self {
            server,
            seed,
            may_be_stale,
            outage: None,
            outages: 0,
            calls: BTreeMap::new(),
            rngs: BTreeMap::new(),
            looks: 0,
        }
    }

    pub(super) fn zone(&self) -> &Sets {
        let zone = DomainName::parse(ZONE).expect("the zone is a name");
        &self.server.zones()[&zone]
    }

    fn rng(&mut self, node: NodeId) -> &mut SimRng {
        let seed = self.seed;
        self.rngs.entry(node).or_insert_with(|| SimRng::of(seed, Purpose::NameServer, node as u64))
    }

    /// Starts the quiet phase: nothing may be written, and sites with records keep checking them.
    pub(super) fn begin_quiet(&mut self) {
        self.looks = self.server.looks;
    }

    pub(super) fn was_observed_since(&self) -> bool {
        self.looks < self.server.looks
    }
}

/// Adds a record of another owner under a name that a site will want, in one of several ways.
fn plant_foreign(server: &mut NameServer, site: usize, way: u64) {
    let prefix = if way.is_multiple_of(7) { "spot." } else { "" };
    let name = format!("{prefix}site-{site:04}.site-{site:04}.default.{ZONE}");
    let claim_name = format!("_linecamp-a.{name}");
    let claim_of = |owner: &str| {
        let owner = OwnerId::parse(owner).expect("an owner id");
        Claim { owner, site: SiteId::from_bytes([0xee; 16]) }.to_string()
    };
    match way / 8 % 6 {
        0 => server.plant(ZONE, &name, "A", &["198.51.100.7"]),
        1 => server.plant(ZONE, &name, "CNAME", &["www.camp.example"]),
        2 => {
            server.plant(ZONE, &name, "A", &["198.51.100.8"]);
            server.plant(ZONE, &claim_name, "TXT", &[&claim_of("other")]);
        }
        3 => server.plant(ZONE, &claim_name, "TXT", &["v=spf1 -all"]),
        4 => {
            server.plant(ZONE, &name, "A", &[&first_address(site)]);
            server.plant(ZONE, &claim_name, "TXT", &[&claim_of(OWNER)]);
        }
        // Equals what the site would write.
        _ => server.plant(ZONE, &name, "A", &[&first_address(site)]),
    }
}

/// Returns the initial address of a site's machine.
pub(super) fn first_address(site: usize) -> String {
    format!("198.18.{}.{}", site / 250 % 250, site % 250 + 1)
}

impl<C: Transport> World<C> {
    /// A site sends a call to the name server.
    pub(super) fn begin_call(&mut self, node: NodeId, call: CallId, request: ProviderRequest) {
        self.note(Some(node), "call", &[call.0], || format!("{call} {request:?}"));
        let Some(dns) = &mut self.dns else { return };
        let millis = Duration::from_millis;
        let rng = dns.rng(node);
        let longest = if rng.happens(50) { millis(20_000) } else { millis(300) };
        let delay = rng.between(millis(5), longest);
        dns.calls.entry(node).or_default().push((call, request));
        let boot = self.nodes[node].boot;
        self.after(delay, SimEvent::CallDone(node, boot, call));
    }

    pub(super) fn call_done(&mut self, node: NodeId, boot: u32, call: CallId) {
        if self.nodes[node].boot != boot {
            return;
        }
        let calls = self.dns.as_mut().and_then(|dns| dns.calls.get_mut(&node));
        let place = calls.as_ref().and_then(|calls| calls.iter().position(|(of, _)| *of == call));
        let (Some(calls), Some(place)) = (calls, place) else { return };
        let (_, request) = calls.swap_remove(place);
        let Some(reply) = self.call_name_server(node, &request) else { return };
        self.note(Some(node), "called", &[call.0, u64::from(is_done(&reply))], || format!("{call} {reply:?}"));
        let now = self.nodes[node].now(self.elapsed);
        if let Some(site) = &mut self.nodes[node].site {
            site.handle_provider(call, reply, now);
            self.drain_node(node);
        }
    }

    /// A daemon is gone: each of its calls in flight is completed or not, and no answer is delivered.
    pub(super) fn abandon_calls(&mut self, node: NodeId) {
        let calls = self.dns.as_mut().and_then(|dns| dns.calls.remove(&node)).unwrap_or_default();
        for (call, request) in calls {
            if self.dns.as_mut().is_some_and(|dns| dns.rng(node).happens(500)) {
                self.note(Some(node), "abandoned", &[call.0], || {
                    format!("{call} completed, and its answer is dropped")
                });
                self.call_name_server(node, &request);
            }
        }
    }

    fn call_name_server(&mut self, node: NodeId, request: &ProviderRequest) -> Option<ProviderReply> {
        let id = self.site_of(node)?;
        let dns = self.dns.as_mut()?;
        let is_faulty = dns.outage.is_some() && dns.rng(node).happens(FAULT_PER_MILLE);
        dns.server.fault = dns.outage.filter(|_| is_faulty).unwrap_or_default();
        if dns.server.is_stale {
            self.watch.allow_corrupt_records(id);
        }
        let reply = dns.server.answer(request);
        let writes = std::mem::take(&mut dns.server.writes);
        if !writes.is_empty() {
            self.watch.zone_written((node, id), &writes, dns.zone());
            self.trace.note(self.elapsed, Some(node), "records", &[writes.len() as u64]);
            if self.phase == RunPhase::Quiet {
                let what = format!("a site wrote {writes:?} though nothing had happened");
                self.watch.find("quiet", [node], what);
            }
        }
        Some(reply)
    }

    /// Injects a fault into the name server, or changes a record in it.
    pub(super) fn act_on_name_server(&mut self, act: Act) {
        let Some(dns) = &mut self.dns else { return };
        let retry_after = Duration::from_secs(1 + act.draw % RETRY_DELAY_MAX.as_secs());
        match act.kind {
            ActKind::DnsDrift => return self.drift(act.draw),
            ActKind::DnsStale => dns.server.is_stale = dns.may_be_stale,
            ActKind::DnsDown => dns.outage = Some(NameServerFault::Away),
            ActKind::DnsBusy => dns.outage = Some(NameServerFault::Busy(retry_after)),
            ActKind::DnsLostAnswers => dns.outage = Some(NameServerFault::Mute),
            ActKind::DnsPartialWrites => dns.outage = Some(NameServerFault::HalfDone),
            ActKind::DnsUnauthorized => dns.outage = Some(NameServerFault::Locked),
            _ => return,
        }
        if act.kind == ActKind::DnsStale {
            return self.after(act.duration, SimEvent::FaultEnd(FaultEnd::DnsStale));
        }
        dns.outages += 1;
        let number = dns.outages;
        self.after(act.duration, SimEvent::FaultEnd(FaultEnd::DnsFault(number)));
    }

    /// Ends the fault with this number, unless another one started since.
    pub(super) fn end_name_server_fault(&mut self, number: u64) {
        if let Some(dns) = self.dns.as_mut().filter(|dns| dns.outages == number) {
            dns.outage = None;
        }
    }

    pub(super) fn end_staleness(&mut self) {
        if let Some(dns) = &mut self.dns {
            dns.server.is_stale = false;
        }
    }

    /// Ends all faults of the name server.
    pub(super) fn restore_name_server(&mut self) {
        self.end_staleness();
        if let Some(dns) = &mut self.dns {
            dns.outage = None;
        }
    }

    /// Manually changes a site's record, deletes it, or deletes it with its ownership TXT record.
    fn drift(&mut self, draw: u64) {
        let claimed = self.watch.claimed();
        let place = usize::try_from(draw / 16).unwrap_or(usize::MAX) % claimed.len().max(1);
        let Some((_, key)) = claimed.get(place) else { return };
        let Some(dns) = &mut self.dns else { return };
        let Some(set) = dns.zone().get(key).cloned() else { return };
        let changed = match draw % 4 {
            0 => Some(RecordSet { ttl: Ttl::of(7).unwrap_or(set.ttl), ..set }),
            1 if key.rtype == RecordType::A => Some(RecordSet::observed(key.clone(), set.ttl, &["203.0.113.66"])),
            1 if key.rtype == RecordType::Txt => Some(RecordSet::observed(key.clone(), set.ttl, &["other words"])),
            _ => None,
        };
        let mut by_hand = vec![(key.clone(), changed)];
        if let (3, Ok(name)) = (draw % 4, Claim::name_of(key)) {
            by_hand.push((RecordKey { name, rtype: RecordType::Txt }, None));
        }
        for (key, set) in &by_hand {
            dns.server.put(ZONE, key, set.clone());
            self.watch.changed_by_hand(key, set.as_ref());
        }
        self.note(None, "drift", &[draw], || format!("by hand: {by_hand:?}"));
    }
}

const fn is_done(reply: &ProviderReply) -> bool {
    !matches!(reply, ProviderReply::Failed(_))
}
