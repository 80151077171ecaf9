//! The configuration: as written in the files ([`ConfigFile`]), and resolved ([`Config`]). [`Config::resolve`] converts
//! one to the other.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use linecamp_core::CERTIFICATE_LIFE;
use linecamp_model::limits::SERVERS_PER_SITE_MAX;
use linecamp_model::{ServerAddress, TokenError};
use linecamp_service::LayeredConfig;
use linecamp_transport::ListenerSettings;
use serde::Deserialize;

use crate::error::ServerError;
use crate::install::PACKAGES_DEFAULT;
use crate::layout::Layout;

/// The shortest lifetime of a site certificate. Only tests need less than an hour: a site renews at two thirds.
pub const CERTIFICATE_LIFE_MIN: Duration = Duration::from_secs(60);

/// The longest lifetime of a site certificate: longer than the machines last.
pub const CERTIFICATE_LIFE_MAX: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// The default log filter: what an operator would want to know.
pub const LOG_DEFAULT: &str = "info";

/// The minimum for `idle_timeout_max`: below it, a site that loses two keep-alives would be disconnected.
const IDLE_TIMEOUT_MIN: Duration = Duration::from_secs(10);

/// The maximum for `idle_timeout_max`: keeping a dead link for longer helps nobody.
const IDLE_TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// A sample configuration file that documents every key. Unchanged, it means the defaults. Packages install it.
pub const SAMPLE: &str = include_str!("../../../packaging/config/server.toml");

/// The one key of the sample that has no default.
const SAMPLE_URL: &str = "#server_url = \"https://camp.example:8443\"";

/// The path where packages install the configuration, and the default of `config check`.
pub const FILE_DEFAULT: &str = "/etc/linecamp/server.toml";

/// The only supported scheme of a server URL.
const SCHEME: &str = "https://";

/// The port of `https://HOST` without an explicit port.
const HTTPS_PORT: u16 = 443;

/// The keys of `server.toml`. Unknown keys are rejected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// The URL at which operators reach the server.
    pub server_url: Option<String>,
    /// The addresses at which sites reach the server, as listed in join tokens.
    pub link_addresses: Option<Vec<String>>,
    /// The lifetime of a site certificate.
    pub certificate_life: Option<String>,
    /// The address to listen on for operators.
    pub https: Option<String>,
    /// The address to listen on for sites.
    pub quic: Option<String>,
    /// The longest idle timeout of a session.
    pub idle_timeout_max: Option<String>,
    /// The log filter.
    pub log: Option<String>,
    /// The directory of the packages for new sites.
    pub site_packages: Option<PathBuf>,
}

/// Command-line options that override the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The address to listen on for operators.
    pub https: Option<SocketAddr>,
    /// The address to listen on for sites.
    pub quic: Option<SocketAddr>,
    /// The log filter.
    pub log: Option<String>,
}

/// The resolved configuration: complete and validated.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data directory.
    pub layout: Layout,
    /// The URL at which operators reach the server.
    pub server_url: ServerUrl,
    /// The addresses at which sites reach the server, as listed in join tokens. If empty: the host of `server_url` with
    /// the server's QUIC port.
    pub link_addresses: Vec<ServerAddress>,
    /// The lifetime of a site certificate.
    pub certificate_life: Duration,
    /// The address to listen on for operators.
    pub https: SocketAddr,
    /// The address to listen on for sites.
    pub quic: SocketAddr,
    /// The link's settings.
    pub link: ListenerSettings,
    /// The log filter, in `tracing-subscriber` syntax.
    pub log: String,
    /// The directory of the packages for new sites.
    pub site_packages: PathBuf,
}

impl Config {
    /// Reads and resolves the directory's own file, then `path` on top of it, and the drop-ins of both.
    ///
    /// # Errors
    /// [`ServerError`], which names file, line, key and range.
    pub fn load(layout: Layout, path: Option<&Path>, overrides: Overrides) -> Result<Self, ServerError> {
        let own = layout.config();
        let has_own = own.exists() || own.with_extension("d").exists();
        if path.is_none() && !has_own && !layout.ca().exists() {
            return Err(ServerError::NotInitialised { dir: layout.dir().to_owned() });
        }
        let own = Some(&*own).filter(|_| has_own || path.is_none());
        Self::resolve(layout.clone(), &Self::written(own, path)?, overrides)
    }

    /// Reads a directory's own file, then `path` on top of it, and the drop-ins of both.
    ///
    /// # Errors
    /// [`ServerError::Config`], which names file, line and key.
    pub fn written(own: Option<&Path>, path: Option<&Path>) -> Result<LayeredConfig, ServerError> {
        let mut written = LayeredConfig::default();
        // The same file is not read twice.
        for path in own.into_iter().chain(path.filter(|path| Some(*path) != own)) {
            written.add::<ConfigFile>(path)?;
        }
        Ok(written)
    }

    /// Validates the files and applies defaults and overrides.
    ///
    /// # Errors
    /// [`ServerError::ConfigValue`], which names location, key and range.
    pub fn resolve(layout: Layout, written: &LayeredConfig, overrides: Overrides) -> Result<Self, ServerError> {
        let file: ConfigFile = written.read()?;
        let wrong = |key, problem: String| ServerError::ConfigValue { place: place(written, key), key, problem };
        let url = file.server_url.ok_or_else(|| wrong("server_url", "is missing; write https://HOST:PORT".into()))?;
        let server_url = ServerUrl::parse(&url).map_err(|problem| wrong("server_url", problem))?;
        let link_addresses = link_addresses(&file.link_addresses.unwrap_or_default())
            .map_err(|error| wrong("link_addresses", format!("cannot be used: {error}")))?;
        let duration = |key, text: Option<String>, default, min, max| match text {
            Some(text) => duration(&text, min, max).map_err(|problem| wrong(key, problem)),
            None => Ok(default),
        };
        let certificate_life = duration(
            "certificate_life",
            file.certificate_life,
            CERTIFICATE_LIFE,
            CERTIFICATE_LIFE_MIN,
            CERTIFICATE_LIFE_MAX,
        )?;
        let settings = ListenerSettings::default();
        let idle_timeout_max = duration(
            "idle_timeout_max",
            file.idle_timeout_max,
            settings.idle_timeout_max,
            IDLE_TIMEOUT_MIN,
            IDLE_TIMEOUT_MAX,
        )?;
        let listen = |key, flag: Option<SocketAddr>, text: Option<String>| match (flag, text) {
            (Some(address), _) => Ok(address),
            (None, Some(text)) => text.parse().map_err(|_| {
                let problem = format!("is `{text}`; write ADDRESS:PORT, as in 0.0.0.0:8443 or [::]:8443");
                wrong(key, problem)
            }),
            // One port number to open in a firewall, for TCP and UDP, on all addresses of both families.
            (None, None) => Ok(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), server_url.port())),
        };
        Ok(Self {
            https: listen("https", overrides.https, file.https)?,
            quic: listen("quic", overrides.quic, file.quic)?,
            layout,
            link_addresses,
            certificate_life,
            link: ListenerSettings { idle_timeout_max, ..settings },
            site_packages: file.site_packages.unwrap_or_else(|| PACKAGES_DEFAULT.into()),
            log: overrides.log.or(file.log).unwrap_or_else(|| LOG_DEFAULT.to_owned()),
            server_url,
        })
    }
}

fn link_addresses(texts: &[String]) -> Result<Vec<ServerAddress>, TokenError> {
    if SERVERS_PER_SITE_MAX < texts.len() {
        return Err(TokenError::Addresses { count: texts.len() });
    }
    texts.iter().map(|text| ServerAddress::parse(text)).collect()
}

fn duration(text: &str, min: Duration, max: Duration) -> Result<Duration, String> {
    let range = || format!("from {} to {}", spelled(min), spelled(max));
    let found = humantime::parse_duration(text)
        .map_err(|error| format!("is `{text}`, which is no duration ({error}); write one {}, such as 30d", range()))?;
    if found < min || max < found {
        return Err(format!("is {text}; it may be {}", range()));
    }
    Ok(found)
}

fn spelled(duration: Duration) -> String {
    let days = duration.as_secs() / 86_400;
    match days {
        0 => humantime::format_duration(duration).to_string(),
        _ => format!("{days}d"),
    }
}

/// The URL at which operators reach the server: `https://HOST[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl(ServerAddress);

impl ServerUrl {
    /// Parses `https://HOST[:PORT]`, with or without a trailing slash.
    ///
    /// # Errors
    /// The problem, as a phrase that follows the name of the key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("is `{text}`; write https://HOST:PORT, without a path");
        let rest = text.strip_prefix(SCHEME).ok_or_else(bad)?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let has_port =
            authority.rsplit_once(':').is_some_and(|(host, _)| !host.starts_with('[') || host.ends_with(']'));
        let address = match has_port {
            true => ServerAddress::parse(authority),
            false => ServerAddress::parse(&format!("{authority}:{HTTPS_PORT}")),
        };
        address.map(Self).map_err(|_| bad())
    }

    /// Returns the host, without brackets.
    pub fn host(&self) -> &str {
        self.0.host()
    }

    /// Returns the TCP port.
    pub const fn port(&self) -> u16 {
        self.0.port()
    }

    /// Returns the same host with another port.
    ///
    /// # Errors
    /// [`TokenError`] for port 0.
    pub(crate) fn with_port(&self, port: u16) -> Result<ServerAddress, TokenError> {
        let host = self.host();
        match host.contains(':') {
            true => ServerAddress::parse(&format!("[{host}]:{port}")),
            false => ServerAddress::parse(&format!("{host}:{port}")),
        }
    }
}

impl std::fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.port() {
            HTTPS_PORT if !self.host().contains(':') => write!(f, "{SCHEME}{}", self.host()),
            _ => write!(f, "{SCHEME}{}", self.0),
        }
    }
}

/// Returns where `key` is set, or the file where it could be set.
fn place(written: &LayeredConfig, key: &str) -> String {
    match written.place(key) {
        Some(place) => format!("{}: line {}", place.path.display(), place.line),
        None => {
            written.files().first().map_or_else(|| "the configuration".to_owned(), |path| path.display().to_string())
        }
    }
}

/// Returns the initial configuration of a server at `url`.
pub(crate) fn template(url: &ServerUrl) -> String {
    SAMPLE.replace(SAMPLE_URL, &format!("server_url = \"{url}\""))
}

#[cfg(test)]
mod tests;
