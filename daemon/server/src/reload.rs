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
    pub immediate: Vec<&'static str>,
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
            immediate: changed(&[
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
    pub fn describe(&self) -> String {
        let parts = [(&self.immediate, "changed"), (&self.restart, "changed, restart needed")];
        let parts = parts.into_iter().filter(|(keys, _)| !keys.is_empty());
        let parts: Vec<_> = parts.map(|(keys, effect)| format!("{} {effect}", keys.join(", "))).collect();
        if parts.is_empty() { "no changes".to_owned() } else { parts.join("; ") }
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
        let check = |text: &str, expected: &str| {
            assert_eq!(Changes::between(&config(""), &config(text)).describe(), expected);
        };
        check("", "no changes");
        check("log = \"debug\"", "log changed");
        check("link_addresses = [\"h:2\"]", "link_addresses changed");
        check("https = \"[::]:2\"\nquic = \"[::]:2\"", "https, quic changed, restart needed");
        check("certificate_life = \"1d\"\nlog = \"warn\"", "log changed; certificate_life changed, restart needed");
        check("idle_timeout_max = \"60s\"", "idle_timeout_max changed, restart needed");
    }
}
