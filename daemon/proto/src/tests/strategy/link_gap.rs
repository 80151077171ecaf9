//! Gaps of links.

use linecamp_model::{BootId, CauseTimes, GapCause, GapReport, LinkGap, LinkRecord, RefusalCode, link_error};

use super::*;

fn times() -> impl Strategy<Value = CauseTimes> {
    vec((select(GapCause::ALL), duration()), 0..6).prop_map(|times| times.into_iter().collect())
}

fn refusal() -> impl Strategy<Value = Option<RefusalCode>> {
    option::of(select(RefusalCode::ALL))
}

/// A gap as a site reports it.
pub(crate) fn report() -> impl Strategy<Value = GapReport> {
    (option::of(wall()), option::of(wall()), times(), refusal(), text(), any::<u32>()).prop_map(
        |(began_at, ended_at, times, refusal, error, merged)| GapReport {
            began_at,
            ended_at,
            times,
            refusal,
            last_error: link_error(&error),
            merged,
        },
    )
}

/// A gap as the server keeps it.
pub(crate) fn gap() -> impl Strategy<Value = LinkGap> {
    (wall(), times(), refusal(), text(), any::<u32>()).prop_map(|(ended_at, times, refusal, error, merged)| LinkGap {
        ended_at,
        times,
        refusal,
        last_error: link_error(&error),
        merged,
    })
}

/// What a site notes of its link.
pub(crate) fn record() -> impl Strategy<Value = LinkRecord> {
    let boot = option::of(uniform16(any::<u8>()).prop_map(BootId));
    (boot, text(), wall(), any::<bool>(), option::of(report()), vec(report(), 0..4)).prop_map(
        |(boot, daemon_version, noted_at, is_stopped, current, waiting)| LinkRecord {
            boot,
            daemon_version,
            noted_at,
            is_stopped,
            current,
            waiting,
        },
    )
}
