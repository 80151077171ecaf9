//! The server's certificate authorities in a story, and what the sites accept of them. A certificate of an authority is
//! the bytes of its pin; a cross-certificate those of the authority that made it.

use std::collections::BTreeMap;

use linecamp_model::{
    AuthorityRotation, AuthoritySet, IdentityGrant, KnownAuthorities, Pin, RotationPhase, RotationStep, SiteChange,
    Text, TrustedAuthority,
};

use super::{DiskFault, Pair};
use crate::{Force, SiteIdentity};

/// A copy of a site's disk: the database, the identity, the issuer of its certificate, and the authorities.
#[derive(Clone, Debug)]
pub struct DiskImage(BTreeMap<String, SiteChange>, Option<SiteIdentity>, Option<Pin>, KnownAuthorities);

/// Returns the authorities of a server that was just initialized.
pub(super) fn first_authority() -> AuthorityRotation {
    AuthorityRotation { phase: RotationPhase::Stable, authorities: vec![authority(b"ca", None)] }
}

fn authority(name: &[u8], by: Option<Pin>) -> TrustedAuthority {
    let pin = Pin::of(name);
    let cross_certificate = by.map(|by| by.as_bytes().to_vec());
    TrustedAuthority { pin, certificate: pin.as_bytes().to_vec(), cross_certificate }
}

/// Whether a site that trusts `trusted` accepts `authority`.
fn is_accepted(authority: &TrustedAuthority, trusted: &[Pin]) -> bool {
    let is_by = |by: &Pin| authority.cross_certificate.as_deref() == Some(by.as_bytes().as_slice());
    trusted.contains(&authority.pin) || trusted.iter().any(is_by)
}

/// Returns the pins that a grant names.
pub(super) fn granted(grant: &IdentityGrant) -> Vec<Pin> {
    let pin = |der: &Vec<u8>| <[u8; 32]>::try_from(der.as_slice()).ok().map(Pin::from_bytes);
    grant.authorities.iter().filter_map(pin).collect()
}

impl Pair {
    /// Performs a step of the replacement of the server's authority, as its data directory and its driver do.
    pub fn rotate(&mut self, step: RotationStep) {
        self.change_authorities(step);
        self.report_authorities();
    }

    /// Performs a step if the server allows it, and returns whether it did.
    pub fn try_rotate(&mut self, step: RotationStep) -> bool {
        let is_allowed = self.fleet.check_rotation(step, Force::No, self.server_now()) == Ok(true);
        if is_allowed {
            self.rotate(step);
        }
        is_allowed
    }

    /// Changes the data directory; the server's machine does not know yet.
    pub fn change_authorities(&mut self, step: RotationStep) {
        let AuthorityRotation { phase, authorities } = &mut self.authorities;
        match step {
            RotationStep::Add => {
                self.authorities_made += 1;
                let name = [b"next".as_slice(), &[self.authorities_made]].concat();
                authorities.push(authority(&name, Some(authorities[0].pin)));
                *phase = RotationPhase::Added;
            }
            RotationStep::Switch => {
                authorities.swap(0, 1);
                *phase = RotationPhase::Switched;
            }
            RotationStep::Retire | RotationStep::Abort => {
                authorities.truncate(1);
                *phase = RotationPhase::Stable;
            }
        }
    }

    /// Tells the server's machine which authorities are in its data directory.
    pub fn report_authorities(&mut self) {
        let now = self.server_now();
        self.fleet.handle_authorities(self.authorities.clone(), now);
    }

    /// Whether a site accepts a certificate that the server can present: the server presents one of the authorities
    /// that the site names, else that of the issuing authority, with the cross-certificate.
    pub(super) fn is_trusted_by(&self, index: usize) -> bool {
        let trusted = &self.nodes[index].authorities.pins;
        let authorities = &self.authorities.authorities;
        trusted.is_empty()
            || is_accepted(&authorities[0], trusted)
            || authorities.iter().any(|found| trusted.contains(&found.pin))
    }

    pub(super) fn authorities_saved(&mut self, index: usize, set: &AuthoritySet) {
        let at = self.now_at(index);
        let node = &mut self.nodes[index];
        let mut trusted = node.authorities.pins.clone();
        for _ in &set.authorities {
            let accepted = set.authorities.iter().filter(|found| is_accepted(found, &trusted)).map(|found| found.pin);
            trusted.extend(accepted.collect::<Vec<_>>());
        }
        let pins: Vec<_> = set.pins().filter(|pin| trusted.contains(pin)).collect();
        let saved = match (!pins.is_empty(), node.identity_disk_fault) {
            (false, _) => Err(Text::lossy("no trusted authority has certified it")),
            (true, DiskFault::Full | DiskFault::Tight) => Err(Text::lossy("no space left on device")),
            (true, DiskFault::Well) => {
                let issuer = node.issuer.filter(|pin| pins.contains(pin));
                node.authorities = KnownAuthorities { number: set.number, pins };
                Ok((node.authorities.clone(), issuer))
            }
        };
        node.site.handle_authorities_saved(saved, at);
    }

    /// Returns what a site has stored.
    pub fn stored_authorities(&self, index: usize) -> &KnownAuthorities {
        &self.nodes[index].authorities
    }

    /// Returns the authority that issued a site's stored certificate.
    pub fn certificate_issuer(&self, index: usize) -> Option<Pin> {
        self.nodes[index].saved_issuer
    }

    /// Returns how many sessions there have been.
    pub const fn sessions_so_far(&self) -> u64 {
        self.next_session.0
    }

    /// Returns a copy of a site's disk.
    pub fn disk_image(&self, index: usize) -> DiskImage {
        let node = &self.nodes[index];
        DiskImage(node.disk.clone(), node.saved_identity, node.saved_issuer, node.authorities.clone())
    }

    /// Restores a site's disk from a copy and restarts its daemon.
    pub fn restore_disk_image(&mut self, index: usize, image: DiskImage) {
        let node = &mut self.nodes[index];
        let DiskImage(disk, identity, issuer, authorities) = image;
        (node.disk, node.saved_identity, node.saved_issuer, node.authorities) = (disk, identity, issuer, authorities);
        self.crash_node(index);
    }
}
