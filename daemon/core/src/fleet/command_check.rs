//! Whether a caller may give a command: finds each object of the command among those that the caller sees, and checks
//! the caller's role where the object is.

use linecamp_model::{Generation, Name, SiteId};

use super::account_check::check_account;
use super::authorization::Authorization;
use super::command::{FleetCommand, FleetCommandError};
use super::lookup::{find_environment, find_visible, find_visible_site};
use super::state::FleetState;
use super::subject::{HostRef, SiteRef, Subject, SubjectRef};

fn check_environment(state: &FleetState, caller: &Authorization, environment: &Name) -> Result<(), FleetCommandError> {
    find_environment(state, caller, environment)?;
    caller.check_in(environment)
}

fn check_site(state: &FleetState, caller: &Authorization, site: &mut SiteRef) -> Result<Subject, FleetCommandError> {
    let id = find_visible_site(state, caller, site)?;
    let environment = state.site(id).map(|(_, of)| of.environment.clone());
    let environment = environment.expect("a site that is found is registered");
    caller.check_in(&environment)?;
    site.environment = Some(environment);
    Ok(Subject::Site(id))
}

fn check_site_id(state: &FleetState, caller: &Authorization, site: SiteId) -> Result<(), FleetCommandError> {
    match state.site(site).filter(|(_, of)| caller.sees(&of.environment)) {
        Some((_, of)) => caller.check_in(&of.environment),
        None => {
            let text = format!("there is no site {site}; nothing was changed. List the sites again");
            Err(FleetCommandError::NotFound(text))
        }
    }
}

fn check_subject(
    state: &FleetState,
    caller: &Authorization,
    subject: &mut SubjectRef,
) -> Result<Subject, FleetCommandError> {
    match subject {
        SubjectRef::Site(site) => check_site(state, caller, site),
        SubjectRef::Host(host) => {
            let found = find_visible(state, caller, &SubjectRef::Host(host.clone()))?;
            let (record, of) = state.site(found.site()).expect("a host that is found has a site");
            caller.check_in(&of.environment)?;
            let site = record.site_spec().map(|spec| spec.name.clone());
            *host = HostRef { environment: Some(of.environment.clone()), site, name: host.name.clone() };
            Ok(found)
        }
    }
}

/// Checks that the caller may give a command. Afterwards it names the environment of each of its objects.
///
/// # Errors
/// The object was not found, is ambiguous, or the caller lacks a role.
pub(super) fn check_command(
    state: &FleetState,
    caller: &Authorization,
    command: &mut FleetCommand,
) -> Result<Option<Subject>, FleetCommandError> {
    match command {
        FleetCommand::PatchLabels(subject, _)
        | FleetCommand::Edit(subject, _)
        | FleetCommand::Deactivate(subject)
        | FleetCommand::Activate(subject)
        | FleetCommand::Remove(subject, _) => check_subject(state, caller, subject).map(Some),
        FleetCommand::Accept(site) => check_site(state, caller, site).map(Some),
        FleetCommand::ActOnSites(new) => {
            new.sites.keys().try_for_each(|site| check_site_id(state, caller, *site)).map(|()| None)
        }
        FleetCommand::CreateToken(new) => {
            check_environment(state, caller, &new.environment)?;
            new.joins_as.site_mut().map(|site| check_site(state, caller, site)).transpose()?;
            Ok(None)
        }
        FleetCommand::RevokeToken(id) => {
            // An unknown token is reported by the command itself.
            if let Some(token) = state.tokens.get(id) {
                check_environment(state, caller, &token.environment)?;
            }
            Ok(None)
        }
        FleetCommand::EditEnvironment(environment, _)
        | FleetCommand::SetProvider(environment, ..)
        | FleetCommand::RemoveProvider(environment, ..) => check_environment(state, caller, environment).map(|()| None),
        FleetCommand::Account(command) => check_account(state, caller, command).map(|()| None),
        FleetCommand::CreateEnvironment(..)
        | FleetCommand::AcceptHeld(_)
        | FleetCommand::RejectHeld(_)
        | FleetCommand::AddPlugin(..)
        | FleetCommand::RemovePlugin(_) => caller.check_everywhere().map(|()| None),
    }
}

/// Checks that the spec of a site has the generation that the caller has seen.
pub(super) fn check_generation(
    state: &FleetState,
    subject: Subject,
    expected: Generation,
) -> Result<(), FleetCommandError> {
    let head = state.site(subject.site()).map(|(record, _)| record.spec.head());
    match head {
        Some(head) if head != expected => Err(FleetCommandError::Stale(format!(
            "the {} changed since it was read: its generation is {head}, not {expected}; read it again",
            subject.noun()
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use linecamp_model::{Access, LabelPatch, Requirement, Role};

    use super::*;
    use crate::fleet::testing::{NOW, join_in, state_with_site, token};
    use crate::fleet::{Edit, EnvironmentEdit, Force, IssuedCommand, operator};
    use crate::testing::{host_ref, name, site_ref};

    fn authorization(access: &[(&str, Role)], requirement: Requirement) -> Authorization {
        let mut given = Access::default();
        for (environment, role) in access {
            match *environment {
                "*" => given.everywhere = Some(*role),
                environment => drop(given.environments.insert(name(environment), *role)),
            }
        }
        Authorization { access: given, requirement, ..Authorization::console() }
    }

    /// A site `s1` in `default`, and another one in `lab`.
    fn two_environments() -> FleetState {
        let (mut state, _) = state_with_site();
        join_in(&mut state, "lab", 1, 20);
        state
    }

    fn given(access: &[(&str, Role)], role: Role, command: FleetCommand) -> Result<FleetCommand, FleetCommandError> {
        let mut command = command;
        check_command(&two_environments(), &authorization(access, Requirement::Role(role)), &mut command)?;
        Ok(command)
    }

    #[test]
    fn an_object_in_an_environment_without_a_role_does_not_exist() {
        let operator = [("lab", Role::Operator)];
        let found = given(&operator, Role::Operator, FleetCommand::Deactivate(site_ref("s1").into())).unwrap();
        let meant = SiteRef { environment: Some(name("lab")), ..site_ref("s1") };
        assert_eq!(found, FleetCommand::Deactivate(meant.into()), "the other s1 causes no ambiguity");
        let elsewhere = SiteRef { environment: Some(name("default")), ..site_ref("s1") };
        for subject in [SubjectRef::from(elsewhere.clone()), host_ref("box").into()] {
            let refused = given(&operator, Role::Operator, FleetCommand::Activate(subject));
            assert!(matches!(refused, Err(FleetCommandError::NotFound(_))), "{refused:?}");
        }
        let refused = given(&operator, Role::Operator, FleetCommand::CreateToken(token(1)));
        let Err(FleetCommandError::NotFound(text)) = refused else { panic!("{refused:?}") };
        assert_eq!(text, "there is no environment default; there are: lab");
    }

    #[test]
    fn a_role_that_is_missing_is_named() {
        let access = [("default", Role::Viewer), ("lab", Role::Operator)];
        let site = SiteRef { environment: Some(name("default")), ..site_ref("s1") };
        let refused = given(&access, Role::Operator, FleetCommand::Remove(site.into(), Force::Yes));
        let text = "this requires the role operator in environment default; yours is viewer";
        assert_eq!(refused, Err(FleetCommandError::Forbidden(text.to_owned())));
        let edit = FleetCommand::EditEnvironment(name("lab"), EnvironmentEdit::default());
        let refused = given(&access, Role::Admin, edit);
        let text = "this requires the role admin in environment lab; yours is operator";
        assert_eq!(refused, Err(FleetCommandError::Forbidden(text.to_owned())));
    }

    #[test]
    fn what_belongs_to_no_environment_requires_a_role_in_all() {
        let create = || FleetCommand::CreateEnvironment(name("new"), EnvironmentEdit::default());
        let state = two_environments();
        let everywhere = Requirement::RoleEverywhere(Role::Admin);
        let check = |access: &[(&str, Role)], requirement| {
            check_command(&state, &authorization(access, requirement), &mut create()).is_ok()
        };
        assert!(check(&[("*", Role::Admin)], everywhere));
        assert!(!check(&[("*", Role::Operator), ("lab", Role::Admin)], everywhere));
        assert!(!check(&[("*", Role::Admin)], Requirement::Role(Role::Admin)), "an operation that requires less");
    }

    #[test]
    fn a_command_on_what_changed_since_it_was_read_is_refused() {
        let (state, site) = state_with_site();
        let head = state.site(site).expect("it joined").0.spec.head();
        let edit = |expected| IssuedCommand {
            if_match: Some(expected),
            ..IssuedCommand::of_console(FleetCommand::Edit(site_ref("s1").into(), Edit::default()))
        };
        assert!(operator::decide(&state, edit(head), NOW).is_ok());
        let refused = operator::decide(&state, edit(head.next()), NOW);
        assert!(matches!(refused, Err(FleetCommandError::Stale(_))), "{refused:?}");
        let patch = FleetCommand::PatchLabels(site_ref("s1").into(), LabelPatch::default());
        assert!(operator::decide(&state, IssuedCommand::of_console(patch), NOW).is_ok());
    }
}
