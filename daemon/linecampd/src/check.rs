//! What `linecampd config check` says.

use std::path::Path;

use linecampd::chain;
use linecampd::config::{ConfigError, Loaded};
use serde_json::json;

/// For people: that it can be used, and who has a part in it.
pub(crate) fn text(file: &Path, loaded: &Loaded) -> String {
    let mut text = format!("{}: ok\n", file.display());
    for file in &loaded.files {
        text += &format!("  file      {}\n", file.display());
    }
    for variable in &loaded.variables {
        text += &format!("  variable  {variable}\n");
    }
    text
}

/// For programs: the same, or what is wrong.
pub(crate) fn json(loaded: &Result<Loaded, ConfigError>) -> String {
    let answer = match loaded {
        Ok(Loaded { config, files, variables }) => {
            json!({"ok": true, "files": files, "variables": variables, "warnings": config.warnings})
        }
        Err(error) => json!({"ok": false, "problem": chain(error)}),
    };
    format!("{answer:#}\n")
}
