//! Talking to the server, and what its refusals mean.

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
    /// Says whether it is there and knows the key, as far as it tells without a zone.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.exchange(&message::query("", Rtype::SOA)?) {
            // Many sign a refusal; some do not, and then nothing is known of the key yet.
            Err(ExchangeError::Tsig(words)) if !is_verdict(&words) => Ok(()),
            Err(error) => Err(self.untold(error)),
            Ok(_) => Ok(()),
        }
    }

    /// Asks for the records of a name and type; of a name that is not there, there are none.
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

    /// Takes an answer with authority, and says of which zone it is.
    fn lookup(&self, name: &str, answer: Answer) -> Result<Lookup, Failure> {
        if let Some(owner) = answer.dname.as_deref().filter(|owner| *owner != name) {
            return match names::is_within(owner, self.zone) && names::is_within(name, owner) {
                true => Ok(Lookup::Elsewhere(Elsewhere::Dname(owner.to_owned()))),
                false => Err(self.not_ours(&format!("redirects {owner}"))),
            };
        }
        // Behind an alias, the answer is about what it leads to.
        let soa = answer.soa.as_deref().filter(|_| !answer.is_alias(name));
        match soa {
            Some(zone) if zone == self.zone => Ok(Lookup::Here { answer, is_told: true }),
            Some(below) if self.is_below(below, name) => Ok(Lookup::Elsewhere(Elsewhere::ZoneBelow(below.to_owned()))),
            Some(other) => Err(self.not_ours(&format!("answers for {name} from the zone {other}"))),
            None => Ok(Lookup::Here { answer, is_told: false }),
        }
    }

    /// Whether a zone that begins at `below` holds the name and lies below the zone.
    fn is_below(&self, below: &str, name: &str) -> bool {
        below != self.zone && names::is_within(below, self.zone) && names::is_within(name, below)
    }

    /// Asks for the closest zone above a name, where its own records do not tell. Says from where the name is served;
    /// `None`: from the zone.
    pub(crate) fn elsewhere(&self, name: &str) -> Result<Option<Elsewhere>, Failure> {
        let above = names::zone_cut_candidates(name, self.zone).chain([self.zone]);
        for at in above {
            match self.ask(at, Rtype::SOA)? {
                Lookup::Elsewhere(elsewhere) => return Ok(Some(elsewhere)),
                Lookup::Here { is_told: true, .. } => return Ok(None),
                // No zone begins at an alias: the one above it is the one.
                Lookup::Here { answer, .. } if answer.is_alias(at) => {}
                Lookup::Here { .. } => break,
            }
        }
        let (server, zone) = (&self.config.server, self.zone);
        Err(Failure::retry(format!(
            "{server} does not say whether {name} lies in the zone {zone} itself: no SOA record"
        )))
    }

    /// Sends an update and returns how it ended.
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

    /// Says why there is no answer.
    fn untold(&self, error: ExchangeError) -> Failure {
        let server = &self.config.server;
        match error {
            // A clock is set by somebody or by itself; the credentials are right.
            ExchangeError::Tsig(words) if words.starts_with("BADTIME") => Failure::retry(format!("{server}: {words}")),
            // Some servers do not sign what they refuse for want of the zone.
            ExchangeError::Tsig(words) if !is_verdict(&words) && self.lacks_zone() => {
                self.not_ours(&format!("refuses it: {words}"))
            }
            error => Failure::from(error).within(server),
        }
    }

    /// Whether the server says, to whoever asks, that it does not have the zone. For the words of a failure only: the
    /// answer is not signed, and could be anybody's.
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

/// What the server says of a name and type.
pub(crate) enum Lookup {
    /// What it answered; `is_told` if it said that the answer is from the zone, and from none below.
    Here { answer: Answer, is_told: bool },
    /// The name is not served from the zone.
    Elsewhere(Elsewhere),
}

/// From where a name is served that is not served from the zone.
pub(crate) enum Elsewhere {
    /// From this zone, which lies below.
    ZoneBelow(String),
    /// From where the DNAME record of this name redirects all below it.
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

/// How an update ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It is done.
    Done,
    /// A prerequisite does not hold, and nothing is changed.
    Differs(Rcode),
}

/// Whether the words are what a server says of a signature, and not that there is none.
fn is_verdict(words: &str) -> bool {
    words.starts_with("BAD")
}
