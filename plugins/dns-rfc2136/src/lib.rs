//! DNS provider for name servers that accept dynamic updates (RFC 2136) signed with TSIG (RFC 8945): BIND, Knot,
//! PowerDNS and others.
//!
//! The changes of one `apply` are one UPDATE message, which the server applies atomically. The expected state of each
//! change is a prerequisite in the message, with its exact values, so the server itself performs the compare-and-swap.
//!
//! The current state is queried name by name; the queries are signed too. The server must also prove which zone its
//! response is from, by the SOA record in an NXDOMAIN or NODATA response, or by an SOA record that is queried. A name
//! in a child zone, or under a DNAME record, is rejected. Queries leave three questions open:
//!
//! - Whether the name exists in the zone, or the response was synthesized from a wildcard. An UPDATE with only the
//!   prerequisite *name is in use* answers this, and changes nothing.
//! - What the zone holds at a name that is not served from it. The server checks the prerequisites of an update against
//!   the zone itself, so records written there earlier can be deleted.
//! - Which records of types other than A, AAAA, CNAME and TXT exist. Where it matters, before a CNAME is added, the
//!   prerequisite *name is not in use* guards the change.
//!
//! Operators set up a TSIG key that the zone's primary server allows to change A, AAAA, CNAME and TXT records. In BIND:
//! `update-policy { grant KEY zonesub A AAAA CNAME TXT; };`.
//!
//! The provider does *not* list zones (a zone transfer takes many messages), and never sends updates without a key.

mod message;
mod observed;
mod rdata;
mod server;
mod update;
mod wire_name;

#[cfg(test)]
mod fake_server;
#[cfg(test)]
mod tests;

use linecamp_provider::prelude::*;
use serde::Deserialize;

use crate::server::Server;

/// The name of the TSIG key's secret in requests.
const TSIG: &str = "tsig";

/// Changes per UPDATE: with a few values each they fit a packet of 1,232 bytes, which every network carries.
const CHANGES_MAX: u32 = 10;

/// The provider for name servers with dynamic updates.
#[derive(Debug)]
pub struct Rfc2136;

/// Settings of the RFC 2136 provider.
#[derive(Debug, Deserialize, Config)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Primary name server of the zones, as `HOST:PORT`; the port is usually 53.
    #[config(example = "ns1.example.org:53", pattern = "^.+:[0-9]{1,5}$")]
    server: String,
    /// Name of the TSIG key on the server.
    #[config(example = "linecamp", min_length = 1, max_length = 253)]
    key_name: String,
    /// Algorithm of the TSIG key.
    #[serde(default)]
    #[config(default = "hmac-sha256")]
    algorithm: Algorithm,
}

/// The secure algorithms that every server supports.
#[derive(Clone, Copy, Debug, Default, Deserialize, Config)]
enum Algorithm {
    #[default]
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    #[serde(rename = "hmac-sha384")]
    HmacSha384,
    #[serde(rename = "hmac-sha512")]
    HmacSha512,
}

impl Algorithm {
    const fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
        }
    }
}

impl DnsProvider for Rfc2136 {
    type Config = Settings;

    fn describe() -> ProviderInfo {
        let summary =
            "Manages DNS records in BIND, Knot and other name servers by dynamic updates (RFC 2136) with a TSIG key.";
        ProviderInfo::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), summary)
            .atomic()
            .max_batch_size(CHANGES_MAX)
            .secret(TSIG, "Secret of the TSIG key, in base64 as printed by `tsig-keygen`. Used as: tsig.")
            .endpoint("{server}")
    }

    fn validate(config: &Settings, cx: &Context) -> Result<(), ProviderError> {
        Server { config, cx, zone: "" }.validate()
    }

    fn observe(config: &Settings, cx: &Context, zone: &str, names: &[String]) -> Result<Vec<RecordSet>, ProviderError> {
        if names.is_empty() {
            return Err(ProviderError::invalid("DNS queries cannot list a zone; observe names instead"));
        }
        let found = observed::at_names(&Server { config, cx, zone }, names)?;
        Ok(found.into_iter().map(|found| found.set).collect())
    }

    fn apply(
        config: &Settings,
        cx: &Context,
        zone: &str,
        _idempotency_key: &str,
        changes: &[Change],
    ) -> Result<Vec<RecordSet>, ProviderError> {
        let server = Server { config, cx, zone };
        let found = observed::of_changes(&server, changes)?;
        let current: Vec<_> = found.iter().map(|found| found.set.clone()).collect();
        let remaining = remaining_changes(changes, &current)?;
        if !remaining.is_empty() {
            // Unchanged record sets are sent as prerequisites, so that the server compares them as well: the ownership
            // TXT record next to a record.
            let kept: Vec<_> = changes.iter().filter(|change| change.before == change.after).collect();
            update::send(&server, &remaining, &kept, &found)?;
        }
        Ok(changes.iter().filter_map(|change| change.after.clone()).collect())
    }
}

export_dns!(Rfc2136);
