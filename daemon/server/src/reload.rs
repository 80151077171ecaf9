//! The changes that a configuration reload makes, and when they apply.
//!
//! A pure comparison, key by key. What the API shows to operators and what is logged applies immediately. Listen
//! addresses, and settings that sites agreed to when they connected, apply after a restart; sites reconnect within
//! seconds.

use crate::config::Config;

/// The changed keys, by when they apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Keys that apply immediately.
    pub at_once: Vec<&'static str>,
    /// Keys that apply after a restart.
    pub restart: Vec<&'static str>,
}

impl Changes {
    /// Compares the current configuration with a new one.
    pub fn between(old: &Config, new: &Config) -> Self {
        let changed = |keys: &[(bool, &'static str)]| -> Vec<&'static str> {
            keys.iter().filter(|(is_changed, _)| *is_changed).map(|(_, key)| *key).collect()
        };
        Self {
            at_once: changed(&[
                (old.server_url != new.server_url, "server_url"),
                (old.link_addresses != new.link_addresses, "link_addresses"),
                (old.log != new.log, "log"),
            ]),
            restart: changed(&[
                (old.https != new.https, "https"),
                (old.quic != new.quic, "quic"),
                (old.certificate_life != new.certificate_life, "certificate_life"),
                (old.link != new.link, "idle_timeout_max"),
                (old.site_packages != new.site_packages, "site_packages"),
            ]),
        }
    }

    /// Describes the changes, for the log and the service manager.
    pub fn words(&self) -> String {
        let parts = [(&self.at_once, "changed"), (&self.restart, "waits for a restart")];
        let parts = parts.into_iter().filter(|(keys, _)| !keys.is_empty());
        let words: Vec<_> = parts.map(|(keys, what)| format!("{} {what}", keys.join(", "))).collect();
        if words.is_empty() { "nothing changed".to_owned() } else { words.join("; ") }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use linecamp_service::LayeredConfig;

    use super::*;
    use crate::config::{ConfigFile, Overrides};
    use crate::layout::Layout;

    fn config(text: &str) -> Config {
        let mut written = LayeredConfig::default();
        let text = format!("server_url = \"https://h:1\"\n{text}");
        written.add_text::<ConfigFile>(Path::new("server.toml"), &text).unwrap();
        Config::resolve(Layout::new("/d"), &written, Overrides::default()).unwrap()
    }

    #[test]
    fn every_key_says_when_it_holds() {
        let check = |text: &str, words: &str| {
            assert_eq!(Changes::between(&config(""), &config(text)).words(), words);
        };
        check("", "nothing changed");
        check("log = \"debug\"", "log changed");
        check("link_addresses = [\"h:2\"]", "link_addresses changed");
        check("https = \"[::]:2\"\nquic = \"[::]:2\"", "https, quic waits for a restart");
        check("certificate_life = \"1d\"\nlog = \"warn\"", "log changed; certificate_life waits for a restart");
        check("idle_timeout_max = \"60s\"", "idle_timeout_max waits for a restart");
    }
}
