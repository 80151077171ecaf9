//! Reloads the daemon's configuration on SIGHUP, and compares it with the active one.
//!
//! The comparison is pure, key by key. Some keys take effect at once. Others are fixed when the state
//! machine starts, so the state machine restarts within the process: the link is dialed again, and everything else
//! resumes from the database, as after a restart. Changes that need a restart of the process are reported. An invalid
//! configuration changes nothing.

use linecamp_service::{Apply, ConfigChanges};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{Config, ConfigError};
use crate::error::DaemonError;

/// Loads the configuration again, on SIGHUP.
pub type ConfigLoader = Box<dyn Fn() -> Result<Config, ConfigError>>;

/// The active configuration, and how to reload it.
pub(crate) struct Reload {
    config: Config,
    /// `None`: SIGHUP is not handled.
    source: Option<(ConfigLoader, Signal)>,
}

impl Reload {
    pub(crate) fn new(config: Config, loader: Option<ConfigLoader>) -> Result<Self, DaemonError> {
        let listen = |loader| {
            let hangup = signal(SignalKind::hangup());
            hangup
                .map(|hangup| (loader, hangup))
                .map_err(|source| DaemonError::System { what: "listen for SIGHUP", source })
        };
        Ok(Self { config, source: loader.map(listen).transpose()? })
    }

    /// Waits for SIGHUP. Cancel-safe.
    pub(crate) async fn requested(&mut self) {
        match &mut self.source {
            Some((_, hangup)) => drop(hangup.recv().await),
            None => std::future::pending().await,
        }
    }

    /// Reloads the configuration and compares it with the active one.
    pub(crate) fn read(&self, is_member: bool) -> Result<(Config, ConfigChanges), ConfigError> {
        let config = self.source.as_ref().map_or_else(|| Ok(self.config.clone()), |(loader, _)| loader())?;
        let changes = compare(&self.config, &config, is_member);
        Ok((config, changes))
    }

    /// Activates the reloaded configuration. Returns the service manager's status text: the changes that still need a
    /// restart.
    pub(crate) fn activate(&mut self, config: Config, changes: &ConfigChanges) -> Option<String> {
        let status = changes.report();
        config.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        // Keep comparing against the active `join` while its change waits for a restart.
        let join = if changes.restart.is_empty() { config.join.clone() } else { self.config.join.clone() };
        self.config = Config { join, ..config };
        status
    }
}

/// Compares the active configuration with the reloaded one. A site that has joined ignores `[join]`.
fn compare(old: &Config, new: &Config, is_member: bool) -> ConfigChanges {
    let mut changes = ConfigChanges::default();
    let mut note = |has_changed, when, key| changes.note(has_changed, when, key);
    note(old.log != new.log, Apply::AtOnce, "log");
    note(old.docker_socket != new.docker_socket, Apply::AtOnce, "docker_socket");
    note(old.rancher_labels != new.rancher_labels, Apply::AtOnce, "rancher_labels");
    note(old.plugins.secrets != new.plugins.secrets, Apply::AtOnce, "secrets");
    note(old.servers != new.servers, Apply::Reconnect, "servers");
    note(old.is_metered != new.is_metered, Apply::Reconnect, "link.metered");
    note(old.providers != new.providers, Apply::Reconnect, "provider");
    note(old.plugins.compiler != new.plugins.compiler, Apply::Reconnect, "plugins.compiler");
    note(old.plugins.ca_file != new.plugins.ca_file, Apply::Reconnect, "plugins.ca_file");
    note(old.plugins.publishers != new.plugins.publishers, Apply::Reconnect, "plugins.publishers");
    note(old.plugins.memory_mib != new.plugins.memory_mib, Apply::Reconnect, "plugins.memory_mib");
    note(old.hosts.listen != new.hosts.listen, Apply::Reconnect, "hosts.listen");
    note(old.hosts.addresses != new.hosts.addresses, Apply::Reconnect, "hosts.addresses");
    note(old.hosts.packages != new.hosts.packages, Apply::Reconnect, "hosts.packages");
    note(old.join != new.join && !is_member, Apply::Restart, "join");
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFile;

    fn config(text: &str) -> Config {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c.toml");
        std::fs::write(&path, text).unwrap();
        Config::resolve(ConfigFile::read(&path).unwrap(), &|_| None).unwrap()
    }

    #[test]
    fn every_key_has_a_time_when_it_takes_effect() {
        let check = |text: &str, at_once: &[&str], reconnect: &[&str]| {
            let changes = compare(&config(""), &config(text), true);
            assert_eq!(
                (&*changes.at_once, &*changes.reconnect, &*changes.restart),
                (at_once, reconnect, &[][..]),
                "{text}"
            );
        };
        check("", &[], &[]);
        check("log = \"debug\"", &["log"], &[]);
        check("docker_socket = \"/x\"\nrancher_labels = false", &["docker_socket", "rancher_labels"], &[]);
        check("[secrets]\na = \"/x\"", &["secrets"], &[]);
        check("servers = [\"a:1\"]\n[link]\nmetered = true", &[], &["servers", "link.metered"]);
        check("[[provider]]\nname = \"n\"\nplugin = \"p\"\nowner = \"o\"\nzones = [\"a.example\"]", &[], &["provider"]);
        check("[plugins]\ncompiler = \"/x\"\nca_file = \"/y\"", &[], &["plugins.compiler", "plugins.ca_file"]);
        check("[plugins]\nmemory_mib = 32", &[], &["plugins.memory_mib"]);
        check("[hosts]\nlisten = \"[::]:1\"\npackages = \"/x\"", &[], &["hosts.listen", "hosts.packages"]);
    }

    #[test]
    fn a_join_needs_a_restart_and_is_ignored_by_a_member() {
        let join = config("[join]\ntoken_file = \"/t\"\nname = \"n\"");
        let changes = compare(&config(""), &join, false);
        assert_eq!(changes.describe(), "join changed, restart needed");
        assert_eq!(compare(&config(""), &join, true), ConfigChanges::default());
    }
}
