//! Hosts that joined: the same stories with their gateway as their parent, and with the server.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use linecamp_model::{
    ConditionKind, Delta, Document, DocumentKey, FromMember, Generation, HostDaemon, HostId, HostLink, HostMembership,
    HostStatus, LabelValue, Level, LinkState, MemberKind, Origin, Parent, Phase, RefusalCode, StatusBody,
};

use super::records::{provider, shown, site_with};
use crate::testing::{DAY, Pair, host_ref, key, name, patch, site_ref};
use crate::{FleetCommand, Force, HostCommand, OWN_ADDRESS_LABEL, PendingJoin, SiteCommand};

const MINUTE: Duration = Duration::from_secs(60);

const PARENTS: [Parent; 2] = [Parent::Gateway, Parent::Server];

/// Returns a site that hosts can join through `parent`.
fn site(parent: Parent) -> Pair {
    let mut pair = Pair::linked(1);
    create_token(&mut pair, parent, 10);
    pair.run_for(MINUTE);
    pair
}

/// Creates the token that hosts join `parent` with again.
fn create_token(pair: &mut Pair, parent: Parent, uses: u32) {
    match parent {
        Parent::Gateway => pair.create_host_token(0, uses),
        Parent::Server => pair.create_direct_token(uses),
    }
}

fn add(pair: &mut Pair, parent: Parent, wished: &str) -> usize {
    match parent {
        Parent::Gateway => pair.add_host(0, wished),
        Parent::Server => pair.add_direct_host(wished),
    }
}

/// Returns a site with a host that joined `parent`, and the node of the host.
fn with_host(parent: Parent) -> (Pair, usize) {
    let mut pair = site(parent);
    let host = add(&mut pair, parent, "press");
    pair.run_for(MINUTE);
    assert!(pair.is_linked_host(host), "{parent}: {}", pair.trace());
    (pair, host)
}

fn press() -> crate::HostRef {
    host_ref("camp/press")
}

fn phase_of(pair: &Pair, host: &str) -> Option<Phase> {
    pair.fleet.view().host(&host_ref(host), pair.now()).ok().map(|host| host.phase)
}

fn refused(pair: &Pair, index: usize) -> Option<RefusalCode> {
    pair.nodes[index].ended.as_ref().map(|refusal| refusal.code)
}

#[test]
fn a_host_is_the_same_for_everybody_with_either_parent() {
    for parent in PARENTS {
        let (mut pair, host) = with_host(parent);
        pair.local_command_at(host, SiteCommand::PatchLabels(Level::Host, patch(&["line=3"])));
        pair.run_for(5 * MINUTE);
        let seen = pair.fleet.view().host(&press(), pair.now()).expect("it is known");
        let label = |wanted: &str| seen.labels.get(&key(wanted)).map(|label| label.value.to_string());
        assert_eq!((seen.phase, seen.origin, seen.via), (Phase::Active, Origin::Custom, parent), "{}", pair.trace());
        assert_eq!((seen.link.state, label("line").as_deref()), (LinkState::Connected, Some("3")));
        assert_eq!(seen.daemon_version.as_str(), "0.1.0");
        assert_eq!(pair.fleet.view().link_counts().connected, 1, "only sites are counted");
        let at_gateway = pair.host_at(0, "press").expect("the gateway shows it");
        assert_eq!(Some(at_gateway.id), pair.host_id(host));
        assert_eq!(at_gateway.labels.get(&key("line")).map(|label| label.value.to_string()).as_deref(), Some("3"));
    }
}

#[test]
fn the_site_keeps_the_records_of_a_host_with_either_parent() {
    let records = |pair: &Pair| shown(pair).iter().filter(|record| record.starts_with("press.")).count();
    for parent in PARENTS {
        let mut provider = provider();
        provider.dns_mut().withdraw_inactive = true;
        let mut pair = site_with(1, provider);
        create_token(&mut pair, parent, 1);
        pair.run_for(MINUTE);
        let host = add(&mut pair, parent, "press");
        pair.nodes[host].facts.insert(key(OWN_ADDRESS_LABEL), LabelValue::parse("192.0.2.9").unwrap());
        pair.run_for(5 * MINUTE);
        assert_eq!(records(&pair), 1, "{parent}: {:?} {}", shown(&pair), pair.trace());
        pair.ask(FleetCommand::Deactivate(press().into())).expect("asked");
        pair.run_for(5 * MINUTE);
        assert_eq!(records(&pair), 0, "{parent}: {:?} {}", shown(&pair), pair.trace());
        pair.ask(FleetCommand::Activate(press().into())).expect("asked");
        pair.run_for(5 * MINUTE);
        assert_eq!(records(&pair), 1, "{parent}: {:?} {}", shown(&pair), pair.trace());
        pair.ask(FleetCommand::Remove(press().into(), Force::Yes)).expect("asked");
        pair.run_for(5 * MINUTE);
        assert_eq!(records(&pair), 0, "{parent}: {:?} {}", shown(&pair), pair.trace());
    }
}

#[test]
fn a_host_that_leaves_is_removed() {
    for parent in PARENTS {
        let (mut pair, host) = with_host(parent);
        pair.local_command_at(host, SiteCommand::Host(HostCommand::Leave));
        pair.run_for(5 * MINUTE);
        assert_eq!(refused(&pair, host), Some(RefusalCode::Removed), "{parent}: {}", pair.trace());
        assert_eq!(phase_of(&pair, "press"), Some(Phase::Removed), "{parent}: {}", pair.trace());
    }
}

#[test]
fn a_token_is_for_hosts_of_one_site() {
    for parent in PARENTS {
        let mut pair = site(parent);
        let (of_site, of_hosts) = (
            pair.site_token(),
            match parent {
                Parent::Gateway => pair.host_token(0),
                Parent::Server => pair.direct_token(),
            },
        );
        let join = |token, kind| PendingJoin { token, kind, name: name("press"), site: None };
        let elsewhere = PendingJoin { site: Some(name("other")), ..join(of_hosts.clone(), MemberKind::Host) };
        let wrong = [join(of_site, MemberKind::Host), join(of_hosts, MemberKind::Site), elsewhere];
        let nodes = wrong.map(|join| match parent {
            Parent::Gateway => pair.add_host_with(0, join),
            Parent::Server => pair.add_direct_host_with(join),
        });
        pair.run_for(MINUTE);
        for node in nodes {
            assert_eq!(refused(&pair, node), Some(RefusalCode::TokenUnknown), "{parent}: {}", pair.trace());
        }
    }
}

#[test]
fn a_name_is_unique_in_its_site_and_a_token_counts_its_uses() {
    for parent in PARENTS {
        let mut pair = site(parent);
        create_token(&mut pair, parent, 2);
        let first = add(&mut pair, parent, "press");
        pair.run_for(MINUTE);
        let second = add(&mut pair, parent, "press");
        let gateway = add(&mut pair, parent, "camp");
        pair.run_for(MINUTE);
        assert_eq!(refused(&pair, second), Some(RefusalCode::NameTaken));
        assert_eq!(refused(&pair, gateway), Some(RefusalCode::NameTaken), "the gateway has that name");
        let third = add(&mut pair, parent, "lathe");
        pair.run_for(MINUTE);
        let fourth = add(&mut pair, parent, "saw");
        pair.run_for(MINUTE);
        assert!(pair.is_linked_host(first) && pair.is_linked_host(third));
        assert_eq!(refused(&pair, fourth), Some(RefusalCode::TokenUsedUp));
        assert_eq!(pair.host_at(0, "lathe").and_then(|host| host.name), Some(name("lathe")));
    }
}

#[test]
fn a_label_assigned_at_the_server_reaches_the_host() {
    for parent in PARENTS {
        let (mut pair, host) = with_host(parent);
        pair.ask(FleetCommand::PatchLabels(press().into(), patch(&["tier=gold"]))).expect("assigned");
        pair.run_for(MINUTE);
        let label = |pair: &Pair| pair.nodes[host].site.label("tier");
        assert_eq!(label(&pair).as_deref(), Some("gold"), "{}", pair.trace());
        pair.cut(host);
        pair.ask(FleetCommand::PatchLabels(press().into(), patch(&["tier=silver"]))).expect("assigned");
        pair.run_for(5 * MINUTE);
        assert_eq!(label(&pair).as_deref(), Some("gold"), "it is cut");
        pair.heal(host);
        pair.run_for(5 * MINUTE);
        assert_eq!(label(&pair).as_deref(), Some("silver"), "{}", pair.trace());
    }
}

#[test]
fn a_deactivated_host_confirms_and_keeps_its_link() {
    for parent in PARENTS {
        let (mut pair, host) = with_host(parent);
        pair.ask(FleetCommand::Deactivate(press().into())).expect("asked");
        pair.run_for(MINUTE);
        assert_eq!(phase_of(&pair, "press"), Some(Phase::Inactive), "{}", pair.trace());
        assert!(pair.is_linked_host(host));
        pair.cut(host);
        pair.run_for(MINUTE);
        pair.ask(FleetCommand::Activate(press().into())).expect("asked");
        pair.run_for(5 * MINUTE);
        assert_eq!(phase_of(&pair, "press"), Some(Phase::Activating), "it has not heard of it");
        pair.heal(host);
        pair.run_for(5 * MINUTE);
        assert_eq!(phase_of(&pair, "press"), Some(Phase::Active), "{}", pair.trace());
    }
}

#[test]
fn a_host_that_is_removed_at_the_server_is_told_and_purged_after_its_keep_time() {
    for parent in PARENTS {
        for is_cut in [false, true] {
            let (mut pair, host) = with_host(parent);
            pair.ask(FleetCommand::Deactivate(press().into())).expect("asked");
            pair.run_for(MINUTE);
            if is_cut {
                pair.cut(host);
            }
            pair.ask(FleetCommand::Remove(press().into(), Force::No)).expect("asked");
            pair.run_for(MINUTE);
            assert_eq!(phase_of(&pair, "press"), Some(Phase::Removed), "the gateway is its parent: {}", pair.trace());
            pair.heal(host);
            pair.run_for(5 * MINUTE);
            assert_eq!(refused(&pair, host), Some(RefusalCode::Removed), "{}", pair.trace());
            pair.run_for(8 * DAY);
            assert_eq!(phase_of(&pair, "press"), None);
            assert_eq!(pair.host_at(0, "press"), None, "the gateway has forgotten it: {}", pair.trace());
            let again = add(&mut pair, parent, "press");
            create_token(&mut pair, parent, 20);
            pair.run_for(5 * MINUTE);
            assert!(pair.is_linked_host(again), "its name is free");
            assert_eq!(phase_of(&pair, "press"), Some(Phase::Active));
        }
    }
}

#[test]
fn a_host_whose_certificate_expired_comes_back() {
    for parent in PARENTS {
        let (mut pair, host) = with_host(parent);
        pair.cut(host);
        pair.run_for(400 * DAY);
        let shown = pair.fleet.view().host(&press(), pair.now()).expect("it is known");
        assert_eq!((shown.phase, shown.link.state), (Phase::Active, LinkState::Disconnected), "it waits for it");
        pair.heal(host);
        pair.run_for(5 * MINUTE);
        assert!(pair.is_linked_host(host), "{}", pair.trace());
    }
}

#[test]
fn a_settled_site_with_hosts_writes_nothing() {
    for parent in PARENTS {
        let (mut pair, host) = with_host(parent);
        pair.run_for(30 * MINUTE);
        let writes = |pair: &Pair| (pair.fleet_writes, pair.nodes[0].writes, pair.nodes[host].writes);
        let before = writes(&pair);
        pair.run_for(DAY);
        assert_eq!(writes(&pair), before, "{}", pair.trace());
    }
}

/// How many steps after its begin a story is interrupted at.
const STEPS: usize = 60;

/// Runs a story, and kills the server, the gateway or the host after each of its first steps. All of them come back.
fn with_a_crash_at_every_step(begin: impl Fn(Parent) -> (Pair, usize), check: impl Fn(&Pair, usize)) {
    let runs = (0..STEPS).flat_map(|step| (0..3).map(move |machine| (step, machine)));
    for (parent, (step, machine)) in runs.flat_map(|run| PARENTS.map(|parent| (parent, run))) {
        let (mut pair, host) = begin(parent);
        (0..step).for_each(|_| pair.step());
        match machine {
            0 => pair.crash_fleet(),
            1 => pair.crash_node(0),
            _ => pair.crash_node(host),
        }
        pair.run_for(10 * MINUTE);
        check(&pair, host);
    }
}

#[test]
fn a_host_joins_once_whichever_machine_crashes_at_any_step() {
    let begin = |parent| {
        let mut pair = site(parent);
        let host = add(&mut pair, parent, "press");
        (pair, host)
    };
    with_a_crash_at_every_step(begin, |pair, host| {
        assert!(pair.is_linked_host(host), "{}", pair.trace());
        let hosts = pair.nodes[0].site.view(pair.now()).hosts.len();
        assert_eq!((hosts, phase_of(pair, "press")), (2, Some(Phase::Active)), "{}", pair.trace());
    });
}

#[test]
fn a_label_reaches_its_host_whichever_machine_crashes_at_any_step() {
    let begin = |parent| {
        let (mut pair, host) = with_host(parent);
        pair.ask(FleetCommand::PatchLabels(press().into(), patch(&["tier=gold"]))).expect("assigned");
        pair.local_command_at(host, SiteCommand::PatchLabels(Level::Host, patch(&["line=3"])));
        while pair.nodes[host].replies.is_empty() {
            pair.step();
        }
        (pair, host)
    };
    with_a_crash_at_every_step(begin, |pair, host| {
        assert_eq!(pair.nodes[host].site.label("tier").as_deref(), Some("gold"), "{}", pair.trace());
        let seen = pair.fleet.view().host(&press(), pair.now()).expect("it is known");
        assert_eq!(seen.labels.get(&key("line")).map(|label| label.value.to_string()).as_deref(), Some("3"));
    });
}

#[test]
fn a_removal_is_final_whichever_machine_crashes_at_any_step() {
    let begin = |parent| {
        let (mut pair, host) = with_host(parent);
        pair.ask(FleetCommand::Remove(press().into(), Force::Yes)).expect("removed");
        (pair, host)
    };
    with_a_crash_at_every_step(begin, |pair, host| {
        assert_eq!(phase_of(pair, "press"), Some(Phase::Removed), "{}", pair.trace());
        assert_eq!(refused(pair, host), Some(RefusalCode::Removed), "{}", pair.trace());
    });
}

#[test]
fn a_host_that_reports_about_others_is_refused() {
    for parent in PARENTS {
        let (mut pair, host) = with_host(parent);
        let status = |key, body| {
            let document = Document { generation: Generation(1_000), body: Some(StatusBody::Host(body)) };
            let documents = BTreeMap::from([(key, document)]);
            let delta = Delta { base: Generation::ZERO, to: Generation(1_000), snapshot: true, documents, more: false };
            FromMember::Status(delta)
        };
        let own = DocumentKey::Host(pair.host_id(host).expect("it has joined"));
        let daemon = Some(HostDaemon::default());
        let membership = HostMembership {
            name: name("press"),
            token: pair.host_token(0).id,
            keys: BTreeSet::from([pair.key_of(host)]),
            joined_at: pair.now().wall,
            removed_at: None,
            link: HostLink { is_disconnected: false, since: pair.now().wall },
        };
        let lies = [
            status(
                DocumentKey::Host(HostId::from_bytes([9; 16])),
                HostStatus { daemon: daemon.clone(), ..HostStatus::default() },
            ),
            status(own, HostStatus { daemon, membership: Some(membership), ..HostStatus::default() }),
            status(own, HostStatus::default()),
        ];
        for lie in lies {
            pair.say(host, lie);
            pair.run_for(Duration::from_secs(1));
            assert!(pair.hangup_of(host).is_some_and(|refusal| refusal.ends_with("(protocol)")), "{}", pair.trace());
            pair.run_for(5 * MINUTE);
            assert!(pair.is_linked_host(host), "an honest host is back: {}", pair.trace());
        }
    }
}

#[test]
fn sixty_four_hosts_join_at_once() {
    for parent in PARENTS {
        let mut pair = site(parent);
        create_token(&mut pair, parent, 64);
        let hosts: Vec<_> = (0..64).map(|number| add(&mut pair, parent, &format!("box-{number}"))).collect();
        pair.run_for(5 * MINUTE);
        assert!(hosts.iter().all(|host| pair.is_linked_host(*host)), "{}", pair.trace());
        assert_eq!(pair.view().hosts.iter().filter(|host| host.phase == Phase::Active).count(), 65);
    }
}

#[test]
fn two_machines_with_the_identity_of_one_host_are_told_apart() {
    for parent in PARENTS {
        let (mut pair, host) = with_host(parent);
        let copy = pair.clone_disk_of(host);
        pair.run_for(5 * MINUTE);
        assert!(pair.is_linked_host(host) && !pair.is_linked_host(copy), "{}", pair.trace());
        assert!(
            pair.hangup_of(copy).is_some_and(|refusal| refusal.ends_with("(duplicate-identity)")),
            "{}",
            pair.trace()
        );
        let condition = |pair: &Pair| {
            let seen = pair.fleet.view().host(&press(), pair.now()).expect("it is known");
            seen.conditions.into_iter().find(|condition| condition.kind == ConditionKind::DuplicateIdentity)
        };
        let raised = condition(&pair).expect("the server shows it, whichever its parent is");
        assert!(raised.detail.as_str().contains("two machines have this host's identity"), "{}", raised.detail);
        pair.cut(copy);
        pair.run_for(30 * MINUTE);
        assert_eq!(condition(&pair), None, "it clears when the copy is gone");
    }
}

#[test]
fn a_removed_site_dismisses_its_hosts() {
    for parent in PARENTS {
        let (mut pair, host) = with_host(parent);
        pair.ask(FleetCommand::Remove(site_ref("camp").into(), Force::Yes)).expect("removed");
        pair.run_for(5 * MINUTE);
        assert_eq!(refused(&pair, host), Some(RefusalCode::Removed), "{}", pair.trace());
        assert_eq!(phase_of(&pair, "press"), Some(Phase::Removed));
    }
}
