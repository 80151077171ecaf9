//! A host on the command line: `HOST`, or `SITE/HOST` where several sites have a host of that name.

use std::fmt;
use std::str::FromStr;

use linecamp_model::{Name, NameError};
use linecamp_proto::api::query::{HostNameQuery, HostRemoveQuery};

use crate::context::Context;

/// A host, by name and optionally by site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostArg {
    /// The name of its site.
    site: Option<Name>,
    /// Its name.
    pub(crate) name: Name,
}

/// Why an argument does not address a host.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HostArgError {
    /// More than one slash.
    #[error("more than one `/`: expected HOST or SITE/HOST")]
    ManySlashes,
    /// Nothing before the slash.
    #[error("no site before `/`: expected HOST or SITE/HOST")]
    NoSite,
    /// Nothing after the slash.
    #[error("no host after `/`: expected HOST or SITE/HOST")]
    NoHost,
    /// The site's name is invalid.
    #[error("site: {0}")]
    Site(NameError),
    /// The host's name is invalid.
    #[error("host: {0}")]
    Host(NameError),
}

impl HostArg {
    /// Returns the query that selects the host among those of the same name.
    pub(crate) fn query(&self, context: &Context<'_>) -> HostNameQuery {
        HostNameQuery { environment: context.environment_text(), site: self.site.as_ref().map(ToString::to_string) }
    }
}

impl HostArg {
    /// Returns the query that selects the host to remove.
    pub(crate) fn remove_query(&self, force: bool, context: &Context<'_>) -> HostRemoveQuery {
        let HostNameQuery { environment, site } = self.query(context);
        HostRemoveQuery { environment, site, force }
    }
}

impl FromStr for HostArg {
    type Err = HostArgError;

    fn from_str(text: &str) -> Result<Self, HostArgError> {
        let (site, host) = match text.split_once('/') {
            None => (None, text),
            Some((_, host)) if host.contains('/') => return Err(HostArgError::ManySlashes),
            Some(("", _)) => return Err(HostArgError::NoSite),
            Some((_, "")) => return Err(HostArgError::NoHost),
            Some((site, host)) => (Some(Name::parse(site).map_err(HostArgError::Site)?), host),
        };
        Ok(Self { site, name: Name::parse(host).map_err(HostArgError::Host)? })
    }
}

impl fmt::Display for HostArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.site {
            Some(site) => write!(f, "{site}/{}", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_given_with_its_site_or_without() {
        for (text, site) in [("box-1", None), ("camp-042/box-1", Some("camp-042"))] {
            let host: HostArg = text.parse().unwrap();
            assert_eq!((host.site.as_ref().map(Name::as_str), host.name.as_str()), (site, "box-1"));
            assert_eq!(host.to_string(), text);
        }
    }

    #[test]
    fn an_invalid_address_is_reported_with_the_part_that_is_wrong() {
        for (text, expected) in [
            ("a/b/c", "more than one `/`: expected HOST or SITE/HOST"),
            ("//", "more than one `/`: expected HOST or SITE/HOST"),
            ("/box-1", "no site before `/`: expected HOST or SITE/HOST"),
            ("camp-042/", "no host after `/`: expected HOST or SITE/HOST"),
            ("/", "no site before `/`: expected HOST or SITE/HOST"),
            ("Camp/box-1", "site: a name has only a-z, 0-9 and `-`: column 1 is `C`"),
            ("camp-042/box_1", "host: a name has only a-z, 0-9 and `-`: column 4 is `_`"),
            ("", "host: a name cannot be empty"),
        ] {
            assert_eq!(text.parse::<HostArg>().unwrap_err().to_string(), expected, "{text}");
        }
    }
}
