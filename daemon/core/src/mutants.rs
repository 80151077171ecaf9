//! Known bugs, planted on purpose: whoever proves that a checker can see them (the simulator's mutation suite)
//! switches one on. Without the feature `testing` nothing can be planted, and [`planted`] is a constant `false`.

/// A bug that can be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Acknowledges, replies and grants before the store has answered.
    AcknowledgeBeforePersist,
    /// Adopts a delta that is older than what is held.
    OlderGeneration,
    /// Lets the end of any session of a site end the site's link.
    CloseBySite,
    /// Never drops an event from the outbox.
    UnboundedOutbox,
    /// Redials after the longest delay instead of a random one.
    NoJitter,
    /// Gives a certificate to a site that was removed.
    RecoverRevoked,
    /// Writes what was assigned centrally into the labels set on the spot.
    LabelWriterMixedUp,
    /// Forgets the key of a site that was removed.
    LostTombstone,
    /// Counts a token's uses too low.
    TokenUsedTwice,
    /// Makes an event though nothing has happened.
    RestlessOutbox,
    /// Takes a DNS name from whoever has claimed it.
    ForeignClaimIgnored,
    /// Forgets its note of a DNS record before the record is gone.
    ForgottenTooEarly,
    /// Keeps a number that it made of a site's claim, and does not check it.
    UncheckedClaim,
    /// Keeps as many status documents as a site sends.
    UnboundedStatus,
    /// Lets all sites pay for what one of them sends.
    SharedPace,
    /// Takes status and events of a site that nobody has accepted.
    PendingSpeaks,
    /// Keeps what a site says happened as the server's own words.
    ForgedOrigin,
}

impl Mutant {
    /// All of them.
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

/// Plants a bug in the machines of this thread, or takes it out again.
#[cfg(feature = "testing")]
pub fn plant(mutant: Option<Mutant>) {
    PLANTED.set(mutant);
}

/// Whether a bug is planted.
#[cfg(feature = "testing")]
pub(crate) fn planted(mutant: Mutant) -> bool {
    PLANTED.get() == Some(mutant)
}

/// Whether a bug is planted: never.
#[cfg(not(feature = "testing"))]
pub(crate) const fn planted(_mutant: Mutant) -> bool {
    false
}
