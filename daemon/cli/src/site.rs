//! `linecamp site`.

mod text;

use clap::ArgGroup;
use linecamp_model::{LabelPatch, Name, Selector, Text};
use linecamp_proto::api::path::{self, SiteQuery, at};
use linecamp_proto::api::{Edit, LabelChange, List, Site};

pub(crate) use text::{changed, labels_table};

use crate::argument::{self, LabelWords};
use crate::bulk::{self, Action, Many, Targets};
use crate::client::ApiRequest;
use crate::global::Context;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum SiteCommand {
    /// List sites
    ///
    /// STATE is the site's state; where an active site is not connected, it is the link's word instead.
    #[command(after_help = "\
Examples:
  linecamp site ls
  linecamp site ls -l 'region=eu, tier!=lab' --environment production
  linecamp site ls -l 'io.linecamp.host.linux_kernel_version<5.10' -o json")]
    Ls(Ls),
    /// Show everything about a site
    #[command(after_help = "\
Examples:
  linecamp site show camp-042
  linecamp site show camp-042 --environment lab -o json")]
    Show(One),
    Label(Label),
    /// Change a site's name or description
    #[command(after_help = "\
Examples:
  linecamp site edit camp-042 --description 'behind the shop, ask for Ana'
  linecamp site edit camp-042 --name harbour-1")]
    Edit(EditArgs),
    /// Take sites out of service: nothing new is placed there, what runs goes on
    #[command(after_help = "\
Examples:
  linecamp site deactivate camp-042
  linecamp site deactivate -l rack=r7          shows whom that hits
  linecamp site deactivate -l rack=r7 --yes    does it")]
    Deactivate(Targets),
    /// Take sites back into service
    #[command(after_help = "\
Examples:
  linecamp site activate camp-042
  linecamp site activate -l rack=r7 --yes")]
    Activate(Targets),
    /// Accept a pending site
    ///
    /// Sites wait as pending where their environment requires approval.
    #[command(after_help = "\
Example:
  linecamp site accept camp-042")]
    Accept(One),
    Rm(Rm),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Ls {
    /// Only sites that match
    #[arg(short = 'l', long, value_name = "SELECTOR", value_parser = argument::selector)]
    selector: Option<Selector>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct One {
    /// The site
    #[arg(value_parser = argument::name)]
    name: Name,
}

/// Set labels on sites, and take them away
///
/// KEY=VALUE sets a label, KEY- takes it away, everything else stays. These are the labels assigned centrally; they
/// win over those set at the site.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "linecamp site label <NAME> <KEY=VALUE|KEY->...\n       \
                      linecamp site label -l <SELECTOR> [--yes] <KEY=VALUE|KEY->...",
    after_help = "\
Examples:
  linecamp site label camp-042 rack=r7 tier-
  linecamp site label -l 'region=eu' ring=canary          shows whom that hits
  linecamp site label -l 'region=eu' ring=canary --yes    does it"
)]
pub(crate) struct Label {
    /// The site (not with -l), then the labels
    #[arg(value_name = "NAME|KEY=VALUE|KEY-", required = true)]
    words: Vec<String>,
    #[command(flatten)]
    many: Many,
}

#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("edited").required(true).multiple(true).args(["new_name", "description"])))]
pub(crate) struct EditArgs {
    /// The site or host
    #[arg(value_name = "NAME", value_parser = argument::name)]
    pub(crate) of: Name,
    /// Its new name
    #[arg(long = "name", id = "new_name", value_name = "NAME", value_parser = argument::name)]
    pub(crate) new_name: Option<Name>,
    /// Its new description; an empty one takes it away
    #[arg(long, value_name = "TEXT", value_parser = argument::text)]
    pub(crate) description: Option<Text>,
}

/// Remove sites
///
/// A site is removed once it is inactive, and forgotten after its environment's keep time. Its machines are left as
/// they are. A removed site never comes back with the key it has; its machine may join anew, as another site.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  linecamp site rm camp-042
  linecamp site rm camp-042 --force            whatever state it is in, dark or not
  linecamp site rm -l 'decommissioned' --yes")]
pub(crate) struct Rm {
    #[command(flatten)]
    targets: Targets,
    /// Whatever state it is in, and without waiting for it to confirm
    #[arg(long)]
    force: bool,
}

impl SiteCommand {
    pub(crate) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        match self {
            Self::Ls(ls) => ls.run(context).await,
            Self::Show(one) => one.show(context).await,
            Self::Label(label) => label.run(context).await,
            Self::Edit(edit) => edit_site(&edit, context).await,
            Self::Deactivate(targets) => targets.run(Action::Deactivate, context).await,
            Self::Activate(targets) => targets.run(Action::Activate, context).await,
            Self::Accept(one) => bulk::run_one(&one.name, &Action::Accept, context).await,
            Self::Rm(rm) => rm.targets.run(Action::Remove { force: rm.force }, context).await,
        }
    }
}

impl Ls {
    async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let query = SiteQuery {
            selector: self.selector.map(|selector| selector.to_string()),
            environment: context.environment_text(),
            labels: None,
        };
        let sites: List<Site> = context.client()?.send(ApiRequest::get(path::SITES).query(&query)).await?;
        context.out.show(&sites, |style| text::list(&sites.items, style))?;
        if sites.items.is_empty() {
            context.out.note("no sites");
        }
        Ok(())
    }
}

impl One {
    async fn show(self, context: &Context<'_>) -> anyhow::Result<()> {
        let request = ApiRequest::get(at(path::SITE, &self.name)).query(&context.name_query());
        let site: Site = context.client()?.send(request).await?;
        context.out.show(&site, |style| text::show(&site, style))?;
        Ok(())
    }
}

impl Label {
    async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let change = |words: &[String]| -> anyhow::Result<Action> {
            Ok(Action::Label(LabelChange::from(&label_patch(words, context)?)))
        };
        match self.many.selector {
            Some(selector) => {
                let action = change(&self.words)?;
                bulk::run_many(&selector, self.many.yes, &action, context).await
            }
            None => {
                let (name, words) = argument::name_and_rest(&self.words)?;
                bulk::run_one(&name, &change(words)?, context).await
            }
        }
    }
}

/// Reads label words, and warns of keys that came twice.
pub(crate) fn label_patch(words: &[String], context: &Context<'_>) -> anyhow::Result<LabelPatch> {
    let words = LabelWords::parse(words)?;
    words.warn(&context.out);
    Ok(words.patch)
}

impl EditArgs {
    /// Returns the request.
    pub(crate) fn edit(&self) -> Edit {
        Edit {
            name: self.new_name.as_ref().map(ToString::to_string),
            description: self.description.as_ref().map(ToString::to_string),
        }
    }
}

async fn edit_site(args: &EditArgs, context: &Context<'_>) -> anyhow::Result<()> {
    let request = ApiRequest::patch(at(path::SITE, &args.of)).query(&context.name_query()).body(&args.edit());
    let site: Site = context.client()?.send(request).await?;
    context.out.show(&site, |style| changed(&site, style))?;
    Ok(())
}

#[cfg(test)]
pub(crate) use text::tests;
