//! DNS messages: builds queries and updates, parses responses.
//!
//! The host assigns each message a fresh ID, signs it, and checks that a response matches it.

use domain::base::iana::{Class, Opcode, Rcode};
use domain::base::rdata::UnknownRecordData;
use domain::base::record::ParsedRecord;
use domain::base::wire::ParseError;
use domain::base::{Message, MessageBuilder, Name, Rtype, Ttl};
use linecamp_provider::prelude::*;

use crate::rdata::{self, Value};
use crate::wire_name::wire_name;

/// The UDP response size that queries advertise: what every network carries in one packet (DNS Flag Day 2020). A longer
/// response arrives over TCP.
const UDP_BYTES: u16 = 1_232;

/// Builds a query for the records of a name and type.
pub(crate) fn query(name: &str, rtype: Rtype) -> Result<Vec<u8>, ProviderError> {
    let mut builder = MessageBuilder::new_vec().question();
    builder.push((wire_name(name)?, rtype)).map_err(|_| too_long())?;
    let mut builder = builder.additional();
    let has_room = builder.opt(|options| {
        options.set_udp_payload_size(UDP_BYTES);
        Ok(())
    });
    has_room.map_err(|_| too_long())?;
    Ok(builder.finish())
}

/// A record of an update or of its prerequisites. Class and type define its meaning (RFC 2136, 2.4 and 2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UpdateRecord {
    pub(crate) name: String,
    pub(crate) class: Class,
    pub(crate) rtype: Rtype,
    pub(crate) ttl: u32,
    /// Empty if the meaning requires no data.
    pub(crate) rdata: Vec<u8>,
}

impl UpdateRecord {
    /// Creates a record without data, about a record set or a name.
    pub(crate) fn without_data(name: &str, class: Class, rtype: Rtype) -> Self {
        Self { name: name.to_owned(), class, rtype, ttl: 0, rdata: Vec::new() }
    }
}

/// Builds an update of a zone.
pub(crate) fn update(
    zone: &str,
    prerequisites: &[UpdateRecord],
    updates: &[UpdateRecord],
) -> Result<Vec<u8>, ProviderError> {
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_opcode(Opcode::UPDATE);
    let mut builder = builder.question();
    builder.push((wire_name(zone)?, Rtype::SOA)).map_err(|_| too_long())?;
    let mut builder = builder.answer();
    for update_record in prerequisites {
        builder.push(encoded(update_record)?).map_err(|_| too_long())?;
    }
    let mut builder = builder.authority();
    for update_record in updates {
        builder.push(encoded(update_record)?).map_err(|_| too_long())?;
    }
    Ok(builder.finish())
}

type EncodedRecord = (Name<Vec<u8>>, Class, Ttl, UnknownRecordData<Vec<u8>>);

fn encoded(record: &UpdateRecord) -> Result<EncodedRecord, ProviderError> {
    let rdata = UnknownRecordData::from_octets(record.rtype, record.rdata.clone()).map_err(|_| too_long())?;
    Ok((wire_name(&record.name)?, record.class, Ttl::from_secs(record.ttl), rdata))
}

fn too_long() -> ProviderError {
    ProviderError::invalid("the changes do not fit into a DNS message; use fewer or shorter values")
}

/// A response, reduced to what is used here.
#[derive(Debug)]
pub(crate) struct DnsResponse {
    pub(crate) rcode: Rcode,
    /// Whether the response is authoritative.
    pub(crate) is_authoritative: bool,
    /// Records in the answer section, of the supported types.
    pub(crate) values: Vec<Value>,
    /// The owner of the NS records in the authority section. In a response that is not authoritative, this is the
    /// referral.
    pub(crate) referral: Option<String>,
    /// The owner of the SOA record: the zone that the response is from, unless an alias was followed.
    pub(crate) soa: Option<String>,
    /// The owner of the DNAME record that redirects the name.
    pub(crate) dname: Option<String>,
}

impl DnsResponse {
    /// Whether the name is an alias.
    pub(crate) fn is_alias(&self, name: &str) -> bool {
        self.values.iter().any(|value| value.rtype == Rtype::CNAME && value.name == name)
    }
}

/// Parses a response.
pub(crate) fn read(bytes: &[u8]) -> Result<DnsResponse, ProviderError> {
    parse(bytes).map_err(|error| ProviderError::retry(format!("malformed response from the name server: {error}")))
}

fn parse(bytes: &[u8]) -> Result<DnsResponse, ParseError> {
    let message = Message::from_octets(bytes).map_err(|_| ParseError::ShortInput)?;
    let (mut values, mut referral, mut soa, mut dname) = (Vec::new(), None, None, None);
    let owner = |record: &ParsedRecord<'_, &[u8]>| Some(names::canonical(&record.owner().to_string()));
    for record in message.answer()? {
        let record = record?;
        match record.rtype() {
            Rtype::SOA => soa = owner(&record),
            Rtype::DNAME => dname = dname.or_else(|| owner(&record)),
            _ => values.extend(rdata::read(&record)?),
        }
    }
    for record in message.authority()? {
        let record = record?;
        match record.rtype() {
            Rtype::SOA => soa = soa.or_else(|| owner(&record)),
            Rtype::NS => referral = owner(&record),
            _ => {}
        }
    }
    let header = message.header();
    Ok(DnsResponse { rcode: header.rcode(), is_authoritative: header.aa(), values, referral, soa, dname })
}
