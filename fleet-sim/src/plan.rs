//! The plan of a run, made before it starts: a list of acts, each of five numbers.
//!
//! The list follows from the scenario and the seed alone, so it can be shortened: `shrink` leaves acts out to find the
//! smallest run that still fails, and the remaining acts do not change.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::act_kind::{ActKind, Table};
use crate::line_profile::Profile;
use crate::scenario::{Scenario, ScheduledAct};
use crate::sim_rng::{Purpose, SimRng};

/// One fault or action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Act {
    /// When, from the start of the run.
    pub(crate) at: Duration,
    pub(crate) kind: ActKind,
    /// The target site; for a partition, the share of sites per thousand; unused for the server and for all sites.
    pub(crate) site: u32,
    /// Duration.
    pub(crate) duration: Duration,
    /// Random bits for all other choices.
    pub(crate) draw: u64,
}

/// What a shrunk run leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Without {
    /// All acts of these kinds.
    pub kinds: BTreeSet<ActKind>,
    /// These acts, by their index in the list after removing `kinds`.
    pub acts: BTreeSet<usize>,
}

/// A site in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SiteSlot {
    pub(crate) profile: Profile,
    pub(crate) joins_at: Duration,
    pub(crate) dns: DnsSlot,
    pub(crate) member: MemberSlot,
}

/// The kind of member a site is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MemberSlot {
    /// Whether it is hostile, and lies and floods instead of running a daemon.
    pub(crate) is_hostile: bool,
    /// Whether it joins an environment that requires an operator's approval.
    pub(crate) is_pending: bool,
    /// When an operator accepts it; only for honest sites.
    accepted_at: Option<Duration>,
}

/// A site's DNS providers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DnsSlot {
    /// When an operator selects it for the central provider.
    central_at: Option<Duration>,
    /// Whether it has its own provider.
    pub(crate) has_own: bool,
    /// Selects how another owner already uses its DNS name; `None` if the name is free.
    pub(crate) foreign: Option<u64>,
}

/// The plan of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) site_slots: Vec<SiteSlot>,
    /// Sorted by time.
    pub(crate) acts: Vec<Act>,
    /// When the faults stop.
    pub(crate) ends_at: Duration,
}

impl Plan {
    /// Makes the plan of a seed.
    pub(crate) fn new(scenario: &Scenario, seed: u64, without: &Without) -> Self {
        let ends_at = scenario.faults_for();
        let site_slots: Vec<_> = (0..scenario.sites).map(|site| site_slot(scenario, seed, site)).collect();
        let mut acts = Vec::new();
        for (site, site_slot) in (0..).zip(&site_slots) {
            let mut rng = SimRng::of(seed, Purpose::Plan, site);
            let is_of_member = |kind: &ActKind| (kind.table() == Table::Hostile) == site_slot.member.is_hostile;
            let rates = scenario.rates.iter().filter(|(kind, _)| kind.table().is_per_site() && is_of_member(kind));
            for (kind, rate) in rates {
                let first = site_slot.joins_at + Duration::from_secs(60);
                acts.extend(spread(&mut rng, *kind, rate * scenario.days, Some(site), first, ends_at));
            }
            let once =
                [(site_slot.dns.central_at, ActKind::DnsSelect), (site_slot.member.accepted_at, ActKind::Accept)];
            for (at, kind) in once.into_iter().filter_map(|(at, kind)| Some((at?, kind))) {
                let site = u32::try_from(site).unwrap_or(0);
                acts.push(Act { at, kind, site, duration: Duration::ZERO, draw: 1 });
            }
            if site_slot.profile == Profile::Ship {
                acts.extend(voyages(&mut rng, site, site_slot.joins_at, ends_at));
            }
        }
        let mut rng = SimRng::of(seed, Purpose::Plan, u64::MAX);
        for (kind, rate) in scenario.rates.iter().filter(|(kind, _)| !kind.table().is_per_site()) {
            let mut of_kind = spread(&mut rng, *kind, rate * scenario.days, None, Duration::ZERO, ends_at);
            for act in &mut of_kind {
                act.site = match kind {
                    // The share of sites cut off, per thousand.
                    ActKind::Partition => 100 + pick(&mut rng, 800),
                    _ => pick(&mut rng, scenario.sites),
                };
            }
            acts.extend(of_kind);
        }
        for at in &scenario.at {
            acts.extend(scheduled_acts(&mut rng, at, scenario.sites));
        }
        for act in &mut acts {
            act.duration = act.duration.min(ends_at.saturating_sub(act.at));
        }
        acts.retain(|act| act.at < ends_at && !without.kinds.contains(&act.kind));
        acts.sort_unstable();
        let mut number = 0..;
        acts.retain(|_| number.next().is_none_or(|number| !without.acts.contains(&number)));
        Self { site_slots, acts, ends_at }
    }
}

fn site_slot(scenario: &Scenario, seed: u64, site: u32) -> SiteSlot {
    let mut rng = SimRng::of(seed, Purpose::Profile, u64::from(site));
    let total: u32 = scenario.lines.values().sum();
    let mut place = pick(&mut rng, total);
    let mut profile = Profile::Dsl;
    for (kind, weight) in &scenario.lines {
        if place < *weight {
            profile = *kind;
            break;
        }
        place -= weight;
    }
    let joins_at = rng.between(Duration::from_secs(1), scenario.joins_over);
    let (dns, member) = (dns_slot(scenario, seed, site, joins_at), member_slot(scenario, seed, site, joins_at));
    SiteSlot { profile, joins_at, dns, member }
}

fn member_slot(scenario: &Scenario, seed: u64, site: u32, joins_at: Duration) -> MemberSlot {
    let Some(members) = scenario.members else { return MemberSlot::default() };
    let mut rng = SimRng::of(seed, Purpose::Members, u64::from(site));
    let is_hostile = rng.happens(members.hostile * 10);
    let is_pending = rng.happens(members.pending * 10);
    let minutes = rng.between(Duration::from_secs(60), Duration::from_secs(3_600));
    let accepted_at = (is_pending && !is_hostile).then_some(joins_at + minutes);
    MemberSlot { is_hostile, is_pending, accepted_at }
}

fn dns_slot(scenario: &Scenario, seed: u64, site: u32, joins_at: Duration) -> DnsSlot {
    let Some(dns) = scenario.dns else { return DnsSlot::default() };
    let mut rng = SimRng::of(seed, Purpose::Dns, u64::from(site));
    let minutes = rng.between(Duration::from_secs(60), Duration::from_secs(1_800));
    let way = rng.bits();
    DnsSlot {
        central_at: rng.happens(dns.central * 10).then_some(joins_at + minutes),
        has_own: rng.happens(dns.local * 10),
        foreign: rng.happens(dns.foreign * 10).then_some(way),
    }
}

fn pick(rng: &mut SimRng, bound: u32) -> u32 {
    u32::try_from(rng.below(u64::from(bound))).unwrap_or(0)
}

/// Returns acts of one kind at random times.
fn spread(
    rng: &mut SimRng,
    kind: ActKind,
    expected: f64,
    site: Option<u64>,
    first: Duration,
    ends_at: Duration,
) -> Vec<Act> {
    let count = rng.count(expected);
    let site = u32::try_from(site.unwrap_or(0)).unwrap_or(0);
    let act = |_| {
        let (min, max) = kind.duration_range();
        let at = rng.between(first, ends_at);
        // Short durations are as frequent as long ones: half of them are at most a tenth of the maximum.
        let longest = if rng.happens(500) { max / 10 } else { max };
        let duration = rng.between(min, longest.max(min));
        Act { at, kind, site, duration, draw: rng.bits() }
    };
    (0..count).map(act).collect()
}

/// Returns a ship's voyages: at sea for one to three weeks, then a few days in port.
fn voyages(rng: &mut SimRng, site: u64, from: Duration, ends_at: Duration) -> Vec<Act> {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let mut acts = Vec::new();
    let mut at = from + rng.between(DAY / 4, 5 * DAY);
    while at < ends_at {
        let duration = rng.between(7 * DAY, 21 * DAY);
        let site = u32::try_from(site).unwrap_or(0);
        acts.push(Act { at, kind: ActKind::Offline, site, duration, draw: rng.bits() });
        at += duration + rng.between(DAY, 5 * DAY);
    }
    acts
}

fn scheduled_acts(rng: &mut SimRng, scheduled: &ScheduledAct, sites: u32) -> Vec<Act> {
    let kind = scheduled.kind;
    let at = Duration::from_secs_f64(scheduled.hours * 3600.0);
    let (min, max) = kind.duration_range();
    let percent = scheduled.percent.unwrap_or(100);
    let mut act = |site| {
        let duration = scheduled.seconds.map_or_else(|| rng.between(min, max), Duration::from_secs_f64);
        Act { at, kind, site, duration, draw: rng.bits() }
    };
    match kind {
        // A partition's share is stored per thousand in `site`.
        ActKind::Partition => vec![Act { site: percent * 10, ..act(0) }],
        kind if kind.is_of_site() => {
            let acts: Vec<_> = (0..sites).map(&mut act).collect();
            acts.into_iter().filter(|act| act.draw % 100 < u64::from(percent)).collect()
        }
        _ => vec![act(0)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_sites_do_not_change_the_remaining_ones() {
        let scenario = Scenario::find("smoke").expect("built in");
        let many = Plan::new(&scenario, 3, &Without::default());
        let few = Plan::new(&scenario.with(Some(5), None).expect("valid"), 3, &Without::default());
        let of_site = |plan: &Plan| -> Vec<Act> {
            plan.acts.iter().filter(|act| act.site == 2 && act.kind.table() == Table::Faults).copied().collect()
        };
        assert_eq!(of_site(&many), of_site(&few));
        assert_eq!(many.site_slots[..5], few.site_slots);
    }

    #[test]
    fn skipped_acts_do_not_change_the_remaining_ones() {
        let scenario = Scenario::find("smoke").expect("built in");
        let all = Plan::new(&scenario, 3, &Without::default());
        let without = Without { acts: BTreeSet::from([0, 2]), ..Without::default() };
        let less = Plan::new(&scenario, 3, &without);
        assert_eq!(less.acts[0], all.acts[1]);
        assert_eq!(less.acts[1..], all.acts[3..]);
    }
}
