//! `linecamp provider`: which sites keep which DNS records, where, and with which plugin.

mod settings;
mod text;

use linecamp_model::Name;
use linecamp_proto::api::path::{self, NameQuery, RemoveQuery, SelectorLabels, SiteQuery, at};
use linecamp_proto::api::{ErrorCode, List, Preview, ProviderEdit, ProviderRequest, ProviderView, Site};

use crate::argument;
use crate::bulk;
use crate::client::{ApiRequest, Client, ClientError};
use crate::global::Context;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum ProviderCommand {
    Add(Box<settings::Add>),
    /// List providers, and how many sites have each
    #[command(after_help = "\
Examples:
  linecamp provider ls
  linecamp provider ls --environment production -o json")]
    Ls,
    /// Show everything about a provider
    #[command(after_help = "\
Examples:
  linecamp provider show main-dns
  linecamp provider show main-dns --environment lab -o json")]
    Show(One),
    /// Take a provider away: its sites let its records go first
    ///
    /// A site keeps the provider until none of its records is left there. Without --deletes nothing is deleted in DNS:
    /// the records stay, and an event names them. --force does the same where a name server is in trouble, also for a
    /// provider that was removed before and is still leaving.
    #[command(after_help = "\
Examples:
  linecamp provider rm main-dns
  linecamp provider rm main-dns --force        its records stay, and an event names them")]
    Rm(Rm),
}

#[derive(Debug, clap::Args)]
pub(crate) struct One {
    /// The provider
    #[arg(value_parser = argument::name)]
    name: Name,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Rm {
    #[command(flatten)]
    one: One,
    /// Do not wait until its records are withdrawn: they stay
    #[arg(long)]
    force: bool,
}

impl ProviderCommand {
    pub(crate) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        match self {
            Self::Add(add) => run_add(*add, context).await,
            Self::Ls => list(context).await,
            Self::Show(one) => {
                let request = ApiRequest::get(at(path::PROVIDER, &one.name)).query(&context.name_query());
                let provider: ProviderView = context.client()?.send(request).await?;
                Ok(context.out.show(&provider, |style| text::show(&provider, style))?)
            }
            Self::Rm(rm) => {
                let query = RemoveQuery { environment: context.environment_text(), force: rm.force };
                let request = ApiRequest::delete(at(path::PROVIDER, &rm.one.name)).query(&query);
                let provider: ProviderView = context.client()?.send(request).await?;
                Ok(context.out.show(&provider, |_| text::removed(&provider, rm.force))?)
            }
        }
    }
}

/// Makes a provider; with `--replace`, also in place of one of its name.
async fn run_add(add: settings::Add, context: &Context<'_>) -> anyhow::Result<()> {
    let (replace, is_preview) = (add.replaces(), add.previews());
    let request = add.request(context.environment_or_default())?;
    if let Some(note) = settings::note(&request.settings) {
        context.out.note(note);
    }
    let mut client = context.client()?;
    if is_preview {
        return preview(&request, &mut client, context).await;
    }
    let made = client.send(ApiRequest::post(path::PROVIDERS).body(&request)).await;
    let provider: ProviderView = match made {
        Err(ClientError::Refused { code: ErrorCode::NameTaken, .. }) if replace => {
            client.send(replacing(request)).await?
        }
        made => made?,
    };
    if 0 < provider.left_out_count {
        context.out.note(&format!(
            "{} sites that it selects have 16 providers already and do not get it; it is placed as soon as one leaves",
            provider.left_out_count
        ));
    }
    Ok(context.out.show(&provider, |style| text::show(&provider, style))?)
}

/// Shows which sites a provider would be placed at, and says which labels that goes by.
async fn preview(request: &ProviderRequest, client: &mut Client, context: &Context<'_>) -> anyhow::Result<()> {
    let (labels, seen) = match request.match_facts {
        true => (SelectorLabels::AssignedAndReported, "assigned labels and reported facts"),
        false => (SelectorLabels::Assigned, "assigned labels"),
    };
    let environment = Some(request.environment.clone());
    let query = SiteQuery { selector: Some(request.sites.clone()), environment, labels: Some(labels) };
    let sites: List<Site> = client.send(ApiRequest::get(path::SITES).query(&query)).await?;
    let preview = Preview::from(&sites.items[..]);
    context.out.show(&preview, |style| bulk::preview_text(&preview, style))?;
    let name = &request.settings.name;
    let offline = bulk::dark_clause(&preview);
    context.out.note(&format!(
        "provider {name} would be placed at {} sites{offline}, by {seen}; labels that a site sets locally are not read\nnothing was changed; leave out --preview to do it",
        preview.matched
    ));
    Ok(())
}

fn replacing(request: ProviderRequest) -> ApiRequest {
    let query = NameQuery { environment: Some(request.environment) };
    let path = at(path::PROVIDER, &request.settings.name);
    let edit = ProviderEdit {
        sites: Some(request.sites),
        match_facts: Some(request.match_facts),
        settings: Some(request.settings),
    };
    ApiRequest::patch(path).query(&query).body(&edit)
}

async fn list(context: &Context<'_>) -> anyhow::Result<()> {
    let request = ApiRequest::get(path::PROVIDERS).query(&context.name_query());
    let providers: List<ProviderView> = context.client()?.send(request).await?;
    context.out.show(&providers, |style| text::list(&providers.items, style))?;
    if providers.items.is_empty() {
        context.out.note("no providers");
    }
    Ok(())
}
