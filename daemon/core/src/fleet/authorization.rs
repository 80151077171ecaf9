//! Authorization: what a caller may see and do.
//!
//! Every operation of the API states what it requires ([`Requirement`]). [`Authorization::admit`] checks what can be
//! checked without an object. Everything else depends on the environment of an object, and is checked where the object
//! is found: a view has only what the caller may see ([`FleetView::for_caller`](super::FleetView::for_caller)), and
//! `command_check` finds each object of a command among those. No other code decides who may do what.
//!
//! An object in an environment in which the caller has no role does not exist for the caller: it is not found, and
//! causes no ambiguity. An object that the caller may see but not change is refused with the role that is missing.

use linecamp_model::{Access, AuditOutcome, Caller, Generation, Name, Requirement, Role};

use super::audit_note::{AuditNote, AuditedRequest};
use super::authentication::{PendingSetup, Principal};
use super::command::{FleetCommand, FleetCommandError};

/// Who performs an operation, what they may do, and what the operation requires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// Who performs it.
    pub caller: Caller,
    /// The roles of the caller.
    pub access: Access,
    /// What the caller must do before anything else.
    pub pending: PendingSetup,
    /// What the operation requires.
    pub requirement: Requirement,
}

/// A command, and who issued it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedCommand {
    /// The command.
    pub command: FleetCommand,
    /// Who gives it.
    pub authorization: Authorization,
    /// The spec generation that the site of the command must have, if the caller has seen it: the command fails if the
    /// spec changed since. Only for commands on a site or a host.
    pub if_match: Option<Generation>,
    /// What the audit log says of it, if it succeeds; `None` for no entry.
    pub audited: Option<AuditedRequest>,
}

impl IssuedCommand {
    /// Returns the note of the command for the audit log; `None` if it does not have it.
    pub(super) fn audit_note(&self) -> Option<AuditNote> {
        let (request, caller) = (self.audited.clone()?, self.authorization.caller.clone());
        Some(AuditNote { request, caller, account: None, outcome: AuditOutcome::Done })
    }

    /// Returns a command of the server's own console, which may do everything.
    pub const fn of_console(command: FleetCommand) -> Self {
        Self { command, authorization: Authorization::console(), if_match: None, audited: None }
    }
}

impl Authorization {
    /// Returns the authorization of the server's own console, which may do everything.
    pub const fn console() -> Self {
        let requirement = Requirement::RoleEverywhere(Role::Admin);
        Self {
            caller: Caller::console(),
            access: Access::everywhere(Role::Admin),
            pending: PendingSetup { password: false, server_url: false },
            requirement,
        }
    }

    /// Checks what an operation requires of a caller, as far as it does not depend on an object.
    ///
    /// # Errors
    /// [`FleetCommandError::Forbidden`] if the caller lacks the role everywhere, and
    /// [`FleetCommandError::SetupRequired`] if the caller has something else to do first.
    pub fn admit(
        caller: Caller,
        access: Access,
        pending: PendingSetup,
        requirement: Requirement,
    ) -> Result<Self, FleetCommandError> {
        if pending.is_pending() && !matches!(requirement, Requirement::Nothing | Requirement::Account) {
            return Err(setup_required(pending));
        }
        let lacks = |place: &str, role: Role| {
            let text = format!("this requires the role {role} in {place}; an admin can grant it");
            Err(FleetCommandError::Forbidden(text))
        };
        match requirement {
            Requirement::RoleEverywhere(role) if access.everywhere < Some(role) => lacks("all environments", role),
            Requirement::Role(role) if highest(&access) < Some(role) => lacks("an environment", role),
            _ => Ok(Self { caller, access, pending, requirement }),
        }
    }

    /// Whether this is what a principal may do.
    pub fn is_of(&self, principal: &Principal) -> bool {
        let Principal { identity, access, pending } = principal;
        (&self.caller.identity, &self.access, self.pending) == (identity, access, *pending)
    }

    /// Whether the caller may know that an environment and its objects exist.
    pub fn sees(&self, environment: &Name) -> bool {
        self.access.role_in(environment).is_some()
    }

    /// Whether the caller sees all environments, and what belongs to none.
    pub fn sees_everything(&self) -> bool {
        self.access.everywhere.is_some()
    }

    /// Checks that the caller has the required role in an environment that it sees.
    pub(super) fn check_in(&self, environment: &Name) -> Result<(), FleetCommandError> {
        let (Requirement::Role(required) | Requirement::RoleEverywhere(required)) = self.requirement else {
            return Ok(());
        };
        match self.access.role_in(environment) {
            Some(role) if required <= role => Ok(()),
            role => {
                let role = role.map_or_else(|| "none".to_owned(), |role| role.to_string());
                let text = format!("this requires the role {required} in environment {environment}; yours is {role}");
                Err(FleetCommandError::Forbidden(text))
            }
        }
    }

    /// Checks that the operation requires a role in all environments, and that the caller has it.
    pub(super) fn check_everywhere(&self) -> Result<(), FleetCommandError> {
        match self.requirement {
            Requirement::RoleEverywhere(required) if Some(required) <= self.access.everywhere => Ok(()),
            _ => Err(FleetCommandError::Forbidden("this requires the role admin in all environments".to_owned())),
        }
    }
}

fn setup_required(pending: PendingSetup) -> FleetCommandError {
    let text = match pending {
        PendingSetup { server_url: true, password } => format!(
            "the first login is not complete: confirm the server's URL{}. Log in with `linecamp login`, or send \
             POST /api/v1/setup with server_url{}",
            if password { " and change the password" } else { "" },
            if password { " and new_password" } else { "" },
        ),
        PendingSetup { server_url: false, .. } => {
            "the password must be changed first. Log in with `linecamp login`, or \
             send POST /api/v1/password with old_password and new_password"
                .to_owned()
        }
    };
    FleetCommandError::SetupRequired(text)
}

fn highest(access: &Access) -> Option<Role> {
    access.environments.values().copied().max().max(access.everywhere)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::name;

    #[test]
    fn a_caller_without_the_role_anywhere_is_not_admitted() {
        let check = |access: &[(&str, Role)], requirement| {
            let mut given = Access::default();
            for (environment, role) in access {
                match *environment {
                    "*" => given.everywhere = Some(*role),
                    environment => drop(given.environments.insert(name(environment), *role)),
                }
            }
            Authorization::admit(Caller::console(), given, PendingSetup::default(), requirement).is_ok()
        };
        let lab = [("lab", Role::Operator)];
        assert!(check(&lab, Requirement::Role(Role::Operator)));
        assert!(!check(&lab, Requirement::Role(Role::Admin)));
        assert!(!check(&lab, Requirement::RoleEverywhere(Role::Viewer)));
        assert!(check(&[("*", Role::Viewer)], Requirement::RoleEverywhere(Role::Viewer)));
        assert!(check(&[], Requirement::Login));
        assert!(!check(&[], Requirement::Role(Role::Viewer)));
    }

    #[test]
    fn before_the_first_login_is_complete_only_the_account_is_accessible() {
        let check = |pending, requirement| {
            Authorization::admit(Caller::console(), Access::everywhere(Role::Admin), pending, requirement)
        };
        for pending in [
            PendingSetup { password: true, server_url: false },
            PendingSetup { password: false, server_url: true },
            PendingSetup { password: true, server_url: true },
        ] {
            for requirement in
                [Requirement::Login, Requirement::Role(Role::Viewer), Requirement::RoleEverywhere(Role::Admin)]
            {
                let refused = check(pending, requirement);
                let Err(FleetCommandError::SetupRequired(text)) = refused else { panic!("{refused:?}") };
                assert!(text.contains("POST /api/v1/"), "{text}");
            }
            assert!(check(pending, Requirement::Account).is_ok());
        }
    }
}
