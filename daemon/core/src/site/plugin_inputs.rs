//! Inputs about plugins. [`providers`](super::providers) and [`plugins`](super::plugins) decide what they mean.

use linecamp_model::{CallId, Name, Now, PluginDigest, Text};

use super::Site;

impl Site {
    /// Stores the name and version that the plugin of a call reports; arrives before the call's answer.
    pub fn handle_plugin_seen(&mut self, call: CallId, seen: Text) {
        self.providers.set_plugin(call, seen);
    }

    /// Handles a changed plugin file: it is now in use, or it was rejected for the reason in `Err`.
    pub fn handle_plugin_changed(&mut self, plugin: &Name, result: Result<Text, Text>, now: Now) {
        self.providers.handle_plugin_changed(plugin, result, now, &mut self.effects);
        self.settle_down(now);
    }

    /// Handles the number of stored bytes of a plugin. `None`: it is complete, its digest matches, and it can be used.
    pub fn handle_plugin_kept(&mut self, digest: PluginDigest, held: Option<u64>, now: Now) {
        if self.plugins.handle_kept((digest, held), self.uplink.session(), now, &mut self.effects) {
            self.providers.handle_plugin_arrived(digest);
        }
        self.settle_down(now);
    }

    /// Handles a failure to store a piece or to measure the stored bytes: retries later.
    pub fn handle_plugin_not_kept(&mut self, digest: PluginDigest, reason: Text, now: Now) {
        self.plugins.handle_not_kept(digest, reason, now, &mut self.effects);
        self.settle_down(now);
    }
}
