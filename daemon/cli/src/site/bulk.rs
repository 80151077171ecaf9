//! Actions on one site, or on all sites of a preview.
//!
//! With a selector but without `--yes`, a command only previews the matching sites and how many of them are offline.
//! With `--yes` it changes them. A preview that was saved with `-o json` can be applied later, with `--from`: sites
//! that match since then are not changed, and neither is a site that has changed.
//!
//! The sites of a preview are changed by bulk actions, each of up to [`SITES_PER_BULK_ACTION_MAX`] sites.

use std::path::PathBuf;

use linecamp_model::limits::SITES_PER_BULK_ACTION_MAX;
use linecamp_model::{Name, Selector, printable};
use linecamp_proto::api::operation::{
    AcceptSite, ActivateSite, CreateBulkAction, DeactivateSite, ListSites, PatchSiteLabels, RemoveSite,
};
use linecamp_proto::api::query::{NameQuery, RemoveQuery, SiteQuery};
use linecamp_proto::api::{BulkAction, BulkActionRequest, LabelChange, List, Preview, PreviewItem, Site, SiteAction};

use super::render;
use crate::argument::{self, ArgumentError};
use crate::bulk_action;
use crate::client::{ApiRequest, Client, ClientError};
use crate::context::Context;
use crate::exit::CommandFailure;
use crate::input_file;
use crate::paging::{self, LimitArg};
use crate::preview;

/// The largest file with a preview: that of 100,000 sites has less.
const PREVIEW_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// One site by name, or several by selector.
#[derive(Debug, clap::Args)]
pub(crate) struct Targets {
    /// The site; omit with -l and --from
    #[arg(value_name = "NAME", value_parser = argument::name)]
    #[arg(required_unless_present = "sites", conflicts_with_all = ["sites", "yes"])]
    name: Option<Name>,
    #[command(flatten)]
    selection: Selection,
}

/// Several sites, by selector or from a preview.
#[derive(Debug, clap::Args)]
pub(crate) struct Selection {
    /// Change all sites whose labels match, instead of NAME; without --yes, only preview
    #[arg(short = 'l', long, value_name = "SELECTOR", value_parser = argument::selector, group = "sites")]
    selector: Option<Selector>,
    /// Change the sites of a preview that was saved with -o json, unless they have changed since
    #[arg(long, value_name = "FILE", group = "sites")]
    from: Option<PathBuf>,
    /// Apply the change to all these sites
    #[arg(long, requires = "sites")]
    yes: bool,
}

impl Targets {
    /// Runs `action` on the targets.
    pub(super) async fn run(self, action: Action, context: &Context<'_>) -> anyhow::Result<()> {
        match self.name {
            Some(name) => run_one(&name, &action, context).await,
            None => self.selection.run(&action, context).await,
        }
    }
}

impl Selection {
    /// Whether several sites are meant.
    pub(super) const fn is_given(&self) -> bool {
        self.selector.is_some() || self.from.is_some()
    }

    /// Runs `action` on the selected sites. Only previews them unless `--yes` is given.
    pub(super) async fn run(self, action: &Action, context: &Context<'_>) -> anyhow::Result<()> {
        let preview = match (&self.from, &self.selector) {
            (Some(file), _) => {
                let text = input_file::read_text(file, PREVIEW_BYTES_MAX)?;
                let invalid = |error| input_file::invalid(file, format!("not a preview in JSON: {error}"));
                let preview: Preview = serde_json::from_str(&text).map_err(invalid)?;
                if let Some(environment) = &context.environment
                    && let Some(other) = preview.items.iter().find(|site| site.environment != environment.as_str())
                {
                    let problem = format!("site {} is in environment {}", printable(&other.name), other.environment);
                    return Err(input_file::invalid(file, format!("{problem}, not in {environment}")).into());
                }
                preview
            }
            (None, Some(selector)) => preview_of(selector, context).await?,
            (None, None) => unreachable!("clap requires one of the two"),
        };
        if !self.yes {
            context.out.show(&preview, |style| preview::table(&preview, style))?;
            context.out.note(&preview::note(&preview));
            return Ok(());
        }
        if preview.items.is_empty() {
            context.out.note(&preview::note(&preview));
        }
        apply(&preview, action, context).await
    }
}

/// Returns the sites that match a selector.
async fn preview_of(selector: &Selector, context: &Context<'_>) -> anyhow::Result<Preview> {
    if selector.is_all() {
        return Err(ArgumentError::EmptySelector.into());
    }
    let query = SiteQuery {
        selector: Some(selector.to_string()),
        environment: context.environment_text(),
        ..SiteQuery::default()
    };
    let client = &mut context.client()?;
    let sites = paging::list::<ListSites, _>(&query, LimitArg::default(), client, &context.out).await?;
    Ok(Preview::from(&sites.items[..]))
}

/// Performs `action` on the sites of a preview. After an error, the rest stays as it is.
async fn apply(preview: &Preview, action: &Action, context: &Context<'_>) -> anyhow::Result<()> {
    let (client, all) = (&mut context.client()?, preview.items.len());
    let mut actions = Vec::new();
    let mut failed = None;
    for (number, sites) in preview.items.chunks(SITES_PER_BULK_ACTION_MAX).enumerate() {
        let requested = number * SITES_PER_BULK_ACTION_MAX;
        if 0 < requested {
            context.out.progress(&format!("{requested} of {all}"));
        }
        let request = ApiRequest::<CreateBulkAction>::new().body(&action.request(sites));
        match client.send(request).await {
            Ok(action) => actions.push(action),
            Err(error) => {
                failed = Some((requested, sites.len(), error));
                break;
            }
        }
    }
    context.out.progress("");
    let actions: List<BulkAction> = actions.into_iter().collect();
    context.out.show(&actions, |style| {
        actions.items.iter().map(|action| bulk_action::sites_text(action, style)).collect::<Vec<_>>().join("\n")
    })?;
    for action in &actions.items {
        context.out.note(&bulk_action::summary(action));
    }
    if let Some((requested, sent, error)) = failed {
        // Without an answer, the request may have arrived.
        let is_known = matches!(error, ClientError::Rejected { .. } | ClientError::Dial { .. });
        if !is_known || 0 < requested {
            context.out.note(&unchanged((requested, sent, all), is_known));
        }
        return Err(error.into());
    }
    match actions.items.iter().map(|action| action.progress.rejected).sum() {
        0 => Ok(()),
        failed => Err(CommandFailure::Sites { failed, all: all as u64 }.into()),
    }
}

/// Says which sites are not changed after a request for `sent` sites failed, and `requested` were changed before it.
/// `is_known` says that those that were sent are not.
fn unchanged((requested, sent, all): (usize, usize, usize), is_known: bool) -> String {
    match (is_known, all - requested - sent) {
        (true, _) => format!("the last {} of {all} sites were not changed", all - requested),
        (false, 0) => format!("the last {sent} of {all} sites may have been changed: see `linecamp bulk-action ls`"),
        (false, rest) => format!(
            "the {sent} sites after the first {requested} of {all} may have been changed: see `linecamp bulk-action ls`; the \
             last {rest} were not"
        ),
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

    /// Returns the request to perform the action on sites as they were listed.
    fn request(&self, sites: &[PreviewItem]) -> BulkActionRequest {
        let (action, labels) = match self {
            Self::Label(change) => (SiteAction::Label, change.clone()),
            Self::Deactivate => (SiteAction::Deactivate, LabelChange::default()),
            Self::Activate => (SiteAction::Activate, LabelChange::default()),
            Self::Accept => (SiteAction::Accept, LabelChange::default()),
            Self::Remove { force: false } => (SiteAction::Remove, LabelChange::default()),
            Self::Remove { force: true } => (SiteAction::ForceRemove, LabelChange::default()),
        };
        let sites = sites.iter().map(|site| (site.id.clone(), Some(site.spec_generation))).collect();
        BulkActionRequest { action, labels, sites }
    }
}

/// Runs `action` on one site and prints the site.
pub(super) async fn run_one(name: &Name, action: &Action, context: &Context<'_>) -> anyhow::Result<()> {
    let site = action.send(name.as_str(), context.environment_text(), &mut context.client()?).await?;
    context.out.show(&site, |style| render::changed(&site, style))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_an_error_it_is_said_what_was_not_changed() {
        assert_eq!(unchanged((500, 500, 1200), true), "the last 700 of 1200 sites were not changed");
        let unknown = "the 500 sites after the first 500 of 1200 may have been changed: see `linecamp bulk-action ls`; the \
                       last 200 were not";
        assert_eq!(unchanged((500, 500, 1200), false), unknown);
        let unknown = "the last 200 of 200 sites may have been changed: see `linecamp bulk-action ls`";
        assert_eq!(unchanged((0, 200, 200), false), unknown);
    }
}
