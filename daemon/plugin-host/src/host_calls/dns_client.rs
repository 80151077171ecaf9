//! DNS messages of plugins, each sent to one granted server.

use std::time::SystemTime;

use bytes::Bytes;
use ring::rand::{SecureRandom as _, SystemRandom};

use super::dns::{is_question, is_response};
use super::secret_handles::Destination;
use super::tsig::{self, TsigCredentials};
use super::{HostCallError, HostCalls, in_time, url};
use crate::secret_binding::SecretUse;

/// A message as the plugin sent it.
#[derive(Clone, Debug)]
pub(crate) struct DnsQuery {
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

impl HostCalls {
    /// Sends a message if it is allowed, and returns its response. The response to a signed message must be signed too.
    pub(crate) async fn send_dns(&mut self, query: DnsQuery) -> Result<Vec<u8>, HostCallError> {
        let DnsQuery { server, mut message, sign } = query;
        // The port is required; port 0 is invalid.
        let Some(endpoint) = url::endpoint(&server, 0) else {
            let shown: String = server.chars().take(300).flat_map(char::escape_debug).collect();
            return Err(HostCallError::Denied(format!("the server `{shown}` is not HOST:PORT")));
        };
        if !is_question(&message) {
            return Err(HostCallError::Protocol(
                "the message is not a DNS query or update with exactly one question".into(),
            ));
        }
        self.budget.take_request(message.len())?;
        // A plugin has no randomness of its own that outsiders could not guess.
        let id = replace_id(&mut message, random_id()?);

        let until = self.until;
        let target = self.target(endpoint, false, until).await?;
        let (question, signing) = match &sign {
            Some(key) => {
                let destination = Destination { host: &target.endpoint, is_plain_http: false };
                let secret = self.handles.secret(&key.secret, SecretUse::Tsig, destination)?;
                let TsigKey { key_name, algorithm, secret: handle } = key;
                let credentials = TsigCredentials { key_name, algorithm, handle, secret: &secret };
                let (signed, signing) = tsig::sign(&message, &credentials, SystemTime::now())?;
                (signed, Some(signing))
            }
            None => (Bytes::from(message), None),
        };
        let response = match in_time(until, self.outbound.send_dns(&target, question.clone())).await? {
            Ok(response) => response,
            Err(error) => return Err(self.failed(error)),
        };
        self.budget.take_response(response.len());
        if !is_response(&question, &response) {
            return Err(HostCallError::Protocol(format!("{server} sent a response that does not match the query")));
        }
        let mut response = match signing {
            Some(signing) => signing.verify(&response, SystemTime::now())?,
            None => response.into(),
        };
        replace_id(&mut response, id);
        Ok(response)
    }
}

fn random_id() -> Result<[u8; 2], HostCallError> {
    let mut id = [0; 2];
    match SystemRandom::new().fill(&mut id) {
        Ok(()) => Ok(id),
        Err(_) => Err(HostCallError::Protocol("no random bytes available".into())),
    }
}

/// Replaces the ID of a message, and returns the previous one. A message without a header is left unchanged.
fn replace_id(message: &mut [u8], id: [u8; 2]) -> [u8; 2] {
    match message.first_chunk_mut() {
        Some(place) => std::mem::replace(place, id),
        None => id,
    }
}
