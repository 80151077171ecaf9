//! Known bugs that can be injected on purpose: the simulator's mutation suite switches one on to prove that a checker
//! detects it. Without the feature `testing` nothing can be injected, and [`planted`] is a constant `false`.

/// A bug that can be injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Acknowledges, replies and grants before the store has answered.
    AcknowledgeBeforePersist,
    /// Adopts a delta that is older than what is held.
    OlderGeneration,
    /// Lets the end of any session of a site take down the site's link.
    CloseBySite,
    /// Never drops an event from the outbox.
    UnboundedOutbox,
    /// Redials after the longest delay instead of a random one.
    NoJitter,
    /// Issues a certificate to a removed site.
    RecoverRevoked,
    /// Writes centrally assigned labels into the labels set locally.
    LabelWriterMixedUp,
    /// Forgets the key of a removed site.
    LostTombstone,
    /// Undercounts a token's uses.
    TokenUsedTwice,
    /// Records an event although nothing happened.
    RestlessOutbox,
    /// Takes a DNS name from its current owner despite the ownership TXT record.
    ForeignClaimIgnored,
    /// Forgets its ownership note before the DNS record is gone.
    ForgottenTooEarly,
    /// Stores a generation derived from what a site claims to hold, without checking it.
    UncheckedClaim,
    /// Stores as many status documents as a site sends.
    UnboundedStatus,
    /// Charges all sites for what one of them sends.
    SharedPace,
    /// Accepts status and events from a pending site.
    PendingSpeaks,
    /// Stores events of a site as if the server had recorded them.
    ForgedOrigin,
}

impl Mutant {
    /// All mutants.
    #[cfg(feature = "testing")]
    pub const ALL: [Self; 17] = [
        Self::AcknowledgeBeforePersist,
        Self::OlderGeneration,
        Self::CloseBySite,
        Self::UnboundedOutbox,
        Self::NoJitter,
        Self::RecoverRevoked,
        Self::LabelWriterMixedUp,
        Self::LostTombstone,
        Self::TokenUsedTwice,
        Self::RestlessOutbox,
        Self::ForeignClaimIgnored,
        Self::ForgottenTooEarly,
        Self::UncheckedClaim,
        Self::UnboundedStatus,
        Self::SharedPace,
        Self::PendingSpeaks,
        Self::ForgedOrigin,
    ];
}

#[cfg(feature = "testing")]
std::thread_local! {
    static PLANTED: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

/// Injects a bug into the machines of this thread, or removes it.
#[cfg(feature = "testing")]
pub fn plant(mutant: Option<Mutant>) {
    PLANTED.set(mutant);
}

/// Whether this bug is injected.
#[cfg(feature = "testing")]
pub(crate) fn planted(mutant: Mutant) -> bool {
    PLANTED.get() == Some(mutant)
}

/// Whether this bug is injected: never.
#[cfg(not(feature = "testing"))]
pub(crate) const fn planted(_mutant: Mutant) -> bool {
    false
}
