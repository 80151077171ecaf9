//! Why a configuration is invalid.

use std::path::PathBuf;

use linecamp_model::limits::{PROVIDERS_PER_SITE_MAX, SERVERS_PER_SITE_MAX};
use linecamp_model::{Name, NameError, TokenError};
use linecamp_plugin_host::PluginHostError;
use linecamp_proto::api::SettingError;
use linecamp_service::LayersError;

use super::{LOG_VARIABLE, MEMORY_MIB_MAX, SecretsError};

/// The log levels, for people.
const LEVELS: &str = "error, warn, info, debug, trace";

/// Why a configuration is invalid.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read or parsed.
    #[error(transparent)]
    LayeredConfig(#[from] LayersError),
    /// A value is invalid.
    #[error("{path}: line {line}", path = path.display())]
    At {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The problem, with the key.
        source: Box<Self>,
    },
    /// A server address is invalid.
    #[error("key `servers`: {0}")]
    Server(TokenError),
    /// More servers than a site tries.
    #[error("key `servers` has {count} addresses; at most {SERVERS_PER_SITE_MAX} are allowed")]
    Servers {
        /// The number found.
        count: usize,
    },
    /// The address to listen for hosts on is invalid.
    #[error("key `hosts.listen` is `{found}`; write ADDRESS:PORT, such as [::]:4433")]
    Listen {
        /// The value found.
        found: String,
    },
    /// An address of this gateway is invalid.
    #[error("key `hosts.addresses`: {0}")]
    HostsAddress(TokenError),
    /// More addresses of this gateway than a host tries.
    #[error("key `hosts.addresses` has {count} addresses; at most {SERVERS_PER_SITE_MAX} are allowed")]
    HostsAddresses {
        /// The number found.
        count: usize,
    },
    /// The log level in the file is unknown.
    #[error("key `log` is `{found}`; allowed: {LEVELS}")]
    Log {
        /// The value found.
        found: String,
    },
    /// The log level in the environment is unknown.
    #[error("variable {LOG_VARIABLE} is `{found}`; allowed: {LEVELS}")]
    LogVariable {
        /// The value found.
        found: String,
    },
    /// The name is invalid.
    #[error("key `join.name`: {0}")]
    Name(NameError),
    /// The name of the site is invalid.
    #[error("key `join.site`: {0}")]
    Site(NameError),
    /// A site that joins is given the site of a host.
    #[error("key `join.site` is for a host that joins the server: set `join.host = true`, or remove it")]
    SiteOfSite,
    /// Only one of the two keys that a join needs.
    #[error("key `{found}` is set but `{missing}` is not; a join needs both")]
    HalfJoin {
        /// The key that is set.
        found: &'static str,
        /// The key that is missing.
        missing: &'static str,
    },
    /// A provider is invalid.
    #[error("table `[[provider]]`, number {number}")]
    Provider {
        /// Its position, from 1.
        number: usize,
        /// The cause, with the key.
        source: SettingError,
    },
    /// Two providers have the same name.
    #[error("two tables `[[provider]]` have the name {name}")]
    ProviderTwice {
        /// The name.
        name: Name,
        /// The position of the second one, from 1.
        number: usize,
    },
    /// More providers than a site may have.
    #[error("{count} tables `[[provider]]`; a site has at most {PROVIDERS_PER_SITE_MAX} providers")]
    Providers {
        /// The number found.
        count: usize,
    },
    /// The table of secrets is invalid.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// A publisher's key is invalid.
    #[error("key `plugins.publishers`: {0}")]
    Publisher(PluginHostError),
    /// The memory limit of a plugin call is out of range.
    #[error("key `plugins.memory_mib` is {found}; allowed: 1 to {MEMORY_MIB_MAX}")]
    Memory {
        /// The value found.
        found: u32,
    },
}

impl ConfigError {
    /// Returns the configuration file key that the error concerns, if any.
    pub(super) fn key(&self) -> Option<String> {
        Some(match self {
            Self::Server(_) | Self::Servers { .. } => "servers".to_owned(),
            Self::Listen { .. } => "hosts.listen".to_owned(),
            Self::HostsAddress(_) | Self::HostsAddresses { .. } => "hosts.addresses".to_owned(),
            Self::Log { .. } => "log".to_owned(),
            Self::Name(_) => "join.name".to_owned(),
            Self::Site(_) | Self::SiteOfSite => "join.site".to_owned(),
            Self::HalfJoin { found, .. } => (*found).to_owned(),
            Self::Provider { number, .. } | Self::ProviderTwice { number, .. } => format!("provider.{number}"),
            Self::Providers { .. } => format!("provider.{}", PROVIDERS_PER_SITE_MAX + 1),
            Self::Secrets(error) => format!("secrets.{}", error.secret()),
            Self::Publisher(_) => "plugins.publishers".to_owned(),
            Self::Memory { .. } => "plugins.memory_mib".to_owned(),
            Self::LayeredConfig(_) | Self::At { .. } | Self::LogVariable { .. } => return None,
        })
    }
}
