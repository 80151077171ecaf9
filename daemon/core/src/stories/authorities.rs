//! The replacement of the server's certificate authority: no site is lost, and none that lacks something is forgotten.

use std::time::Duration;

use linecamp_model::{FromMember, Pin, RotationStep, SiteTrust, TrustReport};

use RotationStep::{Abort, Add, Retire, Switch};

use crate::testing::{DAY, DiskFault, Pair, name, site_ref};
use crate::{EnvironmentEdit, FleetCommand, FleetCommandError, Force, Lack, STORE_RETRY};

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// A server with three linked sites.
fn linked(seed: u64) -> Pair {
    let mut pair = Pair::linked(seed);
    pair.add_node("dock");
    pair.add_node("mast");
    pair.run_for(MINUTE);
    pair
}

fn step(pair: &mut Pair, step: RotationStep) {
    assert!(pair.try_rotate(step), "{step:?}: {}", pair.trace());
    pair.run_for(MINUTE);
}

fn waiting(pair: &Pair) -> Vec<(String, Lack)> {
    let status = pair.fleet.authority_status(pair.now()).expect("the driver has reported the authorities");
    status.waiting.into_iter().map(|site| (site.name.as_str().to_owned(), site.lacks)).collect()
}

fn lacks(sites: &[(&str, Lack)]) -> Vec<(String, Lack)> {
    sites.iter().map(|(site, lack)| ((*site).to_owned(), *lack)).collect()
}

fn issuing(pair: &Pair) -> Pin {
    pair.authorities.authorities[0].pin
}

/// All sites are linked, trust exactly the server's authorities, and have certificates of the issuing one.
fn assert_settled(pair: &Pair) {
    let pins: Vec<_> = pair.authorities.authorities.iter().map(|authority| authority.pin).collect();
    for index in 0..pair.nodes.len() {
        assert!(pair.is_linked_node(index), "{index}: {}", pair.trace());
        assert_eq!(pair.stored_authorities(index).pins, pins, "{index}");
        assert_eq!(pair.certificate_issuer(index), Some(issuing(pair)), "{index}");
    }
    assert_eq!(waiting(pair), []);
}

#[test]
fn an_authority_is_replaced_in_three_steps_and_no_link_is_cut() {
    let mut pair = linked(1);
    let (first, sessions) = (issuing(&pair), pair.sessions_so_far());
    step(&mut pair, Add);
    assert_eq!(issuing(&pair), first, "the current one issues certificates until the switch");
    assert_settled(&pair);
    step(&mut pair, Switch);
    assert_ne!(issuing(&pair), first);
    assert_settled(&pair);
    step(&mut pair, Retire);
    assert_settled(&pair);
    assert_eq!(pair.stored_authorities(0).pins.len(), 1);
    assert_eq!(pair.sessions_so_far(), sessions, "the links stand");
}

#[test]
fn a_second_replacement_works_like_the_first() {
    let mut pair = linked(2);
    for _ in 0..2 {
        [Add, Switch, Retire].into_iter().for_each(|next| step(&mut pair, next));
        assert_settled(&pair);
    }
    assert_eq!(pair.stored_authorities(0).number, 6);
}

/// Without a replacement nothing is told, stored or reported.
#[test]
fn a_server_with_one_authority_tells_none() {
    let mut pair = linked(3);
    pair.crash_fleet();
    pair.run_for(5 * MINUTE);
    assert_eq!(pair.stored_authorities(0).number, 0);
    let writes = pair.fleet_writes;
    pair.run_for(DAY);
    assert_eq!(pair.fleet_writes, writes);
}

#[test]
fn an_abort_drops_the_next_authority_everywhere() {
    let mut pair = linked(4);
    step(&mut pair, Add);
    step(&mut pair, Abort);
    assert_settled(&pair);
    assert_eq!(pair.stored_authorities(0).pins.len(), 1);
}

#[test]
fn steps_out_of_order_are_refused_and_repeated_ones_do_nothing() {
    let mut pair = linked(5);
    let check = |pair: &Pair, step| pair.fleet.check_rotation(step, Force::No, pair.now());
    let is_refused = |pair: &Pair, step| matches!(check(pair, step), Err(FleetCommandError::NotPossible(_)));
    for step in [Switch, Retire, Abort] {
        assert!(is_refused(&pair, step), "{step:?}");
    }
    step(&mut pair, Add);
    assert_eq!(check(&pair, Add), Ok(false));
    assert!(is_refused(&pair, Retire));
    step(&mut pair, Switch);
    assert_eq!(check(&pair, Switch), Ok(false));
    assert!(is_refused(&pair, Add) && is_refused(&pair, Abort));
}

/// A site that is offline while the next authority is added is counted and named, and prevents nothing but the
/// retirement.
#[test]
fn a_site_that_is_offline_during_the_add_prevents_only_the_retirement() {
    let mut pair = linked(6);
    pair.cut(1);
    pair.run_for(5 * MINUTE);
    step(&mut pair, Add);
    assert_eq!(waiting(&pair), lacks(&[("dock", Lack::Authority)]));
    step(&mut pair, Switch);
    let Err(FleetCommandError::NotPossible(text)) = pair.fleet.check_rotation(Retire, Force::No, pair.now()) else {
        panic!("a site lacks the next authority")
    };
    assert!(text.contains("1 sites") && text.contains("dock"), "{text}");
    pair.heal(1);
    pair.run_for(3 * MINUTE);
    assert_settled(&pair);
    step(&mut pair, Retire);
    assert_settled(&pair);
}

#[test]
fn a_site_that_is_offline_during_the_switch_renews_when_it_is_back() {
    let mut pair = linked(7);
    step(&mut pair, Add);
    pair.cut(1);
    pair.run_for(5 * MINUTE);
    step(&mut pair, Switch);
    assert_eq!(waiting(&pair), lacks(&[("dock", Lack::Certificate)]));
    assert!(!pair.try_rotate(Retire));
    pair.heal(1);
    pair.run_for(3 * MINUTE);
    assert_settled(&pair);
}

/// A site that slept through the whole replacement, with the retirement forced, is back by the cross-certificate: it is
/// given another certificate, and told which authorities to trust.
#[test]
fn a_site_that_is_offline_during_a_whole_replacement_comes_back() {
    for is_expired in [false, true] {
        let mut pair = linked(8);
        pair.cut(1);
        pair.run_for(5 * MINUTE);
        step(&mut pair, Add);
        step(&mut pair, Switch);
        assert_eq!(pair.fleet.check_rotation(Retire, Force::Yes, pair.now()), Ok(true));
        pair.rotate(Retire);
        pair.run_for(if is_expired { DAY * 90 } else { DAY });
        pair.heal(1);
        pair.run_for(5 * MINUTE);
        assert_settled(&pair);
    }
}

/// Sites that were removed are not waited for.
#[test]
fn a_removed_site_does_not_prevent_the_retirement() {
    let mut pair = linked(9);
    pair.cut(1);
    pair.run_for(5 * MINUTE);
    step(&mut pair, Add);
    step(&mut pair, Switch);
    pair.ask(FleetCommand::Remove(site_ref("dock").into(), Force::Yes)).expect("a site can be removed");
    step(&mut pair, Retire);
}

#[test]
fn a_site_that_joins_during_a_replacement_needs_nothing_more() {
    for steps in [&[Add][..], &[Add, Switch]] {
        let mut pair = linked(10);
        steps.iter().for_each(|next| step(&mut pair, *next));
        pair.add_node("late");
        pair.run_for(3 * MINUTE);
        assert_settled(&pair);
    }
}

#[test]
fn a_pending_site_stores_the_next_authority_too() {
    let mut pair = linked(11);
    let edit = EnvironmentEdit { approval: Some(true), ..EnvironmentEdit::default() };
    pair.ask(FleetCommand::EditEnvironment(name("default"), edit)).expect("an environment can be edited");
    pair.add_node("newcomer");
    pair.run_for(MINUTE);
    [Add, Switch, Retire].into_iter().for_each(|next| step(&mut pair, next));
    assert_settled(&pair);
}

/// The image of a disk from before the replacement comes back after it: the cross-certificate leads to the server.
#[test]
fn a_site_restored_from_a_disk_image_from_before_the_replacement_comes_back() {
    for steps in [&[Add][..], &[Add, Switch], &[Add, Switch, Retire]] {
        let mut pair = linked(12);
        let image = pair.disk_image(0);
        steps.iter().for_each(|next| step(&mut pair, *next));
        pair.restore_disk_image(0, image);
        pair.run_for(5 * MINUTE);
        assert_settled(&pair);
    }
}

/// A clone of the disk from before the replacement is refused as ever, and does not change what the site has.
#[test]
fn a_clone_from_before_the_replacement_changes_nothing_for_its_site() {
    let mut pair = linked(13);
    let clone = pair.clone_disk();
    pair.cut(clone);
    pair.run_for(MINUTE);
    step(&mut pair, Add);
    step(&mut pair, Switch);
    pair.heal(clone);
    pair.run_for(5 * MINUTE);
    assert!(pair.is_linked_node(0) && !pair.is_linked_node(clone), "{}", pair.trace());
    assert_eq!(waiting(&pair), []);
}

/// The server is killed at every point of a step: before and after its data directory and its database know of it.
#[test]
fn a_crash_at_any_point_of_a_step_loses_no_site() {
    for before in [&[][..], &[Add], &[Add, Switch]] {
        let next = [Add, Switch, Retire][before.len()];
        for steps in 0..24 {
            for kill in [Pair::crash_site, Pair::crash_fleet] {
                let mut pair = Pair::linked(14);
                before.iter().for_each(|done| step(&mut pair, *done));
                pair.change_authorities(next);
                if 0 < steps {
                    pair.report_authorities();
                }
                for _ in 1..steps {
                    pair.step();
                }
                kill(&mut pair);
                pair.report_authorities();
                pair.run_for(5 * MINUTE);
                assert_settled(&pair);
            }
        }
    }
}

/// The database is restored from a backup, with the data directory of the same time or of today.
#[test]
fn a_server_restored_from_a_backup_of_any_step_loses_no_site() {
    let all = [Add, Switch, Retire];
    for taken in 0..=3 {
        for restored in taken..=3 {
            // Only a backup from before the next authority existed cannot serve sites that trust nothing else.
            let is_lost = taken == 0 && restored == 3;
            for with_directory in [true, false] {
                let mut pair = linked(15);
                all[..taken].iter().for_each(|next| step(&mut pair, *next));
                let (backup, directory) = (pair.backup_fleet(), pair.authorities.clone());
                all[taken..restored].iter().for_each(|next| step(&mut pair, *next));
                if with_directory {
                    pair.authorities = directory;
                }
                pair.restore_fleet(backup);
                pair.run_for(5 * MINUTE);
                if with_directory && is_lost {
                    assert!(!pair.is_linked(), "the retired authority is trusted no more");
                    continue;
                }
                for index in 0..3 {
                    assert!(pair.is_linked_node(index), "{taken} to {restored}, {with_directory}: {}", pair.trace());
                    assert_eq!(pair.certificate_issuer(index), Some(issuing(&pair)), "{taken} to {restored}");
                }
                // The replacement can be completed.
                for next in all {
                    if pair.try_rotate(next) {
                        pair.run_for(MINUTE);
                    }
                }
                assert_eq!(pair.authorities.authorities.len(), 1, "{taken} to {restored}, {with_directory}");
                assert_settled(&pair);
            }
        }
    }
}

/// Nothing is reported before it is on the disk.
#[test]
fn a_site_whose_disk_is_full_lacks_the_next_authority_until_it_is_saved() {
    let mut pair = linked(16);
    pair.nodes[1].identity_disk_fault = DiskFault::Full;
    step(&mut pair, Add);
    assert_eq!(waiting(&pair), lacks(&[("dock", Lack::Authority)]));
    assert!(pair.nodes[1].site.why(pair.now()).iter().any(|why| why.detail.contains("no space left")));
    pair.nodes[1].identity_disk_fault = DiskFault::Well;
    pair.run_for(2 * STORE_RETRY);
    assert_settled(&pair);
}

/// The server's full disk delays what is told, and loses nothing.
#[test]
fn a_step_while_the_servers_disk_is_full_is_told_when_it_recovers() {
    let mut pair = linked(17);
    pair.fleet_disk_fault = DiskFault::Full;
    pair.rotate(Add);
    pair.run_for(MINUTE);
    assert_eq!(pair.stored_authorities(0).number, 0);
    pair.fleet_disk_fault = DiskFault::Well;
    pair.run_for(3 * STORE_RETRY);
    assert_settled(&pair);
}

/// A server that nobody certified cannot plant an authority.
#[test]
fn an_authority_that_no_trusted_one_has_certified_is_not_stored() {
    let mut pair = linked(18);
    pair.change_authorities(Add);
    pair.authorities.authorities[1].cross_certificate = None;
    pair.report_authorities();
    pair.run_for(MINUTE);
    assert_eq!(pair.stored_authorities(0).pins, [issuing(&pair)]);
    assert_eq!(waiting(&pair).len(), 3, "each says what it has left out");
}

/// A report of a set that the server has not told, or of a foreign authority, is not believed.
#[test]
fn a_report_of_another_set_is_ignored() {
    let mut pair = linked(19);
    pair.cut(1);
    pair.run_for(5 * MINUTE);
    step(&mut pair, Add);
    let say = |pair: &mut Pair, number, trusted| {
        let trust = SiteTrust { trusted, issuer: Some(Pin::of(b"x")) };
        pair.say(0, FromMember::Trust(TrustReport { number, trust }));
        pair.run_for(SECOND);
    };
    say(&mut pair, 7, Vec::new());
    assert_eq!(waiting(&pair), lacks(&[("dock", Lack::Authority)]));
    step(&mut pair, Switch);
    let told = pair.stored_authorities(0).pins.clone();
    say(&mut pair, 2, [told, vec![Pin::of(b"x")]].concat());
    assert_eq!(waiting(&pair), lacks(&[("camp", Lack::Certificate), ("dock", Lack::Authority)]));
}

/// Another machine takes over a site: it has the authorities from its own join.
#[test]
fn a_machine_that_takes_over_a_site_reports_for_itself() {
    let mut pair = linked(20);
    step(&mut pair, Add);
    step(&mut pair, Switch);
    pair.stop_fleet();
    pair.start_fleet();
    pair.run_for(3 * MINUTE);
    pair.cut(0);
    pair.create_replacement_token(site_ref("camp"));
    pair.run_for(SECOND);
    let index = pair.add_node("camp");
    pair.run_for(3 * MINUTE);
    assert!(pair.is_linked_node(index), "{}", pair.trace());
    assert_eq!(waiting(&pair), []);
}

/// Tokens from before the switch carry the pin of the authority that is retired.
#[test]
fn join_tokens_from_before_the_switch_are_counted() {
    let mut pair = linked(21);
    let old_tokens = |pair: &Pair| pair.fleet.authority_status(pair.now()).expect("reported").old_tokens;
    step(&mut pair, Add);
    assert_eq!(old_tokens(&pair), 0, "their pin is that of the issuing authority");
    step(&mut pair, Switch);
    assert_eq!(old_tokens(&pair), 1);
    step(&mut pair, Retire);
    assert_eq!(old_tokens(&pair), 0);
}
