//! Transfers of large content over a session: identified by a key (its digest), fetched in pieces, resumed where they
//! stopped.
//!
//! The reader requests one piece of a transfer at a time, so that other traffic on the session waits for one piece at
//! most. The caller stores the pieces: it appends each to a file, verifies the digest at the end, and reports how many
//! bytes are stored. If a piece cannot be stored, the transfer resumes from the stored bytes after a delay that grows
//! at random from [`RESUME_FIRST`] to [`RESUME_MAX`]. If the digest does not match, the stored bytes are discarded and
//! the transfer ends: the content is most likely corrupt at the other end, and fetching on at once would saturate the
//! session forever.
//!
//! This machine does not know what it transfers, or for which use. The caller decides what is needed, and so how many
//! transfers there are.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use linecamp_model::{DialId, Text};

use crate::backoff::Backoff;
use crate::rng::Rng;

/// The upper bound of the first delay after a piece could not be stored.
pub(crate) const RESUME_FIRST: Duration = Duration::from_secs(5);

/// The upper bound of all delays after pieces that could not be stored: a disk with room again is used within it.
pub(crate) const RESUME_MAX: Duration = Duration::from_secs(600);

/// The transfers that are not complete.
#[derive(Clone, Debug)]
pub(crate) struct Transfers<K>(BTreeMap<K, Transfer>);

/// The progress of one transfer.
#[derive(Clone, Debug)]
struct Transfer {
    /// The stored bytes; `None` until the caller reports them.
    stored: Option<u64>,
    /// The size of the content; `None` until its first piece arrives.
    total: Option<u64>,
    /// The dial on which a piece was requested, if one is in flight.
    requested: Option<DialId>,
    /// Why the last piece could not be stored.
    failure: Option<Text>,
    backoff: Backoff,
}

/// What to do with a piece that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PieceVerdict {
    /// Append it to the stored bytes.
    Store,
    /// Discard it: it was not requested.
    Unexpected,
    /// There is no content: the transfer has ended.
    Unavailable,
}

impl<K> Default for Transfers<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Copy + Ord> Transfers<K> {
    /// Starts a transfer, unless it runs. Returns whether it is new: the caller reports how many bytes are stored.
    pub(crate) fn begin(&mut self, key: K) -> bool {
        match self.0.entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(Transfer {
                    stored: None,
                    total: None,
                    requested: None,
                    failure: None,
                    backoff: Backoff::new(),
                });
                true
            }
            Entry::Occupied(_) => false,
        }
    }

    /// Handles the number of bytes that are stored: measured, or after a piece.
    pub(crate) fn handle_stored(&mut self, key: K, bytes: u64) {
        let Some(transfer) = self.0.get_mut(&key) else { return };
        if bytes == 0 && transfer.stored.is_some() {
            // The digest did not match.
            self.cancel(key);
            return;
        }
        transfer.stored = Some(bytes);
        // A piece was stored, as opposed to measured.
        if transfer.requested.take().is_some() {
            transfer.failure = None;
            transfer.backoff.reset();
        }
    }

    /// Handles content that is complete. Returns whether it arrived by a transfer, rather than being there before.
    pub(crate) fn handle_complete(&mut self, key: K) -> bool {
        self.0.remove(&key).is_some_and(|transfer| transfer.stored.is_some())
    }

    /// Handles a failure to store a piece or to measure what is stored. Returns the delay before the caller measures
    /// again.
    pub(crate) fn handle_failed(&mut self, key: K, reason: Text, rng: &mut Rng) -> Option<Duration> {
        let transfer = self.0.get_mut(&key)?;
        (transfer.stored, transfer.requested, transfer.failure) = (None, None, Some(reason));
        Some(transfer.backoff.next(RESUME_FIRST, RESUME_MAX, rng))
    }

    /// Decides about a piece that arrived on the session of `dial`; `total` is the size of the content, zero if there
    /// is none.
    pub(crate) fn handle_piece(&mut self, dial: DialId, key: K, (offset, total): (u64, u64)) -> PieceVerdict {
        let Some(transfer) = self.0.get_mut(&key) else { return PieceVerdict::Unexpected };
        let is_requested = transfer.requested == Some(dial) && transfer.stored == Some(offset);
        match (is_requested, total) {
            (_, 0) => {
                self.cancel(key);
                PieceVerdict::Unavailable
            }
            (true, _) => {
                transfer.total = Some(total);
                PieceVerdict::Store
            }
            (false, _) => PieceVerdict::Unexpected,
        }
    }

    /// Returns the pieces to request on the session of `dial`, as key and offset: the next one of each transfer that
    /// has none in flight there.
    pub(crate) fn take_requests(&mut self, dial: DialId) -> Vec<(K, u64)> {
        let request = |(key, transfer): (&K, &mut Transfer)| {
            let offset = transfer.stored.filter(|_| transfer.requested != Some(dial))?;
            transfer.requested = Some(dial);
            Some((*key, offset))
        };
        self.0.iter_mut().filter_map(request).collect()
    }

    /// Ends a transfer.
    pub(crate) fn cancel(&mut self, key: K) {
        self.0.remove(&key);
    }

    /// Whether the transfer runs, and its last piece could be stored.
    pub(crate) fn is_running(&self, key: K) -> bool {
        self.0.get(&key).is_some_and(|transfer| transfer.failure.is_none())
    }

    /// Returns the number of stored bytes and the size of the content, as far as they are known.
    pub(crate) fn progress(&self, key: K) -> Option<(u64, Option<u64>)> {
        self.0.get(&key).map(|transfer| (transfer.stored.unwrap_or(0), transfer.total))
    }

    /// Returns the transfers whose last piece could not be stored, and why.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (&K, &Text)> {
        self.0.iter().filter_map(|(key, transfer)| Some((key, transfer.failure.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIAL: DialId = DialId(1);

    fn begun() -> Transfers<char> {
        let mut transfers = Transfers::default();
        assert!(transfers.begin('a') && !transfers.begin('a'));
        transfers.handle_stored('a', 10);
        transfers
    }

    #[test]
    fn one_piece_is_requested_at_a_time_and_each_follows_the_last() {
        let mut transfers = begun();
        assert_eq!(transfers.take_requests(DIAL), [('a', 10)]);
        assert_eq!(transfers.take_requests(DIAL), []);
        assert_eq!(transfers.handle_piece(DIAL, 'a', (10, 30)), PieceVerdict::Store);
        transfers.handle_stored('a', 20);
        assert_eq!(transfers.take_requests(DIAL), [('a', 20)]);
        assert!(transfers.handle_complete('a') && !transfers.handle_complete('a'));
    }

    #[test]
    fn a_transfer_resumes_in_the_next_session() {
        let mut transfers = begun();
        assert_eq!(transfers.take_requests(DIAL), [('a', 10)]);
        assert_eq!(transfers.take_requests(DialId(2)), [('a', 10)]);
        assert_eq!(transfers.handle_piece(DIAL, 'a', (10, 30)), PieceVerdict::Unexpected, "from an earlier session");
    }

    #[test]
    fn a_piece_that_was_not_requested_is_discarded() {
        let mut transfers = begun();
        assert_eq!(transfers.handle_piece(DIAL, 'a', (10, 30)), PieceVerdict::Unexpected);
        transfers.take_requests(DIAL);
        assert_eq!(transfers.handle_piece(DIAL, 'a', (20, 30)), PieceVerdict::Unexpected, "another place");
        assert_eq!(transfers.handle_piece(DIAL, 'b', (0, 30)), PieceVerdict::Unexpected, "other content");
        assert_eq!(transfers.handle_piece(DIAL, 'a', (0, 0)), PieceVerdict::Unavailable);
        assert!(transfers.begin('a'), "it has ended");
    }

    #[test]
    fn a_failure_to_store_a_piece_is_reported_until_one_is_stored() {
        let (mut transfers, mut rng) = (begun(), Rng::new(1));
        transfers.take_requests(DIAL);
        let delay = transfers.handle_failed('a', Text::lossy("disk full"), &mut rng);
        assert!(delay.is_some_and(|delay| delay <= RESUME_FIRST));
        assert_eq!(transfers.take_requests(DIAL), [], "it is not known how much is stored");
        transfers.handle_stored('a', 10);
        assert_eq!(transfers.failures().count(), 1, "measured, not stored");
        assert_eq!(transfers.take_requests(DIAL), [('a', 10)]);
        transfers.handle_stored('a', 20);
        assert_eq!(transfers.failures().count(), 0);
    }

    #[test]
    fn content_with_a_wrong_digest_is_not_fetched_further() {
        let mut transfers = begun();
        transfers.handle_stored('a', 0);
        assert_eq!(transfers.take_requests(DIAL), []);
        assert!(transfers.begin('a'), "it has ended");
    }

    #[test]
    fn content_already_present_is_not_reported_as_arrived() {
        let mut transfers = Transfers::default();
        transfers.begin('a');
        assert!(!transfers.handle_complete('a'));
    }
}
