//! Centrally pushed plugins: fetched from the server over the link.
//!
//! A plugin is fetched when a provider names its digest and the plugin host reports it missing.
//! [`transfers`](crate::transfers) has the rules; this module turns them into messages, outputs and a condition.
//!
//! A plugin that is being downloaded is no failure: its providers wait. They fail once the server does not have it, a
//! piece cannot be stored, its digest does not match, or no piece has arrived for [`QUIET_MAX`].

use std::collections::BTreeMap;
use std::time::Duration;

use linecamp_model::limits::PROVIDERS_PER_SITE_MAX;
use linecamp_model::{ConditionKind, DialId, FromMember, Instant, Now, PluginDigest, PluginPiece, PluginWant, Text};

use super::effects::Effects;
use super::output::{SiteOutput, Timer};
use super::text::named;
use crate::transfers::{PieceVerdict, Transfers};

/// How long a download may make no progress before its providers fail: a site reconnects within it.
const QUIET_MAX: Duration = Duration::from_secs(60);

/// The plugins being fetched from the server.
#[derive(Clone, Debug, Default)]
pub(super) struct PluginTransfers {
    transfers: Transfers<PluginDigest>,
    /// Until when each download may make no progress; `None` once it failed. At most
    /// [`PROVIDERS_PER_SITE_MAX`]: all are forgotten when one more begins.
    quiet_until: BTreeMap<PluginDigest, Option<Instant>>,
}

impl PluginTransfers {
    /// Starts fetching a missing plugin: asks the driver how much of it is stored. Returns how long its provider waits
    /// for it, or `None` if the provider has failed without it.
    pub(super) fn begin(&mut self, digest: PluginDigest, now: Now, effects: &mut Effects) -> Option<Duration> {
        if self.transfers.begin(digest) {
            effects.output(SiteOutput::MeasurePlugin(digest));
        }
        if self.quiet_until.len() == PROVIDERS_PER_SITE_MAX && !self.quiet_until.contains_key(&digest) {
            self.quiet_until.clear();
        }
        let until = (*self.quiet_until.entry(digest).or_insert(Some(now.instant + QUIET_MAX)))?;
        let left = until.saturating_since(now.instant);
        (self.transfers.is_running(digest) && !left.is_zero()).then_some(left)
    }

    /// Describes how much of a plugin has arrived; `None` if it is not being downloaded.
    pub(super) fn progress(&self, digest: PluginDigest) -> Option<String> {
        let (stored, total) = self.transfers.progress(digest)?;
        let total = total.map(|total| format!(" of {total}")).unwrap_or_default();
        Some(format!("{stored}{total} bytes"))
    }

    /// Handles a download that failed. Returns whether it had not failed before.
    fn handle_failed(&mut self, digest: PluginDigest) -> bool {
        self.quiet_until.insert(digest, None).flatten().is_some()
    }

    /// Handles the number of stored bytes of a plugin; `None`: it is complete, and its digest matches. Requests the
    /// next piece on the session of `dial`. Returns whether the download is over just now. A plugin that was complete
    /// before did not: why it cannot be used has nothing to do with the transfer. Its providers then fail, as they do
    /// where the digest of what arrived does not match: returns true the first time.
    pub(super) fn handle_kept(
        &mut self,
        (digest, held): (PluginDigest, Option<u64>),
        dial: Option<DialId>,
        now: Now,
        effects: &mut Effects,
    ) -> bool {
        let is_over = match held {
            Some(bytes) => {
                self.transfers.handle_stored(digest, bytes);
                self.request(dial, effects);
                self.transfers.progress(digest).is_none() && self.handle_failed(digest)
            }
            None if self.transfers.handle_complete(digest) => {
                self.quiet_until.remove(&digest);
                true
            }
            None => self.handle_failed(digest),
        };
        if is_over {
            effects.touch_status();
        }
        self.set_condition(now, effects);
        is_over
    }

    /// Handles a failure to store a piece or to measure the stored bytes: retries later.
    pub(super) fn handle_not_kept(&mut self, digest: PluginDigest, reason: Text, now: Now, effects: &mut Effects) {
        if let Some(delay) = self.transfers.handle_failed(digest, reason, effects.rng()) {
            effects.set_timer(Timer::Fetch(digest), now, delay);
        }
        self.set_condition(now, effects);
    }

    /// Resumes from the stored bytes if a provider still needs the plugin.
    pub(super) fn resume(&mut self, digest: PluginDigest, is_needed: bool, now: Now, effects: &mut Effects) {
        match is_needed {
            true => effects.output(SiteOutput::MeasurePlugin(digest)),
            false => self.transfers.cancel(digest),
        }
        self.set_condition(now, effects);
    }

    /// Handles a piece that arrived on the session of `dial`. Returns the plugin if the server does not have it and
    /// its download had not failed before.
    pub(super) fn handle_piece(
        &mut self,
        dial: DialId,
        piece: PluginPiece,
        now: Now,
        effects: &mut Effects,
    ) -> Option<PluginDigest> {
        let digest = piece.digest;
        let is_failed = match self.transfers.handle_piece(dial, digest, (piece.offset, piece.total)) {
            PieceVerdict::Store => {
                if let Some(Some(until)) = self.quiet_until.get_mut(&digest) {
                    *until = now.instant + QUIET_MAX;
                }
                effects.output(SiteOutput::KeepPiece(piece));
                false
            }
            PieceVerdict::Unexpected => {
                effects.ignore();
                false
            }
            PieceVerdict::Unavailable => self.handle_failed(digest),
        };
        if is_failed {
            effects.touch_status();
        }
        self.set_condition(now, effects);
        is_failed.then_some(digest)
    }

    /// Requests the next pieces on the session of `dial`, if one is up.
    pub(super) fn request(&mut self, dial: Option<DialId>, effects: &mut Effects) {
        let Some(dial) = dial else { return };
        for (digest, offset) in self.transfers.take_requests(dial) {
            effects.send(dial, FromMember::WantPlugin(PluginWant { digest, offset }));
        }
    }

    fn set_condition(&self, now: Now, effects: &mut Effects) {
        let failures = self.transfers.failures().map(|(digest, reason)| format!("plugin {digest}: {reason}"));
        effects.set_condition(ConditionKind::PluginFetchFailed, named(&failures.collect::<Vec<_>>()), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::testing::{NOW, effects, outputs};

    const DIAL: DialId = DialId(1);

    #[test]
    fn a_missing_plugin_is_measured_requested_and_stored() {
        let (mut plugins, mut effects) = (PluginTransfers::default(), effects());
        let digest = PluginDigest::of(b"a plugin");
        plugins.begin(digest, NOW, &mut effects);
        assert_eq!(outputs(&mut effects), [SiteOutput::MeasurePlugin(digest)]);
        assert!(!plugins.handle_kept((digest, Some(0)), Some(DIAL), NOW, &mut effects));
        let message = FromMember::WantPlugin(PluginWant { digest, offset: 0 });
        assert_eq!(outputs(&mut effects), [SiteOutput::Send { dial: DIAL, message }]);
        let piece = PluginPiece { digest, offset: 0, total: 8, bytes: b"a plugin".to_vec() };
        plugins.handle_piece(DIAL, piece.clone(), NOW, &mut effects);
        assert_eq!(outputs(&mut effects), [SiteOutput::KeepPiece(piece)]);
        assert!(plugins.handle_kept((digest, None), Some(DIAL), NOW, &mut effects));
    }

    #[test]
    fn a_failing_disk_raises_a_condition_until_the_plugin_is_not_needed() {
        let (mut plugins, mut effects) = (PluginTransfers::default(), effects());
        let digest = PluginDigest::of(b"a plugin");
        plugins.begin(digest, NOW, &mut effects);
        plugins.handle_not_kept(digest, Text::lossy("disk full"), NOW, &mut effects);
        assert!(effects.conditions().has(ConditionKind::PluginFetchFailed));
        assert!(effects.deadline(Timer::Fetch(digest)).is_some());
        plugins.resume(digest, false, NOW, &mut effects);
        assert!(!effects.conditions().has(ConditionKind::PluginFetchFailed));
    }
}
