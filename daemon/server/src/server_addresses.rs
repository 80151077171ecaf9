//! The server's addresses: its URL, and the addresses at which sites reach it.
//!
//! The URL is the one that an operator set through the API, or else the configured one. If no link addresses are
//! configured, sites reach the server at the host of the URL. A change is told to the loop, which tells the sites.

use std::sync::{PoisonError, RwLock};

use linecamp_model::{ServerAddress, TokenError};
use tokio::sync::watch;

use crate::config::Config;
use crate::server_url::ServerUrl;

/// The server's addresses, as they are in effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// The link addresses in join tokens.
    pub(crate) links: Vec<ServerAddress>,
    /// The URL at which operators reach the server.
    pub(crate) server_url: ServerUrl,
}

/// Where the addresses come from.
#[derive(Clone, Debug)]
struct Sources {
    configured_url: ServerUrl,
    configured_links: Vec<ServerAddress>,
    /// The URL that an operator set.
    stored_url: Option<ServerUrl>,
    /// The UDP port of the link.
    port: u16,
}

/// The server's addresses, which a reload of the configuration or an operator changes.
#[derive(Debug)]
pub(crate) struct ServerAddresses {
    sources: RwLock<Sources>,
    links: watch::Sender<Vec<ServerAddress>>,
}

impl Sources {
    fn resolve(&self) -> Result<Addresses, TokenError> {
        let server_url = self.stored_url.clone().unwrap_or_else(|| self.configured_url.clone());
        let links = match self.configured_links.is_empty() {
            true => vec![server_url.with_port(self.port)?],
            false => self.configured_links.clone(),
        };
        Ok(Addresses { links, server_url })
    }
}

impl ServerAddresses {
    /// Creates the addresses of a server whose link listens on `port`.
    ///
    /// # Errors
    /// [`TokenError`] for port 0.
    pub(crate) fn new(config: &Config, stored_url: Option<ServerUrl>, port: u16) -> Result<Self, TokenError> {
        let (configured_url, configured_links) = (config.server_url.clone(), config.link_addresses.clone());
        let sources = Sources { configured_url, configured_links, stored_url, port };
        let links = watch::Sender::new(sources.resolve()?.links);
        let addresses = Self { sources: RwLock::new(sources), links };
        addresses.report_override();
        Ok(addresses)
    }

    /// Returns the addresses.
    pub(crate) fn current(&self) -> Addresses {
        let sources = self.sources.read().unwrap_or_else(PoisonError::into_inner);
        sources.resolve().expect("the port of the link is not 0, which `new` has checked")
    }

    /// Returns a receiver for changes of the link addresses.
    pub(crate) fn watch_links(&self) -> watch::Receiver<Vec<ServerAddress>> {
        self.links.subscribe()
    }

    /// Applies a reloaded configuration.
    pub(crate) fn set_configured(&self, config: &Config) {
        self.change(|sources| {
            sources.configured_url = config.server_url.clone();
            sources.configured_links.clone_from(&config.link_addresses);
        });
        self.report_override();
    }

    /// Applies a URL that an operator set.
    pub(crate) fn set_stored(&self, url: ServerUrl) {
        self.change(|sources| sources.stored_url = Some(url));
    }

    fn change(&self, change: impl FnOnce(&mut Sources)) {
        change(&mut self.sources.write().unwrap_or_else(PoisonError::into_inner));
        let links = self.current().links;
        self.links.send_if_modified(|known| {
            let is_changed = *known != links;
            *known = links;
            is_changed
        });
    }

    fn report_override(&self) {
        let sources = self.sources.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(stored) = sources.stored_url.as_ref().filter(|stored| **stored != sources.configured_url) {
            tracing::warn!(
                url = %stored,
                configured = %sources.configured_url,
                "server_url in the configuration is overridden by the URL that an operator set (linecamp settings edit)"
            );
        }
    }
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
        written.add_text::<ConfigFile>(Path::new("server.toml"), text).unwrap();
        Config::resolve(Layout::new("/d"), &written, Overrides::default()).unwrap()
    }

    #[test]
    fn the_url_that_an_operator_set_overrides_the_configured_one() {
        let file = config("server_url = \"https://old.example\"");
        let addresses = ServerAddresses::new(&file, None, 4711).unwrap();
        let mut links = addresses.watch_links();
        assert_eq!(addresses.current().server_url.to_string(), "https://old.example");
        addresses.set_stored(ServerUrl::parse("https://new.example:8443").unwrap());
        let current = addresses.current();
        assert_eq!(current.server_url.to_string(), "https://new.example:8443");
        assert_eq!(current.links, [ServerAddress::parse("new.example:4711").unwrap()]);
        assert!(links.has_changed().unwrap());
        links.mark_unchanged();
        addresses.set_configured(&config("server_url = \"https://other.example\""));
        assert_eq!((addresses.current(), links.has_changed().unwrap()), (current, false));
        let fixed = config("server_url = \"https://other.example\"\nlink_addresses = [\"link.example:1\"]");
        addresses.set_configured(&fixed);
        assert_eq!(addresses.current().links, [ServerAddress::parse("link.example:1").unwrap()]);
    }
}
