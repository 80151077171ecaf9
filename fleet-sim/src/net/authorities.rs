//! The server's certificate authorities, and what sites trust of them, without cryptography: a certificate of an
//! authority is its pin, and a cross-certificate the pin of the authority that made it.

use linecamp_model::{
    AuthorityRotation, AuthoritySet, IdentityGrant, KnownAuthorities, Pin, RotationPhase, RotationStep, Text,
    TrustedAuthority,
};

/// Bytes of the two times with which a certificate of a site begins; the pin of its issuer follows.
const VALIDITY_BYTES: usize = 16;

/// The authorities in the server's data directory.
#[derive(Debug)]
pub(super) struct Authorities {
    rotation: AuthorityRotation,
    made: u32,
}

/// What a site has stored.
#[derive(Clone, Debug, Default)]
pub(super) struct Trust {
    pub(super) known: KnownAuthorities,
    issuer: Option<Pin>,
}

fn authority(number: u32, by: Option<Pin>) -> TrustedAuthority {
    let pin = Pin::of(&number.to_be_bytes());
    TrustedAuthority {
        pin,
        certificate: pin.as_bytes().to_vec(),
        cross_certificate: by.map(|by| by.as_bytes().to_vec()),
    }
}

fn is_certified(authority: &TrustedAuthority, trusted: &[Pin]) -> bool {
    let is_by = |pin: &Pin| authority.cross_certificate.as_deref() == Some(pin.as_bytes().as_slice());
    trusted.contains(&authority.pin) || trusted.iter().any(is_by)
}

impl Authorities {
    pub(super) fn new() -> Self {
        let authorities = vec![authority(0, None)];
        Self { rotation: AuthorityRotation { phase: RotationPhase::Stable, authorities }, made: 0 }
    }

    pub(super) const fn rotation(&self) -> &AuthorityRotation {
        &self.rotation
    }

    pub(super) fn issuing(&self) -> Pin {
        self.rotation.authorities[0].pin
    }

    pub(super) fn rotate(&mut self, step: RotationStep) {
        let AuthorityRotation { phase, authorities } = &mut self.rotation;
        match step {
            RotationStep::Add => {
                self.made += 1;
                authorities.push(authority(self.made, Some(authorities[0].pin)));
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

    /// Whether a site accepts the server's certificate. A site that joins trusts the pin of its token.
    pub(super) fn are_accepted_by(&self, trust: &Trust) -> bool {
        let trusted = &trust.known.pins;
        let [issuing, ..] = &self.rotation.authorities[..] else { return false };
        trusted.is_empty()
            || is_certified(issuing, trusted)
            || self.rotation.authorities.iter().any(|found| trusted.contains(&found.pin))
    }

    /// Whether the server accepts the certificate of a site.
    pub(super) fn have_issued(&self, trust: &Trust) -> bool {
        self.rotation.authorities.iter().any(|found| Some(found.pin) == trust.issuer)
    }
}

impl Trust {
    /// Stores a certificate; with the first one, also the authorities.
    pub(super) fn handle_grant(&mut self, grant: &IdentityGrant, is_renewal: bool) {
        let pin = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).ok().map(Pin::from_bytes);
        self.issuer = grant.certificate.get(VALIDITY_BYTES..).and_then(pin);
        if !is_renewal {
            self.known.pins = grant.authorities.iter().filter_map(|der| pin(der)).collect();
        }
    }

    /// Returns the trusted authority that issued the certificate.
    pub(super) fn issuer(&self) -> Option<Pin> {
        self.issuer.filter(|pin| self.known.pins.contains(pin))
    }

    /// Stores the authorities of a set that a trusted one has certified.
    pub(super) fn save(&mut self, told: &AuthoritySet) -> Result<(KnownAuthorities, Option<Pin>), Text> {
        let mut trusted = self.known.pins.clone();
        for _ in &told.authorities {
            let certified = told.authorities.iter().filter(|found| is_certified(found, &trusted));
            trusted.extend(certified.map(|found| found.pin).collect::<Vec<_>>());
        }
        let pins: Vec<_> = told.pins().filter(|pin| trusted.contains(pin)).collect();
        if pins.is_empty() {
            return Err(Text::lossy("no trusted authority has certified one of them"));
        }
        self.known = KnownAuthorities { number: told.number, pins };
        Ok((self.known.clone(), self.issuer()))
    }
}
