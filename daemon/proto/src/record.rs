//! The records of the two databases as bytes. A change and the record it leaves behind are one typed thing; its key is
//! a path, its body protobuf (`record.proto`).
//!
//! ```text
//! site database                          fleet database
//!   origin                                 origin
//!   spec/DOCUMENT                          environment/NAME
//!   status/DOCUMENT                        api-key/DIGEST
//!   labels/site, labels/host               token/TOKEN, token-use/TOKEN/SITE
//!   event/NUMBER                           site/SITE
//!   observed-address                       site/SITE/mark
//!   held/PROVIDER/ZONE/NAME/TYPE           site/SITE/spec/DOCUMENT
//!                                          site/SITE/status/DOCUMENT
//!                                          event/NUMBER
//!                                          departed/DIGEST
//!                                          provider/ENVIRONMENT/NAME
//!                                          plugin/DIGEST
//!
//! DOCUMENT is site, host/HOST or provider/PROVIDER; PROVIDER is the id that is made of a provider's name.
//! ```
//!
//! What a release wrote stays readable: a body that lacks a field of today, or has one of yesterday, is made whole
//! where it is read, here, and nobody else knows that older forms exist.

mod fleet;
mod key;
mod site;

pub use fleet::{fleet_change, fleet_record, salvage_fleet_record};
pub use site::{site_change, site_record};

use linecamp_model::{Document, DocumentKey, Text};
use prost::Message;

use crate::convert::{Body, FieldError, Wire, check_body, decode, encode};
use crate::error::ProtoError;

fn row<W: Wire + Message>(key: String, body: Option<&W::Model>) -> (Vec<u8>, Option<Vec<u8>>) {
    (key.into_bytes(), body.map(encode::<W>))
}

/// A record as it was found.
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

    /// Takes a part of the key that was read, or refuses the key.
    fn part<T>(self, read: Option<T>) -> Result<T, ProtoError> {
        read.ok_or_else(|| unknown_key(self.key))
    }

    fn read<W: Wire + Message + Default>(self) -> Result<W::Model, ProtoError> {
        decode::<W>(format_args!("record {}", self.key), self.body)
    }

    /// Says what is wrong with the body.
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
