//! What registrations at a server and at a gateway have in common: join tokens, recoveries and certificates.

use std::time::Duration;

use linecamp_model::{
    HostId, JoinSecret, MemberId, MemberKind, Name, Recoveries, Refusal, RefusalCode, SecretHash, SiteId, TokenState,
    WallTime,
};

/// The window over which recoveries are counted.
const RECOVERY_SPAN: Duration = Duration::from_secs(24 * 3600);

/// The lifetime of a member's certificate: 30 days, renewed at two thirds; a member that was offline for longer
/// recovers.
pub const CERTIFICATE_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// How far a new certificate is backdated, for members whose clock is a little behind: at most this, and at most a
/// [part](CERTIFICATE_BACKDATE_PART) of its lifetime, so that it is not due for renewal when issued.
const CERTIFICATE_BACKDATE_MAX: Duration = Duration::from_secs(3600);

/// The divisor of the lifetime that limits backdating: a twenty-fourth.
const CERTIFICATE_BACKDATE_PART: u32 = 24;

/// How often a member may recover in 24 hours, unless its environment overrides it: once should be enough.
pub const RECOVERIES_PER_DAY_DEFAULT: u32 = 5;

/// What a join token allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenTerms {
    /// The hash of its secret.
    pub(crate) secret: SecretHash,
    /// When it expires.
    pub(crate) expires_at: WallTime,
    /// Whether it was revoked.
    pub(crate) is_revoked: bool,
    /// Whether it is held since a restore.
    pub(crate) is_held: bool,
    /// How many members it may create.
    pub(crate) uses_max: u32,
    /// How many it has created.
    pub(crate) uses: u32,
}

impl TokenTerms {
    /// Returns whether the token is valid, or why not.
    pub(crate) fn state(&self, now: WallTime) -> TokenState {
        if self.is_revoked {
            TokenState::Revoked
        } else if self.expires_at <= now {
            TokenState::Expired
        } else if self.uses_max <= self.uses {
            TokenState::UsedUp
        } else if self.is_held {
            TokenState::Held
        } else {
            TokenState::Valid
        }
    }

    /// Checks that a member may join with the token, which its holder proves with `secret`. `create` is the command
    /// that creates another token.
    ///
    /// # Errors
    /// The refusal; of a held token, the caller gives its own.
    pub(crate) fn check(&self, secret: &JoinSecret, create: &str, now: WallTime) -> Result<(), Refusal> {
        let refuse = |code, text: &str| Err(Refusal::new(code, &format!("{text}; create another with `{create}`")));
        if secret.hash() != self.secret {
            return Err(unknown_token());
        }
        match self.state(now) {
            TokenState::Valid | TokenState::Held => Ok(()),
            TokenState::Revoked => refuse(RefusalCode::TokenRevoked, "this join token was revoked"),
            TokenState::Expired => {
                refuse(RefusalCode::TokenExpired, &format!("this join token expired at {}", self.expires_at))
            }
            TokenState::UsedUp => {
                refuse(RefusalCode::TokenUsedUp, &format!("this join token has had its {} uses", self.uses_max))
            }
        }
    }
}

/// Returns the refusal of a join token that does not exist here.
pub(crate) fn unknown_token() -> Refusal {
    let text =
        "this join token is not known here: it may belong to another server or gateway, or be long past its time";
    Refusal::new(RefusalCode::TokenUnknown, text)
}

/// Counts another recovery.
///
/// # Errors
/// The limit is reached, for this long.
pub(crate) fn count_recovery(before: Recoveries, max: u32, now: WallTime) -> Result<Recoveries, Duration> {
    let into_span = now.saturating_since(before.day);
    let is_new_span = RECOVERY_SPAN <= into_span || now < before.day;
    let today = if is_new_span { 0 } else { before.today };
    if max <= today {
        return Err(RECOVERY_SPAN.saturating_sub(into_span));
    }
    let day = if is_new_span { now } else { before.day };
    Ok(Recoveries { total: before.total.saturating_add(1), today: today + 1, day })
}

/// A certificate to issue for the peer of a session, and to send to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueRequest {
    /// What it is for.
    pub kind: MemberKind,
    /// The site.
    pub site: SiteId,
    /// The host that runs the daemon: of a site, its gateway.
    pub host: HostId,
    /// The name of the site or the host.
    pub name: Name,
    /// The environment of the site.
    pub environment: Name,
    /// Start of its validity.
    pub not_before: WallTime,
    /// End of its validity.
    pub not_after: WallTime,
}

impl IssueRequest {
    /// Returns who it is for.
    pub const fn member(&self) -> MemberId {
        match self.kind {
            MemberKind::Site => MemberId::Site(self.site),
            MemberKind::Host => MemberId::Host(self.host),
        }
    }
}

/// Returns the validity of a certificate with this lifetime, from when it starts to when it ends.
pub(crate) fn certificate_validity(life: Duration, now: WallTime) -> [WallTime; 2] {
    let backdate = CERTIFICATE_BACKDATE_MAX.min(life / CERTIFICATE_BACKDATE_PART);
    [now.saturating_sub(backdate), now + life]
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = RECOVERY_SPAN;
    const NOW: WallTime = WallTime::from_unix_millis(1_800_000_000_000);

    fn terms() -> TokenTerms {
        TokenTerms {
            secret: JoinSecret::from_bytes([7; 16]).hash(),
            expires_at: NOW + DAY,
            is_revoked: false,
            is_held: false,
            uses_max: 2,
            uses: 1,
        }
    }

    #[test]
    fn a_token_is_refused_with_the_first_reason() {
        let check = |terms: TokenTerms, now| terms.check(&JoinSecret::from_bytes([7; 16]), "create", now);
        assert_eq!(check(terms(), NOW), Ok(()));
        let code = |terms, now| check(terms, now).map_err(|refusal| refusal.code);
        assert_eq!(code(TokenTerms { uses: 2, ..terms() }, NOW), Err(RefusalCode::TokenUsedUp));
        assert_eq!(code(TokenTerms { uses: 2, ..terms() }, NOW + DAY), Err(RefusalCode::TokenExpired));
        assert_eq!(code(TokenTerms { is_revoked: true, ..terms() }, NOW + DAY), Err(RefusalCode::TokenRevoked));
        let other = terms().check(&JoinSecret::from_bytes([8; 16]), "create", NOW);
        assert_eq!(other.map_err(|refusal| refusal.code), Err(RefusalCode::TokenUnknown));
    }

    #[test]
    fn recoveries_are_limited_in_any_24_hours_also_by_a_clock_that_was_ahead() {
        let first = count_recovery(Recoveries::default(), 2, NOW).expect("the first");
        assert_eq!(first, Recoveries { total: 1, today: 1, day: NOW });
        let second = count_recovery(first, 2, NOW + DAY / 2).expect("the second");
        assert_eq!(count_recovery(second, 2, NOW + DAY / 2), Err(DAY / 2));
        let next = Recoveries { total: 3, today: 1, day: NOW + DAY };
        assert_eq!(count_recovery(second, 2, NOW + DAY), Ok(next));
        let before = NOW.saturating_sub(DAY);
        assert_eq!(count_recovery(second, 2, before), Ok(Recoveries { total: 3, today: 1, day: before }));
    }
}
