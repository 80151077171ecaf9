//! Exchanges messages with the server, and interprets its errors.

use domain::base::Rtype;
use domain::base::iana::Rcode;
use linecamp_provider::ExchangeError;
use linecamp_provider::prelude::*;

use crate::message::{self, Answer, Row};
use crate::{Settings, TSIG};

/// The server, for one call.
pub(crate) struct Server<'a> {
    pub(crate) config: &'a Settings,
    pub(crate) cx: &'a Context,
    pub(crate) zone: &'a str,
}

impl Server<'_> {
    /// Checks that the server is reachable and knows the key, as far as this can be told without a zone.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.exchange(&message::query("", Rtype::SOA)?) {
            // Many servers sign a REFUSED response. From one that does not, nothing is learned about the key yet.
            Err(ExchangeError::Tsig(words)) if !is_verdict(&words) => Ok(()),
            Err(error) => Err(self.untold(error)),
            Ok(_) => Ok(()),
        }
    }

    /// Queries the records of a name and type. A name that does not exist has none.
    pub(crate) fn ask(&self, name: &str, rtype: Rtype) -> Result<Lookup, Failure> {
        let answer = self.say(&message::query(name, rtype)?)?;
        match (answer.rcode, answer.is_authoritative) {
            (Rcode::NOERROR | Rcode::NXDOMAIN, true) => self.lookup(name, answer),
            (Rcode::NOERROR, false) => match answer.referral.filter(|below| self.is_below(below, name)) {
                Some(below) => Ok(Lookup::Elsewhere(Elsewhere::ZoneBelow(below))),
                None => Err(self.not_ours("answers without authority")),
            },
            (Rcode::SERVFAIL, _) => {
                Err(Failure::retry(format!("{} failed to answer for {name} (SERVFAIL)", self.config.server)))
            }
            (rcode, _) => Err(self.not_ours(&format!("answered {rcode}"))),
        }
    }

    /// Determines which zone an authoritative response is from.
    fn lookup(&self, name: &str, answer: Answer) -> Result<Lookup, Failure> {
        if let Some(owner) = answer.dname.as_deref().filter(|owner| *owner != name) {
            return match names::is_within(owner, self.zone) && names::is_within(name, owner) {
                true => Ok(Lookup::Elsewhere(Elsewhere::Dname(owner.to_owned()))),
                false => Err(self.not_ours(&format!("redirects {owner}"))),
            };
        }
        // After an alias, the SOA record is that of the alias target.
        let soa = answer.soa.as_deref().filter(|_| !answer.is_alias(name));
        match soa {
            Some(zone) if zone == self.zone => Ok(Lookup::Here { answer, is_told: true }),
            Some(below) if self.is_below(below, name) => Ok(Lookup::Elsewhere(Elsewhere::ZoneBelow(below.to_owned()))),
            Some(other) => Err(self.not_ours(&format!("answers for {name} from the zone {other}"))),
            None => Ok(Lookup::Here { answer, is_told: false }),
        }
    }

    /// Whether a zone starting at `below` contains the name and is below this zone.
    fn is_below(&self, below: &str, name: &str) -> bool {
        below != self.zone && names::is_within(below, self.zone) && names::is_within(name, below)
    }

    /// Queries the SOA records of the name and the names above it, for a name whose own records do not tell its zone.
    /// Returns from where the name is served if not from this zone.
    pub(crate) fn elsewhere(&self, name: &str) -> Result<Option<Elsewhere>, Failure> {
        let above = names::zone_cut_candidates(name, self.zone).chain([self.zone]);
        for at in above {
            match self.ask(at, Rtype::SOA)? {
                Lookup::Elsewhere(elsewhere) => return Ok(Some(elsewhere)),
                Lookup::Here { is_told: true, .. } => return Ok(None),
                // No zone starts at an alias, so the name above decides.
                Lookup::Here { answer, .. } if answer.is_alias(at) => {}
                Lookup::Here { .. } => break,
            }
        }
        let (server, zone) = (&self.config.server, self.zone);
        Err(Failure::retry(format!(
            "{server} does not say whether {name} lies in the zone {zone} itself: no SOA record"
        )))
    }

    /// Sends an update and returns its result.
    pub(crate) fn update(&self, prerequisites: &[Row], updates: &[Row]) -> Result<Ending, Failure> {
        let answer = self.say(&message::update(self.zone, prerequisites, updates)?)?;
        let (zone, server, key) = (self.zone, &self.config.server, &self.config.key_name);
        match answer.rcode {
            Rcode::NOERROR => Ok(Ending::Done),
            code @ (Rcode::YXDOMAIN | Rcode::YXRRSET | Rcode::NXDOMAIN | Rcode::NXRRSET) => Ok(Ending::Differs(code)),
            Rcode::REFUSED => Err(Failure::unauthorized(format!(
                "{server} knows the key `{key}` and does not let it change this in {zone} (REFUSED): allow it A, AAAA, \
                 CNAME and TXT records there"
            ))),
            Rcode::NOTAUTH => Err(self.not_ours("answered NOTAUTH")),
            Rcode::NOTZONE => {
                Err(Failure::refused(format!("{server} says that a name does not lie in {zone} (NOTZONE)")))
            }
            Rcode::SERVFAIL => Err(Failure::retry(format!("{server} failed to change {zone} (SERVFAIL)"))),
            code => Err(Failure::refused(format!(
                "{server} does not take this update of {zone}: {code}. Does it take dynamic updates at all?"
            ))),
        }
    }

    fn say(&self, message: &[u8]) -> Result<Answer, Failure> {
        match self.exchange(message) {
            Ok(answer) => message::read(&answer),
            Err(error) => Err(self.untold(error)),
        }
    }

    fn exchange(&self, message: &[u8]) -> Result<Vec<u8>, ExchangeError> {
        let tsig = Tsig {
            key_name: self.config.key_name.clone(),
            algorithm: self.config.algorithm.as_str().to_owned(),
            secret: TSIG.to_owned(),
        };
        self.cx.exchange(&self.config.server, message, Some(&tsig))
    }

    /// Returns the failure for an exchange without a response.
    fn untold(&self, error: ExchangeError) -> Failure {
        let server = &self.config.server;
        match error {
            // The clock gets set, by an operator or automatically; the credentials are correct.
            ExchangeError::Tsig(words) if words.starts_with("BADTIME") => Failure::retry(format!("{server}: {words}")),
            // Some servers do not sign an error response for a zone that they do not have.
            ExchangeError::Tsig(words) if !is_verdict(&words) && self.lacks_zone() => {
                self.not_ours(&format!("refuses it: {words}"))
            }
            error => Failure::from(error).within(server),
        }
    }

    /// Whether the server reports, to an unsigned query, that it does not have the zone. Used only to word a failure:
    /// the response is not signed and may be forged.
    fn lacks_zone(&self) -> bool {
        let Ok(question) = message::query(self.zone, Rtype::SOA) else { return false };
        let answer = self.cx.exchange(&self.config.server, &question, None);
        let answer = answer.ok().and_then(|answer| message::read(&answer).ok());
        answer.is_some_and(|answer| !answer.is_authoritative)
    }

    fn not_ours(&self, what: &str) -> Failure {
        let (zone, server) = (self.zone, &self.config.server);
        Failure::refused(format!(
            "{server} {what}: it is not the primary server of {zone}, or keeps the zone from the key `{}`",
            self.config.key_name
        ))
    }
}

/// The result of querying a name and type.
pub(crate) enum Lookup {
    /// The response; `is_told` if it proves that the name is in this zone and in none below.
    Here { answer: Answer, is_told: bool },
    /// The name is not served from the zone.
    Elsewhere(Elsewhere),
}

/// From where a name is served that is not served from the zone.
pub(crate) enum Elsewhere {
    /// From this zone, which is below.
    ZoneBelow(String),
    /// From the target of this name's DNAME record, which redirects all names below it.
    Dname(String),
}

impl Elsewhere {
    pub(crate) fn failure(&self, name: &str) -> Failure {
        match self {
            Self::ZoneBelow(zone) => Failure::in_zone_below(name, zone),
            Self::Dname(owner) => Failure::below_dname(name, owner),
        }
    }
}

/// The result of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The update was applied.
    Done,
    /// A prerequisite was not met, and nothing was changed.
    Differs(Rcode),
}

/// Whether the text is a TSIG error from the server, as opposed to a missing signature.
fn is_verdict(words: &str) -> bool {
    words.starts_with("BAD")
}
