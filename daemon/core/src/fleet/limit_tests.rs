//! Tests: every collection that an operator or a site can grow has a limit, reports reaching it, and stays within it.

use std::collections::BTreeMap;
use std::time::Duration;

use linecamp_model::limits::{
    API_KEYS_MAX, ENVIRONMENTS_MAX, PLUGINS_MAX, PROVIDERS_PER_ENVIRONMENT_MAX, REMOVED_KEYS_MAX, SERVER_EVENTS_MAX,
    SERVER_EVENTS_PER_SITE_MAX, SITES_PER_ENVIRONMENT_MAX, TOKEN_TTL_MAX, TOKEN_USES_MAX, TOKENS_MAX, USERS_MAX,
};
use linecamp_model::{
    Access, Event, EventKind, FleetChange, FleetProvider, FromMember, FromParent, Generation, Hello, Incarnation,
    KeyId, Now, PluginFile, RefusalCode, RunId, SecretHash, Selector, SessionId, SiteId, Text, WallTime,
};

use super::IssuedCommand;
use super::account_command::{AccountCommand, NewKey, NewUser};
use super::config::SWEEP_PERIOD;
use super::operator::decide;
use super::registry::{self, Joining};
use super::state::FleetState;
use super::testing::{NOW, VERSIONS, apply, bytes, digest, join, join_request, key, state, state_with_site, token};
use super::{EnvironmentEdit, Fleet, FleetCommand, FleetCommandError, FleetConfig, FleetOutput, NewToken, SavedFleet};
use crate::downlink::{Credential, FIRST_MESSAGE_MAX, OPENING_SESSIONS_MAX, Peer, SessionEvent};
use crate::rng::Rng;
use crate::testing::name;

/// Fills a collection to its limit and checks that each further command is refused with the limit in its text.
fn check_limit(state: &mut FleetState, there_are: usize, limit: usize, command: impl Fn(usize) -> FleetCommand) {
    for number in there_are..limit {
        apply(state, |state| {
            decide(state, IssuedCommand::of_console(command(number)), NOW).expect("there is room").changes
        });
    }
    for number in limit..limit + 3 {
        match decide(state, IssuedCommand::of_console(command(number)), NOW) {
            Err(FleetCommandError::Limit(text)) => assert!(text.contains(&limit.to_string()), "{text}"),
            other => panic!("number {number} of {limit} was not refused: {other:?}"),
        }
    }
}

#[test]
fn api_keys_are_limited() {
    check_limit(&mut state(), 0, API_KEYS_MAX, |number| {
        FleetCommand::Account(Box::new(AccountCommand::CreateKey(NewKey {
            id: KeyId::from_bytes(u64::try_from(number).unwrap().to_be_bytes()),
            secret: SecretHash::from_bytes(bytes(number)),
            name: name(&format!("k{number}")),
            user: None,
            limit: None,
            ttl: None,
        })))
    });
}

#[test]
fn users_are_limited() {
    check_limit(&mut state(), 0, USERS_MAX, |number| {
        let name = name(&format!("u{number}"));
        let new = NewUser { name, password: None, access: Access::default() };
        FleetCommand::Account(Box::new(AccountCommand::CreateUser(new)))
    });
}

#[test]
fn join_tokens_their_lifetime_and_their_uses_are_limited() {
    let mut state = state();
    check_limit(&mut state, 0, TOKENS_MAX, |number| FleetCommand::CreateToken(token(number)));
    let second = Duration::from_secs(1);
    let (long, many) =
        (NewToken { ttl: TOKEN_TTL_MAX + second, ..token(0) }, NewToken { uses: TOKEN_USES_MAX + 1, ..token(0) });
    for (new, number) in [(long, "366 days"), (many, "100000 uses")] {
        match decide(&self::state(), IssuedCommand::of_console(FleetCommand::CreateToken(new)), NOW) {
            Err(FleetCommandError::Invalid(text)) => assert!(text.contains(number), "{text}"),
            other => panic!("not refused: {other:?}"),
        }
    }
}

#[test]
fn environments_are_limited() {
    check_limit(&mut state(), 1, ENVIRONMENTS_MAX, |number| {
        FleetCommand::CreateEnvironment(name(&format!("e{number}")), EnvironmentEdit::default())
    });
}

#[test]
fn providers_per_environment_are_limited() {
    let provider = |number| {
        let mut spec = crate::stories::provider();
        spec.name = name(&format!("p{number}"));
        Box::new(FleetProvider { sites: Selector::default(), matches_facts: false, spec })
    };
    check_limit(&mut state(), 0, PROVIDERS_PER_ENVIRONMENT_MAX, |number| {
        FleetCommand::SetProvider(name("default"), provider(number), false)
    });
}

#[test]
fn plugins_are_limited() {
    check_limit(&mut state(), 0, PLUGINS_MAX, |number| {
        FleetCommand::AddPlugin(
            digest(number),
            PluginFile { name: name("p"), bytes: 1, pushed_at: NOW.wall, description: None },
        )
    });
}

#[test]
fn sites_per_environment_are_limited() {
    let (mut state, _) = state_with_site();
    for number in (0..SITES_PER_ENVIRONMENT_MAX).filter(|number| *number != 1) {
        join(&mut state, number);
    }
    let number = SITES_PER_ENVIRONMENT_MAX;
    let refusal =
        registry::join(&state, key(number), &join_request(number), &mut Rng::new(1), NOW).expect_err("it is full");
    assert_eq!(refusal.code, RefusalCode::EnvironmentFull);
    assert!(refusal.to_string().contains("10000 sites"), "{refusal}");
    let again = registry::join(&state, key(0), &join_request(0), &mut Rng::new(1), NOW);
    assert!(matches!(again, Ok(Joining::Again(_))), "who is a member stays one: {again:?}");
}

#[test]
fn events_are_limited_per_origin() {
    let mut state = FleetState::default();
    let event =
        || Event { at: NOW.wall, kind: EventKind::DaemonStarted, site: None, host: None, text: Text::default() };
    for _ in 0..SERVER_EVENTS_MAX + 100 {
        apply(&mut state, |state| state.events.event_changes(vec![event()], None));
    }
    assert_eq!(state.events.after(0).count(), SERVER_EVENTS_MAX);
    for site in 0..=SERVER_EVENTS_MAX / SERVER_EVENTS_PER_SITE_MAX {
        let site = SiteId::from_bytes([u8::try_from(site).unwrap(); 16]);
        for _ in 0..SERVER_EVENTS_PER_SITE_MAX / 50 + 1 {
            let events = (0..50).map(|_| event()).collect();
            apply(&mut state, |state| state.events.site_event_changes(site, events, NOW));
        }
        let of_site = state.events.after(0).filter(|(_, logged)| logged.event.site == Some(site)).count();
        assert_eq!(of_site, SERVER_EVENTS_PER_SITE_MAX);
    }
    assert_eq!(state.events.after(0).count(), 2 * SERVER_EVENTS_MAX, "neither pushes out the other");
}

#[test]
fn events_about_several_sites_in_one_write_are_limited_for_each() {
    let mut state = FleetState::default();
    let of = |site: u8| {
        let site = Some(SiteId::from_bytes([site; 16]));
        Event { at: NOW.wall, kind: EventKind::PhaseChanged, site, host: None, text: Text::default() }
    };
    apply(&mut state, |state| state.events.event_changes(vec![of(1); SERVER_EVENTS_PER_SITE_MAX], None));
    apply(&mut state, |state| state.events.event_changes(vec![of(1), of(2), of(2), of(1), of(1)], None));
    let count = |site: u8| {
        let site = Some(SiteId::from_bytes([site; 16]));
        state.events.after(0).filter(|(_, logged)| logged.event.site == site).count()
    };
    assert_eq!((count(1), count(2)), (SERVER_EVENTS_PER_SITE_MAX, 2));
    let numbers: Vec<_> = state.events.after(0).map(|(number, _)| number).collect();
    assert!((numbers[0]..).zip(&numbers).all(|(expected, number)| expected == *number), "none twice, in their order");
}

fn fleet(records: Vec<FleetChange>) -> Fleet {
    let config = FleetConfig { versions: VERSIONS, certificate_life: FIRST_MESSAGE_MAX * 1_000 };
    Fleet::new(config, SavedFleet { records, ..SavedFleet::default() }, Rng::new(1), NOW)
}

fn later(time: Duration) -> Now {
    Now { instant: NOW.instant + time, wall: NOW.wall + time }
}

#[test]
fn keys_of_removed_sites_are_limited_and_the_oldest_are_dropped() {
    let of = |number: usize| {
        let millis = u64::try_from(number).unwrap();
        FleetChange::RevokedKey(key(number), Some(WallTime::from_unix_millis(millis)))
    };
    let mut fleet = fleet((0..REMOVED_KEYS_MAX + 5).map(of).collect());
    fleet.handle_timeout(later(SWEEP_PERIOD));
    let outputs = std::iter::from_fn(|| fleet.poll_output());
    let changes: Vec<_> = outputs
        .filter_map(|output| match output {
            FleetOutput::Persist { changes, .. } => Some(changes),
            _ => None,
        })
        .flatten()
        .filter(|change| matches!(change, FleetChange::RevokedKey(..)))
        .collect();
    let oldest: Vec<_> = (0..5).map(|number| FleetChange::RevokedKey(key(number), None)).collect();
    assert_eq!(changes, oldest);
}

fn refusals(fleet: &mut Fleet) -> Vec<(SessionId, RefusalCode)> {
    let refusal = |output| match output {
        FleetOutput::Hangup { session, refusal } => Some((session, refusal.code)),
        _ => None,
    };
    std::iter::from_fn(|| fleet.poll_output()).filter_map(refusal).collect()
}

fn open(fleet: &mut Fleet, number: usize) -> SessionId {
    let id = SessionId(u64::try_from(number).unwrap());
    let peer =
        Peer { fingerprint: key(number), credential: Credential::SelfMade, address: Text::lossy("192.0.2.1:4433") };
    fleet.handle_session(id, SessionEvent::Opened(peer), NOW);
    id
}

#[test]
fn sessions_without_a_hello_are_limited() {
    let mut fleet = fleet(Vec::new());
    for number in 0..OPENING_SESSIONS_MAX {
        open(&mut fleet, number);
    }
    assert_eq!(refusals(&mut fleet), []);
    let last = open(&mut fleet, OPENING_SESSIONS_MAX);
    assert_eq!(refusals(&mut fleet), [(last, RefusalCode::Busy)]);
}

#[test]
fn hellos_are_rate_limited() {
    let mut state = state();
    apply(&mut state, |state| {
        decide(state, IssuedCommand::of_console(FleetCommand::CreateToken(token(1))), NOW).unwrap().changes
    });
    let request = join_request(1);
    let joined = registry::join(&state, key(1), &request, &mut Rng::new(1), NOW);
    let Ok(Joining::New(_, mut records)) = joined else { panic!("it joins") };
    records.push(FleetChange::Environment(name("default"), Some(super::ENVIRONMENT_DEFAULT)));
    let mut fleet = fleet(records);
    let is_slowed = (0..1_000_u64).any(|number| {
        let session = SessionId(number);
        let peer = Peer { fingerprint: key(1), credential: Credential::Issued, address: Text::lossy("192.0.2.1:4433") };
        fleet.handle_session(session, SessionEvent::Opened(peer), NOW);
        let hello = Hello {
            versions: VERSIONS,
            run: RunId::from_bytes([1; 8]),
            daemon_version: Text::default(),
            wall: NOW.wall,
            spec_incarnation: Incarnation(0),
            spec_held: Generation::ZERO,
            status_incarnation: Incarnation(1),
            target: None,
            facts: BTreeMap::new(),
            gaps: Vec::new(),
        };
        fleet.handle_session(session, SessionEvent::Received(FromMember::Hello(hello)), NOW);
        refusals(&mut fleet).contains(&(session, RefusalCode::Busy))
    });
    assert!(is_slowed, "a thousand greetings at one moment were taken");
}

#[test]
fn a_session_without_a_hello_is_closed_in_time() {
    let mut fleet = fleet(Vec::new());
    let silent = open(&mut fleet, 1);
    fleet.handle_timeout(later(FIRST_MESSAGE_MAX - Duration::from_millis(1)));
    assert_eq!(refusals(&mut fleet), []);
    fleet.handle_timeout(later(FIRST_MESSAGE_MAX));
    assert_eq!(refusals(&mut fleet).into_iter().map(|(session, _)| session).collect::<Vec<_>>(), [silent]);
    fleet.handle_session(silent, SessionEvent::Received(FromMember::Renew), later(FIRST_MESSAGE_MAX));
    let said = std::iter::from_fn(|| fleet.poll_output());
    assert!(
        !said.into_iter().any(|output| matches!(output, FleetOutput::Send { message: FromParent::Identity(_), .. }))
    );
}
