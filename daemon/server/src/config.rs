//! The configuration: as written in the files ([`ConfigFile`]), and resolved ([`Config`]). [`Config::resolve`] converts
//! one to the other.

mod oidc;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use linecamp_core::{AUDIT_RETENTION_DEFAULT, CERTIFICATE_LIFE, IpNetworks};
use linecamp_model::limits::SERVERS_PER_SITE_MAX;
use linecamp_model::{AuditRetention, ServerAddress, TokenError};
use linecamp_service::LayeredConfig;
use linecamp_transport::ListenerSettings;
use serde::Deserialize;

use crate::certificate_files::CertificateFiles;
use crate::data_directory::Layout;
use crate::error::ServerError;
use crate::server_url::ServerUrl;
use crate::traces::Collector;

pub use self::oidc::{GroupRoleFile, OidcConfig};

/// The shortest lifetime of a site certificate. Only tests need less than an hour: a site renews at two thirds.
pub const CERTIFICATE_LIFE_MIN: Duration = Duration::from_secs(60);

/// The longest lifetime of a site certificate: longer than the machines last.
pub const CERTIFICATE_LIFE_MAX: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// The default log filter: what an operator would want to know.
pub const LOG_DEFAULT: &str = "info";

/// The value of `http` without a listener.
const OFF: &str = "off";

/// The minimum for `idle_timeout_max`: below it, a site that loses two keep-alives would be disconnected.
const IDLE_TIMEOUT_MIN: Duration = Duration::from_secs(10);

/// The maximum for `idle_timeout_max`: keeping a dead link for longer helps nobody.
const IDLE_TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// The shortest time for which entries of the audit log are kept: an incident is noticed after days.
const AUDIT_KEEP_MIN: Duration = Duration::from_secs(7 * 24 * 3600);

/// The longest time for which entries of the audit log are kept.
const AUDIT_KEEP_MAX: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// The range of the size of the audit log, in MiB: the least is some 30,000 entries, the most is what a backup, which
/// is made in memory, can hold.
const AUDIT_MIB: std::ops::RangeInclusive<u64> = 8..=1024;

const MIB: u64 = 1024 * 1024;

/// The directory where the server's package installs the daemon's packages.
const PACKAGES_DEFAULT: &str = "/usr/share/linecamp-server/site";

/// A sample configuration file that documents every key. Unchanged, it means the defaults. Packages install it.
pub const SAMPLE: &str = include_str!("../../../packaging/config/server.toml");

/// The one key of the sample that has no default.
const SAMPLE_URL: &str = "#server_url = \"https://camp.example:8443\"";

/// The path where packages install the configuration, and the default of `config check`.
pub const FILE_DEFAULT: &str = "/etc/linecamp/server.toml";

/// The keys of `server.toml`. Unknown keys are rejected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct ConfigFile {
    /// The URL at which operators reach the server.
    pub server_url: Option<String>,
    /// The addresses at which sites reach the server, as listed in join tokens.
    pub link_addresses: Option<Vec<String>>,
    /// The lifetime of a site certificate.
    pub certificate_life: Option<String>,
    /// The address to listen on for operators.
    pub https: Option<String>,
    /// The address to listen on for proxies that end TLS.
    pub http: Option<String>,
    /// The networks of the proxies whose forwarding headers count.
    pub trusted_proxies: Option<Vec<String>>,
    /// The file of the certificate chain for operators.
    pub https_certificate: Option<PathBuf>,
    /// The file of its key.
    pub https_key: Option<PathBuf>,
    /// The address to listen on for sites.
    pub quic: Option<String>,
    /// The longest idle timeout of a session.
    pub idle_timeout_max: Option<String>,
    /// The log filter.
    pub log: Option<String>,
    /// The directory of the packages for new sites.
    pub site_packages: Option<PathBuf>,
    /// The collector of traces.
    pub otlp_collector: Option<String>,
    /// How long entries of the audit log are kept.
    pub audit_keep: Option<String>,
    /// How large the audit log may be, in MiB.
    pub audit_mib_max: Option<u64>,
    /// The issuer of the identity provider.
    pub oidc_issuer: Option<String>,
    /// The ID of this server at the provider.
    pub oidc_client_id: Option<String>,
    /// The file with the secret of this server at the provider.
    pub oidc_client_secret_file: Option<PathBuf>,
    /// The file with the authorities that may certify the provider.
    pub oidc_ca_file: Option<PathBuf>,
    /// What is asked for besides `openid`.
    pub oidc_scopes: Option<Vec<String>>,
    /// The claim of the ID token that has the groups.
    pub oidc_groups_claim: Option<String>,
    /// The roles of groups.
    pub oidc_groups: Option<Vec<GroupRoleFile>>,
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
    /// The address to listen on for proxies that end TLS, without TLS.
    pub http: Option<SocketAddr>,
    /// The networks of the proxies whose forwarding headers count.
    pub trusted_proxies: IpNetworks,
    /// The certificate for operators, in place of one from the server's own authority.
    pub https_certificate: Option<CertificateFiles>,
    /// The address to listen on for sites.
    pub quic: SocketAddr,
    /// The link's settings.
    pub link: ListenerSettings,
    /// The log filter, in `tracing-subscriber` syntax.
    pub log: String,
    /// The directory of the packages for new sites.
    pub site_packages: PathBuf,
    /// The collector of traces; `None` for no traces.
    pub otlp_collector: Option<Collector>,
    /// How much of the audit log is kept.
    pub audit: AuditRetention,
    /// The identity provider; `None` for logins with passwords only.
    pub oidc: Option<OidcConfig>,
}

impl Config {
    /// Reads and resolves the directory's own file, then `path` on top of it, and the drop-ins of both.
    ///
    /// # Errors
    /// [`ServerError`], which names file, line, key and range.
    pub fn load(layout: Layout, path: Option<&Path>, overrides: Overrides) -> Result<Self, ServerError> {
        let base = layout.config();
        let has_base = base.exists() || base.with_extension("d").exists();
        if path.is_none() && !has_base && !layout.ca().exists() {
            return Err(ServerError::NotInitialized { dir: layout.dir().to_owned() });
        }
        let base = Some(&*base).filter(|_| has_base || path.is_none());
        Self::resolve(layout.clone(), &Self::read_layers(base, path)?, overrides)
    }

    /// Reads a directory's own file, then `path` on top of it, and the drop-ins of both.
    ///
    /// # Errors
    /// [`ServerError::Config`], which names file, line and key.
    pub fn read_layers(base: Option<&Path>, path: Option<&Path>) -> Result<LayeredConfig, ServerError> {
        let mut layers = LayeredConfig::default();
        // The same file is not read twice.
        for path in base.into_iter().chain(path.filter(|path| Some(*path) != base)) {
            layers.add::<ConfigFile>(path)?;
        }
        Ok(layers)
    }

    /// Validates the files and applies defaults and overrides.
    ///
    /// # Errors
    /// [`ServerError::ConfigValue`], which names location, key and range.
    pub fn resolve(layout: Layout, layers: &LayeredConfig, overrides: Overrides) -> Result<Self, ServerError> {
        let file: ConfigFile = layers.read()?;
        let invalid = |key, problem: String| ServerError::ConfigValue { place: place(layers, key), key, problem };
        let oidc = OidcConfig::resolve(&file).map_err(|(key, problem)| invalid(key, problem))?;
        let url =
            file.server_url.ok_or_else(|| invalid("server_url", "is missing; set it to https://HOST:PORT".into()))?;
        let server_url = ServerUrl::parse(&url).map_err(|problem| invalid("server_url", problem))?;
        let link_addresses = link_addresses(&file.link_addresses.unwrap_or_default())
            .map_err(|error| invalid("link_addresses", format!("is invalid: {error}")))?;
        let duration = |key, text: Option<String>, default, min, max| match text {
            Some(text) => duration(&text, min, max).map_err(|problem| invalid(key, problem)),
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
                let problem = format!("is `{text}`; use ADDRESS:PORT, for example 0.0.0.0:8443 or [::]:8443");
                invalid(key, problem)
            }),
            // One port number to open in a firewall, for TCP and UDP, on all addresses of both families.
            (None, None) => Ok(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), server_url.port())),
        };
        let collector = file.otlp_collector.as_deref().filter(|text| !text.is_empty());
        let collector = collector.map(Collector::parse).transpose();
        let otlp_collector = collector.map_err(|problem| invalid("otlp_collector", problem))?;
        let audit = AuditRetention {
            age: duration("audit_keep", file.audit_keep, AUDIT_RETENTION_DEFAULT.age, AUDIT_KEEP_MIN, AUDIT_KEEP_MAX)?,
            bytes: audit_bytes(file.audit_mib_max).map_err(|problem| invalid("audit_mib_max", problem))?,
        };
        let http = file.http.filter(|text| text != OFF).map(|text| {
            let problem = || format!("is `{text}`; use ADDRESS:PORT, for example 127.0.0.1:8080, or \"{OFF}\"");
            text.parse().map_err(|_| invalid("http", problem()))
        });
        let trusted_proxies = IpNetworks::parse(&file.trusted_proxies.unwrap_or_default())
            .map_err(|problem| invalid("trusted_proxies", problem))?;
        let https_certificate = certificate_files(file.https_certificate, file.https_key)
            .map_err(|(key, problem)| invalid(key, problem))?;
        Ok(Self {
            oidc,
            otlp_collector,
            audit,
            http: http.transpose()?,
            trusted_proxies,
            https_certificate,
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

fn audit_bytes(mib: Option<u64>) -> Result<u64, String> {
    let found = mib.unwrap_or(AUDIT_RETENTION_DEFAULT.bytes / MIB);
    match AUDIT_MIB.contains(&found) {
        true => Ok(found * MIB),
        false => Err(format!("is {found}; allowed: from {} to {}", AUDIT_MIB.start(), AUDIT_MIB.end())),
    }
}

/// Returns the files of the certificate for operators. An empty path means none.
fn certificate_files(
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Result<Option<CertificateFiles>, (&'static str, String)> {
    let set = |path: Option<PathBuf>| path.filter(|path| !path.as_os_str().is_empty());
    match (set(certificate), set(key)) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some(CertificateFiles { certificate, key })),
        (Some(_), None) => Err(("https_certificate", "is set without https_key; set both".to_owned())),
        (None, Some(_)) => Err(("https_key", "is set without https_certificate; set both".to_owned())),
    }
}

fn link_addresses(texts: &[String]) -> Result<Vec<ServerAddress>, TokenError> {
    if SERVERS_PER_SITE_MAX < texts.len() {
        return Err(TokenError::Addresses { count: texts.len() });
    }
    texts.iter().map(|text| ServerAddress::parse(text)).collect()
}

fn duration(text: &str, min: Duration, max: Duration) -> Result<Duration, String> {
    let range = || format!("from {} to {}", format_duration(min), format_duration(max));
    let found = humantime::parse_duration(text).map_err(|error| {
        format!("is `{text}`, an invalid duration ({error}); use a duration {}, for example 30d", range())
    })?;
    if found < min || max < found {
        return Err(format!("is {text}; allowed: {}", range()));
    }
    Ok(found)
}

fn format_duration(duration: Duration) -> String {
    let days = duration.as_secs() / 86_400;
    match days {
        0 => humantime::format_duration(duration).to_string(),
        _ => format!("{days}d"),
    }
}

/// Returns where `key` is set, or the file where it could be set.
fn place(layers: &LayeredConfig, key: &str) -> String {
    match layers.place(key) {
        Some(place) => format!("{}: line {}", place.path.display(), place.line),
        None => {
            layers.files().first().map_or_else(|| "the configuration".to_owned(), |path| path.display().to_string())
        }
    }
}

/// Returns the initial configuration of a server at `url`.
pub(crate) fn template(url: &ServerUrl) -> String {
    SAMPLE.replace(SAMPLE_URL, &format!("server_url = \"{url}\""))
}

#[cfg(test)]
mod tests;
