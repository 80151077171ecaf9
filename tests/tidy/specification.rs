//! SPECIFICATION.md as data: its promises, and the tests of the workspace by the names it uses.
//!
//! A promise is a row of a table `| promise | number | test | status |`. A test is named in backticks, as
//! `crate::path::test_name` (library and programs) or `path/to/file.rs::test_name` (every target). What counts is the
//! test runner's list (`cargo nextest list --message-format json`), not the source text: a test that is compiled out,
//! ignored or filtered out is not in it. The project's `xtask` includes this file, too.

use std::collections::BTreeMap;

use serde_json::Value;

/// The document that lists the promises, from the root.
pub(crate) const SPECIFICATION: &str = "SPECIFICATION.md";

/// The cargo arguments that list all tests.
pub(crate) const LIST: [&str; 5] = ["nextest", "list", "--message-format", "json", "--workspace"];

/// A row of a table of promises.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Promise<'a> {
    /// The row's line, counted from 1.
    pub(crate) line: usize,
    /// The promise; the whole row if it does not have four cells.
    pub(crate) text: &'a str,
    /// The names of its tests.
    pub(crate) tests: Vec<&'a str>,
    /// Whether the row is marked as not verified yet.
    pub(crate) is_pending: bool,
    /// The number of cells; four in a valid row.
    pub(crate) cells: usize,
}

/// Returns the rows of all tables of promises.
pub(crate) fn promises(specification: &str) -> Vec<Promise<'_>> {
    let mut found = Vec::new();
    let mut is_table = false;
    for (row, line) in specification.lines().zip(1..) {
        let cells: Vec<&str> = row.trim().trim_matches('|').split('|').map(str::trim).collect();
        if !row.trim_start().starts_with('|') {
            is_table = false;
        } else if cells[0].eq_ignore_ascii_case("promise") {
            is_table = true;
        } else if is_table && !cells[0].trim_matches(['-', ':']).is_empty() {
            let (named, status) = if let [_, _, named, status] = cells[..] { (named, status) } else { ("", "") };
            let tests = named.split('`').skip(1).step_by(2).collect();
            found.push(Promise {
                line,
                text: cells[0],
                tests,
                is_pending: status.contains("pending"),
                cells: cells.len(),
            });
        }
    }
    found
}

/// A test in the runner's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Test {
    /// The runner's name of its executable, such as `linecamp-tests::it`.
    pub(crate) binary: String,
    /// Its name in the executable, such as `join::a_site_joins_with_a_token_and_connects`.
    pub(crate) name: String,
    /// Whether a run without a filter includes it: not ignored, not filtered out.
    pub(crate) runs: bool,
}

/// The source of an executable.
#[derive(Debug)]
struct Source {
    /// The crate name; only for libraries and programs.
    crate_name: Option<String>,
    /// The root file, from the workspace's root.
    file: String,
}

/// The runner's list, with the source location of each test.
#[derive(Debug)]
pub(crate) struct Tests {
    tests: Vec<Test>,
    /// By the runner's name of the executable.
    sources: BTreeMap<String, Source>,
}

impl Tests {
    /// Parses cargo's output for [`LIST`], and for `cargo metadata --no-deps`.
    ///
    /// # Errors
    /// What is unexpected in either.
    pub(crate) fn read(list: &str, metadata: &Value) -> Result<Self, String> {
        let list: Value =
            serde_json::from_str(list).map_err(|error| format!("the list of tests is not JSON: {error}"))?;
        let (mut tests, mut sources) = (Vec::new(), BTreeMap::new());
        for (binary, suite) in list["rust-suites"].as_object().into_iter().flatten() {
            let source = source(suite, metadata).ok_or_else(|| format!("cargo knows no target {binary}"))?;
            sources.insert(binary.clone(), source);
            for (name, test) in suite["testcases"].as_object().into_iter().flatten() {
                let runs = test["ignored"] == false && test["filter-match"]["status"] == "matches";
                tests.push(Test { binary: binary.clone(), name: name.clone(), runs });
            }
        }
        if tests.is_empty() {
            return Err("the list of tests is empty".to_owned());
        }
        Ok(Self { tests, sources })
    }

    /// Returns the tests with this name in SPECIFICATION.md: one, or none.
    pub(crate) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Test> {
        let is_file = name.contains(".rs::");
        let (place, path) = name.split_once(if is_file { ".rs::" } else { "::" }).unwrap_or(("", name));
        self.tests.iter().filter(move |test| {
            let Some(source) = self.sources.get(&test.binary) else { return false };
            if is_file {
                module(&source.file, place).is_some_and(|module| test.name == format!("{module}{path}"))
            } else {
                source.crate_name.as_deref() == Some(place) && test.name == path
            }
        })
    }
}

/// Finds an executable's source among cargo's targets.
fn source(suite: &Value, metadata: &Value) -> Option<Source> {
    let name = |value: &Value| value.as_str().map(|text| text.replace('-', "_"));
    let package = name(&suite["package-name"])?;
    let packages = metadata["packages"].as_array()?;
    let targets =
        packages.iter().find(|other| name(&other["name"]).as_ref() == Some(&package))?["targets"].as_array()?;
    let is_it = |target: &&Value| {
        let kinds = target["kind"].as_array();
        kinds.is_some_and(|kinds| kinds.iter().any(|kind| is_kind(kind, &suite["kind"])))
            && name(&target["name"]) == name(&suite["binary-name"])
    };
    let file = targets.iter().find(is_it)?["src_path"].as_str()?;
    let root = metadata["workspace_root"].as_str()?;
    let file = file.strip_prefix(root).unwrap_or(file).trim_start_matches('/').to_owned();
    let is_crate = suite["kind"] != "test" && suite["kind"] != "bench" && suite["kind"] != "example";
    Some(Source { crate_name: is_crate.then_some(package), file })
}

/// The runner calls every kind of library `lib`, except proc macros.
fn is_kind(target: &Value, suite: &Value) -> bool {
    target == suite || (suite == "lib" && target.as_str().is_some_and(|kind| kind.ends_with("lib")))
}

/// Returns the module path of a file, below the target with this root file: empty, or ending in `::`. The file is
/// without `.rs`.
fn module(root: &str, file: &str) -> Option<String> {
    let root = root.strip_suffix(".rs")?;
    if root == file {
        return Some(String::new());
    }
    let (directory, _) = root.rsplit_once('/')?;
    let below = file.strip_prefix(directory)?.strip_prefix('/')?;
    Some(format!("{}::", below.strip_suffix("/mod").unwrap_or(below).replace('/', "::")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn suite(package: &str, name: &str, kind: &str, cases: Value) -> Value {
        json!({ "package-name": package, "binary-name": name, "kind": kind, "testcases": cases })
    }

    fn tests() -> Tests {
        let case = |ignored: bool, status: &str| json!({ "ignored": ignored, "filter-match": { "status": status } });
        let runs = || case(false, "matches");
        let list = json!({ "rust-suites": {
            "camp-core": suite("camp-core", "camp_core", "lib", json!({ "a::tests::runs": runs(), "b::runs": runs() })),
            "camp-tests::it": suite("camp-tests", "it", "test", json!({ "join::is_off": case(true, "mismatch") })),
            "camp-tests::other": suite("camp-tests", "other", "test", json!({ "is_at_the_top": runs() })),
        } });
        let target = |name: &str, kind: &str, path: &str| json!({ "name": name, "kind": [kind], "src_path": path });
        let metadata = json!({ "workspace_root": "/clone", "packages": [
            { "name": "camp-core", "targets": [target("camp_core", "lib", "/clone/core/src/lib.rs")] },
            { "name": "camp-tests", "targets": [
                target("it", "test", "/clone/tests/it/main.rs"),
                target("other", "test", "/clone/tests/it/other/main.rs"),
            ] },
        ] });
        Tests::read(&list.to_string(), &metadata).unwrap()
    }

    #[test]
    fn a_name_stands_for_the_test_at_exactly_that_place() {
        let tests = tests();
        let check = |name: &str, expected: &[(&str, bool)]| {
            let found: Vec<_> = tests.named(name).map(|test| (test.binary.as_str(), test.runs)).collect();
            assert_eq!(found, expected, "{name}");
        };
        check("camp_core::a::tests::runs", &[("camp-core", true)]);
        check("core/src/a.rs::tests::runs", &[("camp-core", true)]);
        check("camp_core::b::tests::runs", &[]);
        check("camp_core::runs", &[]);
        check("camp_core::b::runs", &[("camp-core", true)]);
        check("runs", &[]);
        check("tests/it/join.rs::is_off", &[("camp-tests::it", false)]);
        check("camp_tests::join::is_off", &[]);
        check("tests/it/leave.rs::is_off", &[]);
        check("tests/it/other/main.rs::is_at_the_top", &[("camp-tests::other", true)]);
    }

    #[test]
    fn a_list_without_a_test_is_none() {
        let read = Tests::read("{\"rust-suites\":{}}", &json!({}));
        assert_eq!(read.unwrap_err(), "the list of tests is empty");
    }

    #[test]
    fn a_row_is_a_promise_only_in_a_table_of_promises() {
        let text = "| what | measured |\n|---|---|\n| x | 1 |\n\n\
                    | promise | number | test | status |\n|---|---|---|---|\n\
                    | It holds | 3 | `a::b`, `c.rs::d` | held |\n| Not yet | | | pending |\n| short | held |\n";
        let found: Vec<_> = promises(text).into_iter().map(|row| (row.line, row.tests, row.is_pending)).collect();
        assert_eq!(found, [(7, vec!["a::b", "c.rs::d"], false), (8, vec![], true), (9, vec![], false)]);
    }
}
