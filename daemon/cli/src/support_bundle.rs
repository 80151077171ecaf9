//! `linecamp support-bundle`: a redacted archive of the server's data about a site.

use std::path::PathBuf;

use linecamp_doctor::{Bundle, Redactor};
use linecamp_model::Name;
use linecamp_proto::api::operation::{
    Json, ListEnvironments, ListEvents, ListHosts, ListPlugins, ListProviders, ListRecords, Operation, ShowServer,
    ShowSite,
};
use linecamp_proto::api::query::{EventQuery, HostQuery, ProviderQuery, RecordQuery};
use linecamp_proto::api::{EVENTS_PER_ANSWER_MAX, List, PagedQuery, Site};
use linecamp_transport::error_chain;
use serde::de::DeserializeOwned;

use crate::argument;
use crate::client::{ApiRequest, Client};
use crate::context::Context;
use crate::output::Output;
use crate::paging::{self, LimitArg};

/// Write a redacted support bundle for a site
///
/// Contains the server's data about the site: hosts, labels, events, providers, DNS records and versions. For the
/// site's own data, such as its log, run `linecampd support-bundle` there.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  linecamp support-bundle camp-042
  linecamp support-bundle camp-042 --file camp-042.tar.gz")]
pub(crate) struct SupportBundle {
    /// The site
    #[arg(value_parser = argument::name)]
    site: Name,
    /// Output file, must not exist [default: linecamp-support-SITE.tar.gz]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl SupportBundle {
    pub(crate) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let mut client = context.client()?;
        let request = ApiRequest::<ShowSite>::at(&self.site).query(&context.name_query());
        // Fail before the file is created if the site does not exist.
        let site = client.send(request).await?;
        let mut redactor = Redactor::default();
        redactor.add_secret(client.key().as_bytes());
        let title = format!(
            "Linecamp support bundle for site {} in environment {}, written by linecamp {} from the data of {}",
            site.name,
            site.environment,
            env!("CARGO_PKG_VERSION"),
            client.server()
        );
        let mut bundle = Bundle::new(title, redactor);
        add_site_data(&mut bundle, &mut client, site, &context.out).await;
        let path = self.file.unwrap_or_else(|| format!("linecamp-support-{}.tar.gz", self.site).into());
        // Blocking I/O is fine here: nothing else runs on this thread.
        let written = bundle.write(&path)?;
        let shown = serde_json::json!({ "file": written.path, "bytes": written.bytes });
        Ok(context.out.show(&shown, |_| written.report())?)
    }
}

/// Adds the data of the site. A failed request is recorded in place of its data.
async fn add_site_data(bundle: &mut Bundle, client: &mut Client, site: Site, out: &Output) {
    let (name, environment) = (Some(site.name.clone()), Some(site.environment.clone()));
    let in_environment = ProviderQuery { environment: environment.clone(), ..ProviderQuery::default() };
    bundle.document("site.json", "the site, its labels and conditions", &site);
    let query = HostQuery { site: name.clone(), environment: environment.clone(), ..HostQuery::default() };
    let hosts = pages::<ListHosts, _>(client, &query, out).await;
    bundle.answer("hosts.json", "its hosts", hosts);
    let query = EventQuery {
        site: name.clone(),
        environment: environment.clone(),
        limit: Some(EVENTS_PER_ANSWER_MAX),
        ..EventQuery::default()
    };
    let events = list(client, ApiRequest::<ListEvents>::new().query(&query)).await;
    bundle.answer("events.json", "its newest events, at most 1,000", events);
    let providers = pages::<ListProviders, _>(client, &in_environment, out).await;
    bundle.answer("providers.json", "the providers of its environment, with settings", providers);
    let plugins = list(client, ApiRequest::<ListPlugins>::new()).await;
    bundle.answer("plugins.json", "the plugins on the server", plugins);
    let query = RecordQuery { site: name, environment, ..RecordQuery::default() };
    let records = pages::<ListRecords, _>(client, &query, out).await;
    bundle.answer("records.json", "its DNS records", records);
    let environments = list(client, ApiRequest::<ListEnvironments>::new()).await;
    bundle.answer("environments.json", "the environments and their rules", environments);
    let server = client.send(ApiRequest::<ShowServer>::new()).await.map_err(|error| error_chain(&error));
    bundle.answer("server.json", "the server's version and link counts", server);
    let versions = serde_json::json!({ "linecamp": env!("CARGO_PKG_VERSION") });
    bundle.document("versions.json", "the version of this program", &versions);
}

async fn list<O, T>(client: &mut Client, request: ApiRequest<O>) -> Result<Vec<T>, String>
where
    O: Operation<Response = Json<List<T>>> + Clone,
    T: DeserializeOwned + Send + 'static,
{
    match client.send(request).await {
        Ok(list) => Ok(list.items),
        Err(error) => Err(error_chain(&error)),
    }
}

async fn pages<O, T>(client: &mut Client, query: &O::Query, out: &Output) -> Result<Vec<T>, String>
where
    O: Operation<Query: PagedQuery, Response = Json<List<T>>> + Clone,
    T: DeserializeOwned + Send + 'static,
{
    let listed = paging::list::<O, List<T>>(query, LimitArg::default(), client, out).await;
    listed.map(|list| list.items).map_err(|error| error_chain(&error))
}
