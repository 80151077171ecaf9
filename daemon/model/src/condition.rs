//! Conditions: named problems of a site or host. A condition is a level: present or absent, with a start time and a
//! detail. Something that happened at one moment is an [`Event`](crate::Event).

use std::fmt;

use crate::name::Text;
use crate::time::WallTime;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// All values, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Returns the stable code, as shown to operators and used by programs.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// Returns the value with this code.
            pub fn parse(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == code)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}
pub(crate) use words;

words! {
    /// The kinds of conditions, with when each clears.
    ConditionKind {
        /// Two machines use one identity. Clears when the rejected one has not tried to connect for a while.
        DuplicateIdentity = "duplicate-identity",
        /// The clocks of the site and the server differ by minutes. Clears when a hello shows them in agreement.
        ClockSkew = "clock-skew",
        /// The store could not commit because the disk is full. Clears when the disk has room for the failed writes.
        DiskFull = "disk-full",
        /// The store could not commit for another reason. Clears as `disk-full` does.
        StoreFailed = "store-failed",
        /// The site database was corrupt and was moved aside; the site started empty. Clears at the daemon's next
        /// start.
        StoreCorrupt = "store-corrupt",
        /// A label drop-in file is invalid. Clears when it is fixed or removed.
        LabelsInvalid = "labels-invalid",
        /// A label was given twice in one input; the last value wins. Clears when it is no longer repeated.
        LabelsRepeated = "labels-repeated",
        /// More labels than allowed for one owner; the previous set stays in effect. Clears when they fit.
        LabelsTooMany = "labels-too-many",
        /// Events were dropped because the outbox was full. Clears when the server has received their number.
        EventsDropped = "events-dropped",
        /// A transitional phase is past its deadline. Clears when the phase ends.
        PhaseLate = "phase-late",
        /// The site recovered with an expired certificate too often. Clears at the next accepted recovery.
        RecoverRefused = "recover-refused",
        /// A plugin is missing, cannot be loaded, or violated the contract. Clears when a call to it succeeds.
        PluginFailed = "plugin-failed",
        /// A provider's service is unreachable, rejects requests, or rejects the credentials. Clears after a complete
        /// reconcile.
        ProviderFailed = "provider-failed",
        /// A desired DNS name belongs to another owner. Clears when it is released, adopted, or no longer desired.
        RecordConflict = "record-conflict",
        /// A DNS record cannot be written as desired and is quarantined. Clears when the desired record changes.
        RecordQuarantined = "record-quarantined",
        /// DNS records that are no longer desired are retained: deletes are not enabled, there were too many at once,
        /// or their provider is no longer configured. Clears when they are gone.
        RecordsRetained = "records-retained",
        /// Reported facts could not be read recently; their last values are kept. Clears when each of them is read
        /// again or found absent.
        FactsStale = "facts-stale",
        /// A plugin from the server cannot be stored on the site's disk; it is retried with increasing delay. Clears
        /// when a piece is stored, or the plugin is no longer needed.
        PluginFetchFailed = "plugin-fetch-failed",
        /// A certificate from the server could not be saved. Clears when it or a later one is saved.
        IdentityNotSaved = "identity-not-saved",
        /// The daemon could not open its local socket because the disk is full or read-only: local commands cannot
        /// reach it. Clears when the socket is open.
        LocalSocketFailed = "local-socket-failed",
    }
}

impl ConditionKind {
    /// Returns whether it concerns the site's own storage. A status must be durable before it is sent, so these
    /// conditions are not part of it; they are sent separately.
    pub const fn is_of_storage(self) -> bool {
        match self {
            Self::DiskFull
            | Self::StoreFailed
            | Self::StoreCorrupt
            | Self::IdentityNotSaved
            | Self::LocalSocketFailed => true,
            Self::DuplicateIdentity
            | Self::ClockSkew
            | Self::LabelsInvalid
            | Self::LabelsRepeated
            | Self::LabelsTooMany
            | Self::EventsDropped
            | Self::PhaseLate
            | Self::RecoverRefused
            | Self::PluginFailed
            | Self::ProviderFailed
            | Self::RecordConflict
            | Self::RecordQuarantined
            | Self::RecordsRetained
            | Self::FactsStale
            | Self::PluginFetchFailed => false,
        }
    }
}

/// One condition of one site or host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The kind.
    pub kind: ConditionKind,
    /// When it was raised, by the clock of the machine that raised it.
    pub since: WallTime,
    /// What is wrong, and what to do.
    pub detail: Text,
}
