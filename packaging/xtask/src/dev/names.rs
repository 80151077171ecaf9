//! Names for the sites of `dev`: a zone in memory, and a provider that keeps the sites' records there, set up centrally
//! as an operator would.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{Camp, address_after};
use crate::stop::Stop;

/// The zone. Nothing outside ever asks for a name in it (RFC 2606).
pub(super) const ZONE: &str = "camps.test";

/// What the zone's service asks for. It listens on loopback and is gone with `dev`, so this is no secret.
pub(super) const TOKEN: &str = "dev";

/// The plugin that speaks with the zone's service.
pub(super) const PLUGIN: &str = "dns-fake";

/// What the provider is called.
const PROVIDER: &str = "dev-dns";

impl Camp {
    /// Starts the zone, pushes the plugin, and adds the provider for the sites to come. Returns where the zone is.
    pub(super) fn start_names(&mut self, component: &Path, stop: &Stop) -> anyhow::Result<SocketAddr> {
        let mut run = self.command("linecamp-zone");
        run.args(["--zone", ZONE, "--token", TOKEN, "--listen", "127.0.0.1:0"]);
        self.spawn("linecamp-zone", run)?;
        let listening = |camp: &Self| address_after(&camp.children.last()?.log(), "is at");
        let zone = self.wait("the zone to listen", stop, |camp| Ok(listening(camp)))?;

        let component = component.to_str().context("the build directory's path is no text")?;
        let pushed = self.linecamp(&["plugin", "push", component, "--name", PLUGIN, "-o", "json"])?;
        let pushed: serde_json::Value = serde_json::from_str(&pushed).context("`linecamp` printed no JSON")?;
        let digest = pushed["digest"].as_str().context("`linecamp plugin push` printed no digest")?;
        let (api, reach) = (format!("api=http://{zone}"), zone.to_string());
        let words = ["provider", "add", PROVIDER, "--replace", "--sites", "demo=true", "--plugin", PLUGIN];
        let more =
            ["--digest", digest, "--owner", "dev", "--zone", ZONE, "--set", &api, "--secret", "token=zone-token"];
        let grants = ["--reach-private", &reach, "--plain-http", "--deletes"];
        self.linecamp(&[&words[..], &more[..], &grants[..]].concat())?;
        write_site_config(&self.data, zone)?;
        Ok(zone)
    }
}

/// Returns the path of the configuration of all sites.
pub(super) fn site_config(data: &Path) -> PathBuf {
    data.join("linecampd.toml")
}

/// Writes it: where the secret is that the provider names, and that it is for that provider and the zone alone.
fn write_site_config(data: &Path, zone: SocketAddr) -> anyhow::Result<()> {
    let secret = data.join("zone-token");
    let write =
        |path: &Path, text: &str| fs::write(path, text).with_context(|| format!("failed to write {}", path.display()));
    write(&secret, TOKEN)?;
    let table = format!(
        "[secrets.zone-token]\nfile = {:?}\nhosts = [\"{zone}\"]\nplain_http = [\"{zone}\"]\nuse = \"bearer\"\n\
         providers = [\"{PROVIDER}\"]\n",
        secret.display().to_string()
    );
    write(&site_config(data), &table)
}
