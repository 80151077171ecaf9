//! Keeps DNS records at a name server that takes dynamic updates (RFC 2136), signed with TSIG (RFC 8945): BIND, Knot,
//! PowerDNS, and whatever else speaks it.
//!
//! The changes of one `apply` are one UPDATE message, done all or none by the server. What has to be there for a change
//! stands in the message as a prerequisite, by its exact values, so that the server itself compares and exchanges.
//!
//! What is there is asked for name by name, with queries that are signed too. The server also has to tell from which
//! zone it answers, by the SOA record that comes with *no such name* or *no such record*, or by one that is asked for:
//! a name in a zone below, or below a DNAME record, is refused. Three things a query does not tell:
//!
//! - Whether the name is in the zone, or the answer was made of a wildcard: an UPDATE with nothing but the prerequisite
//!   *name is in use* tells, and changes nothing.
//! - What the zone holds at a name that is not served from it: the prerequisites of an update are compared with it, so
//!   that what was written there earlier can be deleted.
//! - What is there of other types than A, AAAA, CNAME and TXT: where it matters, before a CNAME, the prerequisite *name
//!   is not in use* guards the change.
//!
//! What operators set up: a TSIG key that the primary server of the zone lets change A, AAAA, CNAME and TXT records. In
//! BIND: `update-policy { grant KEY zonesub A AAAA CNAME TXT; };`.
//!
//! What it does *not* do: it lists no zone (a transfer is many messages), and speaks no update without a key.

mod message;
mod observed;
mod rdata;
mod server;
mod update;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use linecamp_provider::prelude::*;
use serde::Deserialize;

use crate::server::Server;

/// What requests call the TSIG key's secret.
const TSIG: &str = "tsig";

/// Changes of one UPDATE: with a few values each it fits a packet of 1,232 bytes, which every network carries.
const CHANGES_MAX: u32 = 10;

/// A name server with dynamic updates.
#[derive(Debug)]
pub struct Rfc2136;

/// Which name server, and with which key.
#[derive(Debug, Deserialize, Config)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The zone's primary server: `HOST:PORT`, mostly port 53.
    #[config(example = "ns1.example.org:53", pattern = "^.+:[0-9]{1,5}$")]
    server: String,
    /// What the server calls the TSIG key.
    #[config(example = "linecamp", min_length = 1, max_length = 253)]
    key_name: String,
    /// The TSIG key's algorithm.
    #[serde(default)]
    #[config(default = "hmac-sha256")]
    algorithm: Algorithm,
}

/// Algorithms that are not broken and that every server knows.
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

    fn describe() -> About {
        let about = "Keeps records at BIND, Knot and others by dynamic updates (RFC 2136) with a TSIG key.";
        About::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), about)
            .atomic()
            .changes_max(CHANGES_MAX)
            .secret(TSIG, "The TSIG key's secret, in base 64 as `tsig-keygen` prints it.")
            .reaches("{server}")
    }

    fn check(config: &Settings, cx: &Context) -> Result<(), Failure> {
        Server { config, cx, zone: "" }.check()
    }

    fn observe(config: &Settings, cx: &Context, zone: &str, names: &[String]) -> Result<Vec<RecordSet>, Failure> {
        if names.is_empty() {
            return Err(Failure::refused("a zone cannot be listed by queries; ask for names"));
        }
        let found = observed::at_names(&Server { config, cx, zone }, names)?;
        Ok(found.into_iter().map(|found| found.set).collect())
    }

    fn apply(
        config: &Settings,
        cx: &Context,
        zone: &str,
        _key: &str,
        changes: &[Change],
    ) -> Result<Vec<RecordSet>, Failure> {
        let server = Server { config, cx, zone };
        let found = observed::of_changes(&server, changes)?;
        let seen: Vec<_> = found.iter().map(|found| found.set.clone()).collect();
        let pending = pending(changes, &seen)?;
        if !pending.is_empty() {
            // What stays as it is goes along so that the server compares it too: the claim beside a record.
            let kept: Vec<_> = changes.iter().filter(|change| change.before == change.after).collect();
            update::send(&server, &pending, &kept, &found)?;
        }
        Ok(changes.iter().filter_map(|change| change.after.clone()).collect())
    }
}

export_dns!(Rfc2136);
