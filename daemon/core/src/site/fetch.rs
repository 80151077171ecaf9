//! Plugins that were pushed centrally: fetched over the link piece by piece, and taken up again where they stopped.
//!
//! A plugin is fetched when a provider names its digest and the plugin host says it is missing. The site asks for one
//! piece at a time, so that everything else on the link waits no longer than one piece takes. What a piece is worth is
//! said by whoever keeps it: the driver appends it to a file and, at the end, compares the digest. If the disk does not
//! keep a piece, that is a condition, and the fetch goes on from what is kept after a delay that grows at random from
//! [`RETRY_FIRST`] to [`RETRY_MAX`].

use std::collections::btree_map::Entry;

use linecamp_model::{ConditionKind, DialId, FromSite, Now, PluginDigest, PluginPiece, PluginWant, Text};

use super::providers::named;
use super::{Site, SiteOutput, Timer};
use crate::backoff::Backoff;
use crate::provider::{RETRY_FIRST, RETRY_MAX};
use crate::site::uplink::State;

/// How far a plugin is.
#[derive(Clone, Debug)]
pub(super) struct Fetch {
    /// The bytes that are kept; `None` before the driver has said.
    held: Option<u64>,
    /// Whether a piece is on its way, and on which dial.
    asked: Option<DialId>,
    /// Why the disk did not keep the last piece.
    failure: Option<Text>,
    backoff: Backoff,
}

impl Site {
    /// A plugin is not here: asks the driver how much of it is.
    pub(super) fn fetch_plugin(&mut self, digest: PluginDigest) {
        if let Entry::Vacant(vacant) = self.fetches.entry(digest) {
            vacant.insert(Fetch { held: None, asked: None, failure: None, backoff: Backoff::new() });
            self.outputs.push_back(SiteOutput::MeasurePlugin(digest));
        }
    }

    /// Takes how many bytes of a plugin are kept. `None`: all of it, and it is what its digest says; it can be used.
    pub fn handle_plugin_kept(&mut self, digest: PluginDigest, held: Option<u64>, now: Now) {
        match held {
            // It was thrown away, because it is not what its digest says: damaged at the server, most likely. Whoever
            // needs it asks again with its next try; fetching on at once would take the line for itself for ever.
            Some(0) if self.fetches.get(&digest).is_some_and(|fetch| fetch.held.is_some()) => {
                self.fetches.remove(&digest);
            }
            Some(held) => {
                if let Some(fetch) = self.fetches.get_mut(&digest) {
                    fetch.held = Some(held);
                    // A piece was kept, where before it was only measured.
                    if fetch.asked.take().is_some() {
                        fetch.failure = None;
                        fetch.backoff.reset();
                    }
                }
                self.ask_for_pieces();
            }
            None => {
                // One that was whole already did not come just now: why it cannot be used is no matter of fetching.
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

    /// A piece of a plugin could not be kept, or what is kept could not be measured: tries again later.
    pub fn handle_plugin_not_kept(&mut self, digest: PluginDigest, reason: Text, now: Now) {
        if let Some(fetch) = self.fetches.get_mut(&digest) {
            (fetch.held, fetch.asked, fetch.failure) = (None, None, Some(reason));
            let delay = fetch.backoff.next(RETRY_FIRST, RETRY_MAX, &mut self.rng);
            self.timers.set(Timer::Fetch(digest), now.instant + delay);
        }
        self.fetch_condition(now);
        self.settle_down(now);
    }

    /// Goes on with a plugin from what is kept of it, if a provider still needs it.
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
            // The server does not have it (any more): whoever needs it asks again later.
            (_, 0) => drop(self.fetches.remove(&piece.digest)),
            (true, _) => self.outputs.push_back(SiteOutput::KeepPiece(piece)),
            (false, _) => self.ignored += 1,
        }
        self.fetch_condition(now);
    }

    /// Asks for the next piece of each plugin that none is on its way of.
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
