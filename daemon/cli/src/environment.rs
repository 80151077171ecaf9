//! `linecamp environment`.

use std::time::Duration;

use clap::ArgGroup;
use linecamp_model::Name;
use linecamp_proto::api::operation::{CreateEnvironment, EditEnvironment, Json, ListEnvironments, Operation};
use linecamp_proto::api::{Environment, EnvironmentEdit, EnvironmentRequest};

use crate::argument;
use crate::client::ApiRequest;
use crate::context::Context;
use crate::text_style::TextStyle;
use linecamp_table::{Cell, Table};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum EnvironmentCommand {
    /// List environments
    #[command(after_help = "\
Example:
  linecamp environment ls")]
    Ls,
    /// Create an environment
    ///
    /// Rules that are not given are set to the server's defaults.
    #[command(after_help = "\
Examples:
  linecamp environment create lab
  linecamp environment create production --approval on --removed-keep 30days")]
    Create(Create),
    /// Change the rules of an environment
    ///
    /// Rules that are not given do not change.
    #[command(after_help = "\
Examples:
  linecamp environment edit production --approval on
  linecamp environment edit lab --recoveries-per-day 10 --removed-keep 1h")]
    Edit(EditArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// Name of the new environment
    #[arg(value_parser = argument::name)]
    name: Name,
    #[command(flatten)]
    rules: Rules,
}

#[derive(Debug, clap::Args)]
#[command(
    group(
        ArgGroup::new("edited").required(true).multiple(true)
            .args(["approval", "recoveries_per_day", "removed_keep"])
    ),
    override_usage = "linecamp environment edit <NAME> <RULE>..."
)]
pub(crate) struct EditArgs {
    /// The environment
    #[arg(value_parser = argument::name)]
    name: Name,
    #[command(flatten)]
    rules: Rules,
}

#[derive(Debug, clap::Args)]
struct Rules {
    /// Require an operator to accept new sites: on or off
    #[arg(long, value_name = "SWITCH", value_parser = argument::switch)]
    approval: Option<bool>,
    /// Maximum recoveries (reconnects with an expired certificate) per site in 24 hours
    #[arg(long, value_name = "N")]
    recoveries_per_day: Option<u32>,
    /// Time to keep the data of a removed site
    #[arg(long, value_name = "DURATION", value_parser = argument::removed_keep)]
    removed_keep: Option<Duration>,
}

impl EnvironmentCommand {
    pub(crate) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        match self {
            Self::Ls => {
                let all = context.client()?.send(ApiRequest::<ListEnvironments>::new()).await?;
                Ok(context.out.show(&all, |style| list(&all.items, style))?)
            }
            Self::Create(Create { name, rules }) => {
                let request = EnvironmentRequest {
                    name: name.to_string(),
                    approval: rules.approval,
                    recoveries_per_day_max: rules.recoveries_per_day,
                    removed_keep_seconds: rules.removed_keep.map(|keep| keep.as_secs()),
                };
                send_change(ApiRequest::<CreateEnvironment>::new().body(&request), context).await
            }
            Self::Edit(EditArgs { name, rules }) => {
                let edit = EnvironmentEdit {
                    approval: rules.approval,
                    recoveries_per_day_max: rules.recoveries_per_day,
                    removed_keep_seconds: rules.removed_keep.map(|keep| keep.as_secs()),
                };
                send_change(ApiRequest::<EditEnvironment>::at(&name).body(&edit), context).await
            }
        }
    }
}

async fn send_change<O>(request: ApiRequest<O>, context: &Context<'_>) -> anyhow::Result<()>
where
    O: Operation<Response = Json<Environment>> + Clone,
{
    let environment = context.client()?.send(request).await?;
    let table = |style: &TextStyle| list(std::slice::from_ref(&environment), style);
    Ok(context.out.show(&environment, table)?)
}

fn list(environments: &[Environment], style: &TextStyle) -> String {
    let row = |environment: &Environment| {
        let keep = Duration::from_secs(environment.removed_keep_seconds);
        [
            Cell::from(&environment.name),
            Cell::from(environment.sites.to_string()),
            Cell::from(if environment.approval { "on" } else { "off" }),
            Cell::from(environment.recoveries_per_day_max.to_string()),
            Cell::from(argument::duration_text(keep)),
        ]
    };
    Table::new(["NAME", "SITES", "APPROVAL", "RECOVERIES PER DAY", "REMOVED KEEP"])
        .with(environments.iter().map(row))
        .render(style.colors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text_style::plain;

    #[test]
    fn environments_are_listed_with_their_rules() {
        let lab = Environment {
            name: "lab".into(),
            approval: true,
            recoveries_per_day_max: 3,
            removed_keep_seconds: 30 * 24 * 3600,
            sites: 12,
        };
        insta::assert_snapshot!(list(&[lab], &plain()));
    }
}
