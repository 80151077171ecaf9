//! What a request is about: a site, or the host it runs on.

use linecamp_model::{Life, Name, Registration};

/// Names a site or a host: by its name, and by its environment where the name alone is not enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteRef {
    /// Its environment; `None` for whichever has it.
    pub environment: Option<Name>,
    /// Its name.
    pub name: Name,
}

/// Which of the two a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The site.
    Site,
    /// Its gateway host.
    Gateway,
}

impl Subject {
    /// Returns where the subject is in its life.
    pub(crate) const fn life(self, registration: &Registration) -> Life {
        match self {
            Self::Site => registration.life,
            Self::Gateway => registration.gateway,
        }
    }

    /// Returns the subject as one word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Gateway => "host",
        }
    }
}
