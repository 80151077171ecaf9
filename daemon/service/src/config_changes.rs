//! A list of changed configuration keys, by when each takes effect: its collection, and its text for the log and for
//! `systemctl status`.

use linecamp_transport::error_chain;

/// When a changed key takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apply {
    /// At once, without side effects.
    AtOnce,
    /// At once, with a new link.
    Reconnect,
    /// After a restart of the process.
    Restart,
}

/// The changed keys, by when they take effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigChanges {
    /// Keys that take effect at once, without side effects.
    pub at_once: Vec<&'static str>,
    /// Keys that take effect at once, with a new link.
    pub reconnect: Vec<&'static str>,
    /// Keys that take effect after a restart of the process.
    pub restart: Vec<&'static str>,
}

impl ConfigChanges {
    /// Adds `key` if it has changed.
    pub fn note(&mut self, has_changed: bool, when: Apply, key: &'static str) {
        let keys = match when {
            Apply::AtOnce => &mut self.at_once,
            Apply::Reconnect => &mut self.reconnect,
            Apply::Restart => &mut self.restart,
        };
        keys.extend(has_changed.then_some(key));
    }

    /// Describes the changes on one line.
    pub fn describe(&self) -> String {
        let parts = [
            (&self.at_once, "changed"),
            (&self.reconnect, "changed, reconnecting"),
            (&self.restart, "changed, restart needed"),
        ];
        let parts = parts.into_iter().filter(|(keys, _)| !keys.is_empty());
        let parts: Vec<_> = parts.map(|(keys, effect)| format!("{} {effect}", keys.join(", "))).collect();
        if parts.is_empty() { "nothing changed".to_owned() } else { parts.join("; ") }
    }

    /// Logs that the configuration was reloaded. Returns the service manager's status text: the changes that still need
    /// a restart.
    pub fn report(&self) -> Option<String> {
        tracing::info!(changes = self.describe(), "configuration reloaded");
        if self.restart.is_empty() {
            return None;
        }
        let keys = self.restart.join(", ");
        tracing::warn!(keys, "configuration changes need a restart");
        Some(format!("restart needed for: {keys}"))
    }
}

/// Logs why a reloaded configuration was rejected. Returns the service manager's status text.
pub fn report_rejected_config(error: &(dyn std::error::Error + 'static)) -> String {
    let problem = error_chain(error);
    tracing::warn!(problem, "configuration reload failed; keeping the previous one");
    format!("configuration reload failed: {problem}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_names_every_key() {
        let mut changes = ConfigChanges::default();
        assert_eq!(changes.describe(), "nothing changed");
        assert_eq!(changes.report(), None);
        changes.note(true, Apply::AtOnce, "log");
        changes.note(false, Apply::AtOnce, "secrets");
        changes.note(true, Apply::Reconnect, "servers");
        changes.note(true, Apply::Restart, "https");
        changes.note(true, Apply::Restart, "quic");
        let expected = "log changed; servers changed, reconnecting; https, quic changed, restart needed";
        assert_eq!(changes.describe(), expected);
        assert_eq!(changes.report().unwrap(), "restart needed for: https, quic");
    }
}
