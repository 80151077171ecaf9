//! Lookup: finds the site or host that an operator names.
//!
//! A site's name is unique within its environment, a host's within its site. A reference may leave out where the object
//! is if only one has the name. Live objects come first; a removed one is found if no live one has the name.

use linecamp_model::{HostId, Name, SiteId, User};

use super::authorization::Authorization;
use super::command::FleetCommandError;
use super::state::FleetState;
use super::subject::{HostRef, SiteRef, Subject, SubjectRef};

/// How many objects of the same name an error lists. The rest is counted.
const LISTED_MAX: usize = 8;

/// Returns a user.
pub(super) fn find_user<'a>(state: &'a FleetState, name: &Name) -> Result<&'a User, FleetCommandError> {
    state.users.get(name).ok_or_else(|| unknown_user(name))
}

/// Finds the site or host that a reference means.
///
/// # Errors
/// None or several have the name.
pub(crate) fn find(state: &FleetState, subject: &SubjectRef) -> Result<Subject, FleetCommandError> {
    find_visible(state, &Authorization::console(), subject)
}

/// Finds the site or host that a caller means.
///
/// # Errors
/// None or several of those that the caller sees have the name.
pub(crate) fn find_visible(
    state: &FleetState,
    caller: &Authorization,
    subject: &SubjectRef,
) -> Result<Subject, FleetCommandError> {
    Ok(match subject {
        SubjectRef::Site(site) => Subject::Site(find_visible_site(state, caller, site)?),
        SubjectRef::Host(host) => {
            let (site, host) = find_visible_host(state, caller, host)?;
            Subject::Host(site, host)
        }
    })
}

/// Finds the site that a reference means.
///
/// # Errors
/// None or several have the name.
pub(crate) fn find_site(state: &FleetState, site: &SiteRef) -> Result<SiteId, FleetCommandError> {
    find_visible_site(state, &Authorization::console(), site)
}

/// Finds the site that a caller means.
///
/// # Errors
/// None or several of those that the caller sees have the name.
pub(crate) fn find_visible_site(
    state: &FleetState,
    caller: &Authorization,
    site: &SiteRef,
) -> Result<SiteId, FleetCommandError> {
    match state.sites_named(site, &|environment| caller.sees(environment))[..] {
        [id] => Ok(id),
        [] => Err(not_found("site", site, site.environment.as_ref())),
        [id, ..] if is_gone(state, id) => Ok(id),
        ref several => {
            let environments = listed(several.iter().filter_map(|id| environment(state, *id)));
            let text = format!("ambiguous site name {site}: environments {environments}; add --environment");
            Err(FleetCommandError::Ambiguous(text))
        }
    }
}

/// Finds the host that a caller means, and its site.
///
/// # Errors
/// None or several of those that the caller sees have the name.
pub(crate) fn find_visible_host(
    state: &FleetState,
    caller: &Authorization,
    host: &HostRef,
) -> Result<(SiteId, HostId), FleetCommandError> {
    match state.hosts_named(host, &|environment| caller.sees(environment))[..] {
        [found] => Ok(found),
        [] => Err(not_found("host", host, host.environment.as_ref())),
        [found, ..] if is_gone(state, found.0) => Ok(found),
        ref several => Err(ambiguous_host(state, host, several)),
    }
}

/// Checks that an environment exists that the caller sees.
pub(super) fn find_environment(
    state: &FleetState,
    caller: &Authorization,
    name: &Name,
) -> Result<(), FleetCommandError> {
    let mut seen = state.environments.keys().filter(|name| caller.sees(name));
    if seen.clone().any(|seen| seen == name) {
        return Ok(());
    }
    let known: Vec<_> = seen.by_ref().map(Name::as_str).collect();
    Err(FleetCommandError::NotFound(format!("there is no environment {name}; there are: {}", known.join(", "))))
}

pub(super) fn unknown_user(name: &Name) -> FleetCommandError {
    FleetCommandError::NotFound(format!("there is no user {name}; `linecamp user ls` lists them"))
}

fn ambiguous_host(state: &FleetState, host: &HostRef, several: &[(SiteId, HostId)]) -> FleetCommandError {
    let mut environments: Vec<_> = several.iter().filter_map(|(site, _)| environment(state, *site)).collect();
    environments.dedup();
    let address = |site: SiteId| {
        let spec = state.site(site).and_then(|(record, _)| record.site_spec())?;
        Some(match environments.len() {
            1 => format!("{}/{}", spec.name, host.name),
            _ => format!("{}/{} in environment {}", spec.name, host.name, spec.environment),
        })
    };
    let addresses = listed(several.iter().filter_map(|(site, _)| address(*site)));
    let remedy = match environments.len() {
        1 => "use SITE/HOST",
        count if count == several.len() => "add --environment",
        _ => "use SITE/HOST and add --environment",
    };
    FleetCommandError::Ambiguous(format!("ambiguous host name {host}: {addresses}; {remedy}"))
}

fn not_found(noun: &str, name: &impl std::fmt::Display, environment: Option<&Name>) -> FleetCommandError {
    let place = environment.map_or_else(String::new, |environment| format!(" in environment {environment}"));
    FleetCommandError::NotFound(format!("there is no {noun} {name}{place}"))
}

fn environment(state: &FleetState, site: SiteId) -> Option<&Name> {
    state.site(site).map(|(_, registration)| &registration.environment)
}

fn is_gone(state: &FleetState, site: SiteId) -> bool {
    state.site(site).is_some_and(|(_, registration)| registration.life.phase.is_gone())
}

/// Returns the first of the items, and how many more there are.
fn listed(items: impl Iterator<Item = impl ToString>) -> String {
    let items: Vec<_> = items.map(|item| item.to_string()).collect();
    let first = items[..items.len().min(LISTED_MAX)].join(", ");
    match items.len().saturating_sub(LISTED_MAX) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find_host(state: &FleetState, host: &HostRef) -> Result<(SiteId, HostId), FleetCommandError> {
        find_visible_host(state, &Authorization::console(), host)
    }

    use crate::fleet::testing::{NOW, add_host, apply, join, join_in, state_with_site};
    use crate::fleet::{Edit, FleetCommand, Force, IssuedCommand, operator};
    use crate::testing::{host_ref, name, site_ref};

    fn ask(state: &mut FleetState, command: FleetCommand) {
        apply(state, |state| {
            operator::decide(state, IssuedCommand::of_console(command), NOW).expect("it is done").changes
        });
    }

    fn ambiguity<T: std::fmt::Debug>(result: Result<T, FleetCommandError>) -> String {
        match result {
            Err(FleetCommandError::Ambiguous(text)) => text,
            other => panic!("not ambiguous: {other:?}"),
        }
    }

    #[test]
    fn a_bare_host_name_works_while_only_one_host_has_it() {
        let (mut state, first) = state_with_site();
        let box_1 = add_host(&mut state, first, "box");
        assert_eq!(find_host(&state, &host_ref("box")), Ok((first, box_1)));

        let second = join(&mut state, 2);
        let box_2 = add_host(&mut state, second, "box");
        let text = ambiguity(find_host(&state, &host_ref("box")));
        assert_eq!(text, "ambiguous host name box: s1/box, s2/box; use SITE/HOST");
        assert_eq!(find_host(&state, &host_ref("s1/box")), Ok((first, box_1)));
        assert_eq!(find_host(&state, &host_ref("s2/box")), Ok((second, box_2)));

        ask(&mut state, FleetCommand::Remove(site_ref("s2").into(), Force::Yes));
        assert_eq!(find_host(&state, &host_ref("box")), Ok((first, box_1)), "a removed site's host is not meant");
        assert_eq!(find_host(&state, &host_ref("s2/box")), Ok((second, box_2)), "it is found by its address");
    }

    #[test]
    fn the_same_address_in_two_environments_needs_the_environment() {
        let (mut state, _) = state_with_site();
        let lab = join_in(&mut state, "lab", 1, 20);
        let text = ambiguity(find_site(&state, &site_ref("s1")));
        assert_eq!(text, "ambiguous site name s1: environments default, lab; add --environment");
        for address in ["s1", "s1/s1"] {
            let text = ambiguity(find_host(&state, &host_ref(address)));
            let both = "s1/s1 in environment default, s1/s1 in environment lab; add --environment";
            assert_eq!(text, format!("ambiguous host name {address}: {both}"));
            let meant = HostRef { environment: Some(name("lab")), ..host_ref(address) };
            assert_eq!(find_host(&state, &meant).expect("one is in it").0, lab);
        }
        assert_eq!(find_site(&state, &SiteRef { environment: Some(name("lab")), ..site_ref("s1") }), Ok(lab));

        let second = join(&mut state, 2);
        add_host(&mut state, second, "s1");
        let text = ambiguity(find_host(&state, &host_ref("s1")));
        assert!(
            text.ends_with(
                "s2/s1 in environment default, s1/s1 in environment lab; use SITE/HOST and add --environment"
            ),
            "{text}"
        );
    }

    #[test]
    fn an_unknown_host_is_not_found_by_the_address_that_was_given() {
        let (state, _) = state_with_site();
        for (host, expected) in [("s9", "there is no host s9"), ("s9/s1", "there is no host s9/s1")] {
            assert_eq!(find_host(&state, &host_ref(host)), Err(FleetCommandError::NotFound(expected.to_owned())));
        }
        let elsewhere = HostRef { environment: Some(name("lab")), ..host_ref("s1/s1") };
        let text = "there is no host s1/s1 in environment lab".to_owned();
        assert_eq!(find_host(&state, &elsewhere), Err(FleetCommandError::NotFound(text)));
    }

    #[test]
    fn a_long_list_of_hosts_is_cut() {
        let (mut state, _) = state_with_site();
        for number in 2..=20 {
            let site = join(&mut state, number);
            add_host(&mut state, site, "box");
        }
        let text = ambiguity(find_host(&state, &host_ref("box")));
        assert!(text.ends_with(" and 11 more; use SITE/HOST"), "{text}");
    }

    #[test]
    fn a_host_keeps_its_name_and_follows_its_site_to_a_new_one() {
        let (mut state, site) = state_with_site();
        let edit = Edit { name: Some(name("moved")), description: None };
        ask(&mut state, FleetCommand::Edit(site_ref("s1").into(), edit));
        assert_eq!(find_host(&state, &host_ref("s1")).expect("it keeps its name").0, site);
        assert_eq!(find_host(&state, &host_ref("moved/s1")).expect("its address has the new one").0, site);
        assert!(find_host(&state, &host_ref("s1/s1")).is_err());
    }
}
