//! `linecamp site`.

mod bulk;
mod history;
mod render;

use linecamp_model::{Name, Selector};
use linecamp_proto::api::LabelChange;
use linecamp_proto::api::operation::{EditSite, ListSites, ShowSite};
use linecamp_proto::api::query::{SiteQuery, SiteSort};

use self::bulk::{Action, Selection, Targets};
use crate::argument;
use crate::client::ApiRequest;
use crate::context::Context;
use crate::edit_args::EditArgs;
use crate::labels::{self, label_patch};
use crate::list_args::{self, FilterArgs};
use crate::paging::{self, LimitArg};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum SiteCommand {
    /// List sites
    ///
    /// STATE is the site's state. For an active site that is not connected, it is the link state.
    #[command(after_help = "\
Examples:
  linecamp site ls
  linecamp site ls -l 'region=eu, tier!=lab' --environment production
  linecamp site ls -l 'io.linecamp.host.linux_kernel_version<5.10' -o json
  linecamp site ls --link offline --sort link-since --limit 20
  linecamp site ls --condition clock-skew")]
    Ls(Ls),
    /// Show a site
    #[command(after_help = "\
Examples:
  linecamp site show camp-042
  linecamp site show camp-042 --environment lab -o json")]
    Show(SiteArg),
    /// Show when a site was offline, and why
    ///
    /// Lists the times of three minutes and more without a connection to the server, oldest first. The server keeps
    /// them for 30 days, at most 500 for each site.
    #[command(after_help = "\
Examples:
  linecamp site history camp-042
  linecamp site history camp-042 -o json")]
    History(SiteArg),
    Label(Label),
    /// Change a site's name or description
    #[command(override_usage = "linecamp site edit <NAME> [--name <NEW_NAME>] [--description <TEXT>]")]
    #[command(after_help = "\
Examples:
  linecamp site edit camp-042 --description 'behind the shop, ask for Ana'
  linecamp site edit camp-042 --name harbour-1")]
    Edit(Edit),
    /// Deactivate sites: take them out of service
    ///
    /// Their machines keep running. Providers with --withdraw-inactive delete their records. A site must be inactive
    /// before it can be removed with `linecamp site rm`.
    #[command(after_help = "\
Examples:
  linecamp site deactivate camp-042
  linecamp site deactivate -l rack=r7          preview
  linecamp site deactivate -l rack=r7 --yes    apply
  linecamp site deactivate -l rack=r7 -o json > preview.json
  linecamp site deactivate --from preview.json --yes")]
    Deactivate(Targets),
    /// Activate sites
    #[command(after_help = "\
Examples:
  linecamp site activate camp-042
  linecamp site activate -l rack=r7 --yes")]
    Activate(Targets),
    /// Accept pending sites
    ///
    /// New sites are pending if their environment requires approval.
    #[command(after_help = "\
Examples:
  linecamp site accept camp-042
  linecamp site accept -l region=eu --yes")]
    Accept(Targets),
    Rm(Rm),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Ls {
    /// Only sites whose labels match
    #[arg(short = 'l', long, value_name = "SELECTOR", value_parser = argument::selector)]
    selector: Option<Selector>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Sort by name, state, link, link-since or joined [default: name]
    #[arg(long, value_name = "FIELD", value_parser = list_args::value::<SiteSort>)]
    sort: Option<SiteSort>,
    /// Show the highest first
    #[arg(long)]
    descending: bool,
    #[command(flatten)]
    limit: LimitArg,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SiteArg {
    /// The site
    #[arg(value_parser = argument::name)]
    name: Name,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Edit {
    /// The site
    #[arg(value_parser = argument::name)]
    name: Name,
    #[command(flatten)]
    values: EditArgs,
}

/// Set or remove labels of sites
///
/// KEY=VALUE sets a label, KEY- removes it; other labels do not change. These are the centrally assigned labels. They
/// override labels set locally at the site.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "linecamp site label <NAME> <KEY=VALUE|KEY->...\n       \
                      linecamp site label -l <SELECTOR> [--yes] <KEY=VALUE|KEY->...\n       \
                      linecamp site label --from <FILE> [--yes] <KEY=VALUE|KEY->...",
    after_help = "\
Examples:
  linecamp site label camp-042 rack=r7 tier-
  linecamp site label -l 'region=eu' ring=canary          preview
  linecamp site label -l 'region=eu' ring=canary --yes    apply"
)]
pub(crate) struct Label {
    /// The site, unless -l or --from is given, followed by the labels to set or remove
    #[arg(value_name = "NAME|KEY=VALUE|KEY-", required = true)]
    arguments: Vec<String>,
    #[command(flatten)]
    selection: Selection,
}

/// Remove sites
///
/// A site must be inactive or pending: deactivate it first, or use --force. The site deletes its DNS records, if its
/// providers may delete, and then its identity and its database. Nothing else on its machines is changed. With
/// --force, its DNS records stay. A removed site cannot reconnect with its key; its machine can join again as a new
/// site. The server keeps the data of a removed site for the time set with `linecamp environment edit --removed-keep`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  linecamp site rm camp-042
  linecamp site rm camp-042 --force            in any state, even if offline
  linecamp site rm -l 'decommissioned' --yes")]
pub(crate) struct Rm {
    #[command(flatten)]
    targets: Targets,
    /// Remove in any state, without waiting for the site to confirm
    #[arg(long)]
    force: bool,
}

impl SiteCommand {
    pub(crate) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        match self {
            Self::Ls(ls) => ls.run(context).await,
            Self::Show(arg) => arg.show(context).await,
            Self::History(arg) => arg.history(context).await,
            Self::Label(label) => label.run(context).await,
            Self::Edit(edit) => edit.run(context).await,
            Self::Deactivate(targets) => targets.run(Action::Deactivate, context).await,
            Self::Activate(targets) => targets.run(Action::Activate, context).await,
            Self::Accept(targets) => targets.run(Action::Accept, context).await,
            Self::Rm(rm) => rm.targets.run(Action::Remove { force: rm.force }, context).await,
        }
    }
}

impl Ls {
    async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let query = SiteQuery {
            selector: self.selector.map(|selector| selector.to_string()),
            environment: context.environment_text(),
            state: self.filter.state(),
            link: self.filter.link,
            condition: self.filter.condition(),
            text: self.filter.text,
            sort: self.sort,
            descending: self.descending,
            ..SiteQuery::default()
        };
        let sites = paging::list::<ListSites, _>(&query, self.limit, &mut context.client()?, &context.out).await?;
        context.out.show(&sites, |style| render::list(&sites.items, style))?;
        if sites.items.is_empty() {
            context.out.note("no sites");
        }
        Ok(())
    }
}

impl SiteArg {
    async fn show(self, context: &Context<'_>) -> anyhow::Result<()> {
        let request = ApiRequest::<ShowSite>::at(&self.name).query(&context.name_query());
        let site = context.client()?.send(request).await?;
        context.out.show(&site, |style| render::show(&site, style))?;
        Ok(())
    }
}

impl Label {
    async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let change = |arguments: &[String]| -> anyhow::Result<Action> {
            Ok(Action::Label(LabelChange::from(&label_patch(arguments, context)?)))
        };
        if self.selection.is_given() {
            let action = change(&self.arguments)?;
            return self.selection.run(&action, context).await;
        }
        let (name, arguments) = labels::name_and_rest(&self.arguments)?;
        bulk::run_one(&name, &change(arguments)?, context).await
    }
}

impl Edit {
    async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let request = ApiRequest::<EditSite>::at(&self.name).query(&context.name_query());
        let site = context.client()?.send(request.body(&self.values.edit())).await?;
        context.out.show(&site, |style| render::changed(&site, style))?;
        Ok(())
    }
}
