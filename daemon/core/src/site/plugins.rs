//! Centrally pushed plugins: fetched from the server over the link.
//!
//! A plugin is fetched when a provider names its digest and the plugin host reports it missing.
//! [`transfers`](crate::transfers) has the rules; this module turns them into messages, outputs and a condition.

use linecamp_model::{ConditionKind, DialId, FromSite, Now, PluginDigest, PluginPiece, PluginWant, Text};

use super::effects::Effects;
use super::output::{SiteOutput, Timer};
use super::text::named;
use crate::transfers::{PieceVerdict, Transfers};

/// The plugins being fetched from the server.
#[derive(Clone, Debug, Default)]
pub(super) struct PluginTransfers(Transfers<PluginDigest>);

impl PluginTransfers {
    /// Starts fetching a missing plugin: asks the driver how much of it is stored.
    pub(super) fn begin(&mut self, digest: PluginDigest, effects: &mut Effects) {
        if self.0.begin(digest) {
            effects.output(SiteOutput::MeasurePlugin(digest));
        }
    }

    /// Handles the number of stored bytes of a plugin; `None`: it is complete, and its digest matches. Requests the
    /// next piece on the session of `dial`. Returns whether the plugin arrived just now. A plugin that was complete
    /// before did not: why it cannot be used has nothing to do with the transfer.
    pub(super) fn handle_kept(
        &mut self,
        (digest, held): (PluginDigest, Option<u64>),
        dial: Option<DialId>,
        now: Now,
        effects: &mut Effects,
    ) -> bool {
        let has_arrived = match held {
            Some(bytes) => {
                self.0.handle_stored(digest, bytes);
                self.request(dial, effects);
                false
            }
            None => self.0.handle_complete(digest),
        };
        if has_arrived {
            effects.touch_status();
        }
        self.set_condition(now, effects);
        has_arrived
    }

    /// Handles a failure to store a piece or to measure the stored bytes: retries later.
    pub(super) fn handle_not_kept(&mut self, digest: PluginDigest, reason: Text, now: Now, effects: &mut Effects) {
        if let Some(delay) = self.0.handle_failed(digest, reason, effects.rng()) {
            effects.set_timer(Timer::Fetch(digest), now, delay);
        }
        self.set_condition(now, effects);
    }

    /// Resumes from the stored bytes if a provider still needs the plugin.
    pub(super) fn resume(&mut self, digest: PluginDigest, is_needed: bool, now: Now, effects: &mut Effects) {
        match is_needed {
            true => effects.output(SiteOutput::MeasurePlugin(digest)),
            false => self.0.cancel(digest),
        }
        self.set_condition(now, effects);
    }

    /// Handles a piece that arrived on the session of `dial`.
    pub(super) fn handle_piece(&mut self, dial: DialId, piece: PluginPiece, now: Now, effects: &mut Effects) {
        let verdict = self.0.handle_piece(dial, piece.digest, (piece.offset, piece.total));
        match verdict {
            PieceVerdict::Store => effects.output(SiteOutput::KeepPiece(piece)),
            PieceVerdict::Unexpected => effects.ignore(),
            PieceVerdict::Unavailable => {}
        }
        self.set_condition(now, effects);
    }

    /// Requests the next pieces on the session of `dial`, if one is up.
    pub(super) fn request(&mut self, dial: Option<DialId>, effects: &mut Effects) {
        let Some(dial) = dial else { return };
        for (digest, offset) in self.0.take_requests(dial) {
            effects.send(dial, FromSite::WantPlugin(PluginWant { digest, offset }));
        }
    }

    fn set_condition(&self, now: Now, effects: &mut Effects) {
        let failures = self.0.failures().map(|(digest, reason)| format!("plugin {digest}: {reason}"));
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
        plugins.begin(digest, &mut effects);
        assert_eq!(outputs(&mut effects), [SiteOutput::MeasurePlugin(digest)]);
        assert!(!plugins.handle_kept((digest, Some(0)), Some(DIAL), NOW, &mut effects));
        let message = FromSite::WantPlugin(PluginWant { digest, offset: 0 });
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
        plugins.begin(digest, &mut effects);
        plugins.handle_not_kept(digest, Text::lossy("disk full"), NOW, &mut effects);
        assert!(effects.conditions().has(ConditionKind::PluginFetchFailed));
        assert!(effects.deadline(Timer::Fetch(digest)).is_some());
        plugins.resume(digest, false, NOW, &mut effects);
        assert!(!effects.conditions().has(ConditionKind::PluginFetchFailed));
    }
}
