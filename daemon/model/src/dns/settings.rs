//! The settings of a DNS provider.

use std::collections::BTreeSet;

use super::{DomainName, NameTemplate, OwnerId, RecordType, Ttl};
use crate::name::Text;
use crate::selector::Selector;

/// The settings of a DNS provider: the records it manages, and the zones it manages them in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsSettings {
    /// The owner ID of the records. There is no default.
    pub owner: OwnerId,
    /// The zones; the records are written to each of them.
    pub zones: BTreeSet<DomainName>,
    /// How host names are formed in a zone.
    pub template: NameTemplate,
    /// The TTL of the records.
    pub ttl: Ttl,
    /// Selects the hosts that get a record, by their effective labels.
    pub hosts: Selector,
    /// Whether a gateway that reports no address of its own uses the address the server sees it connect from.
    pub observed_address: bool,
    /// Whether records may be deleted. If not, a record that is no longer desired is retained and reported.
    pub allow_deletes: bool,
    /// Whether the records of inactive hosts are withdrawn. By default they stay, because the machines keep running.
    pub withdraw_inactive: bool,
    /// Records in addition to those of the hosts.
    pub extra: Vec<ExtraRecord>,
}

/// A record added for every host that the provider selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraRecord {
    /// The template of its name.
    pub template: NameTemplate,
    /// `CNAME`, `TXT`, `A` or `AAAA`.
    pub rtype: RecordType,
    /// Its values; `{host}`, `{site}`, `{environment}` and `{zone}` are substituted.
    pub values: Vec<Text>,
}
