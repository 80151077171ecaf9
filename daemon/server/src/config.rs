//! The configuration: as written ([`ConfigFile`]), and as meant ([`Config`]). One function leads from one to the other.

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

/// The shortest life of a site's certificate. Only tests want less than an hour: a site renews at two thirds.
pub const CERTIFICATE_LIFE_MIN: Duration = Duration::from_secs(60);

/// The longest life of a site's certificate. Longer than the machines it is for.
pub const CERTIFICATE_LIFE_MAX: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// What is logged unless somebody says otherwise: what an operator would mention.
pub const LOG_DEFAULT: &str = "info";

/// The shortest silence that ends every session: below it, sites with two keep-alives lost would drop out.
const IDLE_TIMEOUT_MIN: Duration = Duration::from_secs(10);

/// The longest silence that ends every session: a dead link that stays for longer helps nobody.
const IDLE_TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// A configuration file that says of every key what it means. As it stands it means the defaults; packages install it.
pub const SAMPLE: &str = include_str!("../../../packaging/config/server.toml");

/// The one key of the sample that has no default.
const SAMPLE_URL: &str = "#server_url = \"https://camp.example:8443\"";

/// Where packages put the configuration, and `config check` looks without a word.
pub const FILE_DEFAULT: &str = "/etc/linecamp/server.toml";

/// The scheme of a server's address; there is no other.
const SCHEME: &str = "https://";

/// The port of `https://HOST` without one.
const HTTPS_PORT: u16 = 443;

/// What is written in `server.toml`. Unknown keys are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// Where operators reach the server.
    pub server_url: Option<String>,
    /// Where sites reach it, as join tokens say.
    pub link_addresses: Option<Vec<String>>,
    /// The life of a site's certificate.
    pub certificate_life: Option<String>,
    /// Where to listen for operators.
    pub https: Option<String>,
    /// Where to listen for sites.
    pub quic: Option<String>,
    /// The most silence of a session.
    pub idle_timeout_max: Option<String>,
    /// What to log.
    pub log: Option<String>,
    /// Where the packages for new sites are.
    pub site_packages: Option<PathBuf>,
}

/// What the command line says; it wins over the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Where to listen for operators.
    pub https: Option<SocketAddr>,
    /// Where to listen for sites.
    pub quic: Option<SocketAddr>,
    /// What to log.
    pub log: Option<String>,
}

/// What the server runs with: complete and checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where everything lies.
    pub layout: Layout,
    /// Where operators reach the server.
    pub server_url: ServerUrl,
    /// Where sites reach it, as join tokens say; empty for the host of `server_url` and the port it listens on.
    pub link_addresses: Vec<ServerAddress>,
    /// The life of a site's certificate.
    pub certificate_life: Duration,
    /// Where to listen for operators.
    pub https: SocketAddr,
    /// Where to listen for sites.
    pub quic: SocketAddr,
    /// The link's settings.
    pub link: ListenerSettings,
    /// What to log, as `tracing-subscriber` filters are written.
    pub log: String,
    /// Where the packages for new sites are.
    pub site_packages: PathBuf,
}

impl Config {
    /// Reads the directory's own file, what `path` names over it, and the drop-ins of both, and resolves it.
    ///
    /// # Errors
    /// [`ServerError`] names file, line, key and range.
    pub fn load(layout: Layout, path: Option<&Path>, overrides: Overrides) -> Result<Self, ServerError> {
        let own = layout.config();
        let has_own = own.exists() || own.with_extension("d").exists();
        if path.is_none() && !has_own && !layout.ca().exists() {
            return Err(ServerError::NotInitialised { dir: layout.dir().to_owned() });
        }
        let own = Some(&*own).filter(|_| has_own || path.is_none());
        Self::resolve(layout.clone(), &Self::written(own, path)?, overrides)
    }

    /// Reads a directory's own file, what `path` names over it, and the drop-ins of both.
    ///
    /// # Errors
    /// [`ServerError::Config`] names file, line and key.
    pub fn written(own: Option<&Path>, path: Option<&Path>) -> Result<LayeredConfig, ServerError> {
        let mut written = LayeredConfig::default();
        // The same file twice says nothing more.
        for path in own.into_iter().chain(path.filter(|path| Some(*path) != own)) {
            written.add::<ConfigFile>(path)?;
        }
        Ok(written)
    }

    /// Checks what was written.
    ///
    /// # Errors
    /// [`ServerError::ConfigValue`] names place, key and range.
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
            // One number to open in a firewall, once for TCP and once for UDP; every address of both families.
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

/// Where operators reach the server: `https://HOST[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl(ServerAddress);

impl ServerUrl {
    /// Parses `https://HOST[:PORT]`, with or without a slash at the end.
    ///
    /// # Errors
    /// What is wrong, in words that follow the name of the key.
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

/// Says where `key` is written, or where it could be.
fn place(written: &LayeredConfig, key: &str) -> String {
    match written.place(key) {
        Some(place) => format!("{}: line {}", place.path.display(), place.line),
        None => {
            written.files().first().map_or_else(|| "the configuration".to_owned(), |path| path.display().to_string())
        }
    }
}

/// Returns the first configuration of a server at `url`.
pub(crate) fn template(url: &ServerUrl) -> String {
    SAMPLE.replace(SAMPLE_URL, &format!("server_url = \"{url}\""))
}

#[cfg(test)]
mod tests;
