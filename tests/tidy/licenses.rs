//! Licenses and sources of all dependencies, checked offline. The list is deny.toml's.

use std::collections::BTreeSet;

use crate::crates::{array, metadata};
use crate::report::Report;
use crate::tree::file;

#[test]
fn everything_we_depend_on_is_allowed_by_deny_toml() {
    let deny: toml::Table = file("deny.toml").expect("deny.toml exists").text.parse().expect("deny.toml is TOML");
    let names = deny["licenses"]["allow"].as_array().expect("licenses.allow is a list");
    let allowed: BTreeSet<&str> = names.iter().filter_map(toml::Value::as_str).collect();

    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    // Only this platform's packages are sure to be downloaded.
    let metadata = metadata(&["--filter-platform", &platform]);
    let mut report = Report::default();
    for package in array(&metadata["packages"]) {
        let name = package["name"].as_str().expect("a package has a name");
        let Some(source) = package["source"].as_str() else {
            continue;
        };
        if source != "registry+https://github.com/rust-lang/crates.io-index" {
            report.add("Cargo.lock", 1, format!("{name} comes from {source}"));
        }
        let license = package["license"].as_str().unwrap_or("no license named");
        if !is_allowed(license, &allowed) {
            report.add("Cargo.lock", 1, format!("{name} has the license {license}"));
        }
    }
    report.finish("take another crate; or, if the license is right for us, add it to deny.toml and say why there.");
}

/// Whether an SPDX expression can be satisfied with the allowed licenses.
fn is_allowed(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    // `/` is an old spelling of OR. Split parentheses into words of their own.
    let text = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut rest = words.as_slice();
    let met = any_of(&mut rest, allowed);
    met && rest.is_empty()
}

fn any_of(words: &mut &[&str], allowed: &BTreeSet<&str>) -> bool {
    let mut met = all_of(words, allowed);
    while words.first() == Some(&"OR") {
        *words = &words[1..];
        // Do not short-circuit: the words have to be consumed either way.
        met |= all_of(words, allowed);
    }
    met
}

fn all_of(words: &mut &[&str], allowed: &BTreeSet<&str>) -> bool {
    let mut met = one(words, allowed);
    while words.first() == Some(&"AND") {
        *words = &words[1..];
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut &[&str], allowed: &BTreeSet<&str>) -> bool {
    let Some((first, rest)) = words.split_first() else {
        return false;
    };
    *words = rest;
    if *first == "(" {
        let met = any_of(words, allowed);
        *words = words.get(1..).unwrap_or_default();
        return met;
    }
    if let [with @ "WITH", exception, rest @ ..] = words {
        let license = [*first, *with, *exception].join(" ");
        *words = rest;
        return allowed.contains(license.as_str());
    }
    allowed.contains(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_license_is_met_as_its_expression_says() {
        let allowed = BTreeSet::from(["MIT", "ISC", "MIT WITH LLVM-exception"]);
        let check = |text, expected| assert_eq!(is_allowed(text, &allowed), expected, "{text}");
        check("MIT", true);
        check("GPL-3.0", false);
        check("GPL-3.0 OR MIT", true);
        check("GPL-3.0/MIT", true);
        check("ISC AND (MIT OR GPL-3.0)", true);
        check("ISC AND GPL-3.0", false);
        check("MIT WITH LLVM-exception OR GPL-3.0", true);
        check("MIT WITH other-exception", false);
        check("no license named", false);
    }
}
