//! What the unit tests of a site's parts share.

use std::time::Duration;

use linecamp_model::{
    Generation, IdentityGrant, Incarnation, Instant, Name, Now, SessionId, SiteId, SiteOrigin, Text, WallTime, Welcome,
};

use super::effects::Effects;
use super::output::SiteOutput;
use super::state::SiteState;
use crate::rng::Rng;

pub(super) const NOW: Now =
    Now { instant: Instant::after_origin(Duration::from_secs(1)), wall: WallTime::from_unix_millis(1_700_000_000_000) };

pub(super) const SITE: SiteId = SiteId::from_bytes([7; 16]);

/// Returns the effects of a site whose database is new.
pub(super) fn effects() -> Effects {
    let origin = SiteOrigin { status_incarnation: Incarnation(3), ..SiteOrigin::default() };
    Effects::new(SiteState { origin: Some(origin), ..SiteState::default() }, Rng::new(1))
}

/// Removes and returns all outputs.
pub(super) fn outputs(effects: &mut Effects) -> Vec<SiteOutput> {
    std::iter::from_fn(|| effects.next_output()).collect()
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
    }
}

/// Returns a certificate from the server.
pub(super) fn grant() -> IdentityGrant {
    let name = |text| Name::parse(text).expect("a name");
    IdentityGrant { name: name("site"), environment: name("default"), certificate: vec![1], authorities: vec![vec![2]] }
}
