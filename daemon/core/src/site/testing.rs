//! What the unit tests of a site's parts share.

use std::time::Duration;

use linecamp_model::{
    Generation, HostId, IdentityGrant, Incarnation, Instant, JoinSecret, JoinToken, MemberKind, Name, Now, Pin, RunId,
    ServerAddress, SessionId, SiteId, SiteOrigin, Text, TokenId, VersionRange, WallTime, Welcome,
};

use super::config::{PendingJoin, ServerSource, SiteConfig};
use super::effects::Effects;
use super::labels::EnvironmentLabels;
use super::output::SiteOutput;
use super::state::SiteState;
use crate::rng::Rng;

pub(super) const NOW: Now =
    Now { instant: Instant::after_origin(Duration::from_secs(1)), wall: WallTime::from_unix_millis(1_700_000_000_000) };

pub(super) const SITE: SiteId = SiteId::from_bytes([7; 16]);
pub(super) const GATEWAY: HostId = HostId::from_bytes([8; 16]);

/// Returns the effects of a site whose database is new.
pub(super) fn effects() -> Effects {
    let origin = SiteOrigin { status_incarnation: Incarnation(3), ..SiteOrigin::default() };
    Effects::new(SiteState { origin: Some(origin), ..SiteState::default() }, Rng::new(1))
}

/// Returns the configuration of a site with these servers, which may want to join.
pub(super) fn config(servers: Vec<ServerAddress>, can_join: bool) -> SiteConfig {
    let token = JoinToken {
        id: TokenId::from_bytes([1; 8]),
        secret: JoinSecret::from_bytes([2; 16]),
        pin: Pin::from_bytes([3; 32]),
    };
    SiteConfig {
        daemon_version: Text::lossy("1.0.0"),
        directory: Text::lossy("/d"),
        versions: VersionRange { min: 1, max: 1 },
        run: RunId::from_bytes([4; 8]),
        boot: None,
        servers: ServerSource::Configured(servers),
        labels: EnvironmentLabels::default(),
        join: can_join.then(|| PendingJoin {
            token,
            kind: MemberKind::Site,
            name: Name::parse("site").expect("a name"),
            site: None,
        }),
        providers: Vec::new(),
    }
}

/// Removes and returns all outputs, without notices of conditions.
pub(super) fn outputs(effects: &mut Effects) -> Vec<SiteOutput> {
    let outputs = std::iter::from_fn(|| effects.next_output());
    outputs.filter(|output| !matches!(output, SiteOutput::Condition { .. })).collect()
}

/// Returns the welcome of a server that holds nothing of the site.
pub(super) fn welcome() -> Welcome {
    Welcome {
        version: 1,
        session: SessionId(1),
        wall: NOW.wall,
        spec_incarnation: Incarnation(5),
        status_held: Generation::ZERO,
        events_held: 0,
        redial_spread: Duration::from_secs(1),
        observed_address: Text::lossy("192.0.2.1:1"),
        pending: false,
        gaps_stored: true,
    }
}

/// Returns a certificate from the server.
pub(super) fn grant() -> IdentityGrant {
    let name = |text| Name::parse(text).expect("a name");
    IdentityGrant {
        kind: MemberKind::Site,
        name: name("site"),
        environment: name("default"),
        site: SITE,
        host: GATEWAY,
        certificate: vec![1],
        gateway_chain: Vec::new(),
        authorities: vec![vec![2]],
    }
}
