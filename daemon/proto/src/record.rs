//! Encoding of the records of both databases. A change and the record it writes have the same type; the key is a path,
//! the body protobuf (`record.proto`).
//!
//! ```text
//! site database                          fleet database
//!   origin                                 origin
//!   spec/DOCUMENT                          environment/NAME
//!   status/DOCUMENT                        api-key/DIGEST
//!   labels/site, labels/host               user/NAME, user-session/DIGEST
//!   file-labels/site, file-labels/host     token/TOKEN
//!   event/NUMBER                           token-use/TOKEN/SITE, host-token-use/TOKEN/HOST
//!   observed-address                       site/SITE
//!   owned/PROVIDER/ZONE/NAME/TYPE          site/SITE/key/DIGEST
//!   link-record                            site/SITE/cursor, site/SITE/trust
//!   host/HOST/PART                         site/SITE/spec/DOCUMENT
//!   gap/HOST/NUMBER                        site/SITE/status/DOCUMENT
//!   revoked-host-key/DIGEST                site/SITE/host/HOST
//!   host-token/TOKEN                       site/SITE/host/HOST/PART
//!   host-token-use/TOKEN/HOST              gap/SITE/NUMBER, gap/SITE/HOST/NUMBER
//!                                          event/NUMBER
//!                                          revoked-key/DIGEST
//!                                          provider/ENVIRONMENT/NAME
//!                                          plugin/DIGEST
//!                                          servers, authorities, settings
//!                                          answer/DIGEST, bulk-action/ID
//!                                          restored, held/site/SITE, held/token/TOKEN, held/api-key/DIGEST
//!                                          audit-block/NUMBER, log/audit/NUMBER
//!
//! DOCUMENT is site, host/HOST, provider/PROVIDER or host-token/TOKEN; PROVIDER is derived from a provider's name.
//! PART is what is stored of a host that joined by itself: member, key/DIGEST, status/DOCUMENT or cursor.
//! ```
//!
//! What a release wrote stays readable: a body without a newer field, or with a removed one, is upgraded when it is
//! decoded here. No other code knows that older forms exist.

mod fleet;
mod host_member;
mod key;
mod salvage;
mod site;

pub use fleet::{AUDIT_BLOCKS, audit_entry_key, fleet_change, fleet_record};
pub use salvage::salvage_fleet_record;
pub use site::{site_change, site_record};

use linecamp_model::{Document, DocumentKey, Text};
use prost::Message;

use crate::convert::{Body, FieldError, Wire, check_body, decode, encode};
use crate::error::ProtoError;

fn row<W: Wire + Message>(key: String, body: Option<&W::Model>) -> (Vec<u8>, Option<Vec<u8>>) {
    (key.into_bytes(), body.map(encode::<W>))
}

/// A record as read, before validation.
#[derive(Clone, Copy)]
struct RawRecord<'a> {
    key: &'a str,
    body: &'a [u8],
}

impl<'a> RawRecord<'a> {
    fn new(key: &'a [u8], body: &'a [u8]) -> Result<Self, ProtoError> {
        match std::str::from_utf8(key) {
            Ok(key) => Ok(Self { key, body }),
            Err(_) => Err(unknown_key(&String::from_utf8_lossy(key))),
        }
    }

    /// Returns a parsed part of the key, or rejects the key.
    fn part<T>(self, read: Option<T>) -> Result<T, ProtoError> {
        read.ok_or_else(|| unknown_key(self.key))
    }

    fn read<W: Wire + Message + Default>(self) -> Result<W::Model, ProtoError> {
        decode::<W>(format_args!("record {}", self.key), self.body)
    }

    /// Rejects the body, naming the record.
    fn refuse(self, error: FieldError) -> ProtoError {
        error.of(format_args!("record {}", self.key))
    }

    fn read_document<W, B>(self, key: DocumentKey) -> Result<Document<B>, ProtoError>
    where
        W: Wire<Model = Document<B>> + Message + Default,
        B: Body,
    {
        let document = self.read::<W>()?;
        check_body(key, &document).map_err(|error| self.refuse(error))?;
        Ok(document)
    }
}

fn unknown_key(key: &str) -> ProtoError {
    ProtoError::Key { key: Text::lossy(key) }
}
