//! The site's secrets in the configuration: as written, and as resolved.
//!
//! `NAME = "FILE"` only gives the location of a secret; it is available to providers of the same configuration. A table
//! `[secrets.NAME]` binds the secret to hosts, one use and providers, which may include the server's. A name that a
//! provider of the configuration uses without either is a systemd credential. Any other name resolves to nothing,
//! whatever systemd's credentials directory contains.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use linecamp_model::{Endpoint, Name, NameError, ProviderError, ProviderSpec, SecretName};
use linecamp_plugin_host::{SecretBinding, SecretScope, SecretUse};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A secret that the configuration declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredSecret {
    /// The file with the secret; `None` for the systemd credential of the same name.
    pub file: Option<PathBuf>,
    /// Who may use it.
    pub scope: SecretScope,
}

/// Why the table of a secret is invalid.
#[derive(Debug, thiserror::Error)]
pub enum SecretTableError {
    /// A key is missing, or its list is empty.
    #[error("`{key}` is missing or empty; a secret table needs `hosts`, `use` and `providers`")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A host is invalid.
    #[error("`{key}`")]
    Host {
        /// The key of the list.
        key: &'static str,
        /// The cause.
        source: ProviderError,
    },
    /// A host is listed for plain HTTP but not among the hosts that may receive the secret.
    #[error("`plain_http` contains {host}, which is not in `hosts`")]
    PlainHttp {
        /// The host.
        host: Endpoint,
    },
    /// The use is unknown.
    #[error("`use` is `{found}`; allowed: {}", SecretUse::ALL.map(SecretUse::as_str).join(", "))]
    Use {
        /// The value found.
        found: String,
    },
    /// A provider's name is invalid.
    #[error("`providers`: {0}")]
    Provider(NameError),
}

/// Why the table `[secrets]` is invalid.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// A secret's name is invalid.
    #[error("table `[secrets]`")]
    Name {
        /// The name found.
        name: String,
        /// The cause.
        source: ProviderError,
    },
    /// The table of a secret is invalid.
    #[error("table `[secrets.{name}]`")]
    Table {
        /// The secret's name.
        name: String,
        /// The cause, with the key.
        source: SecretTableError,
    },
}

impl SecretsError {
    /// Returns the name of the secret, as written.
    pub(super) fn secret(&self) -> &str {
        match self {
            Self::Name { name, .. } | Self::Table { name, .. } => name,
        }
    }
}

/// A secret as written.
#[derive(Clone, Debug)]
pub(super) enum SecretFile {
    Bare(PathBuf),
    Bound(SecretTable),
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub(super) struct SecretTable {
    file: Option<PathBuf>,
    hosts: Vec<String>,
    plain_http: Vec<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    providers: Vec<String>,
}

impl<'de> Deserialize<'de> for SecretFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = SecretFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a file path or a table")
            }

            fn visit_str<E>(self, path: &str) -> Result<SecretFile, E> {
                Ok(SecretFile::Bare(path.into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<SecretFile, A::Error> {
                SecretTable::deserialize(MapAccessDeserializer::new(table)).map(SecretFile::Bound)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// Resolves the declared secrets, adds those that only `providers` name, and returns warnings.
pub(super) fn resolve(
    written: BTreeMap<String, SecretFile>,
    providers: &[ProviderSpec],
) -> Result<(BTreeMap<SecretName, DeclaredSecret>, Vec<String>), SecretsError> {
    let mut declared = BTreeMap::new();
    for (name, secret) in written {
        let parsed = SecretName::parse(&name).map_err(|source| SecretsError::Name { name: name.clone(), source })?;
        let secret = match secret {
            SecretFile::Bare(file) => DeclaredSecret { file: Some(file), scope: SecretScope::LocalProviders },
            SecretFile::Bound(table) => table.resolve().map_err(|source| SecretsError::Table { name, source })?,
        };
        declared.insert(parsed, secret);
    }
    let named: Vec<_> = providers.iter().flat_map(|provider| provider.secrets.values()).collect();
    let is_unused = |name: &SecretName, secret: &DeclaredSecret| {
        secret.scope == SecretScope::LocalProviders && !named.contains(&name)
    };
    let unused = declared.iter().filter(|(name, secret)| is_unused(name, secret));
    let warnings = unused.map(|(name, _)| {
        format!(
            "no provider can use the secret {name}: no provider in this configuration names it, and a provider from the \
             server needs a table [secrets.{name}] with `hosts`, `use` and `providers`"
        )
    });
    let warnings = warnings.collect();
    for name in named {
        let credential = DeclaredSecret { file: None, scope: SecretScope::LocalProviders };
        declared.entry(name.clone()).or_insert(credential);
    }
    Ok((declared, warnings))
}

impl SecretTable {
    fn resolve(self) -> Result<DeclaredSecret, SecretTableError> {
        let hosts = |key, hosts: Vec<String>| -> Result<_, SecretTableError> {
            let parse = |host: &String| Endpoint::parse(host).map_err(|source| SecretTableError::Host { key, source });
            hosts.iter().map(parse).collect()
        };
        let binding = SecretBinding {
            hosts: hosts("hosts", self.hosts)?,
            plain_http: hosts("plain_http", self.plain_http)?,
            uses: match self.usage {
                Some(word) => [SecretUse::parse(&word)
                    .ok_or_else(|| SecretTableError::Use { found: word.escape_debug().to_string() })?]
                .into(),
                None => [].into(),
            },
            providers: self
                .providers
                .iter()
                .map(|name| Name::parse(name).map_err(SecretTableError::Provider))
                .collect::<Result<_, _>>()?,
        };
        let parts = [
            ("hosts", binding.hosts.is_empty()),
            ("use", binding.uses.is_empty()),
            ("providers", binding.providers.is_empty()),
        ];
        if let Some((key, _)) = parts.into_iter().find(|(_, is_empty)| *is_empty) {
            return Err(SecretTableError::Missing { key });
        }
        if let Some(host) = binding.plain_http.difference(&binding.hosts).next() {
            return Err(SecretTableError::PlainHttp { host: host.clone() });
        }
        Ok(DeclaredSecret { file: self.file, scope: SecretScope::Bound(binding) })
    }
}

/// Describes the permitted use, for people.
impl fmt::Display for DeclaredSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SecretScope::Bound(binding) = &self.scope else {
            return f.write_str("for providers of this configuration, over TLS");
        };
        let uses: Vec<_> = binding.uses.iter().map(|one| one.as_str()).collect();
        let host = |host: &Endpoint| match binding.plain_http.contains(host) {
            true => format!("{host} (also over plain HTTP)"),
            false => host.to_string(),
        };
        let hosts: Vec<_> = binding.hosts.iter().map(host).collect();
        let providers: Vec<_> = binding.providers.iter().map(ToString::to_string).collect();
        write!(f, "as {} to {}, for {}", uses.join(", "), hosts.join(", "), providers.join(", "))
    }
}
