//! Operator commands and the changes they make.
//!
//! Each command is decided on the current state and yields a list of changes; the reply is sent when they are durable.
//! A command that changes nothing succeeds immediately: commands are idempotent.

mod bulk;
mod environments;
mod held;
#[cfg(test)]
mod host_actions;
mod keys;
mod plugins;
#[cfg(test)]
mod provider_samples;
mod providers;
mod settings;
mod subjects;
mod tokens;
mod user_sessions;
mod users;

use linecamp_model::{Identity, Now, PhaseEvent};

use self::bulk::act_on_sites;
use self::environments::{create_environment, edit_environment};
use self::held::{accept_held, reject_held};
use self::keys::{create_key, revoke_key, rotate_key};
use self::plugins::{add_plugin, remove_plugin};
use self::providers::remove_provider;
use self::settings::{complete_setup, set_server_url};
use self::subjects::{edit_subject, patch_labels, transition};
use self::tokens::{create_token, revoke_token};
use self::user_sessions::{begin_session, end_session, end_sessions, withdraw_oidc_access};
use self::users::{change_password, create_user, edit_user, remove_user, renew_hash, reset_password};
use super::account_command::AccountCommand;
use super::authorization::IssuedCommand;
use super::command::{FleetCommand, Force};
use super::command_check::{check_command, check_generation};
use super::decision::Decided;
use super::lookup::find;
use super::state::FleetState;

pub(super) use self::providers::set_provider;

/// Decides a command, if its caller may give it.
pub(crate) fn decide(state: &FleetState, issued: IssuedCommand, now: Now) -> Decided {
    let IssuedCommand { mut command, authorization, if_match, audited: _ } = issued;
    let subject = check_command(state, &authorization, &mut command)?;
    if let (Some(subject), Some(expected)) = (subject, if_match) {
        check_generation(state, subject, expected)?;
    }
    match command {
        FleetCommand::CreateToken(token) => create_token(state, token, now),
        FleetCommand::RevokeToken(id) => revoke_token(state, id, now),
        FleetCommand::CreateEnvironment(name, edit) => create_environment(state, name, &edit),
        FleetCommand::EditEnvironment(name, edit) => edit_environment(state, name, &edit),
        FleetCommand::Account(command) => decide_account(state, *command, &authorization.caller.identity, now),
        FleetCommand::PatchLabels(subject, patch) => patch_labels(state, find(state, &subject)?, &patch, now),
        FleetCommand::Edit(subject, edit) => edit_subject(state, find(state, &subject)?, edit),
        FleetCommand::Accept(site) => transition(state, find(state, &site.into())?, PhaseEvent::Accepted, now),
        FleetCommand::Deactivate(subject) => {
            transition(state, find(state, &subject)?, PhaseEvent::DeactivateRequested, now)
        }
        FleetCommand::Activate(subject) => {
            transition(state, find(state, &subject)?, PhaseEvent::ActivateRequested, now)
        }
        FleetCommand::SetProvider(environment, provider, replace) => {
            set_provider(state, environment, *provider, replace)
        }
        FleetCommand::RemoveProvider(environment, name, force) => remove_provider(state, environment, name, force),
        FleetCommand::AddPlugin(digest, file) => add_plugin(state, digest, file),
        FleetCommand::RemovePlugin(digest) => remove_plugin(state, digest),
        FleetCommand::AcceptHeld(items) => accept_held(state, &items),
        FleetCommand::RejectHeld(items) => reject_held(state, &items, now),
        FleetCommand::Remove(subject, Force::No) => {
            transition(state, find(state, &subject)?, PhaseEvent::RemoveRequested, now)
        }
        FleetCommand::Remove(subject, Force::Yes) => {
            transition(state, find(state, &subject)?, PhaseEvent::RemoveForced, now)
        }
        FleetCommand::ActOnSites(new) => act_on_sites(state, *new, &authorization.caller.identity, now),
    }
}

/// Decides a command on users, API keys, sessions or settings.
fn decide_account(state: &FleetState, command: AccountCommand, caller: &Identity, now: Now) -> Decided {
    match command {
        AccountCommand::CreateUser(new) => create_user(state, new, now),
        AccountCommand::EditUser(name, edit) => edit_user(state, name, edit, now),
        AccountCommand::RemoveUser(name) => remove_user(state, name),
        AccountCommand::ResetPassword(name, password) => reset_password(state, name, password),
        AccountCommand::ChangePassword(change) => change_password(state, change, caller),
        AccountCommand::RenewPasswordHash(change) => renew_hash(state, change),
        AccountCommand::CompleteSetup(password, url) => complete_setup(state, caller, password, url, now),
        AccountCommand::SetServerUrl(url) => Ok(set_server_url(state, url, now)),
        AccountCommand::CreateKey(new) => create_key(state, new, now),
        AccountCommand::RotateKey(id, secret, grace) => rotate_key(state, id, secret, grace, now),
        AccountCommand::RevokeKey(id) => revoke_key(state, id),
        AccountCommand::BeginSession(new) => begin_session(state, new, now),
        AccountCommand::WithdrawOidcAccess(identity) => withdraw_oidc_access(state, &identity),
        AccountCommand::EndSession(id) => end_session(state, id),
        AccountCommand::EndSessions(name) => end_sessions(state, &name),
    }
}
