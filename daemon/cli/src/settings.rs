//! `linecamp settings`.

use linecamp_model::printable;
use linecamp_proto::api::account::ServerEdit;
use linecamp_proto::api::operation::EditServer;

use crate::client::ApiRequest;
use crate::context::Context;
use crate::credentials::ServerUrl;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum SettingsCommand {
    /// Change the URL at which operators reach the server
    ///
    /// It overrides server_url in the server's configuration. Sites are told the new address if it follows from the
    /// URL, that is, if no link_addresses are configured. This login keeps its URL.
    #[command(after_help = "\
Example:
  linecamp settings edit --url https://camp.example:8443")]
    Edit {
        /// Server URL: https://HOST[:PORT]
        #[arg(long, value_parser = ServerUrl::parse)]
        url: ServerUrl,
    },
}

impl SettingsCommand {
    pub(crate) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let Self::Edit { url } = self;
        let edit = ServerEdit { server_url: Some(url.to_string()) };
        let server = context.client()?.send(ApiRequest::<EditServer>::new().body(&edit)).await?;
        let line = format!("server URL: {}\n", printable(&server.server_url));
        Ok(context.out.show(&server, |_| line)?)
    }
}
