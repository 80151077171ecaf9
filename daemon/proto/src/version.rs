//! The versions of the link's protocol.
//!
//! | version | since | what a peer of it understands |
//! |---|---|---|
//! | 1 | 2026-11-22 | join, hello, recover; spec down, status up, deltas and snapshots, in parts; events; renewal; probe; providers and plugins |
//!
//! Both peers send the range they speak in their first message. The session uses the newest version in both ranges. The
//! server speaks its own version and the one before.

use linecamp_model::VersionRange;

/// The versions this build speaks.
pub const VERSIONS: VersionRange = VersionRange { min: 1, max: 1 };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::Wire as _;
    use crate::wire::link::v1 as wire;

    #[test]
    fn this_build_accepts_its_own_version_range() {
        assert!(wire::VersionRange::from_model(&VERSIONS).into_model().is_ok());
    }
}
