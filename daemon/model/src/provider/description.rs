//! What a plugin says about itself, and the one rule by which a provider's settings are validated against it.
//!
//! The server validates a provider that an operator adds against the description that was pushed with the plugin. It
//! cannot verify that description: it does not run plugins. The site runs `describe` itself and validates against what
//! it gets, by the same rule, and that decides.

use std::collections::BTreeSet;

use super::config_schema::{about_clause, validate};
use super::endpoint_template::{EndpointTemplate, NotAnEndpoint, Settings};
use super::problem::{Problems, SettingProblem, shown};
use super::{Capabilities, Endpoint, ProviderKind, ProviderSpec, SecretName};
use crate::json::Json;
use crate::limits::{DESCRIBED_MAX, SCHEMA_BYTES_MAX};
use crate::name::{Name, Text};

/// A plugin's description of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginDescription {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: Text,
    /// A one-sentence description.
    pub summary: Text,
    /// Its capabilities.
    pub capabilities: Capabilities,
    /// The JSON Schema of its config, as the plugin provided it.
    pub config_schema: String,
    /// The secrets it requires.
    pub secrets: Vec<SecretRequirement>,
    /// The endpoints it calls, each `HOST:PORT` or a URL; `{field}` stands for the value of that field in its config.
    pub endpoints: Vec<Text>,
}

/// A secret that a plugin requires, by the plugin's handle for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRequirement {
    /// The handle.
    pub name: SecretName,
    /// What the secret is for.
    pub summary: Text,
    /// Whether the plugin needs it to work.
    pub is_required: bool,
}

impl PluginDescription {
    /// Checks the limits of the contract that the types do not enforce.
    ///
    /// # Errors
    /// The field, and what is wrong with it.
    pub fn check_limits(&self) -> Result<(), SettingProblem> {
        let mut found = Problems::default();
        for (field, count) in [("secrets", self.secrets.len()), ("endpoints", self.endpoints.len())] {
            if DESCRIBED_MAX < count {
                found.add(field, format_args!("{count} {field}, more than {DESCRIBED_MAX}"));
            }
        }
        if self.version.as_str().is_empty() {
            found.add("version", "no version");
        }
        if SCHEMA_BYTES_MAX < self.config_schema.len() {
            found.add("config_schema", format_args!("the config schema is larger than {SCHEMA_BYTES_MAX} bytes"));
        }
        found.into_vec().into_iter().next().map_or(Ok(()), Err)
    }

    /// Checks that all declared endpoints can be read. The server requires that of a plugin that is pushed; at a site,
    /// an endpoint that cannot be read is left to the plugin.
    ///
    /// # Errors
    /// The first endpoint that cannot be read, and what to write instead.
    pub fn check_endpoints(&self) -> Result<(), SettingProblem> {
        let is_readable = |declared: &Text| EndpointTemplate::parse(declared.as_str()).is_some();
        let Some(index) = self.endpoints.iter().position(|declared| !is_readable(declared)) else { return Ok(()) };
        let problem = format!(
            "cannot read {}: declare HOST:PORT or a URL, with {{field}} for the value of a setting",
            shown(self.endpoints[index].as_str())
        );
        Err(SettingProblem { field: Text::lossy(&format!("endpoints[{index}]")), problem: Text::lossy(&problem) })
    }

    /// Whether the config schema is JSON and describes an object, so that settings can be validated against it.
    pub fn has_usable_schema(&self) -> bool {
        let schema = Json::parse(&self.config_schema);
        schema.is_some_and(|schema| schema.get("type").and_then(Json::text) == Some("object"))
    }
}

impl ProviderSpec {
    /// Returns all problems that these settings have with a plugin that describes itself so, at most
    /// [`SETTING_PROBLEMS_MAX`](crate::limits::SETTING_PROBLEMS_MAX). None: they fit, as far as that can be known
    /// without calling the plugin.
    pub fn problems(&self, plugin: &PluginDescription) -> Vec<SettingProblem> {
        let mut found = Problems::default();
        if self.plugin.name != plugin.name {
            found.add("plugin", format_args!("the component is plugin {}, not {}", plugin.name, self.plugin.name));
        }
        match (&self.kind, plugin.capabilities) {
            // Another kind on either side is a problem of `kind`.
            (ProviderKind::Dns(_), Capabilities::Dns(_)) => {}
        }
        let config = Json::parse(self.config.as_str()).unwrap_or(Json::Null);
        // What cannot be read is left to the plugin.
        let schema = Json::parse(&plugin.config_schema).unwrap_or(Json::Null);
        validate(&schema, &config, "config", &mut found);
        self.add_secret_problems(plugin, &mut found);
        self.add_endpoint_problems(plugin, Settings { config: &config, schema: &schema }, &mut found);
        found.into_vec()
    }

    fn add_secret_problems(&self, plugin: &PluginDescription, found: &mut Problems) {
        let described = |name: &SecretName| plugin.secrets.iter().any(|secret| secret.name == *name);
        for name in self.secrets.keys().filter(|name| !described(name)) {
            let names: Vec<_> = plugin.secrets.iter().map(|secret| secret.name.as_str()).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            found.add(&format!("secrets.{name}"), format_args!("unknown secret; the plugin has {names}"));
        }
        let missing = |secret: &&SecretRequirement| secret.is_required && !self.secrets.contains_key(&secret.name);
        for SecretRequirement { name, summary, .. } in plugin.secrets.iter().filter(missing) {
            let about = about_clause(Some(summary.as_str()));
            found.add(&format!("secrets.{name}"), format_args!("required, but not set{about}"));
        }
    }

    fn add_endpoint_problems(&self, plugin: &PluginDescription, settings: Settings<'_>, found: &mut Problems) {
        let declared = plugin.endpoints.iter().map(Text::as_str);
        let templates: Vec<_> = declared.filter_map(EndpointTemplate::parse).collect();
        let replaced = settings.replaced_endpoints(&templates);
        let (mut called, mut is_plain) = (BTreeSet::new(), false);
        for template in &templates {
            match (template.called(settings), template.field()) {
                (Ok(mut endpoints), field) => {
                    endpoints.retain(|called| field.is_some() || !replaced.contains(&called.endpoint));
                    is_plain |= endpoints.iter().any(|called| called.is_plain_http);
                    called.extend(endpoints.into_iter().map(|called| called.endpoint));
                }
                (Err(NotAnEndpoint), Some(field)) if template.is_bare() => {
                    found.add(&format!("config.{field}"), "expected a URL or HOST:PORT, because the plugin calls it");
                }
                (Err(NotAnEndpoint), field) => found.add(
                    &format!("config.{}", field.unwrap_or_default()),
                    format_args!(
                        "expected a value that makes {template} a URL or HOST:PORT, because the plugin calls it"
                    ),
                ),
            }
        }
        called.iter().for_each(|endpoint| self.add_grant_problem(endpoint, found));
        if is_plain && !self.grant.plain_http {
            found.add("plain_http", "required, because the plugin calls an http:// URL");
        }
    }

    fn add_grant_problem(&self, endpoint: &Endpoint, found: &mut Problems) {
        if self.grant.reach_private.contains(endpoint) {
            return;
        }
        let is_private = endpoint.address().is_some_and(super::grant::is_local);
        match (self.grant.reach.contains(endpoint), is_private) {
            (true, false) => {}
            (true, true) => {
                found.add("reach", format_args!("{endpoint} is not a public address: list it in reach_private instead"))
            }
            (false, true) => {
                found.add("reach_private", format_args!("{endpoint} is missing, but the plugin calls it"));
            }
            (false, false) => found.add(
                "reach",
                format_args!(
                    "{endpoint} is missing, but the plugin calls it; list it in reach_private if its address is private"
                ),
            ),
        }
    }
}
