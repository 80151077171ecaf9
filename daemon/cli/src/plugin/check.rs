//! `linecamp plugin check`: the conformance kit, with a built component in the real host.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use linecamp_model::DomainName;
use linecamp_testkit::{CheckSetup, Report, Verdict, check_component};

use crate::argument::{self, ArgumentError};
use crate::global::Context;

/// The program that compiles components; it stands beside this one, as it does beside the daemon.
const COMPILER: &str = "linecamp-plugin-compiler";

/// Bytes of a config that are read. A provider's is some lines; a longer one is a wrong file, and is refused.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// Examine a built component in the real host, on this machine: does it keep the contract?
///
/// The component runs as it would at a site, and meets a service that answers and has nothing to say, refuses, is away,
/// answers too late or in pieces. Nothing leaves this machine. What needs a model of the service, `cargo test` examines
/// in the provider's own project.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  linecamp plugin check target/wasm32-wasip2/release/dns_example.wasm
  linecamp plugin check dns_example.wasm --config '{\"api\": \"https://dns.example\"}' --zone lab.example
  linecamp plugin check dns_example.wasm -o json | jq '.rows[] | select(.verdict == \"fail\")'

Exit codes: 0 all is kept, 1 something is not, 2 bad arguments.")]
pub(crate) struct Check {
    /// The component, built for wasm32-wasip2
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The provider's config in JSON; without it, what its schema requires, as the schema gives examples
    #[arg(long, value_name = "JSON", conflicts_with = "config_file")]
    config: Option<String>,
    /// The file with the provider's config in JSON
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// The zone it is asked about; without it, example.org
    #[arg(long, value_name = "ZONE", value_parser = argument::zone)]
    zone: Option<DomainName>,
    /// The program that compiles components; without it, the one beside linecamp
    #[arg(long, value_name = "FILE")]
    compiler: Option<PathBuf>,
}

impl Check {
    pub(crate) fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        fs::File::open(&self.file).map_err(|error| bad(&self.file, error.to_string()))?;
        let (compiler, config) = (compiler(self.compiler)?, config(self.config, self.config_file.as_deref())?);
        let examine = || {
            let mut check = CheckSetup::new(compiler);
            if let Some(config) = &config {
                check = check.config(config);
            }
            if let Some(zone) = &self.zone {
                check = check.zone(zone.as_str());
            }
            check_component(&self.file, check)
        };
        // The kit has a runtime of its own, which cannot stand inside ours.
        let examined = thread::scope(|scope| scope.spawn(examine).join());
        let report = examined.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        context.out.show(&report, |style| if style.colours { report.coloured() } else { report.to_string() })?;
        verdict(&report)
    }
}

fn verdict(report: &Report) -> anyhow::Result<()> {
    match report.count(Verdict::Fail) {
        0 => Ok(()),
        1 => anyhow::bail!("{} does not keep one promise of the contract", report.subject),
        count => anyhow::bail!("{} does not keep {count} promises of the contract", report.subject),
    }
}

/// Returns the program that compiles: the one that was given, or the one beside this program.
fn compiler(given: Option<PathBuf>) -> Result<PathBuf, ArgumentError> {
    let beside = || std::env::current_exe().ok()?.parent().map(|directory| directory.join(COMPILER));
    let path = given.or_else(beside).unwrap_or_else(|| COMPILER.into());
    match path.is_file() {
        true => Ok(path),
        false => {
            Err(bad(&path, format!("is not there: {COMPILER} comes with linecamp; say where it is, --compiler FILE")))
        }
    }
}

/// Returns the config that was given, which is a JSON object.
fn config(given: Option<String>, file: Option<&Path>) -> Result<Option<String>, ArgumentError> {
    let is_inline = given.is_some();
    let (place, text) = match (given, file) {
        (None, None) => return Ok(None),
        (Some(text), _) => (PathBuf::from("--config"), text),
        (None, Some(path)) => (path.to_owned(), read(path).map_err(|problem| bad(path, problem))?),
    };
    match serde_json::from_str(&text) {
        Ok(serde_json::Value::Object(_)) => Ok(Some(text)),
        Ok(_) => Err(bad(&place, "is not a JSON object, such as {\"api\": \"https://dns.example.org\"}".to_owned())),
        // A path, mostly: no JSON object begins so.
        Err(error) if is_inline && !text.trim_start().starts_with('{') => {
            Err(bad(&place, format!("is not JSON: {error}; for a config in a file, use --config-file FILE")))
        }
        Err(error) => Err(bad(&place, format!("is not JSON: {error}"))),
    }
}

fn read(path: &Path) -> Result<String, String> {
    let bytes = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if CONFIG_BYTES_MAX < bytes {
        return Err(format!("has {bytes} bytes, and a config has at most {CONFIG_BYTES_MAX}"));
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}

fn bad(path: &Path, problem: String) -> ArgumentError {
    ArgumentError::File { path: path.into(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_is_a_json_object() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config.json");
        let check = |text: &str, expected: &str| {
            fs::write(&path, text).expect("written");
            for found in [config(Some(text.to_owned()), None), config(None, Some(&path))] {
                let found = format!("{:?}", found.map_err(|error| error.to_string()));
                assert!(found.contains(expected), "{text}: {found}");
            }
        };
        check("{\"api\": 1}", "Ok(Some(");
        check("[]", "is not a JSON object");
        check("{", "is not JSON: EOF");
        let error = config(Some("provider.json".to_owned()), None).expect_err("a path").to_string();
        assert!(error.contains("--config-file FILE"), "{error}");
        assert_eq!(config(None, None), Ok(None));
        assert!(config(None, Some(&dir.path().join("absent"))).is_err());
    }

    #[test]
    fn a_compiler_that_is_not_there_is_named_with_what_to_do() {
        let error = compiler(Some("/nowhere/linecamp-plugin-compiler".into())).expect_err("there is none").to_string();
        assert!(error.contains("/nowhere/") && error.contains("--compiler FILE"), "{error}");
    }
}
