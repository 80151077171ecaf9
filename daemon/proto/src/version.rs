//! The versions of the link's protocol.
//!
//! | version | since | what a peer of it understands |
//! |---|---|---|
//! | 1 | 2026-11-22 | join, hello, recover; spec down, status up, deltas and snapshots; events; renewal; probe; providers and plugins |
//!
//! Both peers name the range they speak in their first message, and the newest version in both ranges is spoken on
//! that session. The server speaks its own version and the one before.

use linecamp_model::VersionRange;

/// What this build speaks.
pub const VERSIONS: VersionRange = VersionRange { min: 1, max: 1 };
