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
    let restored = server.restored.as_ref().map_or_else(String::new, |restored| {
        format!(
            "restored from a backup taken at {}: {} sites, {} join tokens and {} API keys are held; list them: \
             linecamp restore ls\n",
            printable(&restored.taken_at),
            restored.held_sites,
            restored.held_tokens,
            restored.held_api_keys,
        )
    });
    let text = format!(
        "linecamp {VERSION}\n\
         linecamp-server {} at {url}, up {}, {}\n\
         sites: {} connected, {} reconnecting, {} disconnected\n",
        printable(&server.version),
        in_largest_unit(server.uptime_seconds),
        printable(&server.pin),
        server.connected,
        server.reconnecting,
        server.disconnected,
    );
    text + &restored
}

#[cfg(test)]
mod tests {
    use linecamp_proto::api::Restored;

    use super::*;

    #[test]
    fn a_server_is_shown_with_its_sites() {
        let server = Server {
            version: "0.1.0".into(),
            pin: "sha256:00".into(),
            server_url: "https://camp.example".into(),
            uptime_seconds: 7_300,
            connected: 312,
            reconnecting: 1,
            disconnected: 9,
            restored: Some(Restored {
                taken_at: "2026-11-22T01:27:00Z".into(),
                restored_at: "2026-11-22T02:00:00Z".into(),
                held_sites: 322,
                held_tokens: 1,
                held_api_keys: 2,
            }),
        };
        let text = text("https://camp.example", &server).replace(VERSION, "VERSION");
        insta::assert_snapshot!(text);
    }
}
