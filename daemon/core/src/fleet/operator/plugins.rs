//! Commands on plugins.

use linecamp_model::limits::{PLUGIN_BYTES_MAX, PLUGINS_MAX};
use linecamp_model::{EventKind, FleetChange, PluginDigest, PluginFile};

use crate::fleet::command::FleetCommandError;
use crate::fleet::decision::{Decided, Decision};
use crate::fleet::state::FleetState;

/// Registers a plugin whose component has been stored. Registering it again changes nothing, unless it comes with
/// another description: that replaces the one before it.
pub(super) fn add_plugin(state: &FleetState, digest: PluginDigest, file: PluginFile) -> Decided {
    if let Some(described) = file.description.as_ref().filter(|described| described.name != file.name) {
        let text = format!("the description names the plugin {}, not {}", described.name, file.name);
        return Err(FleetCommandError::Invalid(text));
    }
    if let Some(before) = state.plugins.get(&digest) {
        if file.description.is_none() || file.description == before.description {
            return Ok(Decision::default());
        }
        let text = format!("plugin {} {digest} has a new description", file.name);
        let changes = vec![FleetChange::Plugin(digest, Some(PluginFile { pushed_at: before.pushed_at, ..file }))];
        return Ok(Decision::of(changes).noted(EventKind::PluginPushed, None, text));
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
    Ok(Decision::of(changes).noted(EventKind::PluginPushed, None, text))
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
    Ok(Decision::of(changes).noted(EventKind::PluginPushed, None, text))
}

#[cfg(test)]
mod tests {
    use linecamp_model::{Name, PluginDescription};

    use super::*;
    use crate::fleet::operator::provider_samples::{apply, description, digest, file};

    fn stored(state: &FleetState) -> Option<&PluginDescription> {
        state.plugins[&digest(1)].description.as_deref()
    }

    #[test]
    fn a_description_is_added_and_replaced_but_not_removed() {
        let mut state = FleetState::default();
        apply(&mut state, add_plugin(&FleetState::default(), digest(1), file(None)));
        assert_eq!(stored(&state), None);
        let decided = add_plugin(&state, digest(1), file(Some(description())));
        apply(&mut state, decided);
        assert_eq!(stored(&state), Some(&description()));
        for again in [None, Some(description())] {
            assert!(add_plugin(&state, digest(1), file(again)).unwrap().changes.is_empty());
        }
        let other = PluginDescription { endpoints: Vec::new(), ..description() };
        let decided = add_plugin(&state, digest(1), file(Some(other.clone())));
        apply(&mut state, decided);
        assert_eq!(stored(&state), Some(&other));
    }

    #[test]
    fn a_description_of_another_plugin_is_rejected() {
        let other = PluginDescription { name: Name::parse("dns-other").unwrap(), ..description() };
        let error = add_plugin(&FleetState::default(), digest(1), file(Some(other))).unwrap_err();
        let text = "the description names the plugin dns-other, not dns-fake";
        assert_eq!(error, FleetCommandError::Invalid(text.to_owned()));
    }
}
