//! What a site with the production transport stores of its server's certificate authorities.

use std::sync::Arc;

use linecamp_model::{AuthoritySet, KnownAuthorities, Pin, Text};
use linecampd::for_simulator::Credentials;

/// Stores what a site accepts of a set; returns what is stored, and which of it issued the site's certificate.
pub(super) fn save_authorities(
    credentials: &mut Credentials,
    told: &AuthoritySet,
) -> Result<(KnownAuthorities, Option<Pin>), Text> {
    let Credentials::Member(member) = &*credentials else { return Err(Text::lossy("not a member")) };
    let member = member.with_authorities(None, told).map_err(|error| Text::lossy(&error.to_string()))?;
    *credentials = Credentials::Member(Arc::new(member));
    Ok(stored_authorities(credentials))
}

/// Returns what a site has stored, and which of it issued its certificate.
pub(super) fn stored_authorities(credentials: &Credentials) -> (KnownAuthorities, Option<Pin>) {
    match credentials {
        Credentials::Member(member) => (member.authorities(), member.issuer()),
        Credentials::Joining(..) => (KnownAuthorities::default(), None),
    }
}
