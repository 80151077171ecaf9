//! DNS messages of plugins, each exchanged with one granted server.

use std::time::SystemTime;

use bytes::Bytes;
use ring::rand::{SecureRandom as _, SystemRandom};

use super::dns::{is_answer, is_question};
use super::handles::Toward;
use super::tsig::{self, TsigCredentials};
use super::{Gate, GateError, in_time, url};
use crate::binding::SecretUse;

/// A message as the plugin sent it.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// `HOST:PORT`.
    pub(crate) server: String,
    pub(crate) message: Vec<u8>,
    pub(crate) sign: Option<TsigKey>,
}

/// A TSIG key; the secret is a handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TsigKey {
    pub(crate) key_name: String,
    pub(crate) algorithm: String,
    pub(crate) secret: String,
}

impl Gate {
    /// Sends a message if it is allowed, and returns its response. The response to a signed message must be signed too.
    pub(crate) async fn exchange(&mut self, exchange: Exchange) -> Result<Vec<u8>, GateError> {
        let Exchange { server, mut message, sign } = exchange;
        // The port is required; port 0 is invalid.
        let Some(endpoint) = url::endpoint(&server, 0) else {
            let shown: String = server.chars().take(300).flat_map(char::escape_debug).collect();
            return Err(GateError::Denied(format!("the server `{shown}` is not HOST:PORT")));
        };
        if !is_question(&message) {
            return Err(GateError::Protocol("the message is not a DNS query or update of one zone or name".into()));
        }
        self.budget.take_request(message.len())?;
        // A plugin has no randomness of its own that outsiders could not guess.
        let id = replace_id(&mut message, random_id()?);

        let until = self.until;
        let target = self.target(endpoint, false, until).await?;
        let (question, signing) = match &sign {
            Some(key) => {
                let toward = Toward { host: &target.endpoint, is_plain_http: false };
                let secret = self.handles.secret(&key.secret, SecretUse::Tsig, toward)?;
                let TsigKey { key_name, algorithm, secret: handle } = key;
                let seal = TsigCredentials { key_name, algorithm, handle, secret: &secret };
                let (signed, signing) = tsig::sign(&message, &seal, SystemTime::now())?;
                (signed, Some(signing))
            }
            None => (Bytes::from(message), None),
        };
        let answer = match in_time(until, self.outbound.exchange(&target, question.clone())).await? {
            Ok(answer) => answer,
            Err(error) => return Err(self.failed(error)),
        };
        self.budget.take_answer(answer.len());
        if !is_answer(&question, &answer) {
            return Err(GateError::Protocol(format!("{server} answered something else than it was asked")));
        }
        let mut answer = match signing {
            Some(signing) => signing.verify(&answer, SystemTime::now())?,
            None => answer.into(),
        };
        replace_id(&mut answer, id);
        Ok(answer)
    }
}

fn random_id() -> Result<[u8; 2], GateError> {
    let mut id = [0; 2];
    match SystemRandom::new().fill(&mut id) {
        Ok(()) => Ok(id),
        Err(_) => Err(GateError::Protocol("the machine has no randomness".into())),
    }
}

/// Replaces the ID of a message, and returns the previous one. A message without a header is left unchanged.
fn replace_id(message: &mut [u8], id: [u8; 2]) -> [u8; 2] {
    match message.first_chunk_mut() {
        Some(place) => std::mem::replace(place, id),
        None => id,
    }
}
