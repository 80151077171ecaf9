//! The certificate authorities of a server: as it tells them to its sites, and what a site keeps of them.

use crate::digest::Pin;

/// A certificate authority of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedAuthority {
    /// The pin of its key.
    pub pin: Pin,
    /// Its self-signed certificate, DER.
    pub certificate: Vec<u8>,
    /// A certificate for its key from the authority before it, DER: a site that trusts that one can trust this one.
    /// The first authority of a server has none.
    pub cross_certificate: Option<Vec<u8>>,
}

/// The authorities of a server, as one numbered set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthoritySet {
    /// Rises with every change of the set at one server, starting with 1.
    pub number: u64,
    /// The authority that issues certificates, and at most one more
    /// ([`AUTHORITIES_PER_SET_MAX`](crate::limits::AUTHORITIES_PER_SET_MAX)).
    pub authorities: Vec<TrustedAuthority>,
}

impl AuthoritySet {
    /// Returns what a site that has stored this set keeps.
    pub fn known(&self) -> KnownAuthorities {
        KnownAuthorities { number: self.number, pins: self.pins().collect() }
    }

    /// Returns the pins of the authorities, the issuing one first.
    pub fn pins(&self) -> impl Iterator<Item = Pin> {
        self.authorities.iter().map(|authority| authority.pin)
    }
}

/// The set of authorities that a site has stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownAuthorities {
    /// The number of the set. Zero: the authorities came with the join.
    pub number: u64,
    /// The pins of those that are trusted, in the order of the set.
    pub pins: Vec<Pin>,
}

/// How far the replacement of a server's authority is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RotationPhase {
    /// The server has one authority.
    #[default]
    Stable,
    /// The next authority exists and is told to the sites. The current one issues all certificates.
    Added,
    /// The next authority issues all certificates. Those of the current one are still accepted.
    Switched,
}

/// The authorities of a server in its data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityRotation {
    /// How far a replacement is.
    pub phase: RotationPhase,
    /// The authority that issues certificates, then the other one if there are two.
    pub authorities: Vec<TrustedAuthority>,
}

impl AuthorityRotation {
    /// Returns the pin of the authority that replaces the current one.
    pub fn next(&self) -> Option<Pin> {
        let next = match self.phase {
            RotationPhase::Stable => None,
            RotationPhase::Added => self.authorities.get(1),
            RotationPhase::Switched => self.authorities.first(),
        };
        next.map(|authority| authority.pin)
    }
}

/// A step of the replacement of a server's authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationStep {
    /// Create the next authority.
    Add,
    /// Issue all certificates from the next authority.
    Switch,
    /// Drop the authority that the next one replaces.
    Retire,
    /// Drop the next authority before the switch.
    Abort,
}

/// What a site reports of a set of authorities that it has stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustReport {
    /// The number of the set.
    pub number: u64,
    /// Those of the set that it trusts: an authority that no trusted one has certified is left out.
    pub trust: SiteTrust,
}

/// The authorities that a site has stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteTrust {
    /// The pins of the authorities it trusts.
    pub trusted: Vec<Pin>,
    /// The authority that issued its stored certificate; `None` if it trusts another one, or none.
    pub issuer: Option<Pin>,
}
