//! What a caller may do: roles, and the environments in which it has them.

use std::collections::BTreeMap;
use std::fmt;

use crate::name::Name;

/// A role. Each one may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Changes sites, hosts, tokens and providers.
    Operator,
    /// Changes the rules of environments; everywhere, also users, plugins and the server itself.
    Admin,
}

impl Role {
    /// All roles, the least first.
    pub const ALL: &[Self] = &[Self::Viewer, Self::Operator, Self::Admin];

    /// Returns the machine-readable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// Parses the machine-readable name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|role| role.as_str() == text)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The roles of a caller: one for all environments, those of later ones included, and one for each of some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The role in every environment.
    pub everywhere: Option<Role>,
    /// The role in an environment, if it is more than that.
    pub environments: BTreeMap<Name, Role>,
}

impl Access {
    /// Returns the access of a role in all environments.
    pub const fn everywhere(role: Role) -> Self {
        Self { everywhere: Some(role), environments: BTreeMap::new() }
    }

    /// Returns the role in an environment.
    pub fn role_in(&self, environment: &Name) -> Option<Role> {
        self.everywhere.max(self.environments.get(environment).copied())
    }

    /// Whether it includes everything that `other` permits.
    pub fn includes(&self, other: &Self) -> bool {
        let includes = |(name, role): (&Name, &Role)| Some(*role) <= self.role_in(name);
        other.everywhere <= self.everywhere && other.environments.iter().all(includes)
    }

    /// Returns what both permit: the access of a key that is limited further than its user.
    #[must_use]
    pub fn limited_to(&self, limit: &Self) -> Self {
        let named = self.environments.keys().chain(limit.environments.keys());
        let roles = named.filter_map(|name| Some((name.clone(), self.role_in(name)?.min(limit.role_in(name)?))));
        Self { everywhere: self.everywhere.min(limit.everywhere), environments: roles.collect() }
    }
}

/// Who may perform an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Everybody, without credentials.
    Nothing,
    /// Everybody with valid credentials, also before the user has changed a password that must be changed.
    Account,
    /// Everybody with valid credentials.
    Login,
    /// Who has this role in the environment of the object. A list has the objects of the environments in which the
    /// caller has it.
    Role(Role),
    /// Who has this role in all environments.
    RoleEverywhere(Role),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("valid")
    }

    fn access(everywhere: Option<Role>, environments: &[(&str, Role)]) -> Access {
        Access { everywhere, environments: environments.iter().map(|(text, role)| (name(text), *role)).collect() }
    }

    #[test]
    fn the_higher_of_two_roles_counts() {
        let both = access(Some(Role::Operator), &[("lab", Role::Admin), ("shop", Role::Viewer)]);
        assert_eq!(both.role_in(&name("lab")), Some(Role::Admin));
        assert_eq!(both.role_in(&name("shop")), Some(Role::Operator));
        assert_eq!(both.role_in(&name("new")), Some(Role::Operator));
        assert_eq!(access(None, &[("lab", Role::Viewer)]).role_in(&name("shop")), None);
    }

    #[test]
    fn a_limit_adds_nothing() {
        let user = access(Some(Role::Viewer), &[("lab", Role::Admin), ("shop", Role::Operator)]);
        let key = access(Some(Role::Operator), &[("lab", Role::Viewer), ("yard", Role::Admin)]);
        let limited = user.limited_to(&key);
        for (environment, expected) in
            [("lab", Role::Operator), ("shop", Role::Operator), ("yard", Role::Viewer), ("new", Role::Viewer)]
        {
            assert_eq!(limited.role_in(&name(environment)), Some(expected), "{environment}");
        }
        assert_eq!(user.limited_to(&Access::default()), Access::default());
        assert_eq!(user.limited_to(&access(None, &[("lab", Role::Viewer)])), access(None, &[("lab", Role::Viewer)]));
    }

    #[test]
    fn an_access_includes_what_it_permits() {
        let operator = access(Some(Role::Operator), &[("lab", Role::Admin)]);
        assert!(operator.includes(&operator) && operator.includes(&Access::default()));
        assert!(operator.includes(&access(Some(Role::Viewer), &[("shop", Role::Operator), ("lab", Role::Admin)])));
        assert!(!operator.includes(&access(None, &[("shop", Role::Admin)])));
        assert!(!access(None, &[("lab", Role::Admin)]).includes(&access(Some(Role::Viewer), &[])));
    }

    #[test]
    fn a_role_has_one_name() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(*role));
        }
        assert_eq!(Role::parse("Admin"), None);
    }
}
