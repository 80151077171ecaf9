//! Transfers: which files, by digest, a site may read from the server.

use linecamp_model::{PluginDigest, SiteId};

use super::placement::provider_specs;
use super::state::FleetState;

/// Whether a site may read the file with this digest: its spec names the file, and the server has it.
pub(super) fn may_read(state: &FleetState, site: SiteId, digest: &PluginDigest) -> bool {
    let is_named = state.sites.get(&site).is_some_and(|record| {
        // Today, only plugins are transferred.
        provider_specs(record).any(|(_, spec)| spec.plugin.digest.as_ref() == Some(digest))
    });
    is_named && state.plugins.contains_key(digest)
}
