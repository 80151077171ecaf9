//! The first message of a session.

use linecamp_model::{FromSite, Hello, JoinRequest, Now};

use super::config::SiteConfig;
use super::documents::SiteDocuments;
use super::facts::FactCollection;
use super::state::SiteState;
use super::uplink::Purpose;

/// Returns the first message of a session: a request to join, or what the site is and holds.
pub(super) fn first_message(
    (purpose, config): (Purpose, &SiteConfig),
    (state, documents): (&SiteState, &SiteDocuments<'_>),
    facts: &FactCollection,
    now: Now,
) -> FromSite {
    let origin = state.origin.unwrap_or_default();
    match (purpose, &config.join) {
        (Purpose::Join, Some(wish)) => FromSite::Join(JoinRequest {
            versions: config.versions,
            token: wish.token.id,
            secret: wish.token.secret,
            name: wish.name.clone(),
            daemon_version: config.daemon_version.clone(),
        }),
        (Purpose::Join | Purpose::Link, _) => FromSite::Hello(Hello {
            versions: config.versions,
            run: config.run,
            daemon_version: config.daemon_version.clone(),
            wall: now.wall,
            spec_incarnation: origin.spec_incarnation,
            spec_held: state.spec.head(),
            status_incarnation: origin.status_incarnation,
            facts: facts.to_report(&documents.reported_facts()).unwrap_or_default(),
        }),
    }
}
