//! Constructors of test values from text, and of tokens.

use linecamp_model::{LabelInput, LabelKey, LabelPatch, Name, ServerAddress, TokenId};

use super::{DAY, Pair};
use crate::{FleetCommand, HostRef, NewToken, SiteRef};

/// Parses a label key, for tests.
pub fn key(text: &str) -> LabelKey {
    LabelKey::parse(text).expect("a story's key is valid")
}

/// Parses a name, for tests.
pub fn name(text: &str) -> Name {
    Name::parse(text).expect("a story's name is valid")
}

/// Parses server addresses, for tests.
pub fn addresses(texts: &[&str]) -> Vec<ServerAddress> {
    texts.iter().map(|text| ServerAddress::parse(text).expect("a story's address is valid")).collect()
}

/// Creates a reference to a site, for tests.
pub fn site_ref(text: &str) -> SiteRef {
    SiteRef { environment: None, name: name(text) }
}

/// Creates a patch from `k=v` and `k-`, for tests.
pub fn patch(changes: &[&str]) -> LabelPatch {
    let (remove, set): (Vec<&str>, Vec<&str>) = changes.iter().partition(|change| change.ends_with('-'));
    let set = LabelInput::parse_list(set).expect("a story's labels are valid").labels;
    LabelPatch { set, remove: remove.iter().map(|change| key(change.trim_end_matches('-'))).collect() }
}

/// Builds a reference to a host in any environment from `SITE/HOST` or `HOST`. Panics if invalid.
pub fn host_ref(text: &str) -> HostRef {
    let (site, host) = match text.split_once('/') {
        Some((site, host)) => (Some(name(site)), host),
        None => (None, text),
    };
    HostRef { environment: None, site, name: name(host) }
}

impl Pair {
    /// Recreates the story's join token as one that replaces the machine of a site.
    pub fn create_replacement_token(&mut self, site: SiteRef) {
        self.token.id = TokenId::from_bytes([0x77; 8]);
        let new = NewToken {
            id: self.token.id,
            secret: self.token.secret.hash(),
            environment: name("default"),
            ttl: DAY,
            uses: 1,
            labels: LabelPatch::default(),
            joins_as: crate::JoinsAs::Replacement(site),
        };
        self.operator(FleetCommand::CreateToken(new));
    }
}
