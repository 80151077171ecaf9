//! Events: what happened, at one moment, that an operator would want to read about later.

use std::fmt;

use crate::condition::words;
use crate::id::SiteId;
use crate::name::Text;
use crate::time::WallTime;

words! {
    /// What kind of thing happened.
    EventKind {
        /// A site joined.
        SiteJoined = "site-joined",
        /// An operator accepted a pending site.
        SiteAccepted = "site-accepted",
        /// A site's or host's phase changed.
        PhaseChanged = "phase-changed",
        /// A site has not been reachable for longer than it takes to call it disconnected.
        SiteDisconnected = "site-disconnected",
        /// A disconnected site is back.
        SiteReturned = "site-returned",
        /// A site came back with an expired certificate and was given a new one.
        SiteRecovered = "site-recovered",
        /// A second machine with a site's identity was refused.
        DuplicateRefused = "duplicate-refused",
        /// Labels were changed centrally.
        LabelsAssigned = "labels-assigned",
        /// Name or description were changed.
        Edited = "edited",
        /// A join token was made.
        TokenCreated = "token-created",
        /// A join token was revoked.
        TokenRevoked = "token-revoked",
        /// An environment was made or changed.
        EnvironmentChanged = "environment-changed",
        /// The daemon started.
        DaemonStarted = "daemon-started",
        /// Labels were changed on the spot.
        LabelsSetLocally = "labels-set-locally",
        /// A condition appeared at the site.
        ConditionRaised = "condition-raised",
        /// A condition went away at the site.
        ConditionCleared = "condition-cleared",
        /// The site's certificate was renewed.
        CertificateRenewed = "certificate-renewed",
        /// DNS records were written or taken away.
        RecordsChanged = "records-changed",
        /// A site left, and some of its DNS records could not be taken away.
        RecordsLeft = "records-left",
        /// A plugin file was taken into use, or refused.
        PluginChanged = "plugin-changed",
        /// A provider was added, changed or taken away centrally.
        ProviderChanged = "provider-changed",
        /// A plugin was pushed to the server, or taken away from it.
        PluginPushed = "plugin-pushed",
        /// A record of the server's database could not be read at its start.
        RecordUnreadable = "record-unreadable",
    }
}

impl EventKind {
    /// Whether a site may send an event of this kind. All others are the server's own to say.
    pub const fn is_a_sites(self) -> bool {
        matches!(
            self,
            Self::DaemonStarted
                | Self::LabelsSetLocally
                | Self::ConditionRaised
                | Self::ConditionCleared
                | Self::CertificateRenewed
                | Self::RecordsChanged
                | Self::RecordsLeft
                | Self::PluginChanged
        )
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, by the clock of whoever saw it.
    pub at: WallTime,
    /// What kind of thing.
    pub kind: EventKind,
    /// To which site; `None` for the server itself.
    pub site: Option<SiteId>,
    /// In words.
    pub text: Text,
}

/// An event as the server keeps it: what was said, and who said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedEvent {
    /// The event. Its time is the clock of whoever saw it: a site's is a claim.
    pub event: Event,
    /// When the server received it from its site; `None` if the server itself says so.
    pub received_at: Option<WallTime>,
}
