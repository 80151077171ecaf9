//! Actions on one site, or on all sites matching a selector.
//!
//! With a selector but without `--yes`, the command only previews the matching sites and how many of them are offline.
//! With `--yes` it changes the sites one by one over one connection. It continues after an error of one site, and stops
//! if the connection to the server fails. In both cases the command fails.

use linecamp_model::{Name, Selector};
use linecamp_proto::api::operation::{
    AcceptSite, ActivateSite, DeactivateSite, ListSites, PatchSiteLabels, RemoveSite,
};
use linecamp_proto::api::query::{NameQuery, RemoveQuery, SiteQuery};
use linecamp_proto::api::{LabelChange, Preview, Site};
use serde::Serialize;

use super::render;
use crate::argument::{self, ArgumentError};
use crate::client::{ApiRequest, Client, ClientError};
use crate::context::Context;
use crate::exit::CommandFailure;
use crate::paging::{self, LimitArg};
use crate::preview;
use crate::site_state::State;
use crate::text_style::TextStyle;
use linecamp_table::{Cell, Color, Table};

/// One site by name, or several by selector.
#[derive(Debug, clap::Args)]
pub(crate) struct Targets {
    /// The site; omit with -l
    #[arg(value_name = "NAME", value_parser = argument::name)]
    #[arg(required_unless_present = "selector", conflicts_with_all = ["selector", "yes"])]
    name: Option<Name>,
    #[command(flatten)]
    selection: SelectorArgs,
}

/// Several sites by selector.
#[derive(Debug, clap::Args)]
pub(crate) struct SelectorArgs {
    /// Change all sites whose labels match, instead of NAME; without --yes, only preview
    #[arg(short = 'l', long, value_name = "SELECTOR", value_parser = argument::selector)]
    pub(super) selector: Option<Selector>,
    /// Apply the change to all matching sites
    #[arg(long, requires = "selector")]
    pub(super) yes: bool,
}

impl Targets {
    /// Runs `action` on the targets.
    pub(super) async fn run(self, action: Action, context: &Context<'_>) -> anyhow::Result<()> {
        match (self.name, self.selection.selector) {
            (_, Some(selector)) => run_many(&selector, self.selection.yes, &action, context).await,
            (Some(name), None) => run_one(&name, &action, context).await,
            (None, None) => unreachable!("clap requires one of the two"),
        }
    }
}

/// A change to a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Change its labels.
    Label(LabelChange),
    /// Deactivate it.
    Deactivate,
    /// Activate it.
    Activate,
    /// Accept it.
    Accept,
    /// Remove it.
    Remove { force: bool },
}

impl Action {
    /// Performs the action on one site.
    async fn send(&self, name: &str, environment: Option<String>, client: &mut Client) -> Result<Site, ClientError> {
        let query = NameQuery { environment: environment.clone() };
        match self {
            Self::Label(change) => {
                client.send(ApiRequest::<PatchSiteLabels>::at(&name).query(&query).body(change)).await
            }
            Self::Deactivate => client.send(ApiRequest::<DeactivateSite>::at(&name).query(&query)).await,
            Self::Activate => client.send(ApiRequest::<ActivateSite>::at(&name).query(&query)).await,
            Self::Accept => client.send(ApiRequest::<AcceptSite>::at(&name).query(&query)).await,
            Self::Remove { force } => {
                let query = RemoveQuery { environment, force: *force };
                client.send(ApiRequest::<RemoveSite>::at(&name).query(&query)).await
            }
        }
    }
}

/// Runs `action` on one site and prints the site.
pub(super) async fn run_one(name: &Name, action: &Action, context: &Context<'_>) -> anyhow::Result<()> {
    let site = action.send(name.as_str(), context.environment_text(), &mut context.client()?).await?;
    context.out.show(&site, |style| render::changed(&site, style))?;
    Ok(())
}

/// Runs `action` on all sites matching `selector`. Only previews them unless `yes` is set.
pub(super) async fn run_many(
    selector: &Selector,
    yes: bool,
    action: &Action,
    context: &Context<'_>,
) -> anyhow::Result<()> {
    if selector.is_all() {
        return Err(ArgumentError::EmptySelector.into());
    }
    let mut client = context.client()?;
    let query = SiteQuery {
        selector: Some(selector.to_string()),
        environment: context.environment_text(),
        ..SiteQuery::default()
    };
    let sites = paging::list::<ListSites, _>(&query, LimitArg::default(), &mut client, &context.out).await?;
    let preview = Preview::from(&sites.items[..]);
    if !yes {
        context.out.show(&preview, |style| preview::table(&preview, style))?;
        context.out.note(&preview::note(&preview));
        return Ok(());
    }
    let outcomes = run_each(&preview, action, &mut client).await;
    let failed = outcomes.items.iter().filter(|outcome| outcome.error.is_some()).count();
    context.out.show(&outcomes, |style| outcomes_text(&outcomes, style))?;
    if preview.matched == 0 {
        context.out.note(&preview::note(&preview));
    }
    match failed {
        0 => Ok(()),
        _ => Err(CommandFailure::Sites { failed, all: preview.matched }.into()),
    }
}

/// Runs `action` on each site. A rejected request affects its site only; any other error skips all following sites.
async fn run_each(preview: &Preview, action: &Action, client: &mut Client) -> Outcomes {
    let mut items = Vec::with_capacity(preview.items.len());
    let mut is_disconnected = false;
    for item in &preview.items {
        let mut outcome =
            Outcome { name: item.name.clone(), environment: item.environment.clone(), state: None, error: None };
        if is_disconnected {
            outcome.error = Some("skipped: connection to the server failed".into());
        } else {
            match action.send(&item.name, Some(item.environment.clone()), client).await {
                Ok(site) => outcome.state = Some(State::from(&site).name().into()),
                Err(error) => {
                    is_disconnected = !matches!(error, ClientError::Rejected { .. });
                    outcome.error = Some(format!("{:#}", anyhow::Error::from(error)));
                }
            }
        }
        items.push(outcome);
    }
    Outcomes { items }
}

/// The result for each site.
#[derive(Debug, Serialize)]
struct Outcomes {
    items: Vec<Outcome>,
}

/// The result for one site.
#[derive(Debug, Serialize)]
struct Outcome {
    name: String,
    environment: String,
    /// The new state; `null` on error.
    state: Option<String>,
    /// The error; `null` on success.
    error: Option<String>,
}

fn outcomes_text(outcomes: &Outcomes, style: &TextStyle) -> String {
    if outcomes.items.is_empty() {
        return String::new();
    }
    let row = |outcome: &Outcome| {
        let result = match &outcome.error {
            Some(error) => Cell::colored(error, Color::Red),
            None => Cell::from("done"),
        };
        let state = outcome.state.as_deref().unwrap_or_default();
        [Cell::from(&outcome.name), Cell::from(&outcome.environment), Cell::from(state), result]
    };
    Table::new(["NAME", "ENVIRONMENT", "STATE", "RESULT"]).with(outcomes.items.iter().map(row)).render(style.colors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text_style::plain;

    #[test]
    fn an_outcome_shows_what_was_rejected() {
        let outcome = |name: &str, state: Option<&str>, error: Option<&str>| Outcome {
            name: name.into(),
            environment: "default".into(),
            state: state.map(Into::into),
            error: error.map(Into::into),
        };
        let items = vec![
            outcome("camp-007", Some("deactivating"), None),
            outcome("camp-042", None, Some("camp-042 is being removed")),
        ];
        insta::assert_snapshot!(outcomes_text(&Outcomes { items }, &plain()));
    }
}
