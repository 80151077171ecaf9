//! What a command acts on: a site or a host, as an operator names it and as it was found.

use std::fmt;

use linecamp_model::{DocumentKey, HostId, Life, Name, SiteId};

use super::site_record::SiteRecord;

/// Refers to a site by name, and by environment where the name alone is ambiguous.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteRef {
    /// Its environment; `None` to search all.
    pub environment: Option<Name>,
    /// Its name.
    pub name: Name,
}

impl fmt::Display for SiteRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)
    }
}

/// Refers to a host by name, and by site and environment where the name alone is ambiguous. The name of a host is
/// unique within its site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRef {
    /// Its environment; `None` to search all.
    pub environment: Option<Name>,
    /// The name of its site; `None` to search all.
    pub site: Option<Name>,
    /// Its name.
    pub name: Name,
}

impl fmt::Display for HostRef {
    /// Writes `SITE/HOST`, or the name if no site is given.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.site {
            Some(site) => write!(f, "{site}/{}", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}

/// Refers to a site or a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectRef {
    /// A site.
    Site(SiteRef),
    /// A host.
    Host(HostRef),
}

impl From<SiteRef> for SubjectRef {
    fn from(site: SiteRef) -> Self {
        Self::Site(site)
    }
}

impl From<HostRef> for SubjectRef {
    fn from(host: HostRef) -> Self {
        Self::Host(host)
    }
}

/// A site or a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// A site.
    Site(SiteId),
    /// A host of a site.
    Host(SiteId, HostId),
}

impl Subject {
    /// Returns a site and its hosts.
    pub(crate) fn all_of(site: SiteId, record: &SiteRecord) -> Vec<Self> {
        let hosts = record.hosts.keys().map(|host| Self::Host(site, *host));
        [Self::Site(site)].into_iter().chain(hosts).collect()
    }

    /// Returns the site, or the site of the host.
    pub(crate) const fn site(self) -> SiteId {
        match self {
            Self::Site(site) | Self::Host(site, _) => site,
        }
    }

    /// Returns the key of its documents.
    pub(crate) const fn document(self) -> DocumentKey {
        match self {
            Self::Site(_) => DocumentKey::Site,
            Self::Host(_, host) => DocumentKey::Host(host),
        }
    }

    /// Returns its current phase, with the phase's start and the spec generation that requested it. `record` is the
    /// record of its site.
    pub(crate) fn life(self, record: &SiteRecord) -> Option<Life> {
        match self {
            Self::Site(_) => record.registration.as_ref().map(|registration| registration.life),
            Self::Host(_, host) => record.hosts.get(&host).map(|host| host.life),
        }
    }

    /// Returns the noun for it.
    pub(crate) const fn noun(self) -> &'static str {
        match self {
            Self::Site(_) => "site",
            Self::Host(..) => "host",
        }
    }

    /// Returns its noun, and the name of a host: for a text that belongs to its site. `record` is the record of its
    /// site.
    pub(crate) fn noun_in_site(self, record: &SiteRecord) -> String {
        match self {
            Self::Site(_) => self.noun().to_owned(),
            Self::Host(_, host) => {
                format!("{} {}", self.noun(), record.host_spec(host).map_or("?", |spec| spec.name.as_str()))
            }
        }
    }

    /// Returns its noun and its address. `record` is the record of its site.
    pub(crate) fn describe(self, record: &SiteRecord) -> String {
        format!("{} {}", self.noun(), self.address(record))
    }

    /// Returns its address: `SITE`, or `SITE/HOST`. `record` is the record of its site.
    pub(crate) fn address(self, record: &SiteRecord) -> String {
        let site = record.site_spec().map_or("?", |spec| spec.name.as_str());
        match self {
            Self::Site(_) => site.to_owned(),
            Self::Host(_, host) => {
                let host = record.host_spec(host).map_or("?", |spec| spec.name.as_str());
                format!("{site}/{host}")
            }
        }
    }
}
