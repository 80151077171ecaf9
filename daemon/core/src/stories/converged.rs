//! The site and the server give the same answer to the question whether the site has converged.

use std::time::Duration;

use linecamp_model::{ConditionKind, PartState};

use super::records::{ZONE, provider, site_with};
use crate::testing::{NameServerFault, Pair, patch, site_ref};
use crate::{FleetCommand, Rng};

const RUNS: u64 = 30;
const STEPS: u64 = 60;

const FAULTS: [NameServerFault; 5] = [
    NameServerFault::Well,
    NameServerFault::Well,
    NameServerFault::Away,
    NameServerFault::Locked,
    NameServerFault::HalfDone,
];

/// Compares what both show, if the server holds the site's whole status. Returns whether it does, and whether the site
/// has converged.
fn compare(pair: &Pair) -> Option<bool> {
    let why = pair.site().why(pair.now());
    let state = |part: &str| why.iter().find(|why| why.part == part).map(|why| why.state);
    let (local, server) = (pair.site().view(pair.now()), pair.view());
    if state("status") != Some(PartState::Ok) || local.applied_generation != server.spec_generation {
        return None;
    }
    assert_eq!(local.converged_generation, server.converged_generation, "{}", pair.trace());
    let failed = [ConditionKind::PluginFailed, ConditionKind::ProviderFailed];
    let is_failing = server.conditions.iter().any(|condition| failed.contains(&condition.kind));
    let is_shown = server.converged_generation == server.spec_generation && !is_failing;
    let is_ok = state("spec") == Some(PartState::Ok);
    assert!(!is_ok || is_shown, "`why` says converged, the server does not: {server:?} {}", pair.trace());
    Some(is_ok)
}

#[test]
fn the_site_and_the_server_agree_on_convergence() {
    let mut compared = [0, 0];
    for seed in 0..RUNS {
        let (mut pair, mut rng) = (site_with(seed, provider()), Rng::new(seed));
        for _ in 0..STEPS {
            match rng.next_u64() % 8 {
                0..=1 => pair.name_server.fault = FAULTS[(rng.next_u64() % 5) as usize],
                2 => {
                    let change = format!("io.linecamp.host.external_dns_ip=192.0.2.{}", rng.next_u64() % 200);
                    pair.operator(FleetCommand::PatchLabels(site_ref("camp").into(), patch(&[&change])));
                }
                3 => pair.cut(0),
                4 => pair.heal(0),
                5 => pair.crash_site(),
                6 => pair.name_server.plant(ZONE, "other.example.org", "A", &["192.0.2.9"]),
                _ => {}
            }
            pair.run_for(Duration::from_millis(rng.next_u64() % 200_000));
            if let Some(is_ok) = compare(&pair) {
                compared[usize::from(is_ok)] += 1;
            }
        }
    }
    assert!(100 < compared[0] && 100 < compared[1], "{compared:?}");
}
