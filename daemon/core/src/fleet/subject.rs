//! The subject of a command: a site or its gateway host.

use linecamp_model::{Life, Name};

use super::site_record::SiteRecord;

/// Refers to a site or a host by name, and by environment where the name alone is ambiguous.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteRef {
    /// Its environment; `None` to search all.
    pub environment: Option<Name>,
    /// Its name.
    pub name: Name,
}

/// The kind of subject a command refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The site.
    Site,
    /// Its gateway host.
    Gateway,
}

impl Subject {
    /// Returns the subject's current phase, with its start and the spec generation that requested it.
    pub(crate) fn life(self, record: &SiteRecord) -> Option<Life> {
        let registration = record.registration.as_ref()?;
        match self {
            Self::Site => Some(registration.life),
            Self::Gateway => record.hosts.get(&registration.gateway).map(|host| host.life),
        }
    }

    /// Returns the subject's name in messages.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Gateway => "host",
        }
    }
}
