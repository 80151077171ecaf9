//! `linecamp plugin`: the provider plugins stored on the server, and tools for plugin authors.

mod check;
mod new;

use std::path::{Path, PathBuf};
use std::time::Duration;

use linecamp_model::limits::PLUGIN_BYTES_MAX;
use linecamp_model::{Name, PluginDigest, printable};
use linecamp_proto::api::path::{self, PluginQuery, at};
use linecamp_proto::api::{List, PluginView, plugin_digest};

use crate::argument::{self, ArgumentError};
use crate::client::ApiRequest;
use crate::context::Context;
use crate::input_file;
use crate::text_style::TextStyle;
use linecamp_table::{Cell, Table};

/// Header of a component: WebAssembly magic, version 13, layer 1.
const COMPONENT_HEAD: [u8; 8] = *b"\0asm\x0d\0\x01\0";

/// Minimum upload rate in bytes per second; extends `--timeout` for large components.
const PUSH_BYTES_PER_SECOND: u64 = 40_000;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum PluginCommand {
    New(new::New),
    Check(check::Check),
    Push(Push),
    /// List plugins on the server
    #[command(after_help = "\
Examples:
  linecamp plugin ls
  linecamp plugin ls -o json")]
    Ls,
    /// Remove a plugin that no provider uses
    #[command(after_help = "\
Example:
  linecamp plugin rm sha256:07ff3c5d9a1b2c4e07ff3c5d9a1b2c4e07ff3c5d9a1b2c4e07ff3c5d9a1b2c4e")]
    Rm(Rm),
}

/// Push a plugin to the server
///
/// The file is a WebAssembly component built for wasm32-wasip2. Sites download it when a provider names its digest.
/// Pushing the same file again changes nothing. If a site requires a publisher's signature, the file must be signed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  linecamp plugin push dns-powerdns.wasm
  linecamp plugin push target/wasm32-wasip2/release/dns_powerdns.wasm --name dns-powerdns
  linecamp provider add main-dns --plugin dns-powerdns \\
      --digest $(linecamp plugin push dns-powerdns.wasm -o json | jq -r .digest) …")]
pub(crate) struct Push {
    /// The component
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Plugin name [default: the file name without its extension]
    #[arg(long, value_name = "NAME", value_parser = argument::name)]
    name: Option<Name>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Rm {
    /// Plugin digest, as shown by `linecamp plugin ls`
    #[arg(value_name = "DIGEST")]
    digest: String,
}

impl PluginCommand {
    pub(crate) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        match self {
            Self::New(new) => new.run(context),
            Self::Check(check) => check.run(context),
            Self::Push(push) => push.run(context).await,
            Self::Ls => {
                let plugins: List<PluginView> = context.client()?.send(ApiRequest::get(path::PLUGINS)).await?;
                context.out.show(&plugins, |style| list(&plugins.items, style))?;
                if plugins.items.is_empty() {
                    context.out.note("no plugins");
                }
                Ok(())
            }
            Self::Rm(Rm { digest: argument }) => {
                let digest = plugin_digest(&argument).ok_or(ArgumentError::InvalidDigest { argument })?;
                let plugin: PluginView = context.client()?.send(ApiRequest::delete(at(path::PLUGIN, &digest))).await?;
                let line = format!("{}  {}  removed\n", printable(&plugin.name), printable(&plugin.digest));
                Ok(context.out.show(&plugin, |_| line)?)
            }
        }
    }
}

impl Push {
    async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let name = match self.name {
            Some(name) => name,
            None => name_of(&self.file)?,
        };
        let component = read(&self.file)?;
        let digest = PluginDigest::of(&component);
        let time = Duration::from_secs(component.len() as u64 / PUSH_BYTES_PER_SECOND);
        let query = PluginQuery { name: name.to_string() };
        let request = ApiRequest::post(path::PLUGINS).query(&query).raw(component).waiting(time);
        let plugin: PluginView = context.client()?.send(request).await?;
        anyhow::ensure!(
            plugin.digest == digest.to_string(),
            "the upload is corrupt: the server has {}, the file is {digest}. Push it again",
            plugin.digest
        );
        context.out.show(&plugin, |_| pushed(&plugin))?;
        if plugin.name != name.as_str() {
            context.out.note(&format!("note: the server already had this plugin, named {}", plugin.name));
        }
        Ok(())
    }
}

/// Returns the default plugin name: the file name without its extension.
fn name_of(file: &Path) -> Result<Name, ArgumentError> {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let invalid = |error| {
        let problem = format!("the file name is not a valid plugin name ({error}): give one with --name");
        input_file::invalid(file, problem)
    };
    Name::parse(&stem).map_err(invalid)
}

/// Reads a component. A file larger than the server accepts is an error.
fn read(path: &Path) -> Result<Vec<u8>, ArgumentError> {
    let bytes = input_file::read(path, PLUGIN_BYTES_MAX)?;
    match bytes.starts_with(&COMPONENT_HEAD) {
        true => Ok(bytes),
        false => Err(input_file::invalid(path, "not a WebAssembly component: build it for wasm32-wasip2".into())),
    }
}

fn pushed(plugin: &PluginView) -> String {
    let (name, digest) = (printable(&plugin.name), printable(&plugin.digest));
    format!("{name}  {digest}\n\nTo use it in a provider, add:\n\n  --plugin {name} --digest {digest}\n")
}

fn list(plugins: &[PluginView], style: &TextStyle) -> String {
    if plugins.is_empty() {
        return String::new();
    }
    let row = |plugin: &PluginView| {
        [
            Cell::from(&plugin.name),
            Cell::from(&plugin.digest),
            Cell::from(plugin.bytes.to_string()),
            Cell::from(style.age(&plugin.pushed_at)),
        ]
    };
    Table::new(["NAME", "DIGEST", "BYTES", "AGE"]).with(plugins.iter().map(row)).render(style.colors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text_style::plain;

    #[test]
    fn a_plugin_is_shown_with_its_provider_options() {
        let plugin = PluginView {
            digest: PluginDigest::of(b"component").to_string(),
            name: "dns-powerdns".into(),
            bytes: 181_204,
            pushed_at: "2026-11-19T02:27:00Z".into(),
        };
        let listed = list(std::slice::from_ref(&plugin), &plain());
        insta::assert_snapshot!(pushed(&plugin) + "---\n" + &listed);
    }

    #[test]
    fn a_file_without_a_valid_name_requires_one() {
        assert_eq!(name_of(Path::new("x/dns-powerdns.wasm")).expect("valid").as_str(), "dns-powerdns");
        for path in ["x/dns_powerdns.wasm", "..", "/"] {
            let error = name_of(Path::new(path)).expect_err(path).to_string();
            assert!(error.ends_with("give one with --name"), "{error}");
        }
    }

    #[test]
    fn only_components_are_uploaded() {
        let dir = tempfile::tempdir().expect("a directory");
        let check = |name: &str, bytes: &[u8], expected: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).expect("written");
            let found = read(&path).map(|bytes| bytes.len()).map_err(|error| error.to_string());
            assert!(format!("{found:?}").contains(expected), "{found:?}");
        };
        check("component", &COMPONENT_HEAD, "Ok(8)");
        check("module", b"\0asm\x01\0\0\0", "module: not a WebAssembly component");
        check("empty", b"", "not a WebAssembly component");
        assert!(read(&dir.path().join("absent")).is_err());
    }
}
