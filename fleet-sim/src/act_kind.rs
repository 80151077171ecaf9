//! The kinds of acts, how long they last, and the scenario table each belongs to.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A kind of fault or action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActKind {
    /// A site's line is cut in both directions.
    Cut,
    /// Everything a site sends is lost.
    CutUp,
    /// Everything sent to a site is lost.
    CutDown,
    /// A site is offline for weeks.
    Offline,
    /// The router in front of a site loses its NAT mapping: the site gets another address.
    Rebind,
    /// A site loses power.
    Reboot,
    /// A site's daemon is killed between two of its outputs.
    Crash,
    /// A site's daemon is stopped and restarted gracefully.
    Restart,
    /// A site's disk is full.
    DiskFull,
    /// A site's disk is slow.
    DiskSlow,
    /// A site's database is found corrupt at its next start.
    DiskCorrupt,
    /// A site's disk is restored from an earlier image.
    DiskImage,
    /// A site's clock jumps.
    ClockJump,
    /// A site starts with its clock in 1970 and gets the correct time later.
    ClockLost,
    /// Events of a closed session are replayed.
    Echo,
    /// A site's disk is cloned to another machine, which runs for a while.
    Clone,
    /// The server is killed.
    ServerKill,
    /// The server is killed between two of its outputs.
    ServerCrash,
    /// The server is stopped and restarted gracefully.
    ServerStop,
    /// The server's disk is full.
    ServerDiskFull,
    /// The server's machine is slow.
    ServerSlow,
    /// The server's clock jumps.
    ServerClockJump,
    /// Some of the sites cannot reach the server.
    Partition,
    /// An operator labels a site or its gateway.
    Label,
    /// An operator labels all sites.
    LabelAll,
    /// An operator edits a site.
    Edit,
    /// An operator deactivates a site or its gateway.
    Deactivate,
    /// An operator activates it again.
    Activate,
    /// An operator removes a site, half of the time without waiting for it.
    Remove,
    /// An operator creates a join token.
    TokenCreate,
    /// An operator revokes a join token that sites may be about to use.
    TokenRevoke,
    /// Labels are set locally by hand.
    LocalLabel,
    /// A label file is changed locally.
    DropIns,
    /// The machine's hardware changes, and so do its facts.
    Facts,
    // New kinds are added at the end, so that the acts of existing seeds do not change.
    /// The name server cannot be reached.
    DnsDown,
    /// The name server asks clients to retry later.
    DnsBusy,
    /// The name server applies changes, and its answers are lost.
    DnsLostAnswers,
    /// The name server applies half of the changes, and its answers are lost.
    DnsPartialWrites,
    /// The name server answers with outdated records.
    DnsStale,
    /// The name server rejects the credentials.
    DnsUnauthorized,
    /// A site's record is changed by hand.
    DnsDrift,
    /// An operator sets a gateway's address.
    DnsAddress,
    /// An operator excludes a gateway from DNS, or includes it again.
    DnsSwitch,
    /// An operator selects or deselects a site for the central provider.
    DnsSelect,
    /// An operator changes the central provider's settings.
    DnsEdit,
    /// An operator removes the central provider, and restores it later.
    DnsRemove,
    /// A machine gets another address.
    Address,
    /// An operator accepts a pending site.
    Accept,
    /// A hostile member sends a hello with extreme numbers and clocks.
    LieGreeting,
    /// A hostile member sends status with extreme generations.
    LieStatus,
    /// A hostile member sends events of every kind, with extreme numbers, in the server's name.
    LieEvents,
    /// A hostile member acknowledges what it was never sent.
    LieAcks,
    /// A hostile member sends messages that are invalid in its session's state.
    LieOrder,
    /// A hostile member sends hello after hello, and nothing else.
    FloodGreetings,
    /// A hostile member sends thousands of provider documents and tombstones, a delta at a time.
    FloodDocuments,
    /// A hostile member sends its full status repeatedly, with each value at its limit.
    FloodSnapshots,
    /// A hostile member sends events without waiting for acknowledgements.
    FloodEvents,
    /// A hostile member connects and stays silent.
    Mute,
    /// A hostile member sends status in parts that do not belong together, that never end, or that exceed a limit.
    LieParts,
    /// The server tells its sites an address where it is not.
    ServerMisaddress,
    /// The server tells its sites another address, and moves there at the end.
    ServerMove,
    /// The server creates its next certificate authority.
    CaAdd,
    /// The server issues all certificates from the next authority.
    CaSwitch,
    /// The server retires the authority that was replaced, if no site lacks the next one.
    CaRetire,
    /// The server retires the authority that was replaced, even if sites lack the next one.
    CaRetireForced,
}

impl ActKind {
    /// Returns the scenario table that the kind belongs to.
    pub const fn table(self) -> Table {
        match self {
            Self::Cut
            | Self::CutUp
            | Self::CutDown
            | Self::Offline
            | Self::Rebind
            | Self::Reboot
            | Self::Crash
            | Self::Restart
            | Self::DiskFull
            | Self::DiskSlow
            | Self::DiskCorrupt
            | Self::DiskImage
            | Self::ClockJump
            | Self::ClockLost
            | Self::Echo
            | Self::Clone => Table::Faults,
            Self::ServerKill
            | Self::ServerCrash
            | Self::ServerStop
            | Self::ServerDiskFull
            | Self::ServerSlow
            | Self::ServerClockJump
            | Self::ServerMisaddress
            | Self::ServerMove
            | Self::CaAdd
            | Self::CaSwitch
            | Self::CaRetire
            | Self::CaRetireForced
            | Self::Partition => Table::Server,
            Self::DnsDown
            | Self::DnsBusy
            | Self::DnsLostAnswers
            | Self::DnsPartialWrites
            | Self::DnsStale
            | Self::DnsUnauthorized
            | Self::DnsDrift => Table::NameServer,
            Self::Label
            | Self::LabelAll
            | Self::Edit
            | Self::Deactivate
            | Self::Activate
            | Self::Remove
            | Self::TokenCreate
            | Self::TokenRevoke
            | Self::DnsAddress
            | Self::DnsSwitch
            | Self::DnsSelect
            | Self::DnsEdit
            | Self::DnsRemove
            | Self::Accept => Table::Operators,
            Self::LocalLabel | Self::DropIns | Self::Facts | Self::Address => Table::Local,
            Self::LieGreeting
            | Self::LieStatus
            | Self::LieEvents
            | Self::LieAcks
            | Self::LieOrder
            | Self::FloodGreetings
            | Self::FloodDocuments
            | Self::FloodSnapshots
            | Self::FloodEvents
            | Self::Mute
            | Self::LieParts => Table::Hostile,
        }
    }

    /// Returns whether it targets one site: a fault, or an operator's or local action on it.
    pub(crate) const fn is_of_site(self) -> bool {
        match self.table() {
            Table::Faults | Table::Local | Table::Hostile => true,
            Table::Server | Table::NameServer => false,
            Table::Operators => !matches!(
                self,
                Self::LabelAll | Self::TokenCreate | Self::TokenRevoke | Self::DnsEdit | Self::DnsRemove
            ),
        }
    }

    /// Returns whether it affects a site's line, so that it applies to hostile members too.
    pub(crate) const fn is_of_line(self) -> bool {
        matches!(self, Self::Cut | Self::CutUp | Self::CutDown | Self::Offline | Self::Rebind)
    }

    /// Returns whether it requires a scenario that defines members.
    pub(crate) const fn is_of_members(self) -> bool {
        matches!(self.table(), Table::Hostile) || matches!(self, Self::Accept)
    }

    /// Returns whether it requires sites with DNS providers.
    pub(crate) const fn is_of_dns(self) -> bool {
        matches!(self.table(), Table::NameServer)
            || matches!(
                self,
                Self::DnsAddress | Self::DnsSwitch | Self::DnsSelect | Self::DnsEdit | Self::DnsRemove | Self::Address
            )
    }

    /// Returns the minimum and maximum duration.
    pub(crate) const fn duration_range(self) -> (Duration, Duration) {
        const SECOND: u64 = 1;
        const MINUTE: u64 = 60;
        const HOUR: u64 = 3600;
        const DAY: u64 = 24 * HOUR;
        let (min, max) = match self {
            Self::Cut | Self::CutUp | Self::CutDown => (SECOND, 20 * MINUTE),
            Self::Offline => (7 * DAY, 30 * DAY),
            Self::Reboot => (20 * SECOND, 5 * MINUTE),
            Self::Crash | Self::Restart | Self::ServerCrash | Self::ServerStop => (SECOND, 30 * SECOND),
            Self::DiskFull | Self::DiskSlow | Self::ClockLost => (MINUTE, HOUR),
            Self::DiskImage => (HOUR, DAY),
            Self::Clone => (10 * MINUTE, 6 * HOUR),
            Self::ServerKill => (SECOND, 2 * MINUTE),
            Self::ServerDiskFull | Self::ServerSlow => (10 * SECOND, 5 * MINUTE),
            Self::Partition => (10 * SECOND, 15 * MINUTE),
            Self::DnsDown | Self::DnsBusy | Self::DnsLostAnswers | Self::DnsPartialWrites => (10 * SECOND, HOUR),
            Self::DnsStale => (10 * SECOND, 20 * MINUTE),
            Self::DnsUnauthorized | Self::DnsRemove => (MINUTE, 3 * HOUR),
            _ => (0, 0),
        };
        (Duration::from_secs(min), Duration::from_secs(max))
    }
}

impl fmt::Display for ActKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut name = String::new();
        for (index, letter) in format!("{self:?}").chars().enumerate() {
            if letter.is_uppercase() && 0 < index {
                name.push('-');
            }
            name.extend(letter.to_lowercase());
        }
        f.pad(&name)
    }
}

/// A table of a scenario file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Faults of sites, per site and day.
    Faults,
    /// Faults of the server, per day.
    Server,
    /// Operator actions, per day.
    Operators,
    /// Local actions, per site and day.
    Local,
    /// Faults of the name server, per day.
    NameServer,
    /// Actions of hostile members, per hostile member and day.
    Hostile,
}

impl Table {
    /// Returns the name of the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Faults => "faults",
            Self::Server => "server",
            Self::Operators => "operators",
            Self::Local => "local",
            Self::NameServer => "name_server",
            Self::Hostile => "hostile",
        }
    }

    /// Returns whether its rates apply per site.
    pub(crate) const fn is_per_site(self) -> bool {
        matches!(self, Self::Faults | Self::Local | Self::Hostile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_displayed_as_it_is_parsed() {
        for kind in [ActKind::Cut, ActKind::ServerDiskFull, ActKind::LabelAll, ActKind::DnsPartialWrites] {
            let written = serde_json::to_string(&kind).expect("a kind is serializable");
            assert_eq!(written, format!("\"{kind}\""));
        }
    }
}
