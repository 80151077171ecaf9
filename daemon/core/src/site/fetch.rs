//! Centrally pushed plugins: fetched over the link in pieces and resumed where a fetch stopped.
//!
//! A plugin is fetched when a provider names its digest and the plugin host reports it missing. The site requests one
//! piece at a time, so that other traffic on the link waits for one piece at most. The driver validates the data: it
//! appends each piece to a file and verifies the digest at the end. If the disk fails to persist a piece, a condition
//! is raised, and the fetch resumes from the stored bytes after a delay that grows at random from [`RETRY_FIRST`] to
//! [`RETRY_MAX`].

use std::collections::btree_map::Entry;

use linecamp_model::{ConditionKind, DialId, FromSite, Now, PluginDigest, PluginPiece, PluginWant, Text};

use super::providers::named;
use super::{Site, SiteOutput, Timer};
use crate::backoff::Backoff;
use crate::calls::{RETRY_FIRST, RETRY_MAX};
use crate::site::uplink::State;

/// The progress of one fetch.
#[derive(Clone, Debug)]
pub(super) struct Fetch {
    /// The stored bytes; `None` until the driver reports them.
    held: Option<u64>,
    /// The dial on which a piece was requested, if one is in flight.
    asked: Option<DialId>,
    /// Why the disk failed to persist the last piece.
    failure: Option<Text>,
    backoff: Backoff,
}

impl Site {
    /// Starts fetching a missing plugin: asks the driver how much of it is stored.
    pub(super) fn fetch_plugin(&mut self, digest: PluginDigest) {
        if let Entry::Vacant(vacant) = self.fetches.entry(digest) {
            vacant.insert(Fetch { held: None, asked: None, failure: None, backoff: Backoff::new() });
            self.outputs.push_back(SiteOutput::MeasurePlugin(digest));
        }
    }

    /// Handles the number of stored bytes of a plugin. `None`: it is complete, its digest matches, and it can be used.
    pub fn handle_plugin_kept(&mut self, digest: PluginDigest, held: Option<u64>, now: Now) {
        match held {
            // The stored bytes were discarded because the digest did not match, most likely damage at the server. A
            // provider that needs the plugin requests it again with its next retry; fetching on at once would saturate
            // the link forever.
            Some(0) if self.fetches.get(&digest).is_some_and(|fetch| fetch.held.is_some()) => {
                self.fetches.remove(&digest);
            }
            Some(held) => {
                if let Some(fetch) = self.fetches.get_mut(&digest) {
                    fetch.held = Some(held);
                    // A piece was stored, as opposed to measured.
                    if fetch.asked.take().is_some() {
                        fetch.failure = None;
                        fetch.backoff.reset();
                    }
                }
                self.ask_for_pieces();
            }
            None => {
                // A plugin that was already complete did not arrive just now: why it cannot be used has nothing to do
                // with the fetch.
                let was_incomplete = self.fetches.remove(&digest).is_some_and(|fetch| fetch.held.is_some());
                if was_incomplete {
                    self.plugin_arrived(digest);
                    self.is_status_stale = true;
                }
            }
        }
        self.fetch_condition(now);
        self.settle_down(now);
    }

    /// Handles a failure to store a piece or to measure the stored bytes: retries later.
    pub fn handle_plugin_not_kept(&mut self, digest: PluginDigest, reason: Text, now: Now) {
        if let Some(fetch) = self.fetches.get_mut(&digest) {
            (fetch.held, fetch.asked, fetch.failure) = (None, None, Some(reason));
            let delay = fetch.backoff.next(RETRY_FIRST, RETRY_MAX, &mut self.rng);
            self.timers.set(Timer::Fetch(digest), now.instant + delay);
        }
        self.fetch_condition(now);
        self.settle_down(now);
    }

    /// Resumes the fetch of a plugin from the stored bytes, if a provider still needs it.
    pub(super) fn retry_fetch(&mut self, digest: PluginDigest, now: Now) {
        let is_needed = self.providers().iter().any(|spec| spec.plugin.digest == Some(digest));
        match is_needed {
            true => self.outputs.push_back(SiteOutput::MeasurePlugin(digest)),
            false => drop(self.fetches.remove(&digest)),
        }
        self.fetch_condition(now);
        self.settle_down(now);
    }

    fn fetch_condition(&mut self, now: Now) {
        let failures = self.fetches.iter().filter_map(|(digest, fetch)| Some((digest, fetch.failure.as_ref()?)));
        let failures: Vec<_> = failures.map(|(digest, reason)| format!("plugin {digest}: {reason}")).collect();
        self.level(ConditionKind::PluginFetchFailed, named(&failures), now);
    }

    pub(super) fn handle_piece(&mut self, dial: DialId, piece: PluginPiece, now: Now) {
        let Some(fetch) = self.fetches.get_mut(&piece.digest) else {
            self.ignored += 1;
            return;
        };
        match (fetch.asked == Some(dial) && fetch.held == Some(piece.offset), piece.total) {
            // The server does not have it (any more): a provider that needs it requests it again later.
            (_, 0) => drop(self.fetches.remove(&piece.digest)),
            (true, _) => self.outputs.push_back(SiteOutput::KeepPiece(piece)),
            (false, _) => self.ignored += 1,
        }
        self.fetch_condition(now);
    }

    /// Requests the next piece of each plugin that has none in flight.
    pub(super) fn ask_for_pieces(&mut self) {
        let State::Up { dial, .. } = self.uplink.state else { return };
        for (digest, fetch) in &mut self.fetches {
            if let (Some(offset), true) = (fetch.held, fetch.asked != Some(dial)) {
                fetch.asked = Some(dial);
                let message = FromSite::WantPlugin(PluginWant { digest: *digest, offset });
                self.outputs.push_back(SiteOutput::Send { dial, message });
            }
        }
    }
}
