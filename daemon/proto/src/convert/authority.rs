//! The certificate authorities of a server.

use linecamp_model::limits::AUTHORITIES_PER_SET_MAX;
use linecamp_model::{AuthoritySet, FleetAuthorities, Pin, SiteTrust, TrustReport, TrustedAuthority, WallTime};

use crate::convert::field::{bytes, count, counter, list, message};
use crate::convert::message::check_certificate;
use crate::convert::{FieldError, Wire};
use crate::wire::{link::v1 as link, record::v1 as record};

impl Wire for link::AuthoritySet {
    type Model = AuthoritySet;

    fn from_model(set: &AuthoritySet) -> Self {
        Self {
            number: set.number,
            authorities: set.authorities.iter().map(link::TrustedAuthority::from_model).collect(),
        }
    }

    fn into_model(self) -> Result<AuthoritySet, FieldError> {
        let set = AuthoritySet {
            number: set_number(self.number)?,
            authorities: list("authorities", self.authorities, AUTHORITIES_PER_SET_MAX)?,
        };
        if set.authorities.is_empty() {
            return Err(FieldError::new("authorities", "is empty: nobody would be trusted"));
        }
        check_unique("authorities", &set.pins().collect::<Vec<_>>())?;
        Ok(set)
    }
}

impl Wire for link::TrustedAuthority {
    type Model = TrustedAuthority;

    fn from_model(authority: &TrustedAuthority) -> Self {
        Self {
            pin: authority.pin.as_bytes().to_vec(),
            certificate: authority.certificate.clone(),
            cross_certificate: authority.cross_certificate.clone(),
        }
    }

    fn into_model(self) -> Result<TrustedAuthority, FieldError> {
        check_certificate("certificate", &self.certificate)?;
        if let Some(cross) = &self.cross_certificate {
            check_certificate("cross_certificate", cross)?;
        }
        Ok(TrustedAuthority {
            pin: pin("pin", &self.pin)?,
            certificate: self.certificate,
            cross_certificate: self.cross_certificate,
        })
    }
}

impl Wire for link::TrustReport {
    type Model = TrustReport;

    fn from_model(report: &TrustReport) -> Self {
        Self { number: report.number, trust: Some(link::SiteTrust::from_model(&report.trust)) }
    }

    fn into_model(self) -> Result<TrustReport, FieldError> {
        Ok(TrustReport { number: set_number(self.number)?, trust: message("trust", self.trust)? })
    }
}

impl Wire for record::Authorities {
    type Model = FleetAuthorities;

    fn from_model(found: &FleetAuthorities) -> Self {
        Self { set: Some(link::AuthoritySet::from_model(&found.set)), since_millis: found.since.unix_millis() }
    }

    fn into_model(self) -> Result<FleetAuthorities, FieldError> {
        Ok(FleetAuthorities { set: message("set", self.set)?, since: WallTime::from_unix_millis(self.since_millis) })
    }
}

impl Wire for link::SiteTrust {
    type Model = SiteTrust;

    fn from_model(trust: &SiteTrust) -> Self {
        Self {
            trusted: trust.trusted.iter().map(|pin| pin.as_bytes().to_vec()).collect(),
            issuer: trust.issuer.map(|pin| pin.as_bytes().to_vec()),
        }
    }

    fn into_model(self) -> Result<SiteTrust, FieldError> {
        count("trusted", self.trusted.len(), AUTHORITIES_PER_SET_MAX)?;
        let trusted: Vec<_> = self.trusted.iter().map(|found| pin("trusted", found)).collect::<Result<_, _>>()?;
        check_unique("trusted", &trusted)?;
        Ok(SiteTrust { trusted, issuer: issuer(self.issuer.as_deref())? })
    }
}

fn set_number(found: u64) -> Result<u64, FieldError> {
    match counter("number", found)? {
        0 => Err(FieldError::new("number", "sets are numbered from 1")),
        number => Ok(number),
    }
}

fn pin(name: &str, found: &[u8]) -> Result<Pin, FieldError> {
    bytes(name, found).map(Pin::from_bytes)
}

fn issuer(found: Option<&[u8]>) -> Result<Option<Pin>, FieldError> {
    found.map(|found| pin("issuer", found)).transpose()
}

fn check_unique(name: &str, pins: &[Pin]) -> Result<(), FieldError> {
    let is_repeated = |(index, pin): (usize, &Pin)| pins[..index].contains(pin);
    match pins.iter().enumerate().any(is_repeated) {
        true => Err(FieldError::new(name, "names an authority twice")),
        false => Ok(()),
    }
}
