//! Roles on the command line: `--role ROLE` for all environments, `--environment-role NAME=ROLE` for some.

use std::collections::BTreeMap;

use linecamp_model::Name;
use linecamp_proto::api::account::parse_role_or_none;

/// Options that give roles.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct RoleArgs {
    /// Role in all environments, later ones included: viewer, operator, admin or none
    #[arg(long, value_name = "ROLE", value_parser = role)]
    pub(crate) role: Option<String>,
    /// Role in one environment; repeatable. The higher of this and --role counts
    #[arg(long = "environment-role", value_name = "NAME=ROLE", value_parser = environment_role)]
    pub(crate) environment_roles: Vec<(String, String)>,
}

impl RoleArgs {
    /// Whether no role is given.
    pub(crate) const fn is_empty(&self) -> bool {
        self.role.is_none() && self.environment_roles.is_empty()
    }

    /// Returns the role in all environments, if there is one.
    pub(crate) fn everywhere(&self) -> Option<String> {
        self.role.clone().filter(|role| role != "none")
    }

    /// Returns the roles in environments.
    pub(crate) fn environments(&self) -> BTreeMap<String, String> {
        self.environment_roles.iter().filter(|(_, role)| role != "none").cloned().collect()
    }

    /// Returns the changes of the roles in environments; `None` removes a role.
    pub(crate) fn environment_changes(&self) -> BTreeMap<String, Option<String>> {
        let change = |(name, role): &(String, String)| (name.clone(), Some(role.clone()).filter(|role| role != "none"));
        self.environment_roles.iter().map(change).collect()
    }
}

/// Writes roles in one line, such as `operator, admin in lab`.
pub(crate) fn roles_text(role: Option<&str>, environments: &BTreeMap<String, String>) -> String {
    let named = environments.iter().map(|(name, role)| format!("{role} in {name}"));
    let all: Vec<_> = role.map(str::to_owned).into_iter().chain(named).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

fn role(text: &str) -> Result<String, String> {
    parse_role_or_none(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn environment_role(text: &str) -> Result<(String, String), String> {
    let (name, given) = text.split_once('=').ok_or("expected NAME=ROLE, for example lab=admin")?;
    let name = Name::parse(name).map_err(|error| error.to_string())?;
    Ok((name.to_string(), role(given)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_parsed_and_written() {
        assert_eq!(environment_role("lab=admin"), Ok(("lab".into(), "admin".into())));
        assert!(environment_role("lab").expect_err("no role").contains("NAME=ROLE"));
        assert!(environment_role("lab=root").expect_err("no role").contains("viewer, operator and admin"));
        let environments = [("lab".to_owned(), "admin".to_owned())].into();
        assert_eq!(roles_text(Some("operator"), &environments), "operator, admin in lab");
        assert_eq!(roles_text(None, &BTreeMap::new()), "none");
    }
}
