//! Enums: the model's variants and their numbers on the wire, as the schemas assign them.

use linecamp_model::{
    ConditionKind, EventKind, GapCause, MemberKind, Origin, Ownership, Parent, Phase, RecordState, RecordType,
    RefusalCode, Role, SiteAction, Target,
};

use crate::convert::audit_kind::{AuditActorKind, AuditOutcomeKind};
use crate::wire::link::v1 as link;
use crate::wire::record::v1 as record;

/// An enum with wire numbers.
pub(crate) trait WireEnum: Sized {
    /// Returns the variant's number.
    fn number(self) -> i32;

    /// Returns the variant with this number, if this build knows one.
    fn of_number(number: i32) -> Option<Self>;
}

/// Pairs the variants of two enums. Both matches are exhaustive: a variant added to one side only does not compile.
macro_rules! words {
    ($wire:path = $model:ty { $($word:ident),* $(,)? }) => {
        impl WireEnum for $model {
            fn number(self) -> i32 {
                use $wire as Wire;
                match self {
                    $(Self::$word => Wire::$word.into(),)*
                }
            }

            fn of_number(number: i32) -> Option<Self> {
                use $wire as Wire;
                match Wire::try_from(number).ok()? {
                    Wire::Unspecified => None,
                    $(Wire::$word => Some(Self::$word),)*
                }
            }
        }
    };
}

words!(link::Target = Target { Pending, Active, Inactive, Removed });

words!(record::SiteAction = SiteAction { Label, Deactivate, Activate, Accept, Remove, ForceRemove });

words!(link::Origin = Origin { Gateway, Custom, Provider });

words!(link::Parent = Parent { Server, Gateway });

words!(link::MemberKind = MemberKind { Site, Host });

words!(
    link::ConditionKind = ConditionKind {
        DuplicateIdentity,
        ClockSkew,
        DiskFull,
        StoreFailed,
        StoreCorrupt,
        LabelsInvalid,
        LabelsRepeated,
        LabelsTooMany,
        EventsDropped,
        PhaseLate,
        RecoverRefused,
        PluginFailed,
        ProviderFailed,
        RecordConflict,
        RecordQuarantined,
        RecordsRetained,
        FactsStale,
        PluginFetchFailed,
        IdentityNotSaved,
        LocalSocketFailed,
    }
);

words!(
    link::EventKind = EventKind {
        SiteJoined,
        SiteAccepted,
        PhaseChanged,
        SiteDisconnected,
        SiteReturned,
        SiteRecovered,
        HostJoined,
        HostRemoved,
        HostDisconnected,
        HostReturned,
        HostRecovered,
        SiteReplaced,
        AuthorityChanged,
        ServerRestored,
        HeldAccepted,
        HeldRejected,
        DuplicateRefused,
        LabelsAssigned,
        Edited,
        TokenCreated,
        TokenRevoked,
        EnvironmentChanged,
        DaemonStarted,
        LabelsSetLocally,
        ConditionRaised,
        ConditionCleared,
        CertificateRenewed,
        RecordsChanged,
        RecordsLeft,
        PluginChanged,
        ProviderChanged,
        PluginPushed,
        RecordUnreadable,
    }
);

words!(link::RecordState = RecordState { InSync, Create, Update, Delete, Conflict, Quarantined, Retained, Unknown });

impl WireEnum for RecordType {
    /// A type that is never written has no number: zero, which is rejected.
    fn number(self) -> i32 {
        use link::RecordType as Wire;
        let wire = match self {
            Self::A => Wire::A,
            Self::Aaaa => Wire::Aaaa,
            Self::Cname => Wire::Cname,
            Self::Txt => Wire::Txt,
            Self::Other(_) => Wire::Unspecified,
        };
        wire.into()
    }

    fn of_number(number: i32) -> Option<Self> {
        use link::RecordType as Wire;
        match Wire::try_from(number).ok()? {
            Wire::Unspecified => None,
            Wire::A => Some(Self::A),
            Wire::Aaaa => Some(Self::Aaaa),
            Wire::Cname => Some(Self::Cname),
            Wire::Txt => Some(Self::Txt),
        }
    }
}

words!(
    link::RefusalCode = RefusalCode {
        Protocol,
        NoCommonVersion,
        TokenUnknown,
        TokenExpired,
        TokenUsedUp,
        TokenRevoked,
        NameTaken,
        EnvironmentFull,
        NotRegistered,
        Removed,
        DuplicateIdentity,
        RecoverLimit,
        Superseded,
        ServerStopping,
        Busy,
        StoreFailed,
        SiteStopping,
        Done,
        ServerRestored,
        SiteFull,
    }
);

words!(
    link::GapCause = GapCause {
        PowerOff,
        DaemonCrash,
        DaemonUpdate,
        DaemonRestart,
        NoRoute,
        NameResolution,
        NoAnswer,
        Tls,
        Refused,
        Paced,
        ServerStopped,
        Unknown,
    }
);

words!(record::AuditActorKind = AuditActorKind { Console, User, Key, Anonymous, Site, Server });

words!(record::AuditOutcome = AuditOutcomeKind { Done, Refused, Failed });

words!(record::Role = Role { Viewer, Operator, Admin });

words!(record::Ownership = Ownership { Pending, Owned, Adopting });

words!(
    record::Phase =
        Phase { Pending, Registering, Active, Deactivating, Inactive, Activating, Removing, Removed, Purged }
);
