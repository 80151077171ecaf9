//! The server side of TSIG (RFC 8945): verifies and removes the host's signature on a message, and signs the response.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use data_encoding::BASE64;
use domain::base::message_builder::MessageBuilder;
use domain::base::wire::Composer;
use domain::base::{Message, ToName};
use domain::dep::octseq::{OctetsBuilder, Truncate};
use domain::rdata::tsig::Time48;
use domain::tsig::{Algorithm, Key, KeyName, KeyStore, ServerTransaction};
use linecamp_provider::Tsig;

/// Length of a DNS message's header in bytes.
const HEAD_BYTES: usize = 12;

/// A signed message whose response is pending.
pub(super) struct Signed {
    /// The key that signed the message; its `secret` is a secret's name in the setup.
    pub(super) key: Tsig,
    transaction: ServerTransaction<Arc<Key>>,
}

/// Removes the signature from a message, if it is signed with a secret of the setup.
///
/// # Errors
/// A message that says why the DNS message cannot be parsed, or that another key signed it.
pub(super) fn take_off(bytes: &[u8], secrets: &[(String, String)]) -> Result<(Vec<u8>, Option<Signed>), String> {
    let mut refusal = None;
    for (name, secret) in secrets {
        let Ok(secret) = BASE64.decode(secret.as_bytes()) else { continue };
        let mut message = Message::from_octets(bytes.to_vec()).map_err(|_| "no DNS message".to_owned())?;
        let ring = Ring { secret: &secret, found: Mutex::default() };
        match ServerTransaction::request(&ring, &mut message, Time48::now()) {
            Ok(None) => return Ok((bytes.to_vec(), None)),
            Ok(Some(transaction)) => {
                let (key_name, algorithm) = ring.found.into_inner().unwrap_or_default();
                let end = end_of_records(&message)?;
                let mut unsigned = message.into_octets();
                unsigned.truncate(end);
                let key = Tsig { key_name, algorithm, secret: name.clone() };
                return Ok((unsigned, Some(Signed { key, transaction })));
            }
            Err(error) => refusal = Some(format!("signed by no secret of the setup: {}", error.error())),
        }
    }
    match refusal {
        Some(refusal) => Err(refusal),
        None => Ok((bytes.to_vec(), None)),
    }
}

impl Signed {
    /// Signs a response. One that is not a DNS message is returned unchanged: its signature does not matter.
    pub(super) fn sign(self, response: Vec<u8>) -> Vec<u8> {
        if response.len() < HEAD_BYTES {
            return response;
        }
        let Ok(builder) = MessageBuilder::from_target(Finished { response: response.clone(), is_begun: false });
        let mut builder = builder.additional();
        match self.transaction.answer(&mut builder, Time48::now()) {
            Ok(()) => builder.finish().response,
            Err(_) => response,
        }
    }
}

/// Returns a server's response to an unknown key: `NOTAUTH`, and `BADKEY` without a signature (RFC 8945, 5.2.1).
pub(super) fn not_authorized(message: &[u8]) -> Vec<u8> {
    let none = HashMap::<(KeyName, Algorithm), Arc<Key>>::new();
    let refused = || {
        let mut message = Message::from_octets(message.to_vec()).ok()?;
        let refusal = ServerTransaction::request(&none, &mut message, Time48::now()).err()?;
        Some(refusal.build_message(&message, MessageBuilder::new_vec()).ok()?.finish())
    };
    refused().unwrap_or_default()
}

/// A key store that returns one secret for every name and algorithm, and records the key that was requested.
struct Ring<'a> {
    secret: &'a [u8],
    found: Mutex<(String, String)>,
}

impl KeyStore for Ring<'_> {
    type Key = Arc<Key>;

    fn get_key<N: ToName>(&self, name: &N, algorithm: Algorithm) -> Option<Arc<Key>> {
        let name: KeyName = name.try_to_name().ok()?;
        let words = (name.to_string(), algorithm.to_string().trim_end_matches('.').to_ascii_lowercase());
        *self.found.lock().ok()? = words;
        Key::new(algorithm, self.secret, name, None, None).ok().map(Arc::new)
    }
}

fn end_of_records(message: &Message<Vec<u8>>) -> Result<usize, String> {
    let cut = |_| "the message is cut".to_owned();
    let mut records = message.additional().map_err(cut)?;
    for record in records.by_ref() {
        record.map_err(cut)?;
    }
    Ok(records.pos())
}

/// A builder target that already contains a message: it ignores the empty header that the builder writes first.
struct Finished {
    response: Vec<u8>,
    is_begun: bool,
}

impl OctetsBuilder for Finished {
    type AppendError = Infallible;

    fn append_slice(&mut self, slice: &[u8]) -> Result<(), Infallible> {
        match self.is_begun {
            true => self.response.extend_from_slice(slice),
            false => self.is_begun = true,
        }
        Ok(())
    }
}

impl Truncate for Finished {
    fn truncate(&mut self, bytes: usize) {
        if self.is_begun {
            self.response.truncate(bytes);
        }
    }
}

impl AsRef<[u8]> for Finished {
    fn as_ref(&self) -> &[u8] {
        &self.response
    }
}

impl AsMut<[u8]> for Finished {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.response
    }
}

impl Composer for Finished {}
