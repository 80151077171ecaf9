//! Commands on plugins.

use linecamp_model::limits::{PLUGIN_BYTES_MAX, PLUGINS_MAX};
use linecamp_model::{EventKind, FleetChange, PluginDigest, PluginFile};

use crate::fleet::command::FleetCommandError;
use crate::fleet::decision::{Decided, Decision};
use crate::fleet::state::FleetState;

/// Registers a plugin whose component has been stored. Registering it again changes nothing.
pub(super) fn add_plugin(state: &FleetState, digest: PluginDigest, file: PluginFile) -> Decided {
    if state.plugins.contains_key(&digest) {
        return Ok(Decision::default());
    }
    if PLUGIN_BYTES_MAX < file.bytes {
        let text = format!("a plugin has at most {PLUGIN_BYTES_MAX} bytes, not {}", file.bytes);
        return Err(FleetCommandError::Invalid(text));
    }
    if PLUGINS_MAX <= state.plugins.len() {
        let text = format!("the limit of {PLUGINS_MAX} plugins is reached: remove some");
        return Err(FleetCommandError::Limit(text));
    }
    let text = format!("plugin {} {digest}, {} bytes", file.name, file.bytes);
    let changes = vec![FleetChange::Plugin(digest, Some(file))];
    Ok(Decision { changes, event: Some((EventKind::PluginPushed, None, text)), site: None })
}

/// Removes a plugin that no provider uses.
pub(super) fn remove_plugin(state: &FleetState, digest: PluginDigest) -> Decided {
    let Some(file) = state.plugins.get(&digest) else {
        let text = format!("there is no plugin {digest}; `linecamp plugin ls` lists them");
        return Err(FleetCommandError::NotFound(text));
    };
    let mut users = state.providers.iter().filter(|(_, provider)| provider.spec.plugin.digest == Some(digest));
    if let Some(((environment, name), _)) = users.next() {
        let text = format!("provider {name} of environment {environment} uses it: change or remove that one first");
        return Err(FleetCommandError::NotPossible(text));
    }
    let text = format!("plugin {} {digest} was removed", file.name);
    let changes = vec![FleetChange::Plugin(digest, None)];
    Ok(Decision { changes, event: Some((EventKind::PluginPushed, None, text)), site: None })
}
