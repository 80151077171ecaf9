//! Plugins, and how they describe themselves.
//!
//! `POST /api/v1/plugins` takes the component as its body. With `description_bytes=N`, the body starts with `N` bytes
//! of JSON, a [`PluginDescriptionBody`], and the component follows. The server validates the limits and the shape of a
//! description. It runs no plugin, so it cannot verify that the component describes itself so: the site does, and its
//! own result decides there.

use linecamp_model::{
    Capabilities, DnsCapabilities, Name, PluginDescription, PluginDigest, PluginFile, SecretName, SecretRequirement,
    SettingProblem, Text,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::setting::{SettingError, refuse, setting};

/// A plugin uploaded to the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PluginView {
    /// The SHA-256 of its component, `sha256:…`.
    pub digest: String,
    /// Its name.
    pub name: String,
    /// The size of its component.
    pub bytes: u64,
    /// When it was uploaded.
    pub pushed_at: String,
    /// What it says about itself. `null`: it was uploaded without a description, and the settings of its providers are
    /// not validated before they reach a site.
    #[serde(default)]
    pub description: Option<PluginDescriptionBody>,
}

/// The response to an upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PluginPushed {
    /// The plugin.
    #[serde(flatten)]
    pub plugin: PluginView,
    /// The providers that use a component of this name from the server, and whose settings do not fit this one; at most
    /// 32. They are not changed, and those that use another component continue to use it.
    #[serde(default)]
    pub invalid_providers: Vec<InvalidProvider>,
}

/// A provider whose settings do not fit a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InvalidProvider {
    /// Its environment.
    pub environment: String,
    /// Its name.
    pub name: String,
    /// What is wrong.
    pub problems: Vec<FieldProblem>,
}

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FieldProblem {
    /// The path of the field, such as `settings.config.api`.
    pub field: String,
    /// What is wrong, and what to do.
    pub problem: String,
}

/// A plugin's description of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct PluginDescriptionBody {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// A one-sentence description.
    pub summary: String,
    /// Its capabilities, by its kind.
    pub capabilities: CapabilitiesBody,
    /// The JSON Schema of its config: an object.
    pub config_schema: Value,
    /// The secrets that it uses.
    pub secrets: Vec<SecretRequirementBody>,
    /// The endpoints that it calls, each `HOST:PORT` or a URL; `{field}` stands for the value of that config field.
    pub endpoints: Vec<String>,
}

/// The capabilities of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CapabilitiesBody {
    /// Those of a DNS provider.
    Dns(DnsCapabilitiesBody),
}

/// The capabilities of a DNS provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct DnsCapabilitiesBody {
    /// Whether a change set is applied atomically.
    pub atomic: bool,
    /// Whether the whole zone can be listed.
    pub can_list_records: bool,
    /// The lowest TTL it stores unchanged, in seconds.
    pub ttl_min: u32,
    /// The highest TTL it stores unchanged, in seconds.
    pub ttl_max: u32,
    /// The maximum number of changes in one change set.
    pub max_batch_size: u32,
}

/// A secret that a plugin uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct SecretRequirementBody {
    /// The plugin's name for it.
    pub name: String,
    /// What it is for.
    pub summary: String,
    /// Whether the plugin needs it to work.
    pub required: bool,
}

impl PluginDescriptionBody {
    /// Returns the settings that the schema declares: each one's name, and its type, default and description.
    pub fn settings(&self) -> Vec<(String, String)> {
        let required: Vec<_> = self.config_schema["required"].as_array().into_iter().flatten().collect();
        let properties = self.config_schema["properties"].as_object().into_iter().flatten();
        let line = |(name, schema): (&String, &Value)| {
            let is_required = required.iter().any(|required| required.as_str() == Some(name));
            let need = match &schema["default"] {
                _ if is_required => "required".to_owned(),
                Value::Null => "optional".to_owned(),
                default => format!("default {default}"),
            };
            let about = schema["description"].as_str().map(|about| format!(": {about}")).unwrap_or_default();
            (name.clone(), format!("{}, {need}{about}", type_of(schema)))
        };
        properties.map(line).collect()
    }

    /// Validates the limits and the shape of a description.
    ///
    /// # Errors
    /// [`SettingError`] names the first invalid key.
    pub fn to_description(&self) -> Result<PluginDescription, SettingError> {
        let CapabilitiesBody::Dns(dns) = self.capabilities;
        let DnsCapabilitiesBody { atomic, can_list_records, ttl_min, ttl_max, max_batch_size } = dns;
        let dns = DnsCapabilities::described((atomic, can_list_records), (ttl_min, ttl_max), max_batch_size);
        let secret = |(index, secret): (usize, &SecretRequirementBody)| {
            let key = |field| format!("secrets[{index}].{field}");
            Ok(SecretRequirement {
                name: setting(key("name"), SecretName::parse(&secret.name))?,
                summary: setting(key("summary"), Text::parse(&secret.summary))?,
                is_required: secret.required,
            })
        };
        let endpoint = |(index, text): (usize, &String)| setting(format_args!("endpoints[{index}]"), Text::parse(text));
        let description = PluginDescription {
            name: setting("name", Name::parse(&self.name))?,
            version: setting("version", Text::parse(&self.version))?,
            summary: setting("summary", Text::parse(&self.summary))?,
            capabilities: Capabilities::Dns(setting("capabilities.dns", dns)?),
            config_schema: sorted(&self.config_schema),
            secrets: self.secrets.iter().enumerate().map(secret).collect::<Result<_, _>>()?,
            endpoints: self.endpoints.iter().enumerate().map(endpoint).collect::<Result<_, _>>()?,
        };
        description.check_limits().map_err(|SettingProblem { field, problem }| refuse(field, problem))?;
        description.check_endpoints().map_err(|SettingProblem { field, problem }| refuse(field, problem))?;
        match description.has_usable_schema() {
            true => Ok(description),
            false => Err(refuse("config_schema", "is not the JSON Schema of an object: its `type` must be `object`")),
        }
    }
}

/// Returns the type of a setting, for people.
fn type_of(schema: &Value) -> String {
    match (&schema["enum"], &schema["type"]) {
        (Value::Array(choices), _) => choices
            .iter()
            .map(|choice| choice.as_str().map_or_else(|| choice.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join("|"),
        (_, Value::String(one)) => one.clone(),
        (_, Value::Array(several)) => several.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "any type".to_owned(),
    }
}

/// Formats a schema with sorted keys, so that equal schemas are equal texts.
fn sorted(schema: &Value) -> String {
    let mut schema = schema.clone();
    schema.sort_all_objects();
    schema.to_string()
}

impl From<&PluginDescription> for PluginDescriptionBody {
    fn from(description: &PluginDescription) -> Self {
        let Capabilities::Dns(dns) = description.capabilities;
        let secret = |secret: &SecretRequirement| SecretRequirementBody {
            name: secret.name.to_string(),
            summary: secret.summary.to_string(),
            required: secret.is_required,
        };
        Self {
            name: description.name.to_string(),
            version: description.version.to_string(),
            summary: description.summary.to_string(),
            capabilities: CapabilitiesBody::Dns(DnsCapabilitiesBody {
                atomic: dns.atomic,
                can_list_records: dns.can_list_records,
                ttl_min: dns.ttl_min.seconds(),
                ttl_max: dns.ttl_max.seconds(),
                max_batch_size: dns.max_batch_size,
            }),
            // A schema that is no JSON is shown as a text.
            config_schema: serde_json::from_str(&description.config_schema)
                .unwrap_or_else(|_| Value::from(description.config_schema.as_str())),
            secrets: description.secrets.iter().map(secret).collect(),
            endpoints: description.endpoints.iter().map(ToString::to_string).collect(),
        }
    }
}

impl FieldProblem {
    /// Returns the problems of a provider's settings, as fields of a request.
    pub fn of_settings(problems: &[SettingProblem]) -> Vec<Self> {
        let problem = |SettingProblem { field, problem }: &SettingProblem| Self {
            field: format!("settings.{field}"),
            problem: problem.to_string(),
        };
        problems.iter().map(problem).collect()
    }
}

impl PluginView {
    /// Returns the plugin under its `digest`.
    pub fn new(digest: &PluginDigest, plugin: &PluginFile) -> Self {
        Self {
            digest: digest.to_string(),
            name: plugin.name.to_string(),
            bytes: plugin.bytes,
            pushed_at: plugin.pushed_at.to_string(),
            description: plugin.description.as_deref().map(PluginDescriptionBody::from),
        }
    }
}
