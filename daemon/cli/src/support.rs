//! `linecamp support-bundle`: what the server knows of a site, for whoever helps.

use std::path::PathBuf;

use linecamp_doctor::{Bundle, Redactor};
use linecamp_model::Name;
use linecamp_proto::api::path::{self, EventQuery, HostQuery, NameQuery, RecordQuery, at};
use linecamp_proto::api::{
    EVENTS_PER_ANSWER_MAX, Environment, Event, Host, List, PluginView, ProviderView, RecordView, Server, Site,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::argument;
use crate::client::{ApiRequest, Client, ClientError};
use crate::global::Context;

/// Write a file for whoever helps you: what the server knows of a site, without secrets
///
/// Holds the site, its hosts, labels, events, providers and DNS records, and the versions. What only the site itself
/// knows, its log for example, `linecampd support-bundle` writes there.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  linecamp support-bundle camp-042
  linecamp support-bundle camp-042 --file camp-042.tar.gz")]
pub(crate) struct SupportBundle {
    /// The site
    #[arg(value_parser = argument::name)]
    site: Name,
    /// Where to write it, a .tar.gz that must not exist; without, linecamp-support-SITE.tar.gz here
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl SupportBundle {
    pub(crate) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let mut client = context.client()?;
        let request = ApiRequest::get(at(path::SITE, &self.site)).query(&context.name_query());
        // Without the site there is nothing to write.
        let site: Site = client.send(request).await?;
        let mut redactor = Redactor::default();
        redactor.know(client.key().as_bytes());
        let title = format!(
            "Linecamp support bundle of the site {} in the environment {}, made by linecamp {} from what {} knows",
            site.name,
            site.environment,
            env!("CARGO_PKG_VERSION"),
            client.server()
        );
        let mut bundle = Bundle::new(title, redactor);
        gather(&mut bundle, &mut client, site).await;
        let path = self.file.unwrap_or_else(|| format!("linecamp-support-{}.tar.gz", self.site).into());
        // It is written by one process, in a moment, before which nothing is worth doing.
        let written = bundle.write(&path)?;
        let shown = serde_json::json!({ "file": written.path, "bytes": written.bytes });
        Ok(context.out.show(&shown, |_| written.report())?)
    }
}

/// Asks for everything; what is refused, or does not come, is said in its place.
async fn gather(bundle: &mut Bundle, client: &mut Client, site: Site) {
    let (name, environment) = (Some(site.name.clone()), Some(site.environment.clone()));
    let within = NameQuery { environment: environment.clone() };
    bundle.document("site.json", "the site, its labels and conditions", &site);
    let query = HostQuery { site: name.clone(), environment: environment.clone(), ..HostQuery::default() };
    let hosts = list::<Host>(client, ApiRequest::get(path::HOSTS).query(&query)).await;
    bundle.answer("hosts.json", "its hosts", hosts);
    let query = EventQuery {
        site: name.clone(),
        environment: environment.clone(),
        limit: Some(EVENTS_PER_ANSWER_MAX),
        ..EventQuery::default()
    };
    let events = list::<Event>(client, ApiRequest::get(path::EVENTS).query(&query)).await;
    bundle.answer("events.json", "its last events, 1,000 at most", events);
    let providers = list::<ProviderView>(client, ApiRequest::get(path::PROVIDERS).query(&within)).await;
    bundle.answer("providers.json", "the central providers of its environment, with settings", providers);
    let plugins = list::<PluginView>(client, ApiRequest::get(path::PLUGINS)).await;
    bundle.answer("plugins.json", "the plugins that were pushed", plugins);
    let query = RecordQuery { site: name, environment, ..RecordQuery::default() };
    let records = list::<RecordView>(client, ApiRequest::get(path::RECORDS).query(&query)).await;
    bundle.answer("records.json", "its DNS records", records);
    let environments = list::<Environment>(client, ApiRequest::get(path::ENVIRONMENTS)).await;
    bundle.answer("environments.json", "the environments and their rules", environments);
    let server = client.send::<Server>(ApiRequest::get(path::SERVER)).await.map_err(|error| words(&error));
    bundle.answer("server.json", "the server's version, and how many sites are linked", server);
    let own = serde_json::json!({ "linecamp": env!("CARGO_PKG_VERSION") });
    bundle.document("versions.json", "the version of this program", &own);
}

async fn list<T: DeserializeOwned + Serialize>(client: &mut Client, request: ApiRequest) -> Result<Vec<T>, String> {
    match client.send::<List<T>>(request).await {
        Ok(list) => Ok(list.items),
        Err(error) => Err(words(&error)),
    }
}

fn words(error: &ClientError) -> String {
    linecamp_doctor::chain(error)
}
