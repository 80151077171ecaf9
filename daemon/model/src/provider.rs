//! Providers of any kind: their configuration, the calls made to them, and the status they report.
//!
//! What a kind of provider adds is in a module of its own: [`dns`](crate::dns).

mod call;
mod config_schema;
mod description;
mod endpoint_template;
mod grant;
mod problem;
mod status;

#[cfg(test)]
mod accepted_settings_tests;
#[cfg(test)]
mod description_tests;

use std::collections::BTreeMap;
use std::fmt;

pub use self::call::{Capabilities, ProviderFailure, ProviderReply, ProviderRequest};
pub use self::description::{PluginDescription, SecretRequirement};
pub use self::grant::{Endpoint, Grant};
pub use self::problem::SettingProblem;
pub use self::status::{ProviderStatus, ProviderStatusKind};

use crate::digest::PluginDigest;
use crate::dns::DnsSettings;
use crate::endpoint_host::HostError;
use crate::limits::{PROVIDER_CONFIG_BYTES_MAX, SECRET_NAME_BYTES_MAX};
use crate::name::{Name, NameError};

/// One configured provider: a plugin with its settings, its grants, and what it provides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderSpec {
    /// The name operators use.
    pub name: Name,
    /// The plugin that implements the provider.
    pub plugin: PluginRef,
    /// The plugin's own settings.
    pub config: ProviderConfig,
    /// Maps each secret name the plugin uses to the name of a secret at the site.
    pub secrets: BTreeMap<SecretName, SecretName>,
    /// The endpoints the plugin may reach.
    pub grant: Grant,
    /// What it provides, and the settings of that.
    pub kind: ProviderKind,
    /// Whether to observe and plan without changing anything.
    pub is_dry_run: bool,
    /// Whether the provider withdraws all that it provides: the step before it is deleted.
    pub is_withdrawing: bool,
}

impl ProviderSpec {
    /// Returns the DNS settings. There is no other kind.
    pub const fn dns(&self) -> &DnsSettings {
        let ProviderKind::Dns(dns) = &self.kind;
        dns
    }

    /// Returns the DNS settings, to change them.
    pub const fn dns_mut(&mut self) -> &mut DnsSettings {
        let ProviderKind::Dns(dns) = &mut self.kind;
        dns
    }
}

/// What a provider provides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderKind {
    /// DNS records of a site's hosts.
    Dns(DnsSettings),
}

impl From<DnsSettings> for ProviderKind {
    fn from(settings: DnsSettings) -> Self {
        Self::Dns(settings)
    }
}

/// Identifies a plugin: by name, and for a plugin pushed from the server also by the digest of its component.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PluginRef {
    /// The name from its description, such as `dns-powerdns`.
    pub name: Name,
    /// The required component. `None`: the component of this name in the site's plugin directory.
    pub digest: Option<PluginDigest>,
}

/// The settings of a plugin: a JSON object whose schema only the plugin knows.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderConfig(Box<str>);

impl ProviderConfig {
    /// Wraps a text that the caller has checked to be a JSON object.
    ///
    /// # Errors
    /// [`ProviderError::ConfigTooLong`].
    pub fn of_json(text: &str) -> Result<Self, ProviderError> {
        match text.len() {
            bytes if PROVIDER_CONFIG_BYTES_MAX < bytes => Err(ProviderError::ConfigTooLong { bytes }),
            _ => Ok(Self(text.into())),
        }
    }

    /// Returns the JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ProviderConfig {
    fn default() -> Self {
        Self("{}".into())
    }
}

impl fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a secret, either as the plugin uses it or as the site stores it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretName(Box<str>);

impl SecretName {
    /// Parses `a-z 0-9 - _ .`, starting with a letter or digit: the name may become a file name.
    ///
    /// # Errors
    /// [`ProviderError::SecretName`].
    pub fn parse(text: &str) -> Result<Self, ProviderError> {
        let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        let begins_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if begins_well && text.len() <= SECRET_NAME_BYTES_MAX && text.bytes().all(is_inner) {
            return Ok(Self(text.into()));
        }
        Err(ProviderError::SecretName { found: text.escape_debug().to_string() })
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Why part of a provider's configuration is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The plugin's settings are too long.
    #[error("a provider's config has at most {PROVIDER_CONFIG_BYTES_MAX} bytes, not {bytes}")]
    ConfigTooLong {
        /// The actual length.
        bytes: usize,
    },
    /// An invalid secret name.
    #[error(
        "`{found}` is not a secret name: at most {SECRET_NAME_BYTES_MAX} of a-z, 0-9, `-`, `_` and `.`, starting \
         with a letter or digit"
    )]
    SecretName {
        /// The rejected text.
        found: String,
    },
    /// Not a host and a port.
    #[error("`{found}` is not HOST:PORT, such as dns.example.org:443 or [2001:db8::1]:53")]
    Endpoint {
        /// The rejected text.
        found: String,
    },
    /// An endpoint whose host is written in a form that programs read differently.
    #[error("`{found}` is not HOST:PORT: {reason}")]
    EndpointHost {
        /// The rejected text.
        found: String,
        /// What to write instead.
        reason: HostError,
    },
    /// An invalid name.
    #[error(transparent)]
    Name(#[from] NameError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secrets_name_may_become_a_file() {
        assert!(SecretName::parse("pdns.api-key").is_ok());
        for text in ["", "../x", ".x", "a/b", "A", &"a".repeat(65)] {
            assert!(SecretName::parse(text).is_err(), "{text}");
        }
    }
}
