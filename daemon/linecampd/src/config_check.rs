//! The output of `linecampd config check`.

use linecamp_transport::error_chain;
use linecampd::config::{ConfigError, Loaded};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

/// For people: that the configuration is valid, its sources, and who may use its secrets.
pub(crate) fn text(file: &Path, loaded: &Loaded) -> String {
    let mut text = format!("{}: ok\n", file.display());
    for file in &loaded.files {
        text += &format!("  file      {}\n", file.display());
    }
    for variable in &loaded.variables {
        text += &format!("  variable  {variable}\n");
    }
    for (name, secret) in &loaded.config.plugins.secrets {
        text += &format!("  secret    {name}: {secret}\n");
    }
    text
}

/// For programs: the same, or the error.
pub(crate) fn json(loaded: &Result<Loaded, ConfigError>) -> String {
    let answer = match loaded {
        Ok(Loaded { config, files, variables }) => {
            let secrets = config.plugins.secrets.iter().map(|(name, secret)| (name.to_string(), secret.to_string()));
            let secrets: BTreeMap<_, _> = secrets.collect();
            json!({
                "ok": true, "files": files, "variables": variables, "secrets": secrets, "warnings": config.warnings,
            })
        }
        Err(error) => json!({"ok": false, "problem": error_chain(error)}),
    };
    format!("{answer:#}\n")
}
