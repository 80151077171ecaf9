//! A plugin's description of itself, as the server stores it with the plugin.

use linecamp_model::limits::DESCRIBED_MAX;
use linecamp_model::{Capabilities, DnsCapabilities, Name, PluginDescription, SecretName, SecretRequirement, Text};

use crate::convert::field::{count, field, kind, list};
use crate::convert::{FieldError, Wire};
use crate::wire::record::v1 as wire;
use crate::wire::record::v1::plugin_description;

/// Converts a description to its wire form, without the plugin's name.
pub(crate) fn from_description(description: &PluginDescription) -> wire::PluginDescription {
    let Capabilities::Dns(dns) = description.capabilities;
    wire::PluginDescription {
        version: description.version.as_str().to_owned(),
        summary: description.summary.as_str().to_owned(),
        config_schema: description.config_schema.clone(),
        secrets: description.secrets.iter().map(wire::SecretRequirement::from_model).collect(),
        endpoints: description.endpoints.iter().map(ToString::to_string).collect(),
        capabilities: Some(plugin_description::Capabilities::Dns(wire::DnsCapabilities {
            atomic: dns.atomic,
            can_list_records: dns.can_list_records,
            ttl_min: dns.ttl_min.seconds(),
            ttl_max: dns.ttl_max.seconds(),
            max_batch_size: dns.max_batch_size,
        })),
    }
}

/// Validates the description of the plugin `name`.
pub(crate) fn description(found: wire::PluginDescription, name: &Name) -> Result<PluginDescription, FieldError> {
    count("endpoints", found.endpoints.len(), DESCRIBED_MAX)?;
    let endpoint = |(index, text): (usize, &String)| field(&format!("endpoints[{index}]"), Text::parse(text));
    let plugin_description::Capabilities::Dns(dns) = kind("capabilities", found.capabilities)?;
    let wire::DnsCapabilities { atomic, can_list_records, ttl_min, ttl_max, max_batch_size } = dns;
    let dns = DnsCapabilities::described((atomic, can_list_records), (ttl_min, ttl_max), max_batch_size);
    let description = PluginDescription {
        name: name.clone(),
        version: field("version", Text::parse(&found.version))?,
        summary: field("summary", Text::parse(&found.summary))?,
        capabilities: Capabilities::Dns(field("capabilities", dns)?),
        config_schema: found.config_schema,
        secrets: list("secrets", found.secrets, DESCRIBED_MAX)?,
        endpoints: found.endpoints.iter().enumerate().map(endpoint).collect::<Result<_, _>>()?,
    };
    match description.check_limits() {
        Ok(()) => Ok(description),
        Err(problem) => Err(FieldError::new(problem.field.as_str(), problem.problem)),
    }
}

impl Wire for wire::SecretRequirement {
    type Model = SecretRequirement;

    fn from_model(secret: &SecretRequirement) -> Self {
        Self {
            name: secret.name.as_str().to_owned(),
            summary: secret.summary.as_str().to_owned(),
            required: secret.is_required,
        }
    }

    fn into_model(self) -> Result<SecretRequirement, FieldError> {
        Ok(SecretRequirement {
            name: field("name", SecretName::parse(&self.name))?,
            summary: field("summary", Text::parse(&self.summary))?,
            is_required: self.required,
        })
    }
}
