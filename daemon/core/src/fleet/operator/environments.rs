//! Commands on environments.

use linecamp_model::limits::ENVIRONMENTS_MAX;
use linecamp_model::{Environment, EventKind, FleetChange, Name};

use crate::fleet::command::{EnvironmentEdit, FleetCommandError};
use crate::fleet::config::ENVIRONMENT_DEFAULT;
use crate::fleet::decision::{Decided, Decision};
use crate::fleet::state::FleetState;

/// Creates an environment.
pub(super) fn create_environment(state: &FleetState, name: Name, edit: &EnvironmentEdit) -> Decided {
    if state.environments.contains_key(&name) {
        return Err(FleetCommandError::NameTaken(format!("environment {name} exists already")));
    }
    if ENVIRONMENTS_MAX <= state.environments.len() {
        return Err(FleetCommandError::Limit(format!(
            "the limit of {ENVIRONMENTS_MAX} environments is reached: remove some"
        )));
    }
    Ok(change_environment(name, ENVIRONMENT_DEFAULT, edit))
}

/// Edits an environment's rules.
pub(super) fn edit_environment(state: &FleetState, name: Name, edit: &EnvironmentEdit) -> Decided {
    let before = state.environments.get(&name).copied().unwrap_or(ENVIRONMENT_DEFAULT);
    Ok(change_environment(name, before, edit))
}

fn change_environment(name: Name, before: Environment, edit: &EnvironmentEdit) -> Decision {
    let after = Environment {
        approval: edit.approval.unwrap_or(before.approval),
        recoveries_per_day_max: edit.recoveries_per_day_max.unwrap_or(before.recoveries_per_day_max),
        removed_keep: edit.removed_keep.unwrap_or(before.removed_keep),
    };
    let text =
        format!("environment {name}: approval {}, {} recoveries a day", after.approval, after.recoveries_per_day_max);
    Decision::of([FleetChange::Environment(name, Some(after))]).noted(EventKind::EnvironmentChanged, None, text)
}
