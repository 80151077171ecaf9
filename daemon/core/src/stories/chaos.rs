//! Random faults in random order: nothing acknowledged is lost, and in the end both sides agree.

use std::collections::BTreeMap;
use std::time::Duration;

use linecamp_model::{Generation, Level, Phase};

use crate::testing::{DiskFault, Pair, patch, site_ref};
use crate::{FleetCommand, Rng, SiteCommand};

const MINUTE: Duration = Duration::from_secs(60);
const RUNS: u64 = 300;
const STEPS: u64 = 120;

struct Chaos {
    pair: Pair,
    rng: Rng,
    /// The labels acknowledged to operators, by key; `None` while an answer is outstanding.
    assigned: BTreeMap<String, Option<String>>,
    applied: Generation,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        Self { pair: Pair::linked(seed), rng: Rng::new(seed), assigned: BTreeMap::new(), applied: Generation::ZERO }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound
    }

    fn act(&mut self) {
        match self.below(16) {
            0..=3 => self.assign(),
            4..=5 => self.set_locally(),
            6 => self.pair.cut(0),
            7..=8 => self.pair.heal(0),
            9 => self.pair.crash_site(),
            10 => self.pair.crash_fleet(),
            11 => self.transition(),
            12 => self.pair.nodes[0].disk_fault = if self.below(2) == 0 { DiskFault::Full } else { DiskFault::Well },
            13 => self.pair.fleet_disk_fault = if self.below(2) == 0 { DiskFault::Full } else { DiskFault::Well },
            _ => {
                let wait = Duration::from_millis(self.below(100_000));
                self.pair.run_for(wait);
            }
        }
        for _ in 0..self.below(6) {
            self.pair.step();
            self.check();
        }
    }

    fn assign(&mut self) {
        let (key, value) = (format!("k{}", self.below(4)), self.below(100).to_string());
        let command = FleetCommand::PatchLabels(site_ref("camp").into(), patch(&[&format!("{key}={value}")]));
        if self.below(2) == 0 {
            let reply = self.pair.ask(command);
            let acknowledged = if reply.is_ok() { Some(value) } else { self.assigned.get(&key).cloned().flatten() };
            self.assigned.insert(key, acknowledged);
        } else {
            self.pair.operator(command);
            self.assigned.insert(key, None);
        }
    }

    fn set_locally(&mut self) {
        let change = format!("k{}={}", self.below(4), self.below(100));
        self.pair.local_command(SiteCommand::PatchLabels(Level::Site, patch(&[&change])));
    }

    fn transition(&mut self) {
        let site = site_ref("camp");
        let command = match self.below(2) {
            0 => FleetCommand::Deactivate(site.into()),
            _ => FleetCommand::Activate(site.into()),
        };
        self.pair.operator(command);
    }

    /// Checks what must hold at every moment.
    fn check(&mut self) {
        if !self.pair.fleet.is_durable() {
            return;
        }
        let view = self.pair.view();
        assert!(view.converged_generation <= view.applied_generation, "{}", self.pair.trace());
        assert!(
            view.applied_generation <= view.spec_generation,
            "a site never has a generation that the server has not written"
        );
        assert!(self.applied <= view.applied_generation, "a generation never falls: {}", self.pair.trace());
        self.applied = view.applied_generation;
    }

    /// Checks what must hold once the faults have stopped and everything has settled.
    fn settle(mut self, seed: u64) {
        self.pair.heal(0);
        self.pair.nodes[0].disk_fault = DiskFault::Well;
        self.pair.fleet_disk_fault = DiskFault::Well;
        self.pair.run_for(15 * MINUTE);
        let (pair, view) = (&self.pair, self.pair.view());
        assert!(pair.is_linked(), "seed {seed}: {}", pair.trace());
        assert_eq!(view.spec_generation, view.converged_generation, "seed {seed}: {}", pair.trace());
        assert!(matches!(view.phase, Phase::Active | Phase::Inactive), "seed {seed}: {}", view.phase);
        for key in ["k0", "k1", "k2", "k3"] {
            assert_eq!(pair.label_entry(key), pair.seen_label(key), "seed {seed}: {}", pair.trace());
        }
        for (key, acknowledged) in self.assigned.iter().filter(|(_, acknowledged)| acknowledged.is_some()) {
            assert_eq!(pair.seen_label(key), *acknowledged, "seed {seed}: acknowledged and lost: {}", pair.trace());
        }
        let before = (pair.nodes[0].writes, pair.fleet_writes);
        self.pair.run_for(60 * MINUTE);
        assert_eq!((self.pair.nodes[0].writes, self.pair.fleet_writes), before, "seed {seed}: steady state writes");
    }
}

#[test]
fn both_sides_converge_after_random_faults() {
    for seed in 0..RUNS {
        let mut chaos = Chaos::new(seed);
        for _ in 0..STEPS {
            chaos.act();
        }
        chaos.settle(seed);
    }
}
