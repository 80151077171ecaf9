//! Hosts and their addresses.

use std::time::Duration;

use linecamp_model::Phase;

use crate::testing::{Pair, host_ref, key, name, patch, site_ref};
use crate::{Edit, FleetCommand, FleetCommandError, HostOrder, PageRequest, SiteFilter};

const MINUTE: Duration = Duration::from_secs(60);

/// A site gets a new name and its gateway keeps the first one; then another site joins by the first name.
fn two_gateways_named_camp() -> Pair {
    let mut pair = Pair::linked(1);
    let rename = Edit { name: Some(name("moved")), description: None };
    pair.ask(FleetCommand::Edit(site_ref("camp").into(), rename)).expect("renamed");
    let second = pair.add_node("camp");
    pair.run_for(MINUTE);
    assert!(pair.is_linked_node(second), "a host of that name elsewhere does not block it: {}", pair.trace());
    pair
}

#[test]
fn two_sites_may_have_a_host_of_the_same_name() {
    let mut pair = two_gateways_named_camp();
    let label = |host: &str| FleetCommand::PatchLabels(host_ref(host).into(), patch(&["tier=silver"]));
    let Err(FleetCommandError::Ambiguous(text)) = pair.ask(label("camp")) else { panic!("it is not ambiguous") };
    for part in ["ambiguous host name camp: ", "camp/camp", "moved/camp", "; use SITE/HOST"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    pair.ask(label("moved/camp")).expect("labelled");
    pair.ask(FleetCommand::Deactivate(host_ref("camp/camp").into())).expect("asked");
    pair.run_for(MINUTE);
    let all = PageRequest::first(10);
    let hosts = pair.fleet.view().host_page(&SiteFilter::default(), HostOrder::Name, &all, pair.now()).items;
    let seen = hosts.iter().map(|host| (host.site.as_str(), host.name.as_str(), host.phase));
    let expected = [("camp", "camp", Phase::Inactive), ("moved", "camp", Phase::Active)];
    assert_eq!(seen.collect::<Vec<_>>(), expected);
    let tier = |host: &str| {
        let host = pair.fleet.view().host(&host_ref(host), pair.now()).expect("it is found");
        host.labels.get(&key("tier")).map(|label| label.value.to_string())
    };
    assert_eq!((tier("moved/camp").as_deref(), tier("camp/camp")), (Some("silver"), None));
}

#[test]
fn after_a_restart_hosts_have_the_same_addresses() {
    let mut pair = two_gateways_named_camp();
    let before = pair.fleet.view().host(&host_ref("moved/camp"), pair.now()).expect("it is found").id;
    pair.crash_fleet();
    pair.run_for(MINUTE);
    assert_eq!(pair.fleet.view().host(&host_ref("moved/camp"), pair.now()).expect("it is found").id, before);
    assert!(matches!(pair.fleet.view().host(&host_ref("camp"), pair.now()), Err(FleetCommandError::Ambiguous(_))));
    let rename = Edit { name: Some(name("gw")), description: None };
    pair.ask(FleetCommand::Edit(host_ref("moved/camp").into(), rename)).expect("renamed");
    assert_eq!(pair.fleet.view().host(&host_ref("gw"), pair.now()).expect("only one has it").id, before);
    assert_eq!(pair.fleet.view().host(&host_ref("camp"), pair.now()).expect("only one has it").site, name("camp"));
}
