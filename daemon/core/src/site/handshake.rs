//! The first message of a session.

use linecamp_model::{FromMember, GapReport, Hello, JoinRequest, Now};

use super::config::SiteConfig;
use super::documents::SiteDocuments;
use super::facts::FactCollection;
use super::output::Purpose;
use super::state::SiteState;

/// Returns the first message of a session: a request to join, or what the site is and holds.
pub(super) fn first_message(
    (purpose, config): (Purpose, &SiteConfig),
    (state, documents): (&SiteState, &SiteDocuments<'_>),
    (facts, gaps): (&FactCollection, Vec<GapReport>),
    now: Now,
) -> FromMember {
    let origin = state.origin.unwrap_or_default();
    match (purpose, &config.join) {
        (Purpose::Join, Some(pending_join)) => FromMember::Join(JoinRequest {
            versions: config.versions,
            token: pending_join.token.id,
            secret: pending_join.token.secret,
            kind: pending_join.kind,
            name: pending_join.name.clone(),
            site: pending_join.site.clone(),
            daemon_version: config.daemon_version.clone(),
        }),
        (Purpose::Join | Purpose::Link, _) => FromMember::Hello(Hello {
            versions: config.versions,
            run: config.run,
            daemon_version: config.daemon_version.clone(),
            wall: now.wall,
            spec_incarnation: origin.spec_incarnation,
            spec_held: state.spec.head(),
            status_incarnation: origin.status_incarnation,
            target: documents.target(),
            facts: facts.to_report(&documents.reported_facts()).unwrap_or_default(),
            gaps,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::testing::{NOW, config, effects};

    #[test]
    fn a_site_joins_once_and_then_sends_a_hello_with_its_state() {
        let (effects, facts) = (effects(), FactCollection::default());
        let state = effects.state();
        let inputs = (state, &SiteDocuments::new(state, None));
        let join = config(Vec::new(), true);
        assert!(matches!(
            first_message((Purpose::Join, &join), inputs, (&facts, Vec::new()), NOW),
            FromMember::Join(_)
        ));
        let FromMember::Hello(hello) = first_message((Purpose::Link, &join), inputs, (&facts, Vec::new()), NOW) else {
            panic!("a hello")
        };
        assert_eq!(Some(hello.status_incarnation), state.origin.map(|origin| origin.status_incarnation));
    }
}
