//! Why a session is closed.

use std::fmt;
use std::time::Duration;

use crate::condition::words;
use crate::name::Text;

words! {
    /// Why a session was closed or rejected. Peers may act on these codes; the list is closed.
    RefusalCode {
        /// A malformed message, or one that is not allowed in this state.
        Protocol = "protocol",
        /// No protocol version in common.
        NoCommonVersion = "no-common-version",
        /// The join token does not exist, or its secret is wrong.
        TokenUnknown = "token-unknown",
        /// The join token has expired.
        TokenExpired = "token-expired",
        /// The join token has no uses left.
        TokenUsedUp = "token-used-up",
        /// The join token was revoked.
        TokenRevoked = "token-revoked",
        /// Another site of the environment has this name.
        NameTaken = "name-taken",
        /// The environment has reached its maximum number of sites.
        EnvironmentFull = "environment-full",
        /// The site has reached its maximum number of hosts.
        SiteFull = "site-full",
        /// No site with this key is registered.
        NotRegistered = "not-registered",
        /// The site was removed and can never return with this key.
        Removed = "removed",
        /// Another machine is connected with this identity.
        DuplicateIdentity = "duplicate-identity",
        /// Too many recoveries with an expired certificate.
        RecoverLimit = "recover-limit",
        /// A newer session of the same site has replaced this one.
        Superseded = "superseded",
        /// The server is stopping.
        ServerStopping = "server-stopping",
        /// The server is overloaded.
        Busy = "busy",
        /// The server cannot write to its store.
        StoreFailed = "store-failed",
        /// The server was restored from a backup, and its operator has not accepted this site or join token yet.
        ServerRestored = "server-restored",
        /// The site's daemon is stopping.
        SiteStopping = "site-stopping",
        /// The exchange is complete; nothing more will be sent on this session.
        Done = "done",
    }
}

impl RefusalCode {
    /// Returns whether the site has to discard its registration.
    pub const fn forgets_registration(self) -> bool {
        matches!(self, Self::Removed)
    }

    /// Returns whether a join refused with this code cannot succeed on a retry without someone changing something
    /// first.
    pub const fn is_final_for_join(self) -> bool {
        matches!(
            self,
            Self::NoCommonVersion
                | Self::TokenUnknown
                | Self::TokenExpired
                | Self::TokenUsedUp
                | Self::TokenRevoked
                | Self::NameTaken
                | Self::EnvironmentFull
                | Self::SiteFull
                | Self::Removed
                | Self::Protocol
        )
    }
}

/// The content of a close frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason, as a code.
    pub code: RefusalCode,
    /// The reason, as text: what failed and what to do.
    pub text: Text,
    /// How long to wait before reconnecting. `None` leaves it to the peer's backoff.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// Creates a refusal without a retry delay.
    pub fn new(code: RefusalCode, text: &str) -> Self {
        Self { code, text: Text::lossy(text), retry_after: None }
    }

    /// Sets the retry delay.
    #[must_use]
    pub fn retry_after(self, delay: Duration) -> Self {
        Self { retry_after: Some(delay), ..self }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.code)
    }
}
