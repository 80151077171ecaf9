//! Joining.

use std::time::Duration;

use linecamp_model::{EventKind, LinkState, Phase, RefusalCode, VersionRange};

use crate::testing::{DAY, Pair, name, patch, site_ref};
use crate::{EnvironmentEdit, FleetCommand};

const MINUTE: Duration = Duration::from_secs(60);

fn refused(pair: &Pair, index: usize) -> Option<RefusalCode> {
    pair.nodes[index].ended.as_ref().map(|refusal| refusal.code)
}

#[test]
fn a_site_joins_connects_and_becomes_active() {
    let mut pair = Pair::new(1);
    pair.create_token(&name("default"), 1, &["region=eu"]);
    pair.run_for(MINUTE);
    let view = pair.view();
    assert_eq!((view.phase, view.link.state), (Phase::Active, LinkState::Connected));
    assert_eq!(view.hosts[0].phase, Phase::Active);
    assert_eq!(view.spec_generation, view.converged_generation);
    assert_eq!(pair.label_entry("region").as_deref(), Some("eu"), "labels of the token are assigned");
    assert!(pair.events().iter().any(|event| event.kind == EventKind::SiteJoined));
}

/// The answer is lost at every step of a join with a single-use token: the result is still one site.
#[test]
fn a_join_whose_response_is_lost_happens_once() {
    for steps in 1..60 {
        let mut pair = Pair::new(steps);
        pair.create_token(&name("default"), 1, &[]);
        for _ in 0..steps {
            pair.step();
        }
        pair.cut(0);
        pair.run_for(MINUTE);
        pair.heal(0);
        pair.run_for(10 * MINUTE);
        assert!(pair.is_linked(), "after {steps} steps: {}", pair.trace());
        assert_eq!(pair.fleet.view().sites(&crate::SiteFilter::default(), pair.now()).len(), 1);
    }
}

/// The daemon, and then the server, is killed at every step of a join.
#[test]
fn a_join_survives_a_crash_at_every_step() {
    for steps in 1..60 {
        for kill in [Pair::crash_site, Pair::crash_fleet] {
            let mut pair = Pair::new(steps);
            pair.create_token(&name("default"), 1, &[]);
            pair.run_for(Duration::from_millis(5));
            for _ in 0..steps {
                pair.step();
            }
            kill(&mut pair);
            pair.run_for(10 * MINUTE);
            assert!(pair.is_linked(), "after {steps} steps: {}", pair.trace());
            assert_eq!(pair.view().phase, Phase::Active, "after {steps} steps: {} {:?}", pair.trace(), pair.view());
        }
    }
}

#[test]
fn an_unusable_token_is_rejected_with_the_reason() {
    type Spoil = fn(&mut Pair);
    let check = |spoil: Spoil, code| {
        let mut pair = Pair::new(3);
        spoil(&mut pair);
        let late = pair.add_node("other");
        pair.run_for(10 * MINUTE);
        assert_eq!(refused(&pair, late), Some(code), "{}", pair.trace());
    };
    check(
        |pair| {
            pair.create_token(&name("default"), 1, &[]);
            pair.run_for(MINUTE);
        },
        RefusalCode::TokenUsedUp,
    );
    check(|pair| pair.run_for(2 * DAY), RefusalCode::TokenExpired);
    check(
        |pair| {
            pair.run_for(MINUTE);
            let token = pair.fleet.view().tokens(pair.now())[0].id;
            pair.ask(FleetCommand::RevokeToken(token)).expect("revoked");
        },
        RefusalCode::TokenRevoked,
    );
    check(
        |pair| {
            pair.run_for(MINUTE);
            pair.crash_fleet();
            let other = crate::NewToken {
                joins_as: crate::JoinsAs::Site,
                id: pair.fleet.view().tokens(pair.now())[0].id,
                secret: linecamp_model::SecretHash::of(b"another secret"),
                environment: name("default"),
                ttl: DAY * 30,
                uses: 9,
                labels: Default::default(),
            };
            pair.ask(FleetCommand::CreateToken(other)).expect("created");
        },
        RefusalCode::TokenUnknown,
    );
}

#[test]
fn a_name_is_unique_within_an_environment() {
    let mut pair = Pair::linked(4);
    let second = pair.add_node("camp");
    pair.run_for(MINUTE);
    assert_eq!(refused(&pair, second), Some(RefusalCode::NameTaken));
    assert!(pair.is_linked(), "the first site is not affected");
}

#[test]
fn revoking_a_token_does_not_affect_joined_sites() {
    let mut pair = Pair::linked(5);
    let token = pair.fleet.view().tokens(pair.now())[0].id;
    pair.ask(FleetCommand::RevokeToken(token)).expect("revoked");
    pair.ask(FleetCommand::RevokeToken(token)).expect("a repeated request is not an error");
    pair.crash_site();
    pair.run_for(5 * MINUTE);
    assert!(pair.is_linked());
}

#[test]
fn a_site_waits_for_approval_where_it_is_required() {
    let mut pair = Pair::new(6);
    let edit = EnvironmentEdit { approval: Some(true), ..EnvironmentEdit::default() };
    pair.operator(FleetCommand::EditEnvironment(name("default"), edit));
    pair.run_for(MINUTE);
    assert_eq!(pair.view().phase, Phase::Pending);
    assert!(pair.view().waits_for.expect("says what for").as_str().contains("accept"));
    pair.ask(FleetCommand::Accept(site_ref("camp"))).expect("accepted");
    pair.run_for(MINUTE);
    assert_eq!(pair.view().phase, Phase::Active);
}

#[test]
fn a_version_mismatch_names_the_side_to_upgrade() {
    let mut pair = Pair::new(7);
    let late = pair.add_node("late");
    pair.nodes[late].config.versions = VersionRange { min: 2, max: 3 };
    pair.crash_node(late);
    pair.run_for(MINUTE);
    let refusal = pair.nodes[late].ended.clone().expect("refused");
    assert_eq!(refusal.code, RefusalCode::NoCommonVersion);
    assert!(refusal.text.as_str().contains("upgrade the server"), "{refusal}");
}

/// A machine breaks. The one that replaces it becomes the same site by an operator's token, with its labels, and the
/// broken one cannot return.
#[test]
fn a_replacement_machine_becomes_the_same_site() {
    let mut pair = Pair::linked(7);
    pair.ask(FleetCommand::PatchLabels(site_ref("camp").into(), patch(&["rack=r7"]))).expect("assigned");
    pair.run_for(MINUTE);
    let (id, before) = (pair.site_id(0), pair.view());
    pair.cut(0);
    pair.create_replacement_token(site_ref("camp"));
    let spare = pair.add_node("another-name");
    pair.run_for(10 * MINUTE);

    assert_eq!(pair.site_id(spare), id, "{}", pair.trace());
    let view = pair.view();
    assert_eq!((&view.id, &view.name, &view.phase), (&id, &before.name, &Phase::Active));
    assert_eq!(view.hosts[0].id, before.hosts[0].id);
    assert_eq!(pair.nodes[spare].site.label("rack").as_deref(), Some("r7"));
    assert_eq!(view.link.state, LinkState::Connected);
    assert_eq!(view.converged_generation, view.spec_generation);
    pair.heal(0);
    pair.run_for(10 * MINUTE);
    assert_eq!(refused(&pair, 0), Some(RefusalCode::Removed));
    assert_eq!(pair.site_id(spare), id);
    assert!(pair.server_events().iter().any(|event| event.kind == EventKind::SiteReplaced), "{}", pair.trace());
}
