//! Conditions: named troubles an operator can see. A condition is a level, present or absent, and says
//! since when and in what way; what happened at one moment is an [`Event`](crate::Event).

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
            /// Every one, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Returns the code that people and programs see. It never changes.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// Returns the one with this code.
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
    /// The catalogue. Each entry says when it clears.
    ConditionKind {
        /// Two machines present one identity. Clears when the refused one has not tried for a while.
        DuplicateIdentity = "duplicate-identity",
        /// The site's clock and the server's differ by minutes. Clears when a greeting finds them agree.
        ClockSkew = "clock-skew",
        /// The store could not commit because the disk is full. Clears when the disk has room for what was refused.
        DiskFull = "disk-full",
        /// The store could not commit for another reason. Clears as `disk-full` does.
        StoreFailed = "store-failed",
        /// A damaged site database was put aside; the site went on without. Clears at the daemon's next start.
        StoreDamaged = "store-damaged",
        /// A label drop-in file could not be used. Clears when it is mended or gone.
        LabelsInvalid = "labels-invalid",
        /// The same label was given twice in one input; the last won. Clears when it is not repeated.
        LabelsRepeated = "labels-repeated",
        /// More labels than one owner may have; the last good set stays. Clears when they fit.
        LabelsTooMany = "labels-too-many",
        /// Events were dropped because the outbox was full. Clears when the server has been told how many.
        EventsDropped = "events-dropped",
        /// A transitional phase has waited past its deadline. Clears when it ends.
        PhaseLate = "phase-late",
        /// The site came back with an expired certificate too often. Clears on the next recovery let in.
        RecoverRefused = "recover-refused",
        /// A plugin is missing, cannot be loaded, or broke a rule. Clears when a call to it ends well.
        PluginFailed = "plugin-failed",
        /// A provider's service is out of reach, refuses, or does not accept the credentials. Clears with a whole
        /// round.
        ProviderFailed = "provider-failed",
        /// A DNS name that is wanted belongs to somebody else. Clears when it is given up, adopted, or not wanted any
        /// more.
        RecordForeign = "record-foreign",
        /// A DNS record cannot be written as it is wanted, and was set aside. Clears when it is wanted otherwise.
        RecordQuarantined = "record-quarantined",
        /// DNS records are not wanted any more and stay: deletes are not enabled, or there were too many at once, or
        /// their provider is not configured any more. Clears when they are gone.
        RecordsHeld = "records-held",
        /// Facts that are reported could not be observed lately; their last values are kept. Clears when each of them
        /// is observed, or observed to be absent.
        FactsStale = "facts-stale",
        /// A plugin that comes from the server cannot be kept on the site's disk; it is tried again, ever more seldom.
        /// Clears when a piece is kept, or the plugin is not needed any more.
        PluginFetchFailed = "plugin-fetch-failed",
        /// A certificate that the server sent could not be saved. Clears when it, or a later one, is saved.
        IdentityNotSaved = "identity-not-saved",
        /// The daemon could not open its local socket, for want of room or of a writable disk: local commands do not
        /// reach it. Clears when it is open.
        LocalSocketFailed = "local-socket-failed",
    }
}

impl ConditionKind {
    /// Whether it is about the site's own storage. A status has to be durable before it is sent, so these are no part
    /// of one: they go over the link by themselves.
    pub const fn is_of_storage(self) -> bool {
        match self {
            Self::DiskFull
            | Self::StoreFailed
            | Self::StoreDamaged
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
            | Self::RecordForeign
            | Self::RecordQuarantined
            | Self::RecordsHeld
            | Self::FactsStale
            | Self::PluginFetchFailed => false,
        }
    }
}

/// One trouble of one site or host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Which.
    pub kind: ConditionKind,
    /// Since when, by the clock of whoever raised it.
    pub since: WallTime,
    /// In what way, and what to do.
    pub detail: Text,
}
