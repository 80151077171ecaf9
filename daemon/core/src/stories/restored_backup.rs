//! A server that is restored from a backup holds what may have been removed or revoked since, until its operator
//! settles it.

use std::collections::BTreeMap;
use std::time::Duration;

use linecamp_model::{
    Access, EventKind, FleetChange, HeldSiteView, KeyId, LinkState, Name, RefusalCode, RestoreView, Role, SecretHash,
    SiteEvidence, Target, TokenState, WallTime,
};

use crate::testing::{DAY, Pair, name, patch, site_ref};
use crate::{
    AccountCommand, ApiCredential, AuthenticationError, FleetCommand, Force, HeldItems, NewKey, NewUser, PageRequest,
    SiteFilter, UserEdit,
};

const MINUTE: Duration = Duration::from_secs(60);

type Backup = (BTreeMap<String, FleetChange>, WallTime);

fn backup(pair: &Pair) -> Backup {
    (pair.backup_fleet(), pair.now().wall)
}

fn restore(pair: &mut Pair, (disk, taken_at): Backup, kept: &[Name]) {
    pair.restore_fleet_held(disk, taken_at, kept);
    pair.run_for(5 * MINUTE);
}

fn held(pair: &Pair) -> RestoreView {
    pair.fleet.view().restore_view(pair.now()).expect("something is held")
}

fn held_sites(pair: &Pair) -> Vec<HeldSiteView> {
    let (taken_at, all) = (held(pair).from.taken_at, PageRequest::first(100));
    pair.fleet.view().held_page(&SiteFilter::default(), &all, taken_at, pair.now()).items
}

fn evidence(pair: &Pair) -> Vec<SiteEvidence> {
    held_sites(pair).iter().map(|site| site.evidence).collect()
}

fn assign(label: &str) -> FleetCommand {
    FleetCommand::PatchLabels(site_ref("camp").into(), patch(&[label]))
}

fn everything(pair: &Pair) -> HeldItems {
    let held = held(pair);
    HeldItems {
        sites: held_sites(pair).iter().map(|site| site.id).collect(),
        tokens: held.tokens.iter().map(|token| token.id).collect(),
        api_keys: held.api_keys.iter().map(|key| key.id).collect(),
    }
}

fn only_sites(pair: &Pair) -> HeldItems {
    HeldItems { sites: everything(pair).sites, ..HeldItems::default() }
}

#[derive(Debug, PartialEq, Eq)]
enum ApiKeyState {
    Unknown,
    Valid,
    Held,
    OfDisabledUser,
}

fn key_state(pair: &mut Pair, number: u8) -> ApiKeyState {
    let (credential, now) = (ApiCredential::Key(SecretHash::from_bytes([number; 32])), pair.server_now());
    match pair.fleet.authenticate(credential, now) {
        Ok(_) => ApiKeyState::Valid,
        Err(AuthenticationError::HeldApiKey) => ApiKeyState::Held,
        Err(AuthenticationError::UnknownKey) => ApiKeyState::Unknown,
        Err(AuthenticationError::DisabledUser(_)) => ApiKeyState::OfDisabledUser,
        Err(other) => panic!("{other:?}"),
    }
}

fn with_keys(seed: u64) -> Pair {
    let mut pair = Pair::linked(seed);
    for (number, key) in [(1, "admin"), (2, "ci")] {
        let new = NewKey {
            id: KeyId::from_bytes([number; 8]),
            secret: SecretHash::from_bytes([number; 32]),
            name: name(key),
            user: None,
            limit: None,
            ttl: None,
        };
        pair.ask(AccountCommand::CreateKey(new).into()).expect("added");
    }
    pair.run_for(MINUTE);
    pair
}

#[test]
fn a_site_of_a_restored_server_waits_for_its_operator_and_keeps_its_record() {
    let mut pair = with_keys(1);
    pair.ask(assign("rack=r7")).expect("assigned");
    pair.run_for(MINUTE);
    let taken = backup(&pair);
    pair.run_for(DAY);
    restore(&mut pair, taken, &[]);

    assert!(!pair.is_linked());
    assert_eq!(evidence(&pair), [SiteEvidence::Unchanged]);
    let refusal = pair.hangup_of(0).expect("a refusal");
    assert!(refusal.contains("waits until its operator accepts this site"), "{refusal}");
    assert_eq!(pair.label_entry("rack").as_deref(), Some("r7"), "the site works as before");
    assert_eq!(pair.view().link.state, LinkState::Disconnected);
    let why = pair.site().why(pair.now()).into_iter().find(|why| why.part == "link").expect("the link").detail;
    assert!(why.contains(RefusalCode::ServerRestored.as_str()), "{why}");

    pair.ask(assign("rack=r8")).expect("assigned while the site is held");
    pair.ask(FleetCommand::AcceptHeld(only_sites(&pair))).expect("accepted");
    pair.run_for(2 * MINUTE);
    assert!(pair.is_linked(), "{}", pair.trace());
    assert_eq!(pair.label_entry("rack").as_deref(), Some("r8"));
    let view = pair.view();
    assert_eq!(view.spec_generation, view.converged_generation);
}

/// The restored server counts again generations that the site holds with other contents.
#[test]
fn a_site_never_takes_a_lost_spec_for_the_current_one() {
    for lost in 0..4 {
        let mut pair = with_keys(2);
        let taken = backup(&pair);
        for number in 0..lost {
            pair.ask(assign(&format!("rack=lost-{number}"))).expect("assigned");
        }
        pair.run_for(MINUTE);
        restore(&mut pair, taken, &[]);
        for number in 0..3 {
            pair.ask(assign(&format!("rack=new-{number}"))).expect("assigned");
        }
        let expected = if lost == 0 { SiteEvidence::Unchanged } else { SiteEvidence::Changed };
        assert_eq!(evidence(&pair), [expected], "{lost} lost");
        pair.ask(FleetCommand::AcceptHeld(only_sites(&pair))).expect("accepted");
        pair.run_for(2 * MINUTE);
        assert_eq!(pair.label_entry("rack").as_deref(), Some("new-2"), "{lost} lost");
    }
}

#[test]
fn a_site_that_was_removed_after_the_backup_is_not_revived() {
    let mut pair = with_keys(3);
    let taken = backup(&pair);
    // It holds its key, and never heard of its removal.
    pair.cut(0);
    pair.ask(FleetCommand::Remove(site_ref("camp").into(), Force::Yes)).expect("removed");
    pair.run_for(MINUTE);
    restore(&mut pair, taken, &[]);
    pair.heal(0);
    pair.run_for(DAY);
    assert!(!pair.is_linked());
    let events = pair.events();
    assert_eq!(events.iter().filter(|event| event.kind == EventKind::ServerRestored).count(), 1);
    assert!(held_sites(&pair)[0].asked.is_some());

    pair.ask(FleetCommand::RejectHeld(only_sites(&pair))).expect("rejected");
    pair.run_for(5 * MINUTE);
    let ended = pair.nodes[0].ended.as_ref().expect("the site was told");
    assert_eq!(ended.code, RefusalCode::Removed);
    pair.crash_fleet();
    pair.run_for(MINUTE);
    assert!(held_sites(&pair).is_empty(), "also after a restart");
}

#[test]
fn a_site_whose_spec_requests_its_removal_is_shown_so() {
    let mut pair = with_keys(4);
    let taken = backup(&pair);
    restore(&mut pair, taken, &[]);
    pair.greet_with(0, |hello| hello.target = Some(Target::Removed));
    pair.crash_site();
    pair.run_until(|pair| evidence(pair) == [SiteEvidence::BeingRemoved]);
}

#[test]
fn a_join_token_of_a_restored_server_admits_nobody_until_it_is_accepted() {
    let mut pair = with_keys(5);
    let taken = backup(&pair);
    restore(&mut pair, taken, &[]);
    assert_eq!(held(&pair).tokens.iter().map(|token| token.state).collect::<Vec<_>>(), [TokenState::Held]);
    let late = pair.add_node("late");
    pair.run_for(5 * MINUTE);
    assert!(!pair.is_linked_node(late));
    let refusal = pair.hangup_of(late).expect("a refusal");
    assert!(refusal.contains("accepts this join token"), "{refusal}");
    assert!(pair.nodes[late].ended.is_none(), "the machine tries again");

    let tokens = everything(&pair).tokens;
    pair.ask(FleetCommand::AcceptHeld(HeldItems { tokens, ..HeldItems::default() })).expect("accepted");
    pair.run_for(2 * MINUTE);
    assert!(pair.is_linked_node(late), "{}", pair.trace());
}

#[test]
fn rejected_tokens_and_keys_are_revoked() {
    let mut pair = with_keys(6);
    let taken = backup(&pair);
    restore(&mut pair, taken, &[name("admin")]);
    assert_eq!((key_state(&mut pair, 1), key_state(&mut pair, 2)), (ApiKeyState::Valid, ApiKeyState::Held));
    let all = everything(&pair);
    assert_eq!(all.api_keys, [KeyId::from_bytes([2; 8])]);
    pair.ask(FleetCommand::RejectHeld(HeldItems { sites: Vec::new(), ..all.clone() })).expect("rejected");
    assert_eq!((key_state(&mut pair, 1), key_state(&mut pair, 2)), (ApiKeyState::Valid, ApiKeyState::Unknown));
    let state = |pair: &Pair| pair.fleet.view().tokens(pair.now())[0].state;
    assert_eq!(state(&pair), TokenState::Revoked);
    // What is settled, or was never held, stays as it is.
    let other = HeldItems { api_keys: vec![KeyId::from_bytes([1; 8])], ..HeldItems::default() };
    pair.ask(FleetCommand::RejectHeld(other)).expect("nothing to do");
    assert_eq!(key_state(&mut pair, 1), ApiKeyState::Valid);
    let unknown = HeldItems { api_keys: vec![KeyId::from_bytes([9; 8])], ..HeldItems::default() };
    pair.ask(FleetCommand::AcceptHeld(unknown)).expect_err("there is none");
}

#[test]
fn the_mark_of_a_restore_goes_with_the_last_thing_that_is_held() {
    let mut pair = with_keys(7);
    let taken = backup(&pair);
    restore(&mut pair, taken, &[]);
    pair.crash_fleet();
    pair.run_for(MINUTE);
    let all = everything(&pair);
    assert_eq!((all.sites.len(), all.tokens.len(), all.api_keys.len()), (1, 1, 2));
    pair.ask(FleetCommand::Remove(site_ref("camp").into(), Force::Yes)).expect("removed");
    assert!(held_sites(&pair).is_empty(), "a removal settles it as well");
    pair.ask(FleetCommand::AcceptHeld(HeldItems { sites: Vec::new(), ..all })).expect("accepted");
    pair.run_for(MINUTE);
    assert_eq!(pair.fleet.view().restored(), None);
    pair.crash_fleet();
    pair.run_for(MINUTE);
    assert_eq!(pair.fleet.view().restored(), None);
}

#[test]
fn a_held_token_that_expires_is_settled() {
    let mut pair = with_keys(8);
    let taken = backup(&pair);
    restore(&mut pair, taken, &[name("admin"), name("ci")]);
    pair.ask(FleetCommand::AcceptHeld(only_sites(&pair))).expect("accepted");
    pair.run_for(400 * DAY);
    assert_eq!(pair.fleet.view().restored(), None);
}

#[test]
fn a_site_that_joined_after_the_backup_is_listed_as_unknown() {
    let mut pair = with_keys(9);
    let taken = backup(&pair);
    let late = pair.add_node("late");
    pair.run_for(MINUTE);
    assert!(pair.is_linked_node(late));
    restore(&mut pair, taken, &[]);
    pair.run_for(DAY);
    assert!(!pair.is_linked_node(late));
    assert_eq!(held(&pair).unknown.len(), 1);
    assert_eq!(held_sites(&pair).len(), 1);
}

/// The second backup is of a server that still waits: the first loss is still unsettled.
#[test]
fn a_restore_of_a_waiting_server_keeps_the_earlier_backup_in_mind() {
    let mut pair = with_keys(10);
    let taken = backup(&pair);
    pair.ask(assign("rack=lost")).expect("assigned");
    pair.run_for(MINUTE);
    restore(&mut pair, taken.clone(), &[]);
    let again = backup(&pair);
    restore(&mut pair, again, &[name("admin")]);
    assert_eq!(held(&pair).from.taken_at, taken.1);
    assert_eq!(evidence(&pair), [SiteEvidence::Changed], "compared with the first backup");
    assert_eq!(key_state(&mut pair, 1), ApiKeyState::Valid, "kept this time");
}

/// A user may have been removed or have lost roles after the backup.
#[test]
fn a_restore_disables_all_users_until_an_admin_enables_them() {
    let mut pair = with_keys(12);
    let anna = || name("anna");
    let new = NewUser { name: anna(), password: None, access: Access::everywhere(Role::Operator) };
    pair.ask(AccountCommand::CreateUser(new).into()).expect("created");
    let key = NewKey {
        id: KeyId::from_bytes([3; 8]),
        secret: SecretHash::from_bytes([3; 32]),
        name: name("admin"),
        user: Some(anna()),
        limit: None,
        ttl: None,
    };
    pair.ask(AccountCommand::CreateKey(key).into()).expect("created");
    pair.run_for(MINUTE);
    let taken = backup(&pair);
    let summary = pair.restore_fleet_held(taken.0, taken.1, &[name("admin")]);
    pair.run_for(MINUTE);
    assert_eq!(summary.disabled_users, [anna()]);
    // A key of a user with the name of the kept one is held as well.
    assert_eq!((key_state(&mut pair, 1), key_state(&mut pair, 3)), (ApiKeyState::Valid, ApiKeyState::Held));
    let accepted = HeldItems { api_keys: vec![KeyId::from_bytes([3; 8])], ..HeldItems::default() };
    pair.ask(FleetCommand::AcceptHeld(accepted)).expect("accepted");
    assert_eq!(key_state(&mut pair, 3), ApiKeyState::OfDisabledUser);
    let edit = UserEdit { is_disabled: Some(false), ..UserEdit::default() };
    pair.ask(AccountCommand::EditUser(anna(), edit).into()).expect("enabled");
    assert_eq!(key_state(&mut pair, 3), ApiKeyState::Valid);
}

/// The server or the site is killed at every step of an acceptance.
#[test]
fn a_crash_during_an_acceptance_loses_nothing_that_was_confirmed() {
    for steps in 0..30 {
        for kill in [Pair::crash_site, Pair::crash_fleet] {
            let mut pair = with_keys(11);
            let taken = backup(&pair);
            restore(&mut pair, taken, &[]);
            let command = pair.operator(FleetCommand::AcceptHeld(everything(&pair)));
            for _ in 0..steps {
                pair.step();
            }
            let is_confirmed = pair.replies.get(&command) == Some(&Ok(()));
            kill(&mut pair);
            pair.run_for(15 * MINUTE);
            if is_confirmed {
                assert_eq!(pair.fleet.view().restored(), None, "after {steps} steps");
            }
            if pair.fleet.view().restored().is_some() {
                pair.ask(FleetCommand::AcceptHeld(everything(&pair))).expect("accepted");
                pair.run_for(2 * MINUTE);
            }
            assert!(pair.is_linked(), "after {steps} steps: {}", pair.trace());
        }
    }
}
