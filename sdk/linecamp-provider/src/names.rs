//! Conversion of names between the forms of services and the contract's form: absolute, lower case, without the
//! trailing dot.

/// Returns the contract's form: lower case, without the trailing dot.
pub fn canonical(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Returns the name with the trailing dot, as many services require it.
pub fn fqdn(name: &str) -> String {
    if name.ends_with('.') { name.to_owned() } else { format!("{name}.") }
}

/// Returns the name relative to its zone, and `@` for the zone itself; `None` if it is not within the zone. Both in the
/// contract's form.
pub fn relative<'a>(name: &'a str, zone: &str) -> Option<&'a str> {
    match name.strip_suffix(zone)? {
        "" => Some("@"),
        rest => rest.strip_suffix('.').filter(|rest| !rest.is_empty()),
    }
}

/// Returns the absolute name of one relative to `zone`; `@` and the empty string stand for the zone itself.
pub fn absolute(relative: &str, zone: &str) -> String {
    match relative {
        "" | "@" => canonical(zone),
        _ => canonical(&format!("{relative}.{zone}")),
    }
}

/// Whether the name is the zone or within it. Both in the contract's form.
pub fn is_within(name: &str, zone: &str) -> bool {
    relative(name, zone).is_some()
}

/// Returns the names at which a zone that contains `name` could begin below `zone`: the name and its ancestors, deepest
/// first, without the zone itself. Empty if the name is not within the zone. Both in the contract's form.
pub fn zone_cut_candidates<'a>(name: &'a str, zone: &str) -> impl Iterator<Item = &'a str> {
    let first = Some(name).filter(|name| is_within(name, zone) && *name != zone);
    let zone = zone.to_owned();
    let parent = |name: &&'a str| name.split_once('.').map(|(_, parent)| parent);
    std::iter::successors(first, move |name| parent(name).filter(|parent| *parent != zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_goes_to_its_zone_and_back() {
        let check = |name: &str, short: Option<&str>| {
            assert_eq!(relative(name, "example.org"), short, "{name}");
            if let Some(short) = short {
                assert_eq!(absolute(short, "example.org."), name);
            }
        };
        check("a.example.org", Some("a"));
        check("*.b.example.org", Some("*.b"));
        check("example.org", Some("@"));
        check("badexample.org", None);
        check(".example.org", None);
        check("example.com", None);
    }

    #[test]
    fn a_zone_below_may_begin_at_a_name_and_its_ancestors() {
        let check = |name, expected: &[&str]| {
            assert_eq!(zone_cut_candidates(name, "example.org").collect::<Vec<_>>(), expected, "{name}");
        };
        check("a.b.example.org", &["a.b.example.org", "b.example.org"]);
        check("b.example.org", &["b.example.org"]);
        check("example.org", &[]);
        check("a.example.net", &[]);
    }

    #[test]
    fn dots_and_case_are_form_only() {
        assert_eq!(canonical("A.Example.ORG."), "a.example.org");
        assert_eq!(fqdn("a"), "a.");
        assert_eq!(fqdn("a."), "a.");
    }
}
