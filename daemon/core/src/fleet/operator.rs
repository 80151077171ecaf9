//! Operator commands and the changes they make.
//!
//! Each command is decided on the current state and yields a list of changes; the reply is sent when they are durable.
//! A command that changes nothing succeeds immediately: commands are idempotent.

mod environments;
mod held;
mod plugins;
#[cfg(test)]
mod provider_samples;
mod providers;
mod subjects;
mod tokens;

use linecamp_model::limits::API_KEYS_MAX;
use linecamp_model::{ApiKey, FleetChange, Now, PhaseEvent};

use self::environments::{create_environment, edit_environment};
use self::held::{accept_held, reject_held};
use self::plugins::{add_plugin, remove_plugin};
use self::providers::remove_provider;
use self::subjects::{edit_subject, patch_labels, transition};
use self::tokens::{create_token, revoke_token};
use super::authorization::IssuedCommand;
use super::command::{FleetCommand, FleetCommandError, Force};
use super::command_check::{check_command, check_generation};
use super::decision::{Decided, Decision};
use super::state::FleetState;

pub(super) use self::providers::{Forced, set_provider};

/// Decides a command, if its caller may give it.
pub(crate) fn decide(state: &FleetState, issued: IssuedCommand, now: Now) -> Decided {
    let IssuedCommand { mut command, authorization, if_match } = issued;
    let subject = check_command(state, &authorization, &mut command)?;
    if let (Some(subject), Some(expected)) = (subject, if_match) {
        check_generation(state, subject, expected)?;
    }
    match command {
        FleetCommand::CreateToken(token) => create_token(state, token, now),
        FleetCommand::RevokeToken(id) => revoke_token(state, id, now),
        FleetCommand::CreateEnvironment(name, edit) => create_environment(state, name, &edit),
        FleetCommand::EditEnvironment(name, edit) => edit_environment(state, name, &edit),
        FleetCommand::AddApiKey(..) if API_KEYS_MAX <= state.api_keys.len() => {
            let text = format!("the limit of {API_KEYS_MAX} API keys is reached: remove some");
            Err(FleetCommandError::Limit(text))
        }
        FleetCommand::AddApiKey(hash, name) => {
            let key = ApiKey { name, created_at: now.wall };
            Ok(Decision { changes: vec![FleetChange::ApiKey(hash, Some(key))], ..Decision::default() })
        }
        FleetCommand::PatchLabels(subject, patch) => patch_labels(state, &subject, &patch, now),
        FleetCommand::Edit(subject, edit) => edit_subject(state, &subject, edit),
        FleetCommand::Accept(site) => transition(state, &site.into(), PhaseEvent::Accepted, now),
        FleetCommand::Deactivate(subject) => transition(state, &subject, PhaseEvent::DeactivateRequested, now),
        FleetCommand::Activate(subject) => transition(state, &subject, PhaseEvent::ActivateRequested, now),
        FleetCommand::SetProvider(environment, provider, replace) => {
            set_provider(state, environment, *provider, replace)
        }
        FleetCommand::RemoveProvider(environment, name, force) => remove_provider(state, environment, name, force),
        FleetCommand::AddPlugin(digest, file) => add_plugin(state, digest, file),
        FleetCommand::RemovePlugin(digest) => remove_plugin(state, digest),
        FleetCommand::AcceptHeld(items) => accept_held(state, &items),
        FleetCommand::RejectHeld(items) => reject_held(state, &items, now),
        FleetCommand::Remove(site, Force::No) => transition(state, &site.into(), PhaseEvent::RemoveRequested, now),
        FleetCommand::Remove(site, Force::Yes) => transition(state, &site.into(), PhaseEvent::RemoveForced, now),
    }
}
