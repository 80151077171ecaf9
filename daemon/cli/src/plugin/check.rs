//! `linecamp plugin check`: runs the conformance tests on a component in the plugin host.

use std::path::{Path, PathBuf};
use std::thread;

use linecamp_model::DomainName;
use linecamp_testkit::{CheckSetup, Report, Verdict, check_component};

use crate::argument::{self, ArgumentError};
use crate::context::Context;
use crate::exit::CommandFailure;
use crate::input_file::{self, invalid};
use crate::plugin::compiler;

/// Maximum size of a config file. A larger file is rejected.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// Run conformance tests on a plugin
///
/// Runs the component as a site would, against a fake service that returns empty or partial responses, rejects
/// requests, times out or is unreachable. No traffic leaves this machine. Tests that need a fake of the real service
/// run with `cargo test` in the plugin's project.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  linecamp plugin check target/wasm32-wasip2/release/dns_example.wasm
  linecamp plugin check dns_example.wasm --zone lab.example \\
      --config '{\"api\": \"https://dns.example\"}'
  linecamp plugin check dns_example.wasm -o json | jq '.tests[] | select(.verdict == \"fail\")'

Exit codes: 0 all tests passed, 1 a test failed, 2 bad arguments.")]
pub(crate) struct Check {
    /// The component, built for wasm32-wasip2
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Provider config in JSON [default: built from the examples in its schema]
    #[arg(long, value_name = "JSON", conflicts_with = "config_file")]
    config: Option<String>,
    /// File with the provider config in JSON
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// Zone used in the tests [default: example.org]
    #[arg(long, value_name = "ZONE", value_parser = argument::zone)]
    zone: Option<DomainName>,
    /// Component compiler [default: the installed linecamp-plugin-compiler]
    #[arg(long, value_name = "FILE")]
    compiler: Option<PathBuf>,
}

impl Check {
    pub(crate) fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        linecamp_files::open(&self.file).map_err(|error| invalid(&self.file, error.to_string()))?;
        let (compiler, config) = (compiler::find(self.compiler)?, config(self.config, self.config_file.as_deref())?);
        let run_checks = || {
            let mut check = CheckSetup::new(compiler);
            if let Some(config) = &config {
                check = check.config(config);
            }
            if let Some(zone) = &self.zone {
                check = check.zone(zone.as_str());
            }
            check_component(&self.file, check)
        };
        // The test kit starts its own runtime, which cannot be nested in ours.
        let checked = thread::scope(|scope| scope.spawn(run_checks).join());
        let report = checked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        context.out.show(&report, |style| if style.colors { report.colored() } else { report.to_string() })?;
        verdict(&report)
    }
}

fn verdict(report: &Report) -> anyhow::Result<()> {
    match report.count(Verdict::Fail) {
        0 => Ok(()),
        count => Err(CommandFailure::Tests { component: report.subject.to_string(), count }.into()),
    }
}

/// Returns the given config, after checking that it is a JSON object.
fn config(given: Option<String>, file: Option<&Path>) -> Result<Option<String>, ArgumentError> {
    let is_inline = given.is_some();
    let (origin, text) = match (given, file) {
        (None, None) => return Ok(None),
        (Some(text), _) => (PathBuf::from("--config"), text),
        (None, Some(path)) => (path.to_owned(), input_file::read_text(path, CONFIG_BYTES_MAX)?),
    };
    match serde_json::from_str(&text) {
        Ok(serde_json::Value::Object(_)) => Ok(Some(text)),
        Ok(_) => Err(invalid(&origin, "not a JSON object such as {\"api\": \"https://dns.example.org\"}".to_owned())),
        // Probably a path.
        Err(error) if is_inline && !text.trim_start().starts_with('{') => {
            Err(invalid(&origin, format!("not JSON: {error}. To read it from a file, use --config-file FILE")))
        }
        Err(error) => Err(invalid(&origin, format!("not JSON: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_is_a_json_object() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config.json");
        let check = |text: &str, expected: &str| {
            std::fs::write(&path, text).expect("written");
            for found in [config(Some(text.to_owned()), None), config(None, Some(&path))] {
                let found = format!("{:?}", found.map_err(|error| error.to_string()));
                assert!(found.contains(expected), "{text}: {found}");
            }
        };
        check("{\"api\": 1}", "Ok(Some(");
        check("[]", "not a JSON object");
        check("{", "not JSON: EOF");
        let error = config(Some("provider.json".to_owned()), None).expect_err("a path").to_string();
        assert!(error.contains("--config-file FILE"), "{error}");
        assert_eq!(config(None, None), Ok(None));
        assert!(config(None, Some(&dir.path().join("absent"))).is_err());
    }
}
