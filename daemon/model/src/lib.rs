//! Domain types of Linecamp: values that enforce their own invariants.
//!
//! A value that exists is valid: text is parsed and checked once, here, and not checked again. This crate has no I/O,
//! no clock, no serialization and no decision that needs more than the values themselves. `core` makes decisions;
//! `proto` defines the wire format.

#![forbid(unsafe_code)]

pub mod limits;

mod access;
mod actor;
mod audit;
mod authority_set;
mod bulk_action;
mod caller;
mod condition;
mod digest;
mod dns;
mod document;
mod endpoint_host;
mod event;
mod generation;
mod id;
mod json;
mod kept_answer;
mod label;
mod link_gap;
mod member;
mod message;
mod name;
mod phase;
mod printable;
mod provider;
mod public_address;
mod redaction;
mod refusal;
mod restore_view;
mod selector;
mod server_set;
mod store_record;
mod time;
mod token;
mod user;
mod version;
mod view;

pub use access::{Access, Requirement, Role};
pub use actor::Actor;
pub use audit::{
    AUDIT_BLOCK_ENTRIES, AuditActor, AuditBlock, AuditBreak, AuditChange, AuditChanges, AuditEntry, AuditExtent,
    AuditHash, AuditHead, AuditOutcome, AuditRepeats, AuditRetention, AuditVerifier,
};
pub use authority_set::{
    AuthorityRotation, AuthoritySet, KnownAuthorities, RotationPhase, RotationStep, SiteTrust, TrustReport,
    TrustedAuthority,
};
pub use bulk_action::{BulkAction, BulkActionSite, BulkOutcome, BulkRejection, SiteAction};
pub use caller::{Caller, CallerAccount, Identity, KeyIdentity};
pub use condition::{Condition, ConditionKind};
pub use digest::{IdempotencyKeyHash, KeyFingerprint, Pin, PinError, PluginDigest, RequestDigest, SecretHash};
pub use dns::{
    CapabilitiesError, Claim, DnsCapabilities, DnsReply, DnsRequest, DnsSettings, DnsStatus, DomainName,
    DomainNameError, ExtraRecord, NameTemplate, Observed, OwnedRecord, OwnedRecordKey, OwnerId, Ownership, Place,
    RecordChange, RecordError, RecordKey, RecordSet, RecordState, RecordStatus, RecordType, TemplateError, Ttl,
    service_address_problem,
};
pub use document::{
    Delta, Document, DocumentKey, HostDaemon, HostLink, HostMember, HostMembership, HostSpec, HostStatus, HostToken,
    Origin, SiteSpec, SiteStatus, SpecBody, SpecDelta, StatusBody, StatusDelta, Target,
};
pub use endpoint_host::HostError;
pub use event::{Event, EventKind, LoggedEvent};
pub use generation::{Generation, Incarnation};
pub use id::{
    BulkActionId, CallId, CommandId, DialId, HostId, KeyId, ProviderId, RequestId, RunId, SessionId, SiteId, TokenId,
    UserSessionId, WriteId,
};
pub use kept_answer::KeptAnswer;
pub use label::{
    EffectiveLabel, EffectiveLabels, InvalidLabel, Label, LabelEntry, LabelError, LabelInput, LabelKey, LabelPatch,
    LabelSet, LabelValue, Level, OwnedLabels, Owner, effective, effective_of_site, effective_value,
    effective_value_of_site,
};
pub use link_gap::{BootId, CauseTimes, GapCause, GapReport, LinkGap, LinkRecord, link_error};
pub use member::{MemberId, MemberKind, Parent};
pub use message::{
    EventBatch, FromMember, FromParent, Hello, IdentityGrant, JoinRequest, PluginPiece, PluginWant, VersionRange,
    Welcome,
};
pub use name::{Name, NameError, Text, TextError};
pub use phase::{Phase, PhaseEvent};
pub use printable::{character_name, excerpt, first_invisible, is_invisible, mark_invisible, printable, shell_quoted};
pub use provider::{
    Capabilities, Endpoint, Grant, PluginDescription, PluginRef, ProviderConfig, ProviderError, ProviderFailure,
    ProviderKind, ProviderReply, ProviderRequest, ProviderSpec, ProviderStatus, ProviderStatusKind, SecretName,
    SecretRequirement, SettingProblem,
};
pub use public_address::is_public_address;
pub use redaction::{PART_BYTES, SecretFinder};
pub use refusal::{Refusal, RefusalCode};
pub use restore_view::{HeldApiKeyView, HeldSiteView, RefusedContact, RestoreView, SiteEvidence};
pub use selector::{Selector, SelectorError, SelectorProblem};
pub use server_set::{KnownServers, ServerSet};
pub use store_record::{
    Environment, FleetAuthorities, FleetChange, FleetOrigin, FleetProvider, HeldSite, HostMemberChange,
    HostMemberRegistration, HostRegistration, Life, PluginFile, Recoveries, Registration, ReplicationCursor,
    RestoredFrom, Salvage, ServerSettings, SiteChange, SiteOrigin, Token, TokenHosts,
};
pub use time::{Instant, Now, WallTime};
pub use token::{JoinSecret, JoinTarget, JoinToken, ServerAddress, TokenError};
pub use user::{ApiKey, OidcIdentity, OidcIdentityError, PasswordHash, PasswordHashError, User, UserSession};
pub use view::{
    EventView, HostState, HostTokenView, HostView, LinkState, LinkView, LocalHostView, LocalView, PartState, SiteState,
    SiteView, TokenState, TokenView, Why,
};
