//! What goes into a site's machine and what comes out of it.

use linecamp_model::{
    CallId, CommandId, DialId, FromServer, FromSite, HeldKey, IdentityGrant, LabelError, LabelPatch, Level,
    PluginDigest, PluginPiece, ProviderId, ProviderRequest, ProviderSpec, Refusal, SiteChange, Text, WriteId,
};

use super::uplink::{Dial, LossReason};
use crate::StoreFault;

/// What a site's machine waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A dial has taken too long.
    DialLate,
    /// The answer to a greeting has taken too long.
    GreetingLate,
    /// It is time to dial again.
    Redial,
    /// It is time to collect facts.
    Facts,
    /// It is time to try the store again.
    StoreRetry,
    /// It is time to ask for a new certificate.
    Renew,
    /// It is time to go on with a plugin of which the disk did not keep a piece.
    Fetch(PluginDigest),
    /// It is time to save a certificate again.
    SaveIdentity,
    /// It is time to open the local socket, which could not be opened before.
    LocalSocket,
    /// It is time for a provider's next round.
    Round(ProviderId),
    /// A provider's call has taken too long.
    CallLate(ProviderId),
    /// A site that is removed has tried for long enough to take its records along.
    Withdraw,
}

/// What a site's machine asks of the outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteOutput {
    /// Reach a server. Answered by [`LinkEvent`]s that carry the dial.
    Dial(Dial),
    /// Send a message on the session of this dial.
    Send {
        /// The dial whose session it is.
        dial: DialId,
        /// What to say.
        message: FromSite,
    },
    /// Close the session of this dial, or give up the dial.
    Hangup {
        /// The dial.
        dial: DialId,
        /// What to say in the close frame.
        refusal: Refusal,
    },
    /// Make changes durable. Answered by `handle_persisted` or `handle_persist_failed`.
    Persist {
        /// Names the write.
        write: WriteId,
        /// What to write, all or nothing.
        changes: Vec<SiteChange>,
    },
    /// Find out whether the store takes a write as large as the largest that failed since it took one last. Nothing is
    /// kept of it. Answered as `Persist` is.
    TryStore(WriteId),
    /// Let the store go on after this write failed: it and all later ones have been undone here.
    ResumeStore(WriteId),
    /// Make a certificate durable. Answered by `handle_identity_saved`, or by `handle_identity_unsaved` where it is
    /// used without.
    SaveIdentity(IdentityGrant),
    /// Open the local socket, which could not be opened before. Answered by `handle_local_socket`.
    OpenLocalSocket,
    /// Ask a provider's plugin. Answered by `handle_provider`. One call of a provider is under way at a time.
    Call {
        /// Names the call.
        call: CallId,
        /// Which provider, with its settings and grants.
        provider: Box<ProviderSpec>,
        /// Whether the site's own configuration names the provider, and not the server.
        is_local: bool,
        /// What to ask.
        request: ProviderRequest,
    },
    /// Say how much of a plugin that is pushed centrally is kept here. Answered by `handle_plugin_kept` or
    /// `handle_plugin_not_kept`.
    MeasurePlugin(PluginDigest),
    /// Append a piece to what is kept of a plugin; at the end compare its digest. Answered by `handle_plugin_kept` or
    /// `handle_plugin_not_kept`.
    KeepPiece(PluginPiece),
    /// Find out about this machine. Answered by `handle_facts`.
    CollectFacts,
    /// Answer somebody on the spot.
    Reply {
        /// Whose request it was.
        command: CommandId,
        /// What became of it.
        result: Result<(), SiteCommandError>,
    },
    /// The site was removed: forget its identity and all it held, and stop.
    Forget(Refusal),
    /// The wish to join was refused for good.
    JoinRefused(Refusal),
}

/// What happens to a link, seen from the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// The dial came through.
    Dialed(DialId),
    /// A message arrived.
    Received(DialId, FromServer),
    /// The dial failed, or its session ended.
    Lost(DialId, LossReason),
}

/// What somebody on the spot may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteCommand {
    /// Change the labels set by hand.
    PatchLabels(Level, LabelPatch),
    /// Let every provider look at its zones, and plan, and do nothing. Answered when all have looked.
    PlanRecords,
    /// Take a DNS name over from whoever has it.
    AdoptRecord(HeldKey),
}

/// Why a request on the spot was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteCommandError {
    /// The labels would be too many.
    Labels(LabelError),
    /// There is no such record, or it is not somebody else's: in words.
    Record(Text),
    /// The store could not commit; nothing was changed.
    Store(StoreFault),
}
