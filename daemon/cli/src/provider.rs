//! `linecamp provider`: DNS providers, which publish records for the hosts of the selected sites.

mod key_line;
mod render;
mod settings;

use self::render::WrittenTtl;
use linecamp_model::Name;
use linecamp_proto::api::operation::{
    CreateProvider, EditProvider, ListProviders, ListSites, PreviewProvider, RemoveProvider, ShowPlugin, ShowProvider,
};
use linecamp_proto::api::query::{NameQuery, PreviewQuery, ProviderQuery, RemoveQuery, SelectorLabels, SiteQuery};
use linecamp_proto::api::{CapabilitiesBody, ErrorCode, Preview, ProviderBody, ProviderEdit, ProviderRequest};

use crate::argument;
use crate::client::{ApiRequest, Client, ClientError};
use crate::context::Context;
use crate::paging::{self, LimitArg};
use crate::preview;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum ProviderCommand {
    Add(Box<settings::Add>),
    /// List providers
    #[command(after_help = "\
Examples:
  linecamp provider ls
  linecamp provider ls --environment production -o json")]
    Ls(LimitArg),
    /// Show a provider
    #[command(after_help = "\
Examples:
  linecamp provider show main-dns
  linecamp provider show main-dns --environment lab -o json")]
    Show(ProviderArg),
    /// Remove a provider
    ///
    /// If the provider was added with --allow-deletes, each site first deletes its records. Otherwise, the records stay
    /// in DNS and an event names them. --force removes the provider immediately and
    /// leaves its records in DNS, for example if the name server is down. It also finishes a removal in progress.
    #[command(after_help = "\
Examples:
  linecamp provider rm main-dns
  linecamp provider rm main-dns --force        leave its records in DNS")]
    Rm(Rm),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ProviderArg {
    /// The provider
    #[arg(value_parser = argument::name)]
    name: Name,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Rm {
    #[command(flatten)]
    provider: ProviderArg,
    /// Remove immediately and leave the records in DNS
    #[arg(long)]
    force: bool,
}

impl ProviderCommand {
    pub(crate) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        match self {
            Self::Add(add) => run_add(*add, context).await,
            Self::Ls(limit) => list(limit, context).await,
            Self::Show(arg) => {
                let request = ApiRequest::<ShowProvider>::at(&arg.name).query(&context.name_query());
                let mut client = context.client()?;
                let provider = client.send(request).await?;
                let written = written_ttl(&mut client, &provider.settings).await;
                Ok(context.out.show(&provider, |style| render::show(&provider, written.as_ref(), style))?)
            }
            Self::Rm(rm) => {
                let query = RemoveQuery { environment: context.environment_text(), force: rm.force };
                let request = ApiRequest::<RemoveProvider>::at(&rm.provider.name).query(&query);
                let provider = context.client()?.send(request).await?;
                Ok(context.out.show(&provider, |_| render::removed(&provider, rm.force))?)
            }
        }
    }
}

/// Creates a provider. With `--replace`, updates an existing provider.
async fn run_add(add: settings::Add, context: &Context<'_>) -> anyhow::Result<()> {
    let (replace, is_preview) = (add.replaces(), add.previews());
    let request = add.request(context.environment_or_default())?;
    if let Some(warning) = settings::warning(&request.settings) {
        context.out.note(warning);
    }
    let mut client = context.client()?;
    if is_preview {
        return preview(&request, replace, &mut client, context).await;
    }
    let created = client.send(ApiRequest::<CreateProvider>::new().body(&request)).await;
    let provider = match created {
        Err(ClientError::Rejected { code: ErrorCode::NameTaken, .. }) if replace => {
            client.send(update_request(request)).await?
        }
        created => created?,
    };
    if let Some(warning) = settings::not_validated(&provider) {
        context.out.note(&warning);
    }
    if 0 < provider.left_out_count {
        context.out.note(&format!(
            "warning: {} selected sites have 16 providers, the maximum; they get this one when another is removed",
            provider.left_out_count
        ));
    }
    let written = written_ttl(&mut client, &provider.settings).await;
    if let Some(written) = &written {
        context.out.note(&format!("note: ttl: {written}"));
    }
    Ok(context.out.show(&provider, |style| render::show(&provider, written.as_ref(), style))?)
}

/// Returns the TTL that is written, if the plugin's limits make it differ from the provider's. `None` also if the
/// server does not know these limits.
async fn written_ttl(client: &mut Client, settings: &ProviderBody) -> Option<WrittenTtl> {
    let request = ApiRequest::<ShowPlugin>::at(settings.digest.as_ref()?);
    let plugin = client.send(request).await.ok()?;
    let CapabilitiesBody::Dns(dns) = plugin.description?.capabilities;
    WrittenTtl::new(settings.ttl?, dns)
}

/// Validates the provider at the server, which stores nothing, and shows the sites that would get the provider, and
/// which labels the selector uses.
async fn preview(
    request: &ProviderRequest,
    replace: bool,
    client: &mut Client,
    context: &Context<'_>,
) -> anyhow::Result<()> {
    let validate =
        ApiRequest::<PreviewProvider>::at(&request.settings.name).query(&PreviewQuery { replace }).body(request);
    let provider = client.send(validate).await?;
    if let Some(warning) = settings::not_validated(&provider) {
        context.out.note(&warning);
    }
    let (labels, selected_by) = match request.match_facts {
        true => (SelectorLabels::AssignedAndReported, "assigned labels and reported facts"),
        false => (SelectorLabels::Assigned, "assigned labels"),
    };
    let environment = Some(request.environment.clone());
    let selector = Some(request.sites.clone());
    let query = SiteQuery { selector, environment, labels: Some(labels), ..SiteQuery::default() };
    let sites = paging::list::<ListSites, _>(&query, LimitArg::default(), client, &context.out).await?;
    let preview = Preview::from(&sites.items[..]);
    context.out.show(&preview, |style| preview::table(&preview, style))?;
    let name = &request.settings.name;
    let offline = preview::offline_clause(&preview);
    context.out.note(&format!(
        "provider {name} would be placed at {} sites{offline}, selected by {selected_by}; labels set locally at \
         a site are ignored\nnothing changed; omit --preview to apply",
        preview.matched
    ));
    Ok(())
}

fn update_request(request: ProviderRequest) -> ApiRequest<EditProvider> {
    let query = NameQuery { environment: Some(request.environment) };
    let name = request.settings.name.clone();
    let edit = ProviderEdit {
        sites: Some(request.sites),
        match_facts: Some(request.match_facts),
        settings: Some(request.settings),
    };
    ApiRequest::at(&name).query(&query).body(&edit)
}

async fn list(limit: LimitArg, context: &Context<'_>) -> anyhow::Result<()> {
    let query = ProviderQuery { environment: context.environment_text(), ..ProviderQuery::default() };
    let providers = paging::list::<ListProviders, _>(&query, limit, &mut context.client()?, &context.out).await?;
    context.out.show(&providers, |style| render::list(&providers.items, style))?;
    if providers.items.is_empty() {
        context.out.note("no providers");
    }
    Ok(())
}
