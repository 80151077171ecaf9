//! Which roles the groups of a person have, and the names that a new user may get.

use data_encoding::HEXLOWER;
use linecamp_model::{Access, Name, Role};
use ring::digest::{SHA256, digest};

use crate::refusal::Refusal;

/// Maximum number of rows of the table. A longer table is refused by the configuration.
pub const GROUP_ROLES_MAX: usize = 256;

/// How much of the name at the provider becomes part of the user's name, in characters. With the suffix, the name is
/// shorter than the 63 characters of a DNS label.
const BASE_CHARACTERS_MAX: usize = 40;

/// A row of the table: the members of a group have a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRole {
    /// The group, exactly as the provider writes it.
    pub group: String,
    /// The role.
    pub role: Role,
    /// The environment in which they have it; `None` for all.
    pub environment: Option<Name>,
}

/// Returns what the members of all these groups may do: in each place the highest role of any.
///
/// # Errors
/// [`Refusal::NoRole`] if none of the groups has a role.
pub fn access_of(table: &[GroupRole], groups: &[String]) -> Result<Access, Refusal> {
    let mut access = Access::default();
    for row in table.iter().filter(|row| groups.contains(&row.group)) {
        match &row.environment {
            None => access.everywhere = access.everywhere.max(Some(row.role)),
            Some(environment) => {
                let role = access.environments.get(environment).copied().max(Some(row.role)).unwrap_or(row.role);
                access.environments.insert(environment.clone(), role);
            }
        }
    }
    if access == Access::default() { Err(Refusal::NoRole) } else { Ok(access) }
}

/// Returns the names that a new user may get, the best first: the name at the provider as far as it fits, and with a
/// suffix that follows from issuer and subject. A name at the provider says nothing about who a user here is, so a
/// name that is taken stays with its user.
pub fn user_names(name: Option<&str>, issuer: &str, subject: &str) -> Vec<Name> {
    let person = [issuer.as_bytes(), &[0], subject.as_bytes()].concat();
    let suffix = HEXLOWER.encode(digest(&SHA256, &person).as_ref());
    let local = name.map(|name| name.split_once('@').map_or(name, |(local, _)| local)).unwrap_or_default();
    let mut base = String::new();
    for found in local.chars().take(BASE_CHARACTERS_MAX) {
        let found = if found.is_ascii_alphanumeric() { found.to_ascii_lowercase() } else { '-' };
        if found != '-' || !(base.is_empty() || base.ends_with('-')) {
            base.push(found);
        }
    }
    let base = base.trim_matches('-');
    let named = [base.to_owned(), format!("{base}-{}", &suffix[..8])];
    let all = named.iter().map(String::as_str).filter(|_| !base.is_empty());
    all.chain([&*format!("oidc-{}", &suffix[..16])]).filter_map(|text| Name::parse(text).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn row(group: &str, role: Role, environment: Option<&str>) -> GroupRole {
        GroupRole { group: group.to_owned(), role, environment: environment.map(name) }
    }

    #[test]
    fn groups_have_the_highest_role_of_each_place() {
        let table = [
            row("staff", Role::Viewer, None),
            row("ops", Role::Operator, None),
            row("lab", Role::Operator, Some("lab")),
            row("lab-leads", Role::Admin, Some("lab")),
        ];
        let of = |groups: &[&str]| {
            let groups: Vec<_> = groups.iter().map(|&group| group.to_owned()).collect();
            access_of(&table, &groups)
        };
        assert_eq!(of(&["staff", "ops"]), Ok(Access::everywhere(Role::Operator)));
        assert_eq!(of(&["ops", "staff", "unknown"]), Ok(Access::everywhere(Role::Operator)));
        let lab = Access { everywhere: Some(Role::Viewer), environments: [(name("lab"), Role::Admin)].into() };
        assert_eq!(of(&["lab-leads", "lab", "staff"]), Ok(lab));
        for none in [&[][..], &["Ops"], &["ops "], &["unknown"]] {
            assert_eq!(of(none), Err(Refusal::NoRole), "{none:?}");
        }
    }

    #[test]
    fn a_new_user_gets_the_name_at_the_provider_as_far_as_it_fits() {
        let names = |text: Option<&str>| {
            let names = user_names(text, "https://id.example", "u-7");
            names.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(names(Some("Mara.Lind@corp.example")), ["mara-lind", "mara-lind-691285e1", "oidc-691285e1de79f39d"]);
        assert_eq!(names(None).len(), 1);
        assert_eq!(names(Some("--@")), names(None), "nothing of it fits");
        assert_eq!(names(Some("..É..z..")).first().map(String::as_str), Some("z"));
        assert_eq!(names(Some(&"x".repeat(300))).len(), 3);
        let other = user_names(None, "https://id.example", "u-8");
        assert_ne!(other, user_names(None, "https://id.example", "u-7"));
    }
}
