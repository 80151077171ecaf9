//! The kinds of things that can happen, how long they last, and where a scenario writes them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The line of a site is cut, both ways.
    Cut,
    /// What a site sends is lost.
    CutUp,
    /// What a site is sent is lost.
    CutDown,
    /// The line of a site is cut for weeks.
    Dark,
    /// The router in front of a site forgets its mapping: the site has another address.
    Rebind,
    /// A site loses its power.
    Reboot,
    /// A site's daemon is killed between two things it does.
    Crash,
    /// A site's daemon is stopped and started in good order.
    Restart,
    /// A site's disk is full.
    DiskFull,
    /// A site's disk is slow.
    DiskSlow,
    /// A site's database is found damaged at its next start.
    DiskDamaged,
    /// A site's disk is put back to what it was a while ago.
    DiskImage,
    /// A site's clock jumps.
    ClockJump,
    /// A site starts in 1970, and learns the time a while later.
    ClockLost,
    /// What was said before is heard again, when nobody waits for it.
    Echo,
    /// A site's disk is copied into another machine, which runs for a while.
    Clone,
    /// The server is killed.
    ServerKill,
    /// The server is killed between two things it does.
    ServerCrash,
    /// The server is stopped and started in good order.
    ServerStop,
    /// The server's disk is full.
    ServerDiskFull,
    /// The server's machine is slow.
    ServerSlow,
    /// The server's clock jumps.
    ServerClockJump,
    /// A part of the sites cannot reach the server.
    Partition,
    /// An operator labels a site or its gateway.
    Label,
    /// An operator labels all sites at once.
    LabelAll,
    /// An operator edits a site.
    Edit,
    /// An operator takes a site or its gateway out of service.
    Deactivate,
    /// An operator brings it back.
    Activate,
    /// An operator removes a site, half of the time without waiting for it.
    Remove,
    /// An operator makes a join token.
    TokenCreate,
    /// An operator revokes one that sites may be about to use.
    TokenRevoke,
    /// Somebody on the spot sets labels by hand.
    SpotLabel,
    /// Somebody on the spot changes a label file.
    DropIns,
    /// The machine changes, and so do its facts.
    Facts,
    // What came later comes last: the acts of a seed stay as they were.
    /// The name server cannot be reached.
    DnsAway,
    /// The name server asks for patience.
    DnsBusy,
    /// The name server does what it is told, and its answers are lost.
    DnsMute,
    /// The name server does a half of what it is told, and its answers are lost.
    DnsHalfDone,
    /// The name server answers with what was, and not with what is.
    DnsStale,
    /// The name server does not accept the credentials.
    DnsLocked,
    /// Somebody changes a record of a site by hand.
    DnsDrift,
    /// An operator says under which address a gateway is found.
    DnsAddress,
    /// An operator leaves a gateway out of DNS, or takes it in.
    DnsSwitch,
    /// An operator selects a site for the central provider, or lets it go.
    DnsSelect,
    /// An operator gives the central provider other settings.
    DnsEdit,
    /// An operator takes the central provider away, and gives it back a while later.
    DnsRemove,
    /// A machine has another address.
    Address,
    /// An operator accepts a site that waits for it.
    Accept,
    /// A hostile member greets with wild numbers and clocks.
    LieGreeting,
    /// A hostile member sends status under wild generations.
    LieStatus,
    /// A hostile member sends events of every kind, under wild numbers, in the server's name.
    LieEvents,
    /// A hostile member acknowledges what it was never sent.
    LieAcks,
    /// A hostile member sends messages that have no place in its session.
    LieOrder,
    /// A hostile member greets again and again, and does nothing else.
    FloodGreetings,
    /// A hostile member sends thousands of provider documents and tombstones, a delta at a time.
    FloodDocuments,
    /// A hostile member sends its whole status again and again, each value at its limit.
    FloodSnapshots,
    /// A hostile member sends events without waiting for anything.
    FloodEvents,
    /// A hostile member connects, and is silent.
    Mute,
}

impl Kind {
    /// Returns the table it is written in.
    pub const fn table(self) -> Table {
        match self {
            Self::Cut
            | Self::CutUp
            | Self::CutDown
            | Self::Dark
            | Self::Rebind
            | Self::Reboot
            | Self::Crash
            | Self::Restart
            | Self::DiskFull
            | Self::DiskSlow
            | Self::DiskDamaged
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
            | Self::Partition => Table::Server,
            Self::DnsAway
            | Self::DnsBusy
            | Self::DnsMute
            | Self::DnsHalfDone
            | Self::DnsStale
            | Self::DnsLocked
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
            Self::SpotLabel | Self::DropIns | Self::Facts | Self::Address => Table::Spot,
            Self::LieGreeting
            | Self::LieStatus
            | Self::LieEvents
            | Self::LieAcks
            | Self::LieOrder
            | Self::FloodGreetings
            | Self::FloodDocuments
            | Self::FloodSnapshots
            | Self::FloodEvents
            | Self::Mute => Table::Hostile,
        }
    }

    /// Whether it is done to one site: a fault, or something an operator or somebody on the spot does there.
    pub(crate) const fn is_of_site(self) -> bool {
        match self.table() {
            Table::Faults | Table::Spot | Table::Hostile => true,
            Table::Server | Table::NameServer => false,
            Table::Operators => !matches!(
                self,
                Self::LabelAll | Self::TokenCreate | Self::TokenRevoke | Self::DnsEdit | Self::DnsRemove
            ),
        }
    }

    /// Whether it is done to the line of a site, whatever runs at its end.
    pub(crate) const fn is_of_line(self) -> bool {
        matches!(self, Self::Cut | Self::CutUp | Self::CutDown | Self::Dark | Self::Rebind)
    }

    /// Whether it makes sense only where a scenario says what members there are.
    pub(crate) const fn is_of_members(self) -> bool {
        matches!(self.table(), Table::Hostile) || matches!(self, Self::Accept)
    }

    /// Whether it makes sense only where sites have DNS providers.
    pub(crate) const fn is_of_dns(self) -> bool {
        matches!(self.table(), Table::NameServer)
            || matches!(
                self,
                Self::DnsAddress | Self::DnsSwitch | Self::DnsSelect | Self::DnsEdit | Self::DnsRemove | Self::Address
            )
    }

    /// Returns the shortest and the longest time it lasts.
    pub(crate) const fn lasts(self) -> (Duration, Duration) {
        const SECOND: u64 = 1;
        const MINUTE: u64 = 60;
        const HOUR: u64 = 3600;
        const DAY: u64 = 24 * HOUR;
        let (min, max) = match self {
            Self::Cut | Self::CutUp | Self::CutDown => (SECOND, 20 * MINUTE),
            Self::Dark => (7 * DAY, 30 * DAY),
            Self::Reboot => (20 * SECOND, 5 * MINUTE),
            Self::Crash | Self::Restart | Self::ServerCrash | Self::ServerStop => (SECOND, 30 * SECOND),
            Self::DiskFull | Self::DiskSlow | Self::ClockLost => (MINUTE, HOUR),
            Self::DiskImage => (HOUR, DAY),
            Self::Clone => (10 * MINUTE, 6 * HOUR),
            Self::ServerKill => (SECOND, 2 * MINUTE),
            Self::ServerDiskFull | Self::ServerSlow => (10 * SECOND, 5 * MINUTE),
            Self::Partition => (10 * SECOND, 15 * MINUTE),
            Self::DnsAway | Self::DnsBusy | Self::DnsMute | Self::DnsHalfDone => (10 * SECOND, HOUR),
            Self::DnsStale => (10 * SECOND, 20 * MINUTE),
            Self::DnsLocked | Self::DnsRemove => (MINUTE, 3 * HOUR),
            _ => (0, 0),
        };
        (Duration::from_secs(min), Duration::from_secs(max))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut word = String::new();
        for (index, letter) in format!("{self:?}").chars().enumerate() {
            if letter.is_uppercase() && 0 < index {
                word.push('-');
            }
            word.extend(letter.to_lowercase());
        }
        f.pad(&word)
    }
}

/// Which table of a scenario a thing is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Faults of sites, per site and day.
    Faults,
    /// Faults of the server, per day.
    Server,
    /// What operators do, per day.
    Operators,
    /// What happens on the spot, per site and day.
    Spot,
    /// Faults of the name server, per day.
    NameServer,
    /// What hostile members do, per hostile member and day.
    Hostile,
}

impl Table {
    /// Returns the name of the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Faults => "faults",
            Self::Server => "server",
            Self::Operators => "operators",
            Self::Spot => "spot",
            Self::NameServer => "name_server",
            Self::Hostile => "hostile",
        }
    }

    /// Whether its rates are for each site.
    pub(crate) const fn is_per_site(self) -> bool {
        matches!(self, Self::Faults | Self::Spot | Self::Hostile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_written_as_it_is_read() {
        for kind in [Kind::Cut, Kind::ServerDiskFull, Kind::LabelAll, Kind::DnsHalfDone] {
            let written = serde_json::to_string(&kind).expect("a kind is a word");
            assert_eq!(written, format!("\"{kind}\""));
        }
    }
}
