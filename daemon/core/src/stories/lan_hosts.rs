//! Hosts of a LAN, at their gateway.

use std::time::Duration;

use linecamp_model::{LabelValue, Level, LinkState, MemberKind, Origin, Phase, RefusalCode, TokenState};

use super::records::{provider, shown, site_with};
use crate::testing::{DAY, DiskFault, Pair, host_ref, key, name, patch, site_ref};
use crate::{FleetCommand, Force, HostCommand, HostRef, OWN_ADDRESS_LABEL, PendingJoin, SiteCommand};

const MINUTE: Duration = Duration::from_secs(60);

/// Returns a site with a gateway that has a host token.
fn gateway() -> Pair {
    let mut pair = Pair::linked(1);
    pair.create_host_token(0, 10);
    pair.run_for(MINUTE);
    pair
}

#[test]
fn hosts_join_and_are_labelled_while_the_server_is_away() {
    let mut pair = gateway();
    pair.stop_fleet();
    pair.run_for(DAY);
    pair.create_host_token(0, 10);
    let (press, lathe) = (pair.add_host(0, "press"), pair.add_host(0, "lathe"));
    pair.run_for(MINUTE);
    assert!(pair.is_linked_host(press) && pair.is_linked_host(lathe), "{}", pair.trace());
    pair.local_command_at(press, SiteCommand::PatchLabels(Level::Host, patch(&["line=3"])));
    pair.run_for(MINUTE);
    let seen = pair.host_at(0, "press").expect("the gateway shows it");
    let label = |wanted: &str| seen.labels.get(&key(wanted)).map(|label| label.value.to_string());
    assert_eq!(label("line").as_deref(), Some("3"));
    assert_ne!(pair.host_id(press), pair.host_id(lathe));
    assert_eq!(pair.nodes[0].site.view(pair.now()).link.state, LinkState::Disconnected, "the server is away");
}

#[test]
fn a_gateway_listens_only_when_a_host_can_join_it() {
    let mut pair = Pair::linked(1);
    assert!(!pair.nodes[0].listens_for_hosts);
    let early = pair.add_host(0, "press");
    pair.run_for(MINUTE);
    assert!(!pair.is_linked_host(early), "nothing listens");
    pair.create_host_token(0, 10);
    pair.run_for(3 * MINUTE);
    assert!(pair.is_linked_host(early), "{}", pair.trace());
    pair.crash_node(0);
    pair.run_for(3 * MINUTE);
    assert!(pair.is_linked_host(early), "it listens again: {}", pair.trace());
}

/// Returns a site with a host that joined its gateway, and the node of the host.
fn with_host() -> (Pair, usize) {
    let mut pair = gateway();
    let host = pair.add_host(0, "press");
    pair.run_for(MINUTE);
    assert!(pair.is_linked_host(host), "{}", pair.trace());
    (pair, host)
}

fn press() -> HostRef {
    host_ref("camp/press")
}

fn phase_of(pair: &Pair, host: &str) -> Option<Phase> {
    pair.fleet.view().host(&host_ref(host), pair.now()).ok().map(|host| host.phase)
}

#[test]
fn hosts_that_joined_offline_appear_at_the_server_when_it_is_back() {
    let mut pair = gateway();
    pair.stop_fleet();
    let hosts = ["press", "lathe", "saw"].map(|name| pair.add_host(0, name));
    pair.run_for(5 * MINUTE);
    pair.local_command_at(hosts[1], SiteCommand::PatchLabels(Level::Host, patch(&["line=3"])));
    pair.run_for(MINUTE);
    pair.start_fleet();
    pair.run_for(5 * MINUTE);
    for host in ["press", "lathe", "saw"] {
        assert_eq!(phase_of(&pair, host), Some(Phase::Active), "{host}: {}", pair.trace());
    }
    let lathe = pair.fleet.view().host(&host_ref("lathe"), pair.now()).expect("it is known");
    assert_eq!(lathe.labels.get(&key("line")).map(|label| label.value.to_string()).as_deref(), Some("3"));
    assert_eq!((lathe.origin, Some(lathe.id)), (Origin::Custom, pair.host_id(hosts[1])));
}

#[test]
fn a_host_is_removed_at_its_site_or_leaves_also_while_the_server_is_away() {
    for leaves in [false, true] {
        let (mut pair, host) = with_host();
        pair.stop_fleet();
        pair.run_for(MINUTE);
        let command = match leaves {
            true => (host, HostCommand::Leave),
            false => (0, HostCommand::Remove(pair.host_id(host).expect("it has joined"))),
        };
        pair.local_command_at(command.0, SiteCommand::Host(command.1));
        pair.run_for(MINUTE);
        let told = pair.nodes[host].ended.as_ref().map(|refusal| refusal.code);
        assert_eq!(told, Some(RefusalCode::Removed), "{}", pair.trace());
        pair.start_fleet();
        pair.run_for(5 * MINUTE);
        assert_eq!(phase_of(&pair, "press"), Some(Phase::Removed), "{}", pair.trace());
    }
}

#[test]
fn a_host_that_was_removed_at_its_site_stays_removed_when_the_gateway_is_replaced() {
    let (mut pair, host) = with_host();
    let id = pair.host_id(host).expect("it has joined");
    pair.cut(host);
    pair.local_command_at(0, SiteCommand::Host(HostCommand::Remove(id)));
    pair.run_for(5 * MINUTE);
    pair.replace_gateway(0);
    pair.run_for(5 * MINUTE);
    pair.heal(host);
    pair.run_for(10 * MINUTE);
    let told = pair.nodes[host].ended.as_ref().map(|refusal| refusal.code);
    assert_eq!(told, Some(RefusalCode::Removed), "{}", pair.trace());
    assert_eq!(phase_of(&pair, "press"), Some(Phase::Removed));
}

/// The gateway's disk was full: it has stored the spec that says so, and does not touch its disk again for a while.
#[test]
fn a_host_that_the_spec_has_removed_is_refused_before_the_gateway_has_noted_it() {
    let (mut pair, host) = with_host();
    pair.kill_node(host);
    pair.nodes[0].disk_fault = DiskFault::Full;
    pair.local_command_at(0, SiteCommand::PatchLabels(Level::Site, patch(&["rack=r7"])));
    pair.run_for(Duration::from_secs(1));
    pair.nodes[0].disk_fault = DiskFault::Well;
    pair.ask(FleetCommand::Remove(press().into(), Force::Yes)).expect("removed");
    pair.run_for(Duration::from_secs(1));
    pair.start_node(host);
    for _ in 0..1_000 {
        pair.step();
        assert!(!pair.is_linked_host(host), "{}", pair.trace());
    }
    let told = pair.nodes[host].ended.as_ref().map(|refusal| refusal.code);
    assert_eq!(told, Some(RefusalCode::Removed), "{}", pair.trace());
}

#[test]
fn a_removed_host_has_no_records_whatever_its_site_is() {
    let records = |pair: &Pair| shown(pair).iter().filter(|record| record.starts_with("press.")).count();
    for (is_inactive, is_cut) in [(false, true), (true, false)] {
        let mut pair = site_with(1, provider());
        pair.create_host_token(0, 1);
        pair.run_for(MINUTE);
        let host = pair.add_host(0, "press");
        let address = LabelValue::parse("192.0.2.9").unwrap();
        pair.nodes[host].facts.insert(key(OWN_ADDRESS_LABEL), address);
        pair.run_for(5 * MINUTE);
        assert_eq!(records(&pair), 1, "{:?} {}", shown(&pair), pair.trace());
        if is_inactive {
            pair.ask(FleetCommand::Deactivate(site_ref("camp").into())).expect("deactivated");
            pair.run_for(5 * MINUTE);
            assert_eq!(records(&pair), 1, "an inactive site keeps its records");
        }
        if is_cut {
            pair.stop_fleet();
        }
        let id = pair.host_id(host).expect("it has joined");
        pair.local_command_at(0, SiteCommand::Host(HostCommand::Remove(id)));
        pair.run_for(5 * MINUTE);
        assert_eq!(records(&pair), 0, "{:?} {}", shown(&pair), pair.trace());
    }
}

#[test]
fn a_gateway_that_loses_its_database_takes_its_hosts_from_the_spec() {
    let (mut pair, host) = with_host();
    let id = pair.host_id(host);
    pair.lose_site_database();
    pair.run_for(10 * MINUTE);
    assert!(pair.is_linked_host(host), "{}", pair.trace());
    let seen = pair.host_at(0, "press").map(|host| host.id);
    assert_eq!((seen, pair.host_id(host)), (id, id), "it is the same host");
    assert_eq!(phase_of(&pair, "press"), Some(Phase::Active));
}

#[test]
fn a_machine_that_replaces_the_gateway_admits_its_hosts() {
    let (mut pair, host) = with_host();
    let id = pair.host_id(host);
    pair.replace_gateway(0);
    pair.run_for(10 * MINUTE);
    assert!(pair.is_linked_host(host), "{}", pair.trace());
    assert_eq!((pair.host_at(0, "press").map(|host| host.id), pair.host_id(host)), (id, id));
    assert_eq!(phase_of(&pair, "press"), Some(Phase::Active));
    pair.ask(FleetCommand::PatchLabels(press().into(), patch(&["tier=gold"]))).expect("assigned");
    pair.run_for(MINUTE);
    assert_eq!(pair.nodes[host].site.label("tier").as_deref(), Some("gold"), "{}", pair.trace());
}

#[test]
fn a_token_of_a_site_is_not_for_hosts_and_the_reverse() {
    let mut pair = gateway();
    let (of_site, of_hosts) = (pair.site_token(), pair.host_token(0));
    let join = |token, kind| PendingJoin { token, kind, name: name("press"), site: None };
    let at_gateway = pair.add_host_with(0, join(of_site, MemberKind::Host));
    let as_site = pair.add_host_with(0, join(of_hosts.clone(), MemberKind::Site));
    let other_site = PendingJoin { site: Some(name("other")), ..join(of_hosts, MemberKind::Host) };
    let wrong_site = pair.add_host_with(0, other_site);
    pair.run_for(MINUTE);
    for node in [at_gateway, as_site, wrong_site] {
        let refused = pair.nodes[node].ended.as_ref().map(|refusal| refusal.code);
        assert_eq!(refused, Some(RefusalCode::TokenUnknown), "{}", pair.trace());
    }
}

#[test]
fn host_tokens_are_listed_with_their_uses_and_revoked() {
    let (mut pair, host) = with_host();
    let tokens = |pair: &Pair| pair.nodes[0].site.host_tokens(pair.now());
    let [token] = tokens(&pair)[..] else { panic!("one token: {:?}", tokens(&pair)) };
    assert_eq!((token.is_local, token.uses, token.uses_max, token.state), (true, 1, 10, TokenState::Valid));
    pair.local_command_at(0, SiteCommand::Host(HostCommand::RevokeToken(token.id)));
    pair.run_for(MINUTE);
    assert_eq!(tokens(&pair), []);
    let late = pair.add_host(0, "lathe");
    pair.run_for(MINUTE);
    assert!(pair.is_linked_host(host) && !pair.is_linked_host(late), "{}", pair.trace());
    pair.create_host_token(0, 1);
    pair.run_for(400 * DAY);
    assert_eq!(tokens(&pair).iter().map(|token| token.state).collect::<Vec<_>>(), [TokenState::Expired]);
}
