//! Whose authority it is, and the names in its leaf that follow from that.
//!
//! The file `names` of a server's authority has the names of the server, one per line, without the internal name that
//! every server has. That of a gateway's authority has one line, `Site: ` and the ID of its site. No DNS name contains
//! a space, so neither is loaded as the other.

use std::net::IpAddr;
use std::path::Path;

use linecamp_model::{MemberKind, SiteId};
use rcgen::SanType;

use super::x509::{GATEWAY_NAME, SERVER_NAME, gateway_name};
use crate::error::TransportError;

/// Maximum names that are added to those in the directory. Beyond that, the oldest one leaves the next certificate.
const ADDED_NAMES_MAX: usize = 8;

const SITE_LINE: &str = "Site: ";

/// Whose authority it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AuthorityOf {
    /// A server: the authority issues the certificates of sites and of the server.
    Server,
    /// The gateway of this site: the authority issues the certificates of hosts and of the gateway.
    Gateway(SiteId),
}

impl AuthorityOf {
    /// Returns what the operator has to do about an unusable file.
    pub(super) const fn remedy(self) -> &'static str {
        match self {
            Self::Server => "restore the `ca` directory from a backup",
            Self::Gateway(_) => "restore its directory from a backup, or remove it to start with a new authority",
        }
    }

    /// Returns the error for an unusable file.
    pub(super) fn corrupt(self, path: &Path, problem: String) -> TransportError {
        TransportError::Corrupt { path: path.to_owned(), problem, remedy: self.remedy().to_owned() }
    }

    /// Returns who trusts it.
    pub(super) const fn members(self) -> MemberKind {
        match self {
            Self::Server => MemberKind::Site,
            Self::Gateway(_) => MemberKind::Host,
        }
    }
}

/// The names in the leaf.
#[derive(Debug)]
pub(super) struct LeafNames {
    of: AuthorityOf,
    /// The internal names come first.
    fixed: Vec<SanType>,
    added: Vec<SanType>,
}

impl LeafNames {
    /// Returns the names of a server that also has these `names`.
    pub(super) fn of_server<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self, TransportError> {
        let fixed = std::iter::once(SERVER_NAME).chain(names).map(parse_name).collect::<Result<_, _>>()?;
        Ok(Self { of: AuthorityOf::Server, fixed, added: Vec::new() })
    }

    /// Returns the names of the gateway of `site`.
    pub(super) fn of_gateway(site: SiteId) -> Self {
        let fixed = [GATEWAY_NAME, &gateway_name(site)].map(|name| parse_name(name).expect("it is a DNS name"));
        Self { of: AuthorityOf::Gateway(site), fixed: fixed.into(), added: Vec::new() }
    }

    /// Reads the content of the file `names` of such an authority.
    pub(super) fn parse(of: AuthorityOf, text: &str) -> Result<Self, String> {
        match of {
            AuthorityOf::Server => {
                let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
                Self::of_server(lines).map_err(|error| error.to_string())
            }
            AuthorityOf::Gateway(site) if text == site_line(site) => Ok(Self::of_gateway(site)),
            AuthorityOf::Gateway(site) => Err(format!("it is not of the gateway of site {site}")),
        }
    }

    /// Returns all names.
    pub(super) fn all(&self) -> Vec<SanType> {
        self.fixed.iter().chain(&self.added).cloned().collect()
    }

    /// Returns the common name of the leaf. Nothing verifies it.
    pub(super) const fn common_name(&self) -> &'static str {
        match self.of {
            AuthorityOf::Server => SERVER_NAME,
            AuthorityOf::Gateway(_) => GATEWAY_NAME,
        }
    }

    /// Adds a name to those of a server. Returns whether it is new.
    pub(super) fn add(&mut self, name: &str) -> Result<bool, TransportError> {
        if let AuthorityOf::Gateway(_) = self.of {
            return Err(TransportError::FixedNames { name: name.to_owned() });
        }
        let name = parse_name(name)?;
        if self.fixed.contains(&name) || self.added.contains(&name) {
            return Ok(false);
        }
        self.added.push(name);
        if ADDED_NAMES_MAX < self.added.len() {
            self.added.remove(0);
        }
        Ok(true)
    }
}

/// Returns the content of the file `names` of a server's authority.
pub(super) fn name_lines(names: &[String]) -> String {
    names.join("\n") + "\n"
}

/// Returns the content of the file `names` of a gateway's authority.
pub(super) fn site_line(site: SiteId) -> String {
    format!("{SITE_LINE}{site}\n")
}

fn parse_name(name: &str) -> Result<SanType, TransportError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let bad = || TransportError::BadName { name: name.to_owned() };
    rustls::pki_types::DnsName::try_from(name).map_err(|_| bad())?;
    Ok(SanType::DnsName(name.try_into().map_err(|_| bad())?))
}
