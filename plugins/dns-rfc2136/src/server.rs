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
    pub(crate) fn ask(&self, name: &str, rtype: Rtype) -> Result<Answer, Failure> {
        let answer = self.say(&message::query(name, rtype)?)?;
        let (zone, server) = (self.zone, &self.config.server);
        match (answer.rcode, answer.is_authoritative) {
            (Rcode::NOERROR | Rcode::NXDOMAIN, true) => Ok(answer),
            (Rcode::NOERROR, false) => match answer.referral.as_deref().filter(|below| *below != zone) {
                Some(below) => Err(Failure::refused(format!(
                    "{server} leaves {below} to other name servers, and with it {name}; it is not in the zone {zone}"
                ))
                .name(name)),
                None => Err(self.not_ours("answers without authority")),
            },
            (Rcode::SERVFAIL, _) => Err(Failure::retry(format!("{server} failed to answer for {name} (SERVFAIL)"))),
            (rcode, _) => Err(self.not_ours(&format!("answered {rcode}"))),
        }
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
