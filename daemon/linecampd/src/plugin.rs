//! `linecampd plugin show`: describes a component before it is installed.

use std::path::{Path, PathBuf};

use linecamp_model::SecretRequirement;
use linecamp_plugin_host::PluginReport;
use linecamp_table::OutputFormat;
use serde_json::{Value, json};

use crate::config::PluginConfig;
use crate::drivers::plugins::host_config;
use crate::error::DaemonError;
use crate::table;

/// Loads the component at `file` as the daemon would and describes it and its requirements.
///
/// # Errors
/// [`DaemonError::Plugin`] if it cannot be used.
pub fn show(file: &Path, config: &PluginConfig, format: OutputFormat) -> Result<String, DaemonError> {
    let report = linecamp_plugin_host::inspect(file, &host_config(PathBuf::new(), config))?;
    Ok(match format {
        OutputFormat::Table => table::plugin(&report),
        OutputFormat::Json => format!("{:#}\n", value(&report)),
    })
}

fn value(report: &PluginReport) -> Value {
    let about = &report.description;
    let secret = |secret: &SecretRequirement| {
        json!({
            "name": secret.name.as_str(),
            "summary": secret.summary.as_str(),
            "required": secret.is_required,
        })
    };
    json!({
        "name": about.name.as_str(),
        "version": about.version.as_str(),
        "summary": about.summary.as_str(),
        "file": report.path,
        "digest": report.digest.to_string(),
        "bytes": report.bytes,
        "endpoints": about.endpoints.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "secrets": about.secrets.iter().map(secret).collect::<Vec<_>>(),
        "imports": report.imports,
        "config_schema": serde_json::from_str(&about.config_schema).unwrap_or(Value::Null),
    })
}
