//! The list of operations in the manual's page about the API, which is compared with the table.

use crate::api::operation::{ALL, OperationSpec};

use super::document::requirement;

/// The lines around the list in the page.
const BEGIN: &str = "<!-- operations -->\n";
const END: &str = "<!-- end of operations -->\n";

/// Writes the list, with a table for each noun.
fn list() -> String {
    let mut text = String::new();
    let mut nouns: Vec<&str> = Vec::new();
    for noun in ALL.iter().map(noun) {
        if !nouns.contains(&noun) {
            nouns.push(noun);
        }
    }
    text.push_str("| operation | request | requires | audited | what it does |\n|---|---|---|---|---|\n");
    for spec in nouns.iter().flat_map(|sought| ALL.iter().filter(move |spec| noun(spec) == *sought)) {
        text.push_str(&row(spec));
    }
    text
}

fn noun(spec: &OperationSpec) -> &'static str {
    spec.name.split('.').next().unwrap_or_default()
}

fn row(spec: &OperationSpec) -> String {
    let (name, method, path) = (spec.name, spec.method.as_str(), spec.path);
    let audited = if spec.is_audited { "yes" } else { "" };
    format!("| `{name}` | `{method} {path}` | {} | {audited} | {} |\n", requirement(spec), spec.summary)
}

mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_page_about_the_api_has_every_operation() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/docs/api.md");
        let page = std::fs::read_to_string(&path).expect("the page exists");
        let (before, rest) = page.split_once(BEGIN).expect("the page has the beginning of the list");
        let (found, after) = rest.split_once(END).expect("the page has the end of the list");
        let made = list();
        if std::env::var_os("LINECAMP_GOLDEN").is_some_and(|verb| verb == "write") {
            std::fs::write(&path, format!("{before}{BEGIN}{made}{END}{after}")).expect("the page can be written");
            return;
        }
        assert!(
            found == made,
            "`LINECAMP_GOLDEN=write cargo test -p linecamp-proto openapi` writes the list in api.md"
        );
    }
}
