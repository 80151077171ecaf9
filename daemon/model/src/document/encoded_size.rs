//! Upper bounds of the encoded size of documents, without encoding them.
//!
//! `core` splits deltas into messages and limits the documents of a site by these numbers, and does not know the
//! encoding. A property test in `proto` shows that no document is encoded in more bytes.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Write as _};

use super::{HostDaemon, HostMember, HostMembership, SpecBody, StatusBody};
use crate::condition::Condition;
use crate::digest::KeyFingerprint;
use crate::dns::{DnsSettings, RecordStatus};
use crate::label::LabelSet;
use crate::limits::reported_record_bytes;
use crate::provider::{ProviderKind, ProviderSpec, ProviderStatus};

/// Bytes of a text or message field besides its content: a tag, and a length below 16 KiB.
const FIELD: usize = 3;

/// Bytes of a message field besides its content, if the content may have 16 KiB or more.
const LARGE_FIELD: usize = 5;

/// Bytes of a 64-bit number with its tag.
const NUMBER: usize = 11;

/// Bytes of an enum's value or a boolean with its tag.
const SMALL_NUMBER: usize = 3;

impl SpecBody {
    /// Returns the maximum number of bytes of this body on the link.
    pub fn encoded_size_max(&self) -> usize {
        match self {
            Self::Site(site) => {
                let texts = [site.name.as_str(), site.environment.as_str(), site.description.as_str()];
                texts_size(&texts) + SMALL_NUMBER + labels_size(&site.assigned)
            }
            Self::Host(host) => {
                let texts = [host.name.as_str(), host.description.as_str()];
                let member = host.member.as_ref().map_or(0, member_size);
                texts_size(&texts) + 2 * SMALL_NUMBER + labels_size(&host.assigned) + member
            }
            Self::Provider(provider) => provider_spec_size(provider),
            Self::HostToken(token) => FIELD + token.secret.as_bytes().len() + 3 * NUMBER,
        }
    }
}

impl StatusBody {
    /// Returns the maximum number of bytes of this body on the link.
    pub fn encoded_size_max(&self) -> usize {
        match self {
            Self::Site(site) => {
                let conditions = site.conditions.iter().map(condition_size).sum::<usize>();
                texts_size(&[site.daemon_version.as_str()]) + 3 * NUMBER + labels_size(&site.local) + conditions
            }
            Self::Host(host) => {
                let daemon = host.daemon.as_ref().map_or(0, daemon_size);
                let membership = host.membership.as_ref().map_or(0, membership_size);
                labels_size(&host.local) + labels_size(&host.reported) + daemon + membership
            }
            Self::Provider(provider) => provider_status_size(provider),
        }
    }
}

impl RecordStatus {
    /// Returns the maximum number of bytes of this record set in a status on the link.
    pub fn encoded_size_max(&self) -> usize {
        let texts = [self.zone.as_str(), self.key.name.as_str(), self.key.rtype.as_str(), self.detail.as_str()];
        let observed = self.observed.iter().flat_map(|observed| &observed.values);
        let (values, bytes) =
            self.values.iter().chain(observed).fold((0, 0), |(count, bytes), value| (count + 1, bytes + value.len()));
        reported_record_bytes(texts.iter().map(|text| text.len()).sum::<usize>() + bytes, values)
    }
}

fn texts_size(texts: &[&str]) -> usize {
    texts.iter().map(|text| FIELD + text.len()).sum()
}

fn labels_size(labels: &LabelSet) -> usize {
    let size = |key: &str, value: &str| FIELD + texts_size(&[key, value]) + NUMBER;
    labels.iter().map(|(key, held)| size(key.as_str(), held.value.as_str())).sum()
}

fn member_size(member: &HostMember) -> usize {
    let token = FIELD + member.token.as_bytes().len();
    let labels = labels_size(&member.local) + labels_size(&member.reported);
    FIELD + SMALL_NUMBER + NUMBER + token + keys_size(&member.keys) + labels
}

fn keys_size(keys: &BTreeSet<KeyFingerprint>) -> usize {
    keys.iter().map(|key| FIELD + key.as_bytes().len()).sum()
}

fn daemon_size(daemon: &HostDaemon) -> usize {
    let conditions = daemon.conditions.iter().map(condition_size).sum::<usize>();
    LARGE_FIELD + texts_size(&[daemon.version.as_str()]) + 2 * NUMBER + conditions
}

fn membership_size(membership: &HostMembership) -> usize {
    let token = FIELD + membership.token.as_bytes().len();
    let link = FIELD + SMALL_NUMBER + NUMBER;
    FIELD + texts_size(&[membership.name.as_str()]) + token + keys_size(&membership.keys) + 2 * NUMBER + link
}

fn condition_size(condition: &Condition) -> usize {
    FIELD + SMALL_NUMBER + NUMBER + texts_size(&[condition.detail.as_str()])
}

fn provider_status_size(status: &ProviderStatus) -> usize {
    let failure = status.failure.iter().map(|failure| FIELD + failure.as_str().len()).sum::<usize>();
    let records = status.records().iter().map(RecordStatus::encoded_size_max).sum::<usize>();
    let texts = texts_size(&[status.name.as_str(), status.plugin.as_str()]);
    texts + failure + SMALL_NUMBER + NUMBER + LARGE_FIELD + records
}

fn provider_spec_size(spec: &ProviderSpec) -> usize {
    let texts = [spec.name.as_str(), spec.plugin.name.as_str(), spec.config.as_str()];
    let digest = spec.plugin.digest.map_or(0, |digest| FIELD + digest.as_bytes().len());
    let secrets = spec.secrets.iter().map(|(name, secret)| FIELD + texts_size(&[name.as_str(), secret.as_str()]));
    let reach = spec.grant.reach.iter().chain(&spec.grant.reach_private);
    let grant = LARGE_FIELD + SMALL_NUMBER + reach.map(|endpoint| FIELD + displayed_size(endpoint)).sum::<usize>();
    let ProviderKind::Dns(dns) = &spec.kind;
    texts_size(&texts)
        + digest
        + secrets.sum::<usize>()
        + grant
        + LARGE_FIELD
        + dns_settings_size(dns)
        + 2 * SMALL_NUMBER
}

fn dns_settings_size(dns: &DnsSettings) -> usize {
    let zones = dns.zones.iter().map(|zone| FIELD + zone.as_str().len()).sum::<usize>();
    let extra = dns.extra.iter().map(|record| {
        let values = record.values.iter().map(|value| FIELD + value.as_str().len()).sum::<usize>();
        LARGE_FIELD + FIELD + record.template.as_str().len() + SMALL_NUMBER + values
    });
    let texts = texts_size(&[dns.owner.as_str(), dns.template.as_str()]) + FIELD + displayed_size(&dns.hosts);
    texts + zones + extra.sum::<usize>() + NUMBER + 3 * SMALL_NUMBER
}

/// Returns the length of a value as text.
fn displayed_size(value: &impl Display) -> usize {
    struct Count(usize);
    impl fmt::Write for Count {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 += text.len();
            Ok(())
        }
    }
    let mut count = Count(0);
    let written = write!(count, "{value}");
    debug_assert!(written.is_ok(), "counting does not fail");
    count.0
}
