//! The memory of an idle daemon with two DNS plugins.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::Parts;
use crate::daemon::Daemon;
use crate::machine;
use crate::numbers::count;
use crate::paths::Bench;
use crate::results::{Bound, Figure, Table};
use crate::server_process::Server;

/// The budget.
const RESIDENT_MIB_MAX: f64 = 10.0;

/// How long a daemon is left alone before it counts as idle.
const SETTLE: Duration = Duration::from_secs(10);

/// A plugin's name for a secret, and its usage.
type Secret = (&'static str, &'static str);

/// Two plugins with their settings. Nothing listens at their endpoints: each is loaded, makes one request, is refused,
/// and waits.
const PROVIDERS: [(&str, &str, &[Secret]); 2] = [
    ("dns-powerdns", "api = \"http://127.0.0.1:9\"", &[("api-key", "header")]),
    (
        "dns-route53",
        "endpoint = \"http://127.0.0.1:9\"",
        &[("access-key-id", "sigv4-key-id"), ("secret-access-key", "sigv4")],
    ),
];

pub(super) async fn measure(parts: &Parts, bench: &Bench, table: &mut Table) -> anyhow::Result<()> {
    let program = bench.daemon();
    let folder = bench.scratch()?;
    let server = Server::start_new(bench, folder.path()).await?;
    let target = server.token(None).await?;
    let daemon = Daemon::join(program, &target, server.address().to_string(), folder.path(), "camp").await?;
    let config = configure(parts, &daemon, folder.path())?;
    let arguments = ["--config", config.as_str()];
    for (is_new, line) in [(true, "that were just compiled"), (false, "that were compiled before")] {
        let process = daemon.run(&arguments)?;
        daemon.linked().await?;
        loaded(&daemon).await?;
        tokio::time::sleep(SETTLE).await;
        let held = machine::memory(process.id())?;
        let mebibytes = |kibibytes| Figure::new(count(kibibytes) / 1024.0, "MiB");
        let how = format!(
            "VmRSS of the static linecampd, linked, with dns-powerdns and dns-route53 {line}, {} s later",
            SETTLE.as_secs()
        );
        if is_new {
            table.record("resident memory, just compiled", mebibytes(held.resident), &how);
        } else {
            let bound = Bound::AtMost(RESIDENT_MIB_MAX);
            table.compare("resident memory, two plugins, idle", mebibytes(held.resident), bound, &how);
            let how = "as above: what the kernel cannot drop";
            table.record("RssAnon, two plugins, idle", mebibytes(held.anonymous), how);
        }
        process.terminate().await?;
    }
    Ok(())
}

/// Configures the daemon's plugins and their providers. Returns the path of the configuration file.
fn configure(parts: &Parts, daemon: &Daemon, folder: &Path) -> anyhow::Result<String> {
    let secret = folder.join("secret");
    std::fs::write(&secret, "secret")?;
    let mut text = format!("[plugins]\ncompiler = \"{}\"\n", parts.compiler.display());
    for (plugin, (name, usage)) in
        PROVIDERS.iter().flat_map(|(plugin, _, all)| all.iter().map(move |one| (plugin, one)))
    {
        write!(
            text,
            "[secrets.{name}]\nfile = {secret:?}\nuse = \"{usage}\"\nproviders = [\"{plugin}\"]\n\
             hosts = [\"127.0.0.1:9\"]\nplain_http = [\"127.0.0.1:9\"]\n"
        )?;
    }
    for (plugin, config, secrets) in PROVIDERS {
        parts.install(plugin, &daemon.data.join("plugins"))?;
        let secrets: Vec<_> = secrets.iter().map(|(name, _)| format!("{name} = \"{name}\"")).collect();
        write!(
            text,
            "[[provider]]\nname = \"{plugin}\"\nplugin = \"{plugin}\"\nowner = \"bench\"\nzones = [\"example.org\"]\n\
             reach_private = [\"127.0.0.1:9\"]\nplain_http = true\n[provider.config]\n{config}\n[provider.secrets]\n{}\n",
            secrets.join("\n")
        )?;
    }
    let path = folder.join("linecampd.toml");
    std::fs::write(&path, text)?;
    Ok(path.to_str().context("the folder's name is text")?.to_owned())
}

/// Waits until each plugin is loaded: its version is known, and its service was found unavailable.
async fn loaded(daemon: &Daemon) -> anyhow::Result<()> {
    let is_loaded = |provider: &Value| {
        let has_version = provider["plugin"].as_str().is_some_and(|plugin| plugin.contains(' '));
        has_version && provider["failure"].is_string()
    };
    let all = |answer: &Value| {
        let providers = answer.as_array();
        providers.is_some_and(|providers| providers.len() == PROVIDERS.len() && providers.iter().all(is_loaded))
    };
    if let Err(error) = daemon.until("loaded its plugins", "/v1/providers", all).await {
        bail!("{error:#}: {}", daemon.ask("/v1/providers")?);
    }
    Ok(())
}
