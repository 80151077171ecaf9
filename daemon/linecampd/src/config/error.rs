//! Why a configuration cannot be used.

use std::path::PathBuf;

use linecamp_model::limits::{PROVIDERS_PER_SITE_MAX, SERVERS_PER_SITE_MAX};
use linecamp_model::{LabelError, Name, NameError, ProviderError, TokenError};
use linecamp_plugin_host::PluginHostError;
use linecamp_proto::api::SettingError;
use linecamp_service::LayersError;

use super::{MEMORY_MIB_MAX, SecretTableError};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// What was written does not read.
    #[error(transparent)]
    LayeredConfig(#[from] LayersError),
    /// A value that was read cannot be used.
    #[error("{path}: line {line}", path = path.display())]
    At {
        /// Which file.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// What is wrong, with the key.
        source: Box<Self>,
    },
    /// A server address does not read.
    #[error("key `servers`: {0}")]
    Server(TokenError),
    /// More servers than a site tries.
    #[error("key `servers` has {count} addresses, and at most {SERVERS_PER_SITE_MAX} are tried")]
    Servers {
        /// How many.
        count: usize,
    },
    /// Not a log level.
    #[error("{whose} is `{found}`, not one of error, warn, info, debug, trace")]
    Log {
        /// The key or variable.
        whose: &'static str,
        /// What it says.
        found: String,
    },
    /// The name does not read.
    #[error("key `join.name`: {0}")]
    Name(NameError),
    /// Half of a wish to join.
    #[error("key `{found}` is there, and `{missing}` is not; a daemon joins with both")]
    HalfJoin {
        /// What is there.
        found: &'static str,
        /// What is not.
        missing: &'static str,
    },
    /// A provider does not read.
    #[error("table `[[provider]]`, number {number}")]
    Provider {
        /// Which of them, from 1.
        number: usize,
        /// The cause, with the key.
        source: SettingError,
    },
    /// Two providers of one name.
    #[error("two tables `[[provider]]` have the name {name}")]
    ProviderTwice {
        /// Which.
        name: Name,
        /// Which of them is the second, from 1.
        number: usize,
    },
    /// More providers than a site has.
    #[error("there are {count} tables `[[provider]]`, and a site has at most {PROVIDERS_PER_SITE_MAX} providers")]
    Providers {
        /// How many.
        count: usize,
    },
    /// A secret's name does not read.
    #[error("table `[secrets]`")]
    SecretName {
        /// What is written.
        name: String,
        /// The cause.
        source: ProviderError,
    },
    /// The table of a secret cannot be used.
    #[error("table `[secrets.{name}]`")]
    Secret {
        /// Of which secret.
        name: String,
        /// The cause, with the key.
        source: SecretTableError,
    },
    /// A publisher's key does not read.
    #[error("key `plugins.publishers`: {0}")]
    Publisher(PluginHostError),
    /// More memory than a call of a plugin may have, or none.
    #[error("key `plugins.memory_mib` is {found}, and not 1 to {MEMORY_MIB_MAX}")]
    Memory {
        /// What it says.
        found: u32,
    },
    /// Labels in the environment do not read.
    #[error("variable {variable}")]
    Labels {
        /// Which variable.
        variable: &'static str,
        /// The cause.
        source: LabelError,
    },
}

impl ConfigError {
    /// Returns the key it is about, if it is about one of a file.
    pub(super) fn key(&self) -> Option<String> {
        Some(match self {
            Self::Server(_) | Self::Servers { .. } => "servers".to_owned(),
            Self::Log { whose, .. } if whose.starts_with("key") => "log".to_owned(),
            Self::Name(_) => "join.name".to_owned(),
            Self::HalfJoin { found, .. } => (*found).to_owned(),
            Self::Provider { number, .. } | Self::ProviderTwice { number, .. } => format!("provider.{number}"),
            Self::Providers { .. } => format!("provider.{}", PROVIDERS_PER_SITE_MAX + 1),
            Self::SecretName { name, .. } | Self::Secret { name, .. } => format!("secrets.{name}"),
            Self::Publisher(_) => "plugins.publishers".to_owned(),
            Self::Memory { .. } => "plugins.memory_mib".to_owned(),
            Self::LayeredConfig(_) | Self::At { .. } | Self::Log { .. } | Self::Labels { .. } => return None,
        })
    }
}
