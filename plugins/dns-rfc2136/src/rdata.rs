//! Values of the four supported types, in wire format and in the contract's form.

use std::net::{Ipv4Addr, Ipv6Addr};

use domain::base::iana::Class;
use domain::base::rdata::UnknownRecordData;
use domain::base::record::ParsedRecord;
use domain::base::wire::ParseError;
use domain::base::{Rtype, ToName};
use domain::rdata::Cname;
use linecamp_provider::prelude::*;

use crate::wire_name::wire_name;

/// A record from a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    /// In the contract's form, like the other fields.
    pub(crate) name: String,
    pub(crate) rtype: Rtype,
    pub(crate) ttl: u32,
    pub(crate) text: String,
    /// As the server has it, for byte-exact comparison; names in it are uncompressed.
    pub(crate) rdata: Vec<u8>,
}

/// Reads a record; `None` if it is of another type.
pub(crate) fn read(record: &ParsedRecord<'_, &[u8]>) -> Result<Option<Value>, ParseError> {
    if record.class() != Class::IN {
        return Ok(None);
    }
    let (text, rdata) = match record.rtype() {
        Rtype::A => match <[u8; 4]>::try_from(&*raw(record)?) {
            Ok(bytes) => (Ipv4Addr::from(bytes).to_string(), bytes.to_vec()),
            Err(_) => return Err(ParseError::form_error("an A record without an IPv4 address")),
        },
        Rtype::AAAA => match <[u8; 16]>::try_from(&*raw(record)?) {
            Ok(bytes) => (Ipv6Addr::from(bytes).to_string(), bytes.to_vec()),
            Err(_) => return Err(ParseError::form_error("an AAAA record without an IPv6 address")),
        },
        Rtype::TXT => {
            let bytes = raw(record)?;
            (txt::from_strings(&strings(&bytes)?), bytes)
        }
        Rtype::CNAME => match record.to_record::<Cname<_>>()? {
            Some(record) => {
                let target = record.data().cname().to_vec();
                (names::canonical(&target.to_string()), target.as_slice().to_vec())
            }
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    let name = names::canonical(&record.owner().to_string());
    Ok(Some(Value { name, rtype: record.rtype(), ttl: record.ttl().as_secs(), text, rdata }))
}

fn raw(record: &ParsedRecord<'_, &[u8]>) -> Result<Vec<u8>, ParseError> {
    let record = record.to_record::<UnknownRecordData<_>>()?;
    Ok(record.map(|record| record.data().data().to_vec()).unwrap_or_default())
}

/// Splits the data of a TXT record into its character-strings.
fn strings(mut bytes: &[u8]) -> Result<Vec<&[u8]>, ParseError> {
    let mut strings = Vec::new();
    while let [length, rest @ ..] = bytes {
        let length = usize::from(*length);
        let (string, rest) = rest.split_at_checked(length).ok_or(ParseError::ShortInput)?;
        strings.push(string);
        bytes = rest;
    }
    Ok(strings)
}

/// Encodes a value of a record to be written.
pub(crate) fn encode(set: &RecordSet, value: &str) -> Result<Vec<u8>, ProviderError> {
    let bad = || {
        let shown: String = value.chars().take(100).flat_map(char::escape_debug).collect();
        ProviderError::invalid(format!("`{shown}` is not a valid value of a {} record", set.rtype)).name(&*set.name)
    };
    match set.rtype.as_str() {
        "A" => Ok(value.parse::<Ipv4Addr>().map_err(|_| bad())?.octets().to_vec()),
        "AAAA" => Ok(value.parse::<Ipv6Addr>().map_err(|_| bad())?.octets().to_vec()),
        "CNAME" => Ok(wire_name(value).map_err(|_| bad())?.as_slice().to_vec()),
        "TXT" => {
            let string = |bytes: Vec<u8>| [vec![u8::try_from(bytes.len()).unwrap_or(u8::MAX)], bytes].concat();
            Ok(txt::to_strings(value).into_iter().flat_map(string).collect())
        }
        _ => Err(ProviderError::invalid(format!("records of type {} are not supported", set.rtype)).name(&*set.name)),
    }
}

/// Returns the type of a record set to be written.
pub(crate) fn rtype_of(set: &str) -> Rtype {
    match set {
        "A" => Rtype::A,
        "AAAA" => Rtype::AAAA,
        "CNAME" => Rtype::CNAME,
        _ => Rtype::TXT,
    }
}

/// Returns the contract's name for a type.
pub(crate) fn type_name(rtype: Rtype) -> &'static str {
    match rtype {
        Rtype::A => "A",
        Rtype::AAAA => "AAAA",
        Rtype::CNAME => "CNAME",
        _ => "TXT",
    }
}
