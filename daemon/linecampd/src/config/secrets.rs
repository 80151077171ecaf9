//! The site's secrets in its configuration: as they are written, and what that means.
//!
//! `NAME = "FILE"` only says where a secret is: it is for providers of the same configuration. A table `[secrets.NAME]`
//! binds it to hosts, one use and providers, those of the server among them. A name that a provider of the
//! configuration gives without either is a credential of systemd. Names that are in none of these places do not lead to
//! anything, whatever lies in systemd's directory of credentials.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use linecamp_model::{Endpoint, Name, NameError, ProviderError, ProviderSpec, SecretName};
use linecamp_plugin_host::{SecretBinding, SecretScope, SecretUse};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::ConfigError;

/// A secret that the configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredSecret {
    /// The file it is in; `None` for systemd's credential of its name.
    pub file: Option<PathBuf>,
    /// Who may use it.
    pub scope: SecretScope,
}

/// What is wrong with the table of a secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretTableError {
    /// A key is not there, or an empty list.
    #[error("`{key}` says nothing; a secret in a table is bound by `hosts`, `use` and `providers`, all three")]
    Missing {
        /// Which.
        key: &'static str,
    },
    /// A host does not read.
    #[error("`{key}`")]
    Host {
        /// In which list.
        key: &'static str,
        /// The cause.
        source: ProviderError,
    },
    /// A host may get the secret over plain HTTP, and may not get it at all.
    #[error("`plain_http` has {host}, which is not among `hosts`")]
    PlainHttp {
        /// Which.
        host: Endpoint,
    },
    /// Not a use of a secret.
    #[error("`use` is `{found}`, not one of {}", SecretUse::ALL.map(SecretUse::as_str).join(", "))]
    Use {
        /// What it says.
        found: String,
    },
    /// A provider's name does not read.
    #[error("`providers`: {0}")]
    Provider(NameError),
}

/// A secret as it is written.
#[derive(Clone, Debug)]
pub(super) enum SecretFile {
    Bare(PathBuf),
    Bound(SecretTable),
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
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
                f.write_str("the path of a file, or a table")
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

/// Says what was written of secrets, together with those that only `providers` name, and what is worth a look.
pub(super) fn resolve(
    written: BTreeMap<String, SecretFile>,
    providers: &[ProviderSpec],
) -> Result<(BTreeMap<SecretName, DeclaredSecret>, Vec<String>), ConfigError> {
    let mut declared = BTreeMap::new();
    for (name, secret) in written {
        let parsed =
            SecretName::parse(&name).map_err(|source| ConfigError::SecretName { name: name.clone(), source })?;
        let secret = match secret {
            SecretFile::Bare(file) => DeclaredSecret { file: Some(file), scope: SecretScope::LocalProviders },
            SecretFile::Bound(table) => table.resolve().map_err(|source| ConfigError::Secret { name, source })?,
        };
        declared.insert(parsed, secret);
    }
    let named: Vec<_> = providers.iter().flat_map(|provider| provider.secrets.values()).collect();
    let is_idle = |name: &SecretName, secret: &DeclaredSecret| {
        secret.scope == SecretScope::LocalProviders && !named.contains(&name)
    };
    let idle = declared.iter().filter(|(name, secret)| is_idle(name, secret));
    let warnings = idle.map(|(name, _)| {
        format!(
            "the secret {name} is for no provider: none of this configuration names it, and one of the server gets it \
             only with `hosts`, `use` and `providers` in a table [secrets.{name}]"
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

/// What may be done with it, for people.
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
        write!(f, "as {} toward {}, for {}", uses.join(", "), hosts.join(", "), providers.join(", "))
    }
}
