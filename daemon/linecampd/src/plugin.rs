//! `linecampd plugin show`: what a component is, for whoever considers to use it.

use std::path::{Path, PathBuf};

use crate::config::PluginConfig;
use crate::drive::plugins::host_config;
use crate::error::DaemonError;
use crate::table;

/// Loads the component at `file` as the daemon would, and says what it is and wants.
///
/// # Errors
/// [`DaemonError::Plugin`] says why it could not be used.
pub fn show(file: &Path, config: &PluginConfig) -> Result<String, DaemonError> {
    let report = linecamp_plugin_host::inspect(file, &host_config(PathBuf::new(), config))?;
    Ok(table::plugin(&report))
}
