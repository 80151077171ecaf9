//! Every allowed skip of a strict run is listed with its reason.

use crate::report::Report;
use crate::tree::{file, rust_files};

const MAY_SKIP: &str = "tests/may-skip.toml";

/// The fields of an entry.
const FIELDS: [&str; 3] = ["where", "why", "probe"];

#[test]
fn what_may_be_skipped_says_where_and_why_and_is_something_that_is_skipped() {
    let listed = file(MAY_SKIP).expect("the list of what may be skipped is there");
    let entries: toml::Table = listed.text.parse().expect("the list is TOML");
    let mut report = Report::default();
    for (need, entry) in &entries {
        let line = listed.text.lines().position(|line| line == format!("[{need}]")).map_or(1, |before| before + 1);
        let entry = entry.as_table().cloned().unwrap_or_default();
        for field in FIELDS {
            if entry.get(field).and_then(toml::Value::as_str).is_none_or(|text| text.len() <= 10) {
                report.add(MAY_SKIP, line, format!("[{need}] does not say `{field}`"));
            }
        }
        if let Some(other) = entry.keys().find(|key| !FIELDS.contains(&key.as_str())) {
            report.add(MAY_SKIP, line, format!("[{need}]: unknown field `{other}`"));
        }
        let said = [format!("skip(\"{need}\""), format!("Skip::of_xtask(\"{need}\"")];
        if !rust_files().any(|file| said.iter().any(|said| file.text.contains(said))) {
            report.add(MAY_SKIP, line, format!("nothing skips {need}"));
        }
    }
    report.finish("write `where`, `why` and `probe`; take out what is not skipped any more.");
}
