//! `linecamp plugin`: the provider plugins stored on the server, and tools for plugin authors.

mod check;
mod compiler;
mod new;
mod push;

use linecamp_model::{PluginDigest, printable};
use linecamp_proto::api::operation::{ListPlugins, RemovePlugin, ShowPlugin};
use linecamp_proto::api::{CapabilitiesBody, PluginDescriptionBody, PluginView, SecretRequirementBody, plugin_digest};
use linecamp_table::{Cell, Table};

use crate::argument::ArgumentError;
use crate::client::ApiRequest;
use crate::context::Context;
use crate::text_style::TextStyle;

pub(crate) use self::push::problem;

/// What is shown of a plugin that was pushed without a description.
const NOT_DESCRIBED: &str = "none";

#[derive(Debug, clap::Subcommand)]
pub(crate) enum PluginCommand {
    New(new::New),
    Check(check::Check),
    Push(push::Push),
    /// List plugins on the server
    #[command(after_help = "\
Examples:
  linecamp plugin ls
  linecamp plugin ls -o json")]
    Ls,
    /// Show a plugin and what its providers need
    #[command(after_help = "\
Example:
  linecamp plugin show sha256:07ff3c5d9a1b2c4e07ff3c5d9a1b2c4e07ff3c5d9a1b2c4e07ff3c5d9a1b2c4e")]
    Show(DigestArg),
    /// Remove a plugin that no provider uses
    #[command(after_help = "\
Example:
  linecamp plugin rm sha256:07ff3c5d9a1b2c4e07ff3c5d9a1b2c4e07ff3c5d9a1b2c4e07ff3c5d9a1b2c4e")]
    Rm(DigestArg),
}

#[derive(Debug, clap::Args)]
pub(crate) struct DigestArg {
    /// Plugin digest, as shown by `linecamp plugin ls`
    #[arg(value_name = "DIGEST")]
    digest: String,
}

impl DigestArg {
    fn parse(self) -> Result<PluginDigest, ArgumentError> {
        plugin_digest(&self.digest).ok_or(ArgumentError::InvalidDigest { argument: self.digest })
    }
}

impl PluginCommand {
    pub(crate) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        match self {
            Self::New(new) => new.run(context),
            Self::Check(check) => check.run(context),
            Self::Push(push) => push.run(context).await,
            Self::Ls => {
                let plugins = context.client()?.send(ApiRequest::<ListPlugins>::new()).await?;
                context.out.show(&plugins, |style| list(&plugins.items, style))?;
                if plugins.items.is_empty() {
                    context.out.note("no plugins");
                }
                Ok(())
            }
            Self::Show(digest) => {
                let request = ApiRequest::<ShowPlugin>::at(&digest.parse()?);
                let plugin = context.client()?.send(request).await?;
                Ok(context.out.show(&plugin, |style| show(&plugin, style))?)
            }
            Self::Rm(digest) => {
                let request = ApiRequest::<RemovePlugin>::at(&digest.parse()?);
                let plugin = context.client()?.send(request).await?;
                let line = format!("{}  {}  removed\n", printable(&plugin.name), printable(&plugin.digest));
                Ok(context.out.show(&plugin, |_| line)?)
            }
        }
    }
}

fn list(plugins: &[PluginView], style: &TextStyle) -> String {
    if plugins.is_empty() {
        return String::new();
    }
    let row = |plugin: &PluginView| {
        let version = plugin.description.as_ref().map(|description| description.version.as_str());
        [
            Cell::from(&plugin.name),
            Cell::from(version.unwrap_or("-")),
            Cell::from(if version.is_some() { "yes" } else { NOT_DESCRIBED }),
            Cell::from(&plugin.digest),
            Cell::from(plugin.bytes.to_string()),
            Cell::from(style.age(&plugin.pushed_at)),
        ]
    };
    let headings = ["NAME", "VERSION", "DESCRIPTION", "DIGEST", "BYTES", "AGE"];
    Table::new(headings).with(plugins.iter().map(row)).render(style.colors)
}

fn show(plugin: &PluginView, style: &TextStyle) -> String {
    let mut properties = vec![
        ["name", &plugin.name].map(Cell::from),
        ["digest", &plugin.digest].map(Cell::from),
        ["bytes".into(), Cell::from(plugin.bytes.to_string())],
        ["age".into(), Cell::from(style.age(&plugin.pushed_at))],
    ];
    match &plugin.description {
        None => properties.push(["description", NOT_DESCRIBED].map(Cell::from)),
        Some(description) => properties.extend(described(description)),
    }
    Table::bare().with(properties).render(style.colors)
}

/// Returns the rows about what a plugin says about itself.
fn described(description: &PluginDescriptionBody) -> Vec<[Cell; 2]> {
    let marked =
        |name: &str, is_required: bool| if is_required { format!("{name} (required)") } else { name.to_owned() };
    let secrets: Vec<_> = description
        .secrets
        .iter()
        .map(|SecretRequirementBody { name, required, .. }| marked(name, *required))
        .collect();
    let CapabilitiesBody::Dns(dns) = description.capabilities;
    let mut rows = vec![
        ("description", description.summary.clone()),
        ("version", description.version.clone()),
        ("secrets", secrets.join(", ")),
        ("endpoints", description.endpoints.join(", ")),
        ("ttl", format!("{} to {} s", dns.ttl_min, dns.ttl_max)),
    ];
    let settings = description.settings().into_iter().map(|(name, about)| format!("{name}  {about}"));
    rows.extend(settings.enumerate().map(|(index, line)| (if index == 0 { "settings" } else { "" }, line)));
    rows.into_iter().map(|(key, value)| [key.into(), Cell::from(value)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text_style::plain;

    #[test]
    fn plugins_are_listed_and_shown_with_and_without_a_description() {
        let description = serde_json::json!({
            "name": "dns-powerdns", "version": "1.2.0", "summary": "Manages DNS records in PowerDNS.",
            "capabilities": {"dns": {
                "atomic": true, "can_list_records": true, "ttl_min": 1, "ttl_max": 86_400, "max_batch_size": 100
            }},
            "config_schema": {"type": "object", "required": ["api"], "properties": {
                "api": {"type": "string", "description": "Base URL of the API."},
                "server_id": {"type": "string", "default": "localhost", "description": "Id of the server."}
            }},
            "secrets": [
                {"name": "api-key", "summary": "API key.", "required": true},
                {"name": "old-key", "summary": "Old key.", "required": false}
            ],
            "endpoints": ["{api}"]
        });
        let plugin = |description| PluginView {
            digest: PluginDigest::of(b"component").to_string(),
            name: "dns-powerdns".into(),
            bytes: 181_204,
            pushed_at: "2026-11-19T02:27:00Z".into(),
            description,
        };
        let described = plugin(serde_json::from_value(description).expect("a description"));
        let listed = list(&[described.clone(), plugin(None)], &plain());
        let shown = [listed, show(&described, &plain()), show(&plugin(None), &plain())];
        insta::assert_snapshot!(shown.join("---\n"));
    }
}
