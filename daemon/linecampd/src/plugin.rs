//! `linecampd plugin show`: describes a component before it is installed.

use std::path::{Path, PathBuf};

use crate::config::PluginConfig;
use crate::drivers::plugins::host_config;
use crate::error::DaemonError;
use crate::table;

/// Loads the component at `file` as the daemon would and describes it and its requirements.
///
/// # Errors
/// [`DaemonError::Plugin`] if it cannot be used.
pub fn show(file: &Path, config: &PluginConfig) -> Result<String, DaemonError> {
    let report = linecamp_plugin_host::inspect(file, &host_config(PathBuf::new(), config))?;
    Ok(table::plugin(&report))
}
