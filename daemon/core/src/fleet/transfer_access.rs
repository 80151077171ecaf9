//! Transfers: which files, by digest, a site may read from the server.

use linecamp_model::{PluginDigest, SiteId};

use super::provider_assignment::provider_specs;
use super::state::FleetState;

/// Whether a site may read the file with this digest: its spec names the file, and the server has it.
pub(super) fn may_read(state: &FleetState, site: SiteId, digest: &PluginDigest) -> bool {
    let is_named = state.sites.get(&site).is_some_and(|record| {
        // Today, only plugins are transferred.
        provider_specs(record).any(|(_, spec)| spec.plugin.digest.as_ref() == Some(digest))
    });
    is_named && state.plugins.contains_key(digest)
}

#[cfg(test)]
mod tests {
    use linecamp_model::{Document, DocumentKey, FleetChange, PluginFile, ProviderId, SpecBody};

    use super::*;
    use crate::fleet::testing::{NOW, apply, digest, state_with_site};
    use crate::testing::name;

    #[test]
    fn a_site_reads_only_files_that_its_spec_names_and_the_server_has() {
        let (mut state, site) = state_with_site();
        assert!(!may_read(&state, site, &digest(1)), "its spec does not name it");
        apply(&mut state, |state| {
            let mut spec = crate::stories::provider();
            spec.plugin.digest = Some(digest(1));
            let key = DocumentKey::Provider(ProviderId::of(&spec.name));
            let generation = state.sites[&site].spec.head().next();
            let document = Document { generation, body: Some(SpecBody::Provider(Box::new(spec))) };
            vec![FleetChange::Spec(site, key, Some(document))]
        });
        assert!(!may_read(&state, site, &digest(1)), "the server does not have it");
        apply(&mut state, |_| {
            let file = |number| PluginFile { name: name(number), bytes: 1, pushed_at: NOW.wall, description: None };
            vec![FleetChange::Plugin(digest(1), Some(file("a"))), FleetChange::Plugin(digest(2), Some(file("b")))]
        });
        assert!(may_read(&state, site, &digest(1)));
        assert!(!may_read(&state, site, &digest(2)));
    }
}
