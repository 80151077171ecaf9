//! Gaps of a link: as reported, as noted by the site, and as the server keeps them.

use linecamp_model::{BootId, CauseTimes, GapCause, GapReport, LinkGap, LinkRecord};

use super::*;

/// A gap with two causes.
fn report(ended_at: Option<WallTime>) -> GapReport {
    GapReport {
        began_at: Some(WALL),
        ended_at,
        times: times(),
        refusal: Some(RefusalCode::StoreFailed),
        last_error: text("no route to server.example:8443"),
        merged: 2,
    }
}

pub(super) fn times() -> CauseTimes {
    let hour = Duration::from_secs(3600);
    [(GapCause::NoRoute, hour), (GapCause::PowerOff, hour / 2)].into_iter().collect()
}

pub(super) fn hello() -> Hello {
    Hello {
        versions: VersionRange { min: 1, max: 2 },
        run: RunId::from_bytes([0x55; 8]),
        daemon_version: text("0.1.0"),
        wall: LATER,
        spec_incarnation: Incarnation(0),
        spec_held: Generation(0),
        status_incarnation: Incarnation(0x7777_7777_7777_7777),
        facts: BTreeMap::new(),
        gaps: vec![report(Some(LATER)), GapReport { began_at: None, ..report(None) }],
        target: None,
    }
}

pub(super) fn welcome() -> Welcome {
    Welcome {
        version: 1,
        session: SessionId(101),
        wall: LATER,
        spec_incarnation: Incarnation(0x6666_6666_6666_6666),
        status_held: Generation(8),
        events_held: 41,
        redial_spread: Duration::from_secs(1),
        observed_address: text("192.0.2.7:51820"),
        pending: false,
        gaps_stored: true,
    }
}

pub(super) fn record() -> SiteChange {
    SiteChange::LinkRecord(Some(Box::new(LinkRecord {
        boot: Some(BootId([0x88; 16])),
        daemon_version: text("0.1.0"),
        noted_at: WALL,
        is_stopped: true,
        current: Some(report(None)),
        waiting: vec![report(Some(LATER))],
    })))
}

pub(super) fn gap() -> FleetChange {
    let gap = LinkGap {
        ended_at: LATER,
        times: times(),
        refusal: None,
        last_error: text("no route to server.example:8443"),
        merged: 0,
    };
    FleetChange::LinkGap(SITE, WALL, Some(gap))
}
