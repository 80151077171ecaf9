//! What a run of the tests skipped: parsed, compared with the list of allowed skips, and reported.
//!
//! A test appends a line to the file named by [`SKIPPED`]: its executable, its name, the unmet need, and why, separated
//! by tabs. `tests/may-skip.toml` lists which needs may be unmet, where and why, with a probe: a command that succeeds
//! where the need can be met, in which case the skip is a failure, too.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Context;

use super::specification::{Promise, Tests};
use crate::commands::{program, root, succeeds};

/// The variable with the file to which tests append what they skipped, and why.
pub(super) const SKIPPED: &str = "LINECAMP_SKIPPED";

/// The list of allowed skips, from the root.
const MAY_SKIP: &str = "tests/may-skip.toml";

/// Something that was skipped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Skip {
    /// The unmet need.
    need: String,
    why: String,
    /// The runner's names of the executable and the test; `None` for what xtask itself skipped.
    test: Option<(String, String)>,
}

impl Skip {
    /// Creates a skip of xtask itself.
    pub(super) fn of_xtask(need: &str, why: impl Into<String>) -> Self {
        Self { need: need.to_owned(), why: why.into(), test: None }
    }

    fn of_line(line: &str) -> Self {
        let mut fields = line.splitn(4, '\t').map(str::to_owned);
        let mut next = || fields.next().unwrap_or_default();
        let (binary, name, need, why) = (next(), next(), next(), next());
        Self { need, why, test: (!name.is_empty()).then_some((binary, name)) }
    }
}

/// Parses the tests' notes.
pub(super) fn read(notes: &Path) -> anyhow::Result<BTreeSet<Skip>> {
    let written = fs::read_to_string(notes).context("failed to read what the tests skipped")?;
    Ok(written.lines().filter(|line| !line.is_empty()).map(Skip::of_line).collect())
}

/// Returns one line per need: what was skipped, why, and by how many tests.
pub(super) fn lines(skips: &BTreeSet<Skip>) -> Vec<String> {
    let needs: BTreeSet<&str> = skips.iter().map(|skip| skip.need.as_str()).collect();
    let line = |need: &str| {
        let of_it = || skips.iter().filter(|skip| skip.need == need);
        let tests: BTreeSet<_> = of_it().filter_map(|skip| skip.test.as_ref()).collect();
        let whys: BTreeSet<&str> = of_it().map(|skip| skip.why.as_str()).collect();
        let whys: Vec<&str> = whys.into_iter().collect();
        format!("SKIPPED: {need} ({} tests): {}", tests.len(), whys.join("; "))
    };
    needs.into_iter().map(line).collect()
}

/// Returns a line for each promise whose test skipped something.
pub(super) fn unverified(skips: &BTreeSet<Skip>, promises: &[Promise<'_>], tests: &Tests) -> Vec<String> {
    let mut lines = Vec::new();
    for promise in promises {
        for test in promise.tests.iter().flat_map(|name| tests.named(name)) {
            let is_of_it = |skip: &&Skip| {
                skip.test.as_ref().is_some_and(|(binary, name)| *binary == test.binary && *name == test.name)
            };
            for skip in skips.iter().filter(is_of_it) {
                lines.push(format!("NOT SHOWN: {} ({}: {}: {})", promise.text, test.name, skip.need, skip.why));
            }
        }
    }
    lines
}

/// Returns a line for each skip that is not allowed on this machine.
pub(super) fn forbidden(skips: &BTreeSet<Skip>) -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string(root().join(MAY_SKIP)).with_context(|| format!("failed to read {MAY_SKIP}"))?;
    let listed: toml::Table = text.parse().with_context(|| format!("{MAY_SKIP} is not TOML"))?;
    Ok(disallowed_skips(skips, &listed, |probe| succeeds(program("sh", ["-c", probe]))))
}

fn disallowed_skips(skips: &BTreeSet<Skip>, listed: &toml::Table, succeeds: impl Fn(&str) -> bool) -> Vec<String> {
    let needs: BTreeSet<&str> = skips.iter().map(|skip| skip.need.as_str()).collect();
    let problem = |need: &str| {
        let entry = listed.get(need)?.as_table();
        let probe = entry.and_then(|entry| entry.get("probe")).and_then(toml::Value::as_str).unwrap_or("true");
        succeeds(probe)
            .then(|| format!("{need} must not be skipped here: this machine can run it (`{probe}` succeeds)"))
    };
    let unlisted = |need: &str| format!("{need} must not be skipped: it is not listed in {MAY_SKIP}");
    needs
        .into_iter()
        .filter_map(|need| if listed.contains_key(need) { problem(need) } else { Some(unlisted(need)) })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::specification::promises;
    use super::*;

    fn skips(lines: &[&str]) -> BTreeSet<Skip> {
        lines.iter().map(|line| Skip::of_line(line)).collect()
    }

    #[test]
    fn a_skip_is_allowed_only_where_it_is_listed_and_its_probe_fails() {
        let listed: toml::Table = "[router]\nprobe = \"r\"\n[disk]\nprobe = \"d\"\n[bare]\n".parse().unwrap();
        let skips = skips(&["it\ta\trouter\tno", "it\tb\tdisk\tno", "it\tc\tbare\tno", "it\td\tnew\tno"]);
        let problems = disallowed_skips(&skips, &listed, |probe| probe != "r");
        let expected = [
            "bare must not be skipped here: this machine can run it (`true` succeeds)",
            "disk must not be skipped here: this machine can run it (`d` succeeds)",
            "new must not be skipped: it is not listed in tests/may-skip.toml",
        ];
        assert_eq!(problems, expected);
    }

    #[test]
    fn a_promise_whose_test_left_something_out_is_not_shown() {
        let target = json!({ "name": "it", "kind": ["test"], "src_path": "/c/tests/it/main.rs" });
        let metadata = json!({ "workspace_root": "/c", "packages": [{ "name": "camp-tests", "targets": [target] }] });
        let case = json!({ "ignored": false, "filter-match": { "status": "matches" } });
        let suite = json!({ "package-name": "camp-tests", "binary-name": "it", "kind": "test",
                            "testcases": { "join::a": case, "join::b": case } });
        let tests = Tests::read(&json!({ "rust-suites": { "camp-tests::it": suite } }).to_string(), &metadata).unwrap();
        let text = "| promise | number | test | status |\n|---|---|---|---|\n\
                    | A | | `tests/it/join.rs::a` | held |\n| B | | `tests/it/join.rs::b` | held |\n";
        let skips = skips(&["camp-tests::it\tjoin::b\trouter\tno", "\t\tadvisories\tno"]);
        assert_eq!(unverified(&skips, &promises(text), &tests), ["NOT SHOWN: B (join::b: router: no)"]);
        assert_eq!(lines(&skips), ["SKIPPED: advisories (0 tests): no", "SKIPPED: router (1 tests): no"]);
    }
}
