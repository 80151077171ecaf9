//! Sends messages to the name server, and interprets its errors.

use domain::base::Rtype;
use domain::base::iana::Rcode;
use linecamp_provider::prelude::*;
use linecamp_provider::{DnsError, TsigCode};

use crate::message::{self, DnsResponse, UpdateRecord};
use crate::{Settings, TSIG};

/// The name server, for one call.
pub(crate) struct Server<'a> {
    pub(crate) config: &'a Settings,
    pub(crate) cx: &'a Context,
    pub(crate) zone: &'a str,
}

impl Server<'_> {
    /// Checks that the server is reachable and knows the key, as far as this can be proven without a zone.
    pub(crate) fn validate(&self) -> Result<(), ProviderError> {
        match self.send_signed(&message::query("", Rtype::SOA)?) {
            // Many servers sign a REFUSED response. From one that does not, nothing is learned about the key yet.
            Err(DnsError::Tsig { code: TsigCode::Unverified, .. }) => Ok(()),
            Err(error) => Err(self.send_error(error)),
            Ok(_) => Ok(()),
        }
    }

    /// Queries the records of a name and type. A name that does not exist has none.
    pub(crate) fn lookup(&self, name: &str, rtype: Rtype) -> Result<Lookup, ProviderError> {
        let response = self.query(&message::query(name, rtype)?)?;
        match (response.rcode, response.is_authoritative) {
            (Rcode::NOERROR | Rcode::NXDOMAIN, true) => self.classify(name, response),
            (Rcode::NOERROR, false) => match response.referral.filter(|child| self.is_below(child, name)) {
                Some(child) => Ok(Lookup::NotServed(NotServed::ChildZone(child))),
                None => Err(self.wrong_server("is not authoritative")),
            },
            (Rcode::SERVFAIL, _) => {
                Err(ProviderError::retry(format!("{} failed to resolve {name} (SERVFAIL)", self.config.server)))
            }
            (rcode, _) => Err(self.wrong_server(&format!("returned {rcode}"))),
        }
    }

    /// Determines which zone an authoritative response is from.
    fn classify(&self, name: &str, response: DnsResponse) -> Result<Lookup, ProviderError> {
        if let Some(owner) = response.dname.as_deref().filter(|owner| *owner != name) {
            return match names::is_within(owner, self.zone) && names::is_within(name, owner) {
                true => Ok(Lookup::NotServed(NotServed::Dname(owner.to_owned()))),
                false => Err(self.wrong_server(&format!("redirects {owner} with a DNAME record"))),
            };
        }
        // After an alias, the SOA record is that of the alias target.
        let soa = response.soa.as_deref().filter(|_| !response.is_alias(name));
        match soa {
            Some(zone) if zone == self.zone => Ok(Lookup::Here { response, is_proven: true }),
            Some(child) if self.is_below(child, name) => Ok(Lookup::NotServed(NotServed::ChildZone(child.to_owned()))),
            Some(other) => Err(self.wrong_server(&format!("serves {name} from the zone {other}"))),
            None => Ok(Lookup::Here { response, is_proven: false }),
        }
    }

    /// Whether a zone starting at `below` contains the name and is below this zone.
    fn is_below(&self, below: &str, name: &str) -> bool {
        below != self.zone && names::is_within(below, self.zone) && names::is_within(name, below)
    }

    /// Queries the SOA records of the name and the names above it, for a name whose own records do not tell its zone.
    /// Returns from where the name is served if not from this zone.
    pub(crate) fn not_served(&self, name: &str) -> Result<Option<NotServed>, ProviderError> {
        let above = names::zone_cut_candidates(name, self.zone).chain([self.zone]);
        for at in above {
            match self.lookup(at, Rtype::SOA)? {
                Lookup::NotServed(not_served) => return Ok(Some(not_served)),
                Lookup::Here { is_proven: true, .. } => return Ok(None),
                // No zone starts at an alias, so the name above decides.
                Lookup::Here { response, .. } if response.is_alias(at) => {}
                Lookup::Here { .. } => break,
            }
        }
        let (server, zone) = (&self.config.server, self.zone);
        Err(ProviderError::retry(format!(
            "{server} does not say whether {name} lies in the zone {zone} itself: no SOA record"
        )))
    }

    /// Sends an update and returns its result.
    pub(crate) fn update(
        &self,
        prerequisites: &[UpdateRecord],
        updates: &[UpdateRecord],
    ) -> Result<UpdateResult, ProviderError> {
        let response = self.query(&message::update(self.zone, prerequisites, updates)?)?;
        let (zone, server, key) = (self.zone, &self.config.server, &self.config.key_name);
        match response.rcode {
            Rcode::NOERROR => Ok(UpdateResult::Done),
            code @ (Rcode::YXDOMAIN | Rcode::YXRRSET | Rcode::NXDOMAIN | Rcode::NXRRSET) => {
                Ok(UpdateResult::PrerequisiteFailed(code))
            }
            Rcode::REFUSED => Err(ProviderError::unauthorized(format!(
                "{server} does not allow the key `{key}` to make this change in {zone} (REFUSED): grant the key A, \
                 AAAA, CNAME and TXT records"
            ))),
            Rcode::NOTAUTH => Err(self.wrong_server("returned NOTAUTH")),
            Rcode::NOTZONE => {
                Err(ProviderError::invalid(format!("{server} reports that a name is not in {zone} (NOTZONE)")))
            }
            Rcode::SERVFAIL => Err(ProviderError::retry(format!("{server} failed to change {zone} (SERVFAIL)"))),
            code => Err(ProviderError::invalid(format!(
                "{server} rejected the update of {zone}: {code}; are dynamic updates enabled there?"
            ))),
        }
    }

    fn query(&self, message: &[u8]) -> Result<DnsResponse, ProviderError> {
        match self.send_signed(message) {
            Ok(response) => message::read(&response),
            Err(error) => Err(self.send_error(error)),
        }
    }

    fn send_signed(&self, message: &[u8]) -> Result<Vec<u8>, DnsError> {
        let tsig = Tsig {
            key_name: self.config.key_name.clone(),
            algorithm: self.config.algorithm.as_str().to_owned(),
            secret: TSIG.to_owned(),
        };
        self.cx.send_dns(&self.config.server, message, Some(&tsig))
    }

    /// Returns the error for a message that got no valid response.
    fn send_error(&self, error: DnsError) -> ProviderError {
        let server = &self.config.server;
        match error {
            // The clock gets set, by an operator or automatically; the credentials are correct.
            DnsError::Tsig { code: TsigCode::BadTime, reason } => ProviderError::retry(format!("{server}: {reason}")),
            // Some servers do not sign an error response for a zone that they do not have.
            DnsError::Tsig { code: TsigCode::Unverified, reason } if self.lacks_zone() => {
                self.wrong_server(&format!("rejected the message: {reason}"))
            }
            error => ProviderError::from(error).context(server),
        }
    }

    /// Whether the server reports, to an unsigned query, that it does not have the zone. Used only for an error
    /// message: the response is not signed and may be forged.
    fn lacks_zone(&self) -> bool {
        let Ok(question) = message::query(self.zone, Rtype::SOA) else { return false };
        let response = self.cx.send_dns(&self.config.server, &question, None);
        let response = response.ok().and_then(|response| message::read(&response).ok());
        response.is_some_and(|response| !response.is_authoritative)
    }

    fn wrong_server(&self, what: &str) -> ProviderError {
        let (zone, server) = (self.zone, &self.config.server);
        ProviderError::invalid(format!(
            "{server} {what}: it is not the primary server of {zone}, or the key `{}` has no access to the zone",
            self.config.key_name
        ))
    }
}

/// The result of querying a name and type.
pub(crate) enum Lookup {
    /// The response; `is_proven` if it proves that the name is in this zone and in no child zone.
    Here { response: DnsResponse, is_proven: bool },
    /// The name is not served from the zone.
    NotServed(NotServed),
}

/// Where a name is served that is not served from the zone.
pub(crate) enum NotServed {
    /// In this child zone.
    ChildZone(String),
    /// At the target of this name's DNAME record, which redirects all names under it.
    Dname(String),
}

impl NotServed {
    pub(crate) fn error(&self, name: &str) -> ProviderError {
        match self {
            Self::ChildZone(zone) => ProviderError::in_child_zone(name, zone),
            Self::Dname(owner) => ProviderError::under_dname(name, owner),
        }
    }
}

/// The result of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpdateResult {
    /// The update was applied.
    Done,
    /// A prerequisite was not met, and nothing was changed.
    PrerequisiteFailed(Rcode),
}
