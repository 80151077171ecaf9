//! Providers of any kind: their settings from server to site, their status from site to server. What a kind adds is in
//! a module of its own: [`dns`](super::dns).

use std::collections::BTreeMap;

use linecamp_model::limits::{GRANTS_PER_PROVIDER_MAX, PROVIDER_SPEC_BYTES_MAX, SECRETS_PER_PROVIDER_MAX};
use linecamp_model::{
    Endpoint, Grant, Name, PluginDigest, PluginRef, ProviderConfig, ProviderKind, ProviderSpec, ProviderStatus,
    ProviderStatusKind, SecretName, Text,
};
use prost::Message;

use crate::convert::field::{bytes, count, field, generation, kind, message, set};
use crate::convert::{FieldError, Wire};
use crate::wire::link::v1 as wire;
use crate::wire::link::v1::{provider_spec, provider_status};

/// Returns the size of a provider's settings on the link, in bytes.
pub(crate) fn provider_spec_bytes(spec: &ProviderSpec) -> usize {
    wire::ProviderSpec::from_model(spec).encoded_len()
}

/// Checks that a text is a JSON object on one line.
pub(crate) fn provider_config(text: &str) -> Result<ProviderConfig, String> {
    let config = ProviderConfig::of_json(text).map_err(|error| error.to_string())?;
    if text.chars().any(char::is_control) {
        return Err("has a control character; in JSON it is written `\\uXXXX`".to_owned());
    }
    match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text) {
        Ok(_) => Ok(config),
        Err(error) => Err(format!("is not a JSON object: {error}")),
    }
}

impl Wire for wire::ProviderSpec {
    type Model = ProviderSpec;

    fn from_model(spec: &ProviderSpec) -> Self {
        let digest = spec.plugin.digest.map(|digest| digest.as_bytes().to_vec());
        let secrets = spec.secrets.iter().map(|(name, secret)| wire::SecretUse {
            name: name.as_str().to_owned(),
            secret: secret.as_str().to_owned(),
        });
        Self {
            name: spec.name.as_str().to_owned(),
            plugin: spec.plugin.name.as_str().to_owned(),
            digest: digest.unwrap_or_default(),
            config: spec.config.as_str().to_owned(),
            secrets: secrets.collect(),
            grant: Some(wire::Grant::from_model(&spec.grant)),
            kind: Some(match &spec.kind {
                ProviderKind::Dns(dns) => provider_spec::Kind::Dns(wire::DnsSettings::from_model(dns)),
            }),
            dry_run: spec.is_dry_run,
            withdraw: spec.is_withdrawing,
        }
    }

    fn into_model(self) -> Result<ProviderSpec, FieldError> {
        let digest = match self.digest.as_slice() {
            [] => None,
            digest => Some(PluginDigest::from_bytes(bytes("digest", digest)?)),
        };
        let spec = ProviderSpec {
            name: field("name", Name::parse(&self.name))?,
            plugin: PluginRef { name: field("plugin", Name::parse(&self.plugin))?, digest },
            config: field("config", provider_config(&self.config))?,
            secrets: secrets(&self.secrets)?,
            grant: message("grant", self.grant)?,
            kind: match kind("kind", self.kind)? {
                provider_spec::Kind::Dns(dns) => ProviderKind::Dns(message("dns", Some(dns))?),
            },
            is_dry_run: self.dry_run,
            is_withdrawing: self.withdraw,
        };
        match provider_spec_bytes(&spec) {
            ..=PROVIDER_SPEC_BYTES_MAX => Ok(spec),
            bytes => Err(FieldError::new("name", too_long(&spec.name, bytes))),
        }
    }
}

/// Returns the error text for oversized provider settings.
pub(crate) fn too_long(name: &Name, bytes: usize) -> String {
    format!("all settings of `{name}` together have {bytes} bytes; {PROVIDER_SPEC_BYTES_MAX} are allowed")
}

fn secrets(found: &[wire::SecretUse]) -> Result<BTreeMap<SecretName, SecretName>, FieldError> {
    count("secrets", found.len(), SECRETS_PER_PROVIDER_MAX)?;
    let mut secrets = BTreeMap::new();
    for (index, found) in found.iter().enumerate() {
        let within = |error: FieldError| error.within_element("secrets", index);
        let name = field("name", SecretName::parse(&found.name)).map_err(within)?;
        let secret = field("secret", SecretName::parse(&found.secret)).map_err(within)?;
        if secrets.insert(name, secret).is_some() {
            return Err(within(FieldError::new("name", "comes twice")));
        }
    }
    Ok(secrets)
}

impl Wire for wire::Grant {
    type Model = Grant;

    fn from_model(grant: &Grant) -> Self {
        Self {
            reach: grant.reach.iter().map(ToString::to_string).collect(),
            reach_private: grant.reach_private.iter().map(ToString::to_string).collect(),
            plain_http: grant.plain_http,
        }
    }

    fn into_model(self) -> Result<Grant, FieldError> {
        Ok(Grant {
            reach: set("reach", &self.reach, GRANTS_PER_PROVIDER_MAX, Endpoint::parse)?,
            reach_private: set("reach_private", &self.reach_private, GRANTS_PER_PROVIDER_MAX, Endpoint::parse)?,
            plain_http: self.plain_http,
        })
    }
}

impl Wire for wire::ProviderStatus {
    type Model = ProviderStatus;

    fn from_model(status: &ProviderStatus) -> Self {
        Self {
            name: status.name.as_str().to_owned(),
            local: status.is_local,
            plugin: status.plugin.as_str().to_owned(),
            failure: status.failure.as_ref().map(|failure| failure.as_str().to_owned()),
            converged: status.converged.0,
            kind: Some(match &status.kind {
                ProviderStatusKind::Dns(dns) => provider_status::Kind::Dns(wire::DnsStatus::from_model(dns)),
            }),
        }
    }

    fn into_model(self) -> Result<ProviderStatus, FieldError> {
        let failure = self.failure.map(|failure| field("failure", Text::parse(&failure)));
        Ok(ProviderStatus {
            name: field("name", Name::parse(&self.name))?,
            is_local: self.local,
            plugin: field("plugin", Text::parse(&self.plugin))?,
            failure: failure.transpose()?,
            converged: generation("converged", self.converged)?,
            kind: match kind("kind", self.kind)? {
                provider_status::Kind::Dns(dns) => ProviderStatusKind::Dns(message("dns", Some(dns))?),
            },
        })
    }
}
