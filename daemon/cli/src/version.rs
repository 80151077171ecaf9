//! `linecamp version`.

use linecamp_model::printable;
use linecamp_proto::api::Server;
use linecamp_proto::api::operation::ShowServer;
use serde_json::json;

use crate::client::ApiRequest;
use crate::context::Context;
use crate::credentials::ConfigError;
use crate::text_style::in_largest_unit;

/// The version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Show the client and server versions
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without a login, shows only the client version, like `linecamp --version`.

Example:
  linecamp version")]
pub(crate) struct Version;

impl Version {
    pub(crate) async fn run(&self, context: &Context<'_>) -> anyhow::Result<()> {
        let mut client = match context.client() {
            Ok(client) => client,
            Err(ConfigError::NotLoggedIn { .. } | ConfigError::NoConfigDir) => {
                let shown = json!({ "version": VERSION, "server": null });
                return Ok(context.out.show(&shown, |_| format!("linecamp {VERSION}\n"))?);
            }
            Err(error) => return Err(error.into()),
        };
        let server = client.send(ApiRequest::<ShowServer>::new()).await?;
        let shown = json!({ "version": VERSION, "server": server });
        Ok(context.out.show(&shown, |_| text(&client.server(), &server))?)
    }
}

fn text(url: &str, server: &Server) -> String {
    format!(
        "linecamp {VERSION}\n\
         linecamp-server {} at {url}, up {}, {}\n\
         sites: {} connected, {} reconnecting, {} disconnected\n",
        printable(&server.version),
        in_largest_unit(server.uptime_seconds),
        printable(&server.pin),
        server.connected,
        server.reconnecting,
        server.disconnected,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_shown_with_its_sites() {
        let server = Server {
            version: "0.1.0".into(),
            pin: "sha256:00".into(),
            uptime_seconds: 7_300,
            connected: 312,
            reconnecting: 1,
            disconnected: 9,
        };
        let text = text("https://camp.example", &server).replace(VERSION, "VERSION");
        insta::assert_snapshot!(text);
    }
}
