//! Which authorities of a server a site may trust: those that an authority which it trusts has certified.

use linecamp_model::{AuthoritySet, Pin, TrustedAuthority};
use rustls::pki_types::CertificateDer;

use super::x509::{self, CertificateFacts};

/// Returns the certificates of those authorities of `told` that are trusted or that a trusted one has certified, each
/// possibly through another one of the set.
pub(super) fn certified_authorities(trust: &[CertificateDer<'_>], told: &AuthoritySet) -> Vec<CertificateDer<'static>> {
    let key_of = |der: &[u8]| CertificateFacts::read(der).ok().map(|facts| facts.public_key);
    let mut keys: Vec<_> = trust.iter().filter_map(|der| key_of(der)).collect();
    let mut accepted = Vec::new();
    for _ in &told.authorities {
        accepted = told.authorities.iter().filter(|authority| is_certified(authority, &keys)).collect();
        keys.extend(accepted.iter().filter_map(|authority| key_of(&authority.certificate)));
    }
    accepted.into_iter().map(|authority| CertificateDer::from(authority.certificate.clone())).collect()
}

/// Whether an authority is one of the `trusted` keys, or one of them has certified it.
fn is_certified(authority: &TrustedAuthority, trusted: &[Vec<u8>]) -> bool {
    let Ok(facts) = CertificateFacts::read(&authority.certificate) else { return false };
    let is_certified_by = |cross: &Vec<u8>| {
        let is_for_key = CertificateFacts::read(cross).is_ok_and(|found| found.public_key == facts.public_key);
        is_for_key && trusted.iter().any(|key| x509::is_signed_with(cross, key))
    };
    let is_genuine = facts.is_self_signed && Pin::of(&facts.public_key) == authority.pin;
    is_genuine
        && (trusted.contains(&facts.public_key) || authority.cross_certificate.as_ref().is_some_and(is_certified_by))
}
