//! `linecamp plugin push`: describes a plugin in the sandbox and uploads it with its description.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use linecamp_model::limits::PLUGIN_BYTES_MAX;
use linecamp_model::{Name, PluginDescription, PluginDigest, printable};
use linecamp_proto::api::operation::PushPlugin;
use linecamp_proto::api::query::PluginQuery;
use linecamp_proto::api::{FieldProblem, InvalidProvider, PluginDescriptionBody, PluginPushed};
use linecamp_testkit::describe_component;

use crate::argument::{self, ArgumentError};
use crate::client::ApiRequest;
use crate::context::Context;
use crate::exit::CommandFailure;
use crate::input_file;
use crate::plugin::compiler;

/// Header of a component: WebAssembly magic, version 13, layer 1.
const COMPONENT_HEAD: [u8; 8] = *b"\0asm\x0d\0\x01\0";

/// Minimum upload rate in bytes per second; extends `--timeout` for large components.
const PUSH_BYTES_PER_SECOND: u64 = 40_000;

/// Push a plugin to the server
///
/// The file is a WebAssembly component built for wasm32-wasip2. It is run in the sandbox, without a network, to
/// describe its settings, secrets and endpoints; the server keeps the description and validates providers against it.
/// Sites download the plugin when a provider names its digest. Pushing the same file again changes nothing. If a site
/// requires a publisher's signature, the file must be signed.
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
    /// Plugin name; must be the name in the component [default: the name in the component]
    #[arg(long, value_name = "NAME", value_parser = argument::name)]
    name: Option<Name>,
    /// Push without a description; the server cannot validate the plugin's providers
    #[arg(long, conflicts_with = "compiler")]
    no_describe: bool,
    /// Component compiler [default: the installed linecamp-plugin-compiler]
    #[arg(long, value_name = "FILE")]
    compiler: Option<PathBuf>,
}

impl Push {
    pub(super) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let component = read(&self.file)?;
        let digest = PluginDigest::of(&component);
        let description = match self.no_describe {
            true => None,
            false => Some(describe(&self.file, self.compiler, digest)?),
        };
        let name = name(self.name, description.as_ref(), &self.file)?;
        let json = description.map(|description| serde_json::to_vec(&PluginDescriptionBody::from(&description)));
        let json = json.transpose()?.unwrap_or_default();
        let described = Some(json.len() as u64).filter(|bytes| 0 < *bytes);
        let query = PluginQuery { name: name.to_string(), description_bytes: described };
        let body = [json, component].concat();
        let time = Duration::from_secs(body.len() as u64 / PUSH_BYTES_PER_SECOND);
        let request = ApiRequest::<PushPlugin>::new().query(&query).bytes(body).waiting(time);
        let pushed = context.client()?.send(request).await?;
        let plugin = &pushed.plugin;
        anyhow::ensure!(
            plugin.digest == digest.to_string(),
            "the upload is corrupt: the server has {}, the file is {digest}. Push it again",
            plugin.digest
        );
        context.out.show(&pushed, |_| usage(&pushed))?;
        if plugin.name != name.as_str() {
            context.out.note(&format!("note: the server already had this plugin, named {}", plugin.name));
        }
        if plugin.description.is_none() {
            context.out.note("warning: pushed without a description; the settings of its providers are not validated");
        }
        if let Some(warning) = warning(&pushed.invalid_providers) {
            context.out.note(&warning);
        }
        Ok(())
    }
}

/// Describes a component in the sandbox. `digest` is that of the bytes that will be uploaded.
fn describe(file: &Path, compiler: Option<PathBuf>, digest: PluginDigest) -> anyhow::Result<PluginDescription> {
    let compiler = compiler::find(compiler).map_err(|error| {
        anyhow::Error::from(error)
            .context("cannot describe the plugin; use --no-describe to push it without a description")
    })?;
    // The host starts its own runtime, which cannot be nested in ours.
    let described = thread::scope(|scope| scope.spawn(|| describe_component(file, &compiler)).join());
    let described = described.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let (found, description) = described.map_err(CommandFailure::Plugin)?;
    anyhow::ensure!(found == digest, "{} changed while it was read: push it again", file.display());
    if !description.has_usable_schema() {
        let problem = "its config schema is not the JSON Schema of an object: check it with `linecamp plugin check`";
        return Err(CommandFailure::Plugin(format!(
            "plugin {} has an invalid description: {problem}",
            description.name
        ))
        .into());
    }
    Ok(description)
}

/// Returns the name of the plugin: the one in its description. A plugin that was not described has the given name, or
/// that of its file.
fn name(given: Option<Name>, described: Option<&PluginDescription>, file: &Path) -> Result<Name, ArgumentError> {
    match (given, described) {
        (Some(given), Some(described)) if given != described.name => {
            let problem = format!("the component is plugin {}, not {given}: omit --name", described.name);
            Err(input_file::invalid(file, problem))
        }
        (_, Some(described)) => Ok(described.name.clone()),
        (Some(given), None) => Ok(given),
        (None, None) => name_of(file),
    }
}

/// Returns the file name without its extension.
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

fn usage(pushed: &PluginPushed) -> String {
    let (name, digest) = (printable(&pushed.plugin.name), printable(&pushed.plugin.digest));
    format!("{name}  {digest}\n\nTo use it in a provider, add:\n\n  --plugin {name} --digest {digest}\n")
}

/// Returns the warning about providers whose settings do not fit the plugin.
fn warning(invalid: &[InvalidProvider]) -> Option<String> {
    let line = |provider: &InvalidProvider| {
        let each: String = provider.problems.iter().map(|one| format!("\n    {}", problem(one))).collect();
        format!("\n  {} ({}):{each}", printable(&provider.name), printable(&provider.environment))
    };
    let lines: String = invalid.iter().map(line).collect();
    (!invalid.is_empty()).then(|| {
        format!("warning: the settings of these providers do not fit this plugin; nothing was changed:{lines}")
    })
}

/// Formats a problem as one clause.
pub(crate) fn problem(FieldProblem { field, problem }: &FieldProblem) -> String {
    format!("{}: {}", printable(field.trim_start_matches("settings.")), printable(problem))
}

#[cfg(test)]
mod tests {
    use super::*;
    use linecamp_model::{Capabilities, DnsCapabilities, Text};
    use linecamp_proto::api::PluginView;

    fn description(name: &str) -> PluginDescription {
        PluginDescription {
            name: Name::parse(name).expect("a name"),
            version: Text::lossy("1.2.0"),
            summary: Text::default(),
            capabilities: Capabilities::Dns(DnsCapabilities::described((true, true), (1, 60), 2).expect("valid")),
            config_schema: r#"{"type":"object"}"#.into(),
            secrets: Vec::new(),
            endpoints: Vec::new(),
        }
    }

    #[test]
    fn a_pushed_plugin_is_shown_with_its_provider_options() {
        let plugin = PluginView {
            digest: PluginDigest::of(b"component").to_string(),
            name: "dns-powerdns".into(),
            bytes: 181_204,
            pushed_at: "2026-11-19T02:27:00Z".into(),
            description: None,
        };
        let problem = |field: &str| FieldProblem { field: field.into(), problem: "required, but not set".into() };
        let invalid = InvalidProvider {
            environment: "default".into(),
            name: "main-dns".into(),
            problems: vec![problem("settings.config.api"), problem("settings.secrets.api-key")],
        };
        let pushed = PluginPushed { plugin, invalid_providers: vec![invalid] };
        let text = usage(&pushed) + "---\n" + &warning(&pushed.invalid_providers).expect("a warning") + "\n";
        insta::assert_snapshot!(text);
        assert_eq!(warning(&[]), None);
    }

    #[test]
    fn the_name_is_the_one_in_the_component() {
        let (given, file) = (|name: &str| Some(Name::parse(name).expect("a name")), Path::new("x/dns_fake.wasm"));
        let described = description("dns-fake");
        for given in [None, given("dns-fake")] {
            assert_eq!(name(given, Some(&described), file).expect("valid").as_str(), "dns-fake");
        }
        let error = name(given("dns-powerdns"), Some(&described), file).expect_err("another name").to_string();
        assert_eq!(error, "x/dns_fake.wasm: the component is plugin dns-fake, not dns-powerdns: omit --name");
        assert_eq!(name(given("dns-other"), None, file).expect("valid").as_str(), "dns-other");
    }

    #[test]
    fn a_file_without_a_valid_name_requires_one() {
        let found = name(None, None, Path::new("x/dns-powerdns.wasm"));
        assert_eq!(found.expect("valid").as_str(), "dns-powerdns");
        for path in ["x/dns_powerdns.wasm", "..", "/"] {
            let error = name(None, None, Path::new(path)).expect_err(path).to_string();
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
