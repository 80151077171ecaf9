//! Pushed plugins, on their way to a site and when they fail there.

use linecamp_model::{
    ConditionKind, FleetProvider, PluginDigest, PluginFile, PluginRef, ProviderSpec, Selector, WallTime,
};

use super::records::{MINUTE, conditions, plain_site, provider, shown};
use crate::testing::{DiskFault, NameServerFault, Pair, name};
use crate::{FleetCommand, RETRY_MAX};

/// Returns a connected site with a central provider whose plugin the server has under this digest, as these bytes.
fn site_with_pushed(seed: u64, digest: PluginDigest, component: &[u8], fault: NameServerFault) -> Pair {
    let mut pair = plain_site(seed);
    pair.name_server.fault = fault;
    push(&mut pair, digest, component);
    pair.run_for(60 * MINUTE);
    assert!(conditions(&pair).iter().any(|(kind, _)| *kind == ConditionKind::PluginFailed), "{:?}", conditions(&pair));
    pair
}

/// Pushes a plugin under this digest, and adds a provider that uses it.
pub(super) fn push(pair: &mut Pair, digest: PluginDigest, component: &[u8]) {
    let file = PluginFile {
        name: name("dns-fake"),
        bytes: component.len() as u64,
        pushed_at: WallTime::EPOCH,
        description: None,
    };
    pair.plugins.insert(digest, component.to_vec());
    pair.ask(FleetCommand::AddPlugin(digest, file)).expect("pushed");
    let spec = ProviderSpec { plugin: PluginRef { digest: Some(digest), ..provider().plugin }, ..provider() };
    let provider = FleetProvider { sites: Selector::default(), spec, matches_facts: false };
    pair.ask(FleetCommand::SetProvider(name("default"), Box::new(provider), false)).expect("added");
}

/// The link is cut and the daemon killed at every step of a plugin's transfer to its site.
#[test]
fn a_pushed_plugin_arrives_despite_an_interruption_at_any_step() {
    let component = b"a component of some length".to_vec();
    let digest = PluginDigest::of(&component);
    let file = PluginFile { name: name("dns-fake"), bytes: 26, pushed_at: WallTime::EPOCH, description: None };
    let pushed = |sites: &str| {
        let plugin = PluginRef { name: name("dns-fake"), digest: Some(digest) };
        let spec = ProviderSpec { plugin, ..provider() };
        let provider = FleetProvider { sites: Selector::parse(sites).unwrap(), spec, matches_facts: false };
        FleetCommand::SetProvider(name("default"), Box::new(provider), false)
    };
    for steps in (0..60).step_by(3) {
        let mut pair = plain_site(23);
        assert!(pair.ask(pushed("")).is_err(), "it was not pushed yet");
        pair.plugins.insert(digest, component.clone());
        pair.ask(FleetCommand::AddPlugin(digest, file.clone())).expect("pushed");
        pair.ask(pushed("")).expect("added");
        for _ in 0..steps {
            pair.step();
        }
        pair.cut(0);
        pair.crash_site();
        pair.run_for(5 * MINUTE);
        pair.heal(0);
        pair.run_for(30 * MINUTE);
        assert_eq!(pair.nodes[0].plugins[&digest], component, "after {steps} steps: {}", pair.trace());
        assert_eq!(shown(&pair).len(), 1, "after {steps} steps: {}", pair.trace());
        assert!(pair.ask(FleetCommand::RemovePlugin(digest)).is_err(), "it is used");
    }
}

/// A plugin that is being downloaded is not a failure; one that the server does not have is, and so is a download that
/// does not continue.
#[test]
fn a_plugin_on_its_way_raises_nothing_unless_it_does_not_arrive() {
    let component = b"a component of some length".to_vec();
    let digest = PluginDigest::of(&component);
    let raised = |pair: &Pair| pair.events().iter().any(|event| event.text.as_str().contains("plugin-failed"));
    let mut pair = plain_site(27);
    push(&mut pair, digest, &component);
    let mut told = Vec::new();
    while shown(&pair).is_empty() && told.len() < 10_000 {
        pair.step();
        told.push(pair.site().why(pair.now()).into_iter().map(|why| why.detail).collect::<String>());
    }
    pair.run_for(MINUTE);
    assert_eq!((shown(&pair).len(), raised(&pair)), (1, false), "{}", pair.trace());
    assert_eq!(pair.nodes[0].condition_notices, [""; 0]);
    assert!(told.iter().any(|why| why.contains("downloading plugin dns-fake, ")), "{told:?}");
    assert!(told.iter().any(|why| why.contains(" of 26 bytes")), "{told:?}");

    let mut pair = plain_site(28);
    push(&mut pair, digest, &component);
    pair.plugins.clear();
    pair.run_for(MINUTE);
    assert!(raised(&pair), "the server does not have it: {}", pair.trace());
}

#[test]
fn an_unusable_pushed_plugin_is_retried_with_backoff() {
    let component = b"a component";
    let mut pair = site_with_pushed(24, PluginDigest::of(component), component, NameServerFault::Unspoken);
    assert!((2..60).contains(&pair.name_server.looks), "it was tried {} times in an hour", pair.name_server.looks);
    pair.name_server.fault = NameServerFault::Well;
    pair.run_for(RETRY_MAX);
    assert_eq!(shown(&pair).len(), 1, "it is used once that is possible");
}

#[test]
fn a_corrupt_pushed_plugin_is_fetched_again_with_backoff() {
    let component = b"a component of some length";
    let digest = PluginDigest::of(component);
    let mut pair = site_with_pushed(25, digest, b"b component of some length", NameServerFault::Well);
    assert!((2..400).contains(&pair.pieces_sent), "{} pieces were sent in an hour", pair.pieces_sent);
    pair.plugins.insert(digest, component.to_vec());
    pair.run_for(RETRY_MAX);
    assert_eq!(shown(&pair).len(), 1, "it is used once it was pushed again");
}

#[test]
fn a_piece_that_cannot_be_stored_raises_a_condition_and_is_fetched_again() {
    let component = b"a component of some length".to_vec();
    let digest = PluginDigest::of(&component);
    let mut pair = plain_site(26);
    pair.nodes[0].plugin_disk_fault = DiskFault::Full;
    push(&mut pair, digest, &component);
    pair.run_for(60 * MINUTE);
    assert!((3..60).contains(&pair.pieces_sent), "{} pieces were sent in an hour", pair.pieces_sent);
    let failed = |pair: &Pair| {
        let mut found = conditions(pair).into_iter();
        found.find(|(kind, _)| *kind == ConditionKind::PluginFetchFailed).map(|(_, detail)| detail)
    };
    let detail = failed(&pair).expect("it is reported");
    assert!(detail.contains("no space left") && detail.contains(&digest.to_string()), "{detail}");
    pair.nodes[0].plugin_disk_fault = DiskFault::Well;
    pair.run_for(2 * RETRY_MAX);
    assert_eq!((failed(&pair), shown(&pair).len()), (None, 1), "{}", pair.trace());
}
