//! The status that a provider reports.

use crate::dns::{DnsStatus, RecordStatus};
use crate::generation::Generation;
use crate::name::{Name, Text};
use crate::time::WallTime;

/// The status of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderStatus {
    /// The name operators use.
    pub name: Name,
    /// Whether the provider is configured at the site and not by the server.
    pub is_local: bool,
    /// The plugin, with the version from its description; only the name until it has been described.
    pub plugin: Text,
    /// Why the provider does not work, if it does not.
    pub failure: Option<Text>,
    /// The generation of the central settings at which everything it provides was last observed as desired or, if the
    /// provider is withdrawn, as removed. Zero if that has not happened yet or the site configured the provider.
    pub converged: Generation,
    /// The status of what it provides.
    pub kind: ProviderStatusKind,
}

/// The status of what a provider provides, by its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderStatusKind {
    /// That of DNS records.
    Dns(DnsStatus),
}

impl From<DnsStatus> for ProviderStatusKind {
    fn from(status: DnsStatus) -> Self {
        Self::Dns(status)
    }
}

impl ProviderStatus {
    /// Returns the status of the provider's DNS records.
    pub const fn records(&self) -> &Vec<RecordStatus> {
        let ProviderStatusKind::Dns(dns) = &self.kind;
        &dns.records
    }

    /// Returns the status of the provider's DNS records, to change it.
    pub const fn records_mut(&mut self) -> &mut Vec<RecordStatus> {
        let ProviderStatusKind::Dns(dns) = &mut self.kind;
        &mut dns.records
    }

    /// Returns whether this differs from `before` in anything but the times of observation.
    pub fn is_news(&self, before: &Self) -> bool {
        let untimed = |status: &Self| {
            let mut status = status.clone();
            status
                .records_mut()
                .iter_mut()
                .flat_map(|record| &mut record.observed)
                .for_each(|seen| seen.at = WallTime::EPOCH);
            status
        };
        untimed(self) != untimed(before)
    }
}
