//! States for the unit tests of the parts.

use std::time::Duration;

use linecamp_model::limits::TOKEN_USES_MAX;
use linecamp_model::{
    Document, DocumentKey, FleetChange, HostId, HostSpec, Instant, JoinRequest, JoinSecret, KeyFingerprint, MemberKind,
    Now, Origin, PluginDigest, SiteId, SpecBody, Text, TokenId, VersionRange, WallTime,
};

use super::IssuedCommand;
use super::command::{EnvironmentEdit, FleetCommand, JoinsAs, NewToken};
use super::config::ENVIRONMENT_DEFAULT;
use super::operator::decide;
use super::registry::{self, Joining};
use super::state::FleetState;
use crate::rng::Rng;
use crate::staging::Replay;
use crate::testing::{name, patch};

pub(super) const VERSIONS: VersionRange = VersionRange { min: 1, max: 1 };
pub(super) const NOW: Now = Now { instant: Instant::ORIGIN, wall: WallTime::from_unix_millis(1_800_000_000_000) };

/// Returns a different 32 bytes for each number.
pub(super) fn bytes(number: usize) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
    bytes
}

pub(super) fn digest(number: usize) -> PluginDigest {
    PluginDigest::from_bytes(bytes(number))
}

pub(super) fn key(number: usize) -> KeyFingerprint {
    KeyFingerprint::from_bytes(bytes(number))
}

pub(super) fn token(number: usize) -> NewToken {
    let id = u64::try_from(number).unwrap().to_be_bytes();
    NewToken {
        id: TokenId::from_bytes(id),
        secret: JoinSecret::from_bytes([7; 16]).hash(),
        environment: name("default"),
        ttl: Duration::from_secs(3600),
        uses: TOKEN_USES_MAX,
        labels: patch(&[]),
        joins_as: JoinsAs::Site,
    }
}

pub(super) fn apply(state: &mut FleetState, decide: impl FnOnce(&FleetState) -> Vec<FleetChange>) {
    for change in decide(state) {
        state.apply(change);
    }
}

/// Returns a state with the environment `default`.
pub(super) fn state() -> FleetState {
    let mut state = FleetState::default();
    apply(&mut state, |_| vec![FleetChange::Environment(name("default"), Some(ENVIRONMENT_DEFAULT))]);
    state
}

/// Returns the request of site `number` to join with [`token`] 1.
pub(super) fn join_request(number: usize) -> JoinRequest {
    JoinRequest {
        versions: VERSIONS,
        token: token(1).id,
        secret: JoinSecret::from_bytes([7; 16]),
        kind: MemberKind::Site,
        name: name(&format!("s{number}")),
        site: None,
        daemon_version: Text::default(),
    }
}

/// Lets site `number` join with [`token`] 1, which must exist.
pub(super) fn join(state: &mut FleetState, number: usize) -> SiteId {
    let seed = u64::try_from(number).unwrap();
    apply(state, |state| match registry::join(state, key(number), &join_request(number), &mut Rng::new(seed), NOW) {
        Ok(Joining::New(_, changes)) => changes,
        other => panic!("site {number}: {other:?}"),
    });
    state.site_of_key(&key(number)).expect("it has joined")
}

/// Adds the environment and lets the machine with key `key_number` join there as site `number`.
pub(super) fn join_in(state: &mut FleetState, environment: &str, number: usize, key_number: usize) -> SiteId {
    let token = NewToken { environment: name(environment), ..token(key_number) };
    let request = JoinRequest { token: token.id, ..join_request(number) };
    let create = FleetCommand::CreateEnvironment(token.environment.clone(), EnvironmentEdit::default());
    for command in [create, FleetCommand::CreateToken(token)] {
        apply(state, |state| decide(state, IssuedCommand::of_console(command), NOW).expect("it is created").changes);
    }
    let mut rng = Rng::new(u64::try_from(key_number).unwrap());
    apply(state, |state| match registry::join(state, key(key_number), &request, &mut rng, NOW) {
        Ok(Joining::New(_, changes)) => changes,
        other => panic!("site {number}: {other:?}"),
    });
    state.site_of_key(&key(key_number)).expect("it has joined")
}

/// Adds a host to a site, as a copy of its gateway with another name.
pub(super) fn add_host(state: &mut FleetState, site: SiteId, named: &str) -> HostId {
    let (record, registration) = state.site(site).expect("it is registered");
    let id = HostId::from_bytes([u8::try_from(record.hosts.len()).unwrap(); 16]);
    let registered = record.hosts.get(&registration.gateway).cloned();
    let spec = record.host_spec(registration.gateway).expect("it has a spec").clone();
    let body = Some(SpecBody::Host(HostSpec { name: name(named), origin: Origin::Custom, ..spec }));
    let document = Document { generation: record.spec.head().next(), body };
    let spec = FleetChange::Spec(site, DocumentKey::Host(id), Some(document));
    apply(state, |_| vec![FleetChange::Host(site, id, registered), spec]);
    id
}

/// Returns a state with the environment `default`, and a site in it that has not reported yet.
pub(super) fn state_with_site() -> (FleetState, SiteId) {
    let mut state = state();
    apply(&mut state, |state| {
        decide(state, IssuedCommand::of_console(FleetCommand::CreateToken(token(1))), NOW).unwrap().changes
    });
    let site = join(&mut state, 1);
    (state, site)
}
