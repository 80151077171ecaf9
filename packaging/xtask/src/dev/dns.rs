//! Names for the sites of `dev`: an in-memory zone, and a centrally configured provider that manages the sites' records
//! there.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{Camp, address_after};
use crate::signals::Stop;

/// The zone. Its domain is reserved for tests (RFC 2606), so nothing outside resolves names in it.
pub(super) const ZONE: &str = "camps.test";

/// The token of the zone's service. It listens on loopback and stops with `dev`, so this is not a secret.
pub(super) const TOKEN: &str = "dev";

/// The plugin for the zone's service.
pub(super) const PLUGIN: &str = "dns-fake";

/// The provider's name.
const PROVIDER: &str = "dev-dns";

impl Camp {
    /// Starts the zone, uploads the plugin, and adds the provider for the sites to come. Returns the zone's address.
    pub(super) fn start_names(&mut self, component: &Path, stop: &Stop) -> anyhow::Result<SocketAddr> {
        let mut run = self.command("linecamp-zone");
        run.args(["--zone", ZONE, "--token", TOKEN, "--listen", "127.0.0.1:0"]);
        self.spawn("linecamp-zone", run)?;
        let listening = |camp: &Self| address_after(&camp.children.last()?.log(), "is at");
        let zone = self.wait("the zone to listen", stop, |camp| Ok(listening(camp)))?;

        let component = component.to_str().context("the path of the build directory is not UTF-8")?;
        let pushed = self.linecamp(&["plugin", "push", component, "--name", PLUGIN, "-o", "json"])?;
        let pushed: serde_json::Value = serde_json::from_str(&pushed).context("`linecamp` did not print JSON")?;
        let digest = pushed["digest"].as_str().context("`linecamp plugin push` printed no digest")?;
        let (api, endpoint) = (format!("api=http://{zone}"), zone.to_string());
        let arguments = ["provider", "add", PROVIDER, "--replace", "--sites", "demo=true", "--plugin", PLUGIN];
        let more =
            ["--digest", digest, "--owner", "dev", "--zone", ZONE, "--set", &api, "--secret", "token=zone-token"];
        let grants = ["--reach-private", &endpoint, "--plain-http", "--allow-deletes"];
        self.linecamp(&[&arguments[..], &more[..], &grants[..]].concat())?;
        write_site_config(&self.data, zone)?;
        Ok(zone)
    }
}

/// Returns the path of the configuration shared by all sites.
pub(super) fn site_config(data: &Path) -> PathBuf {
    data.join("linecampd.toml")
}

/// Writes it: the path of the provider's secret, bound to that provider and the zone.
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
