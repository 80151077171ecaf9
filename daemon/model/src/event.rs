//! Events: what happened at one moment, kept for operators to read later.

use std::fmt;

use crate::condition::words;
use crate::id::{HostId, SiteId};
use crate::name::Text;
use crate::time::WallTime;

words! {
    /// The kinds of events.
    EventKind {
        /// A site joined.
        SiteJoined = "site-joined",
        /// An operator accepted a pending site.
        SiteAccepted = "site-accepted",
        /// A site's or host's phase changed.
        PhaseChanged = "phase-changed",
        /// A site has been unreachable long enough to count as disconnected.
        SiteDisconnected = "site-disconnected",
        /// A disconnected site is connected again.
        SiteReturned = "site-returned",
        /// A site connected with an expired certificate and received a new one.
        SiteRecovered = "site-recovered",
        /// A host joined its site.
        HostJoined = "host-joined",
        /// A host was removed from its site, or left it.
        HostRemoved = "host-removed",
        /// A host has been unreachable long enough to count as disconnected.
        HostDisconnected = "host-disconnected",
        /// A disconnected host is connected again.
        HostReturned = "host-returned",
        /// A host connected with an expired certificate and received a new one.
        HostRecovered = "host-recovered",
        /// A machine joined as a registered site; the keys of the earlier machine were revoked.
        SiteReplaced = "site-replaced",
        /// The server's certificate authorities changed: a step of the replacement of its authority.
        AuthorityChanged = "authority-changed",
        /// A second machine with a site's identity was rejected.
        DuplicateRefused = "duplicate-refused",
        /// Labels were changed centrally.
        LabelsAssigned = "labels-assigned",
        /// A name or description was changed.
        Edited = "edited",
        /// A join token was created.
        TokenCreated = "token-created",
        /// A join token was revoked.
        TokenRevoked = "token-revoked",
        /// An environment was created or changed.
        EnvironmentChanged = "environment-changed",
        /// The daemon started.
        DaemonStarted = "daemon-started",
        /// Labels were changed locally.
        LabelsSetLocally = "labels-set-locally",
        /// A condition was raised at the site.
        ConditionRaised = "condition-raised",
        /// A condition was cleared at the site.
        ConditionCleared = "condition-cleared",
        /// The site's certificate was renewed.
        CertificateRenewed = "certificate-renewed",
        /// DNS records were written or deleted.
        RecordsChanged = "records-changed",
        /// A site was removed, and some of its DNS records could not be deleted.
        RecordsLeft = "records-left",
        /// A plugin file was loaded or rejected.
        PluginChanged = "plugin-changed",
        /// A provider was added, changed or deleted centrally.
        ProviderChanged = "provider-changed",
        /// A plugin was pushed to the server or deleted from it.
        PluginPushed = "plugin-pushed",
        /// A record of the server's database could not be decoded at startup.
        RecordUnreadable = "record-unreadable",
        /// The server was restored from a backup.
        ServerRestored = "server-restored",
        /// Sites, join tokens or API keys that were held since a restore were accepted.
        HeldAccepted = "held-accepted",
        /// Sites, join tokens or API keys that were held since a restore were removed or revoked.
        HeldRejected = "held-rejected",
    }
}

impl EventKind {
    /// Returns whether a member may send an event of this kind. All others come only from the server itself.
    pub const fn is_a_members(self) -> bool {
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
                | Self::HostJoined
                | Self::HostRemoved
                | Self::HostDisconnected
                | Self::HostReturned
                | Self::HostRecovered
                | Self::DuplicateRefused
        )
    }
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it happened, by the clock of the machine that observed it.
    pub at: WallTime,
    /// Its kind.
    pub kind: EventKind,
    /// The site it concerns; `None` for the server itself.
    pub site: Option<SiteId>,
    /// The host of the site it concerns; `None` if it is about no host that joined by itself.
    pub host: Option<HostId>,
    /// The description.
    pub text: Text,
}

/// An event as the server stores it, with its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedEvent {
    /// The event. Its time is that of the machine that observed it; the time of a site's event is not verified.
    pub event: Event,
    /// When the server received it from its site; `None` for an event of the server itself.
    pub received_at: Option<WallTime>,
    /// Who caused it: the caller of the operation that it follows from; `None` if it follows from none.
    pub actor: Option<Text>,
}
