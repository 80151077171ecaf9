//! Compares the server's reloaded configuration with the active one.
//!
//! The comparison is pure, key by key. What the API shows to operators and what is logged applies immediately. Listen
//! addresses, and settings that sites agreed to when they connected, apply after a restart; sites reconnect within
//! seconds.

use linecamp_service::{Apply, ConfigChanges};

use crate::config::Config;

/// Compares the current configuration with a new one.
pub(crate) fn compare(old: &Config, new: &Config) -> ConfigChanges {
    let mut changes = ConfigChanges::default();
    let mut note = |has_changed, when, key| changes.note(has_changed, when, key);
    note(old.server_url != new.server_url, Apply::AtOnce, "server_url");
    note(old.link_addresses != new.link_addresses, Apply::AtOnce, "link_addresses");
    note(old.log != new.log, Apply::AtOnce, "log");
    note(old.trusted_proxies != new.trusted_proxies, Apply::AtOnce, "trusted_proxies");
    note(old.https_certificate != new.https_certificate, Apply::AtOnce, "https_certificate");
    note(old.oidc != new.oidc, Apply::AtOnce, "oidc");
    note(old.https != new.https, Apply::Restart, "https");
    note(old.http != new.http, Apply::Restart, "http");
    note(old.quic != new.quic, Apply::Restart, "quic");
    note(old.certificate_life != new.certificate_life, Apply::Restart, "certificate_life");
    note(old.link != new.link, Apply::Restart, "idle_timeout_max");
    note(old.site_packages != new.site_packages, Apply::Restart, "site_packages");
    note(old.otlp_collector != new.otlp_collector, Apply::Restart, "otlp_collector");
    note(old.audit.age != new.audit.age, Apply::Restart, "audit_keep");
    note(old.audit.bytes != new.audit.bytes, Apply::Restart, "audit_mib_max");
    changes
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use linecamp_service::LayeredConfig;

    use super::*;
    use crate::config::{ConfigFile, Overrides};
    use crate::data_directory::Layout;

    fn config(text: &str) -> Config {
        let mut written = LayeredConfig::default();
        let text = format!("server_url = \"https://h:1\"\n{text}");
        written.add_text::<ConfigFile>(Path::new("server.toml"), &text).unwrap();
        Config::resolve(Layout::new("/d"), &written, Overrides::default()).unwrap()
    }

    #[test]
    fn every_key_states_when_a_change_takes_effect() {
        let check = |text: &str, expected: &str| {
            assert_eq!(compare(&config(""), &config(text)).describe(), expected);
        };
        check("", "nothing changed");
        check("log = \"debug\"", "log changed");
        check("link_addresses = [\"h:2\"]", "link_addresses changed");
        check(
            "trusted_proxies = [\"10.0.0.1\"]\nhttp = \"[::1]:2\"",
            "trusted_proxies changed; http changed, restart needed",
        );
        let groups = "oidc_groups = [{ group = \"ops\", role = \"admin\" }]";
        check(&format!("oidc_issuer = \"https://id.example\"\n{groups}"), "oidc changed");
        check("https_certificate = \"/c\"\nhttps_key = \"/k\"", "https_certificate changed");
        check("https = \"[::]:2\"\nquic = \"[::]:2\"", "https, quic changed, restart needed");
        check("certificate_life = \"1d\"\nlog = \"warn\"", "log changed; certificate_life changed, restart needed");
        check("otlp_collector = \"http://h:4318\"", "otlp_collector changed, restart needed");
        check("audit_keep = \"30d\"\naudit_mib_max = 8", "audit_keep, audit_mib_max changed, restart needed");
        check("idle_timeout_max = \"60s\"", "idle_timeout_max changed, restart needed");
    }
}
