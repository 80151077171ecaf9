//! Verification of a log.

use super::{AuditHash, AuditHead};

/// Why a log is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditBreak {
    /// An entry does not follow the one before it: at least one is missing, or they are in another order.
    #[error("entry {found} follows entry {last}: entries are missing or in another order")]
    Order {
        /// The number of the entry before.
        last: u64,
        /// The number of the entry.
        found: u64,
    },
    /// An entry, or one before it, was changed: it was written after an entry with another hash.
    #[error("entry {number} was written after an entry with another hash: an entry before it was changed or replaced")]
    Previous {
        /// Its number.
        number: u64,
    },
    /// An entry was changed: it does not have the hash that it was written with.
    #[error("entry {number} was changed: its contents do not have its hash")]
    Changed {
        /// Its number.
        number: u64,
    },
    /// The entry at a known head has another hash: the log was rewritten.
    #[error("entry {number} is not the one of the known head: the log was rewritten")]
    Rewritten {
        /// Its number.
        number: u64,
    },
    /// The log ends before a known head: its end was cut off.
    #[error("the log ends with entry {last}, before entry {known} of the known head: its end was cut off")]
    CutOff {
        /// The number of the last entry.
        last: u64,
        /// The number of the known head.
        known: u64,
    },
}

/// Verifies a log, entry by entry.
#[derive(Clone, Debug)]
pub struct AuditVerifier {
    last: AuditHead,
    known: Vec<AuditHead>,
    is_confirmed: bool,
}

impl AuditVerifier {
    /// Starts with the entry after `start`. The log must contain the `known` heads that come after it.
    ///
    /// # Errors
    /// The start itself contradicts a known head.
    pub fn new(start: AuditHead, mut known: Vec<AuditHead>) -> Result<Self, AuditBreak> {
        known.sort_by_key(|head| std::cmp::Reverse(head.number));
        let mut verifier = Self { last: start, known, is_confirmed: false };
        verifier.confirm()?;
        Ok(verifier)
    }

    /// Checks the next entry: its number, the hash of the entry before it, its hash, and the fields that it is over.
    ///
    /// # Errors
    /// [`AuditBreak`].
    pub fn check<'a>(
        &mut self,
        (number, previous, hash): (u64, AuditHash, AuditHash),
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), AuditBreak> {
        if number != self.last.number + 1 {
            return Err(AuditBreak::Order { last: self.last.number, found: number });
        }
        if previous != self.last.hash {
            return Err(AuditBreak::Previous { number });
        }
        if hash != previous.next(fields) {
            return Err(AuditBreak::Changed { number });
        }
        self.last = AuditHead { number, hash };
        self.confirm()
    }

    /// Ends the verification. Returns the last entry, and whether a known head was found. A known head from before the
    /// start is not found: retention has removed its entry.
    ///
    /// # Errors
    /// [`AuditBreak::CutOff`].
    pub fn finish(self) -> Result<(AuditHead, bool), AuditBreak> {
        match self.known.first() {
            Some(known) => Err(AuditBreak::CutOff { last: self.last.number, known: known.number }),
            None => Ok((self.last, self.is_confirmed)),
        }
    }

    /// Compares the last entry with the known heads that come up to it.
    fn confirm(&mut self) -> Result<(), AuditBreak> {
        while let Some(known) = self.known.pop_if(|known| known.number <= self.last.number) {
            if known.number == self.last.number {
                if known.hash != self.last.hash {
                    return Err(AuditBreak::Rewritten { number: known.number });
                }
                self.is_confirmed = true;
            }
        }
        Ok(())
    }
}
