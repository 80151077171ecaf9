//! A promise names its test, and the test exists.
//!
//! SPECIFICATION.md holds tables `| promise | number | test | status |`. A test is named in backticks, as
//! `crate::path::test_name` or `path/to/file.rs::test_name`. A row whose status is *pending* may name none.

use std::collections::BTreeSet;

use crate::crates::packages;
use crate::report::Report;
use crate::tree::{file, rust_files};

const SPECIFICATION: &str = "SPECIFICATION.md";

#[test]
fn every_promise_names_a_test_that_exists() {
    let specification = file(SPECIFICATION).expect("SPECIFICATION.md exists: it is what we promise");
    let tests = Tests::find();
    let mut report = Report::default();
    let mut promises = 0;
    let mut is_table = false;
    for (line, number) in specification.text.lines().zip(1..) {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        if !line.trim_start().starts_with('|') {
            is_table = false;
        } else if cells[0].eq_ignore_ascii_case("promise") {
            is_table = true;
        } else if is_table && !cells[0].trim_matches(['-', ':']).is_empty() {
            promises += 1;
            check(&cells, &tests).unwrap_or_else(|what| report.add(SPECIFICATION, number, what));
        }
    }
    if promises == 0 {
        report.add(SPECIFICATION, 1, "there is no table `| promise | number | test | status |` with a row");
    }
    report.finish("write the test, or name the one that shows it; a promise without a test is *pending*.");
}

fn check(cells: &[&str], tests: &Tests) -> Result<(), String> {
    let [_, _, named, status] = cells else {
        return Err(format!("a row has four cells, this one has {}", cells.len()));
    };
    let is_pending = status.contains("pending");
    let names: Vec<&str> = named.split('`').skip(1).step_by(2).collect();
    if names.is_empty() && !is_pending {
        return Err("no test is named".into());
    }
    match names.into_iter().find(|name| !is_pending && !tests.has(name)) {
        Some(missing) => Err(format!("there is no test `{missing}`")),
        None => Ok(()),
    }
}

/// Every function of the workspace that could be a test, with its file.
struct Tests {
    functions: BTreeSet<(&'static str, String)>,
    /// A package's name as code writes it, and its directory.
    packages: Vec<(String, String)>,
}

impl Tests {
    fn find() -> Self {
        let mut functions = BTreeSet::new();
        for file in rust_files() {
            for line in file.code().lines() {
                if let Some((_, rest)) = line.split_once("fn ") {
                    let name = rest.split(|letter: char| letter != '_' && !letter.is_alphanumeric()).next();
                    functions.insert((file.path.as_str(), name.unwrap_or_default().to_owned()));
                }
            }
        }
        let directory = |manifest: &str| manifest.trim_end_matches("Cargo.toml").to_owned();
        let known = packages().into_iter();
        let packages = known.map(|package| (package.name.replace('-', "_"), directory(&package.manifest))).collect();
        Self { functions, packages }
    }

    /// Whether a test exists where its name says.
    fn has(&self, name: &str) -> bool {
        let (place, test) = name.rsplit_once("::").unwrap_or(("", name));
        let first = place.split("::").next().unwrap_or_default().replace('-', "_");
        let package = self.packages.iter().find(|(package, _)| *package == first);
        let directory = match package {
            Some((_, directory)) => directory.as_str(),
            None if place.contains(".rs") => place,
            None => "",
        };
        self.functions.iter().any(|(path, function)| function == test && path.starts_with(directory))
    }
}
