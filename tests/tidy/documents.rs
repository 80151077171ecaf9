//! Rules for the documents.

use std::collections::BTreeSet;
use std::path::Path;

use linecamp_model::{ConditionKind, RecordState};

use crate::report::Report;
use crate::rust::words;
use crate::tree::{SourceFile, file, files, root, rust_files};

/// The directory of the operators' pages.
const PAGES: &str = "packaging/docs/";
/// The list of terms.
const GLOSSARY: &str = "packaging/docs/glossary.md";
/// The tests that run the commands of pages.
const PAGE_TESTS: [&str; 3] = ["tests/it/readme.rs", "tests/it/operator_docs.rs", "tests/it/https.rs"];

/// Documents that say which file holds what, and the folders in which their paths begin.
const MAPS: [&str; 2] = ["ARCHITECTURE.md", "CONTRIBUTING.md"];
const MAP_ROOTS: [&str; 3] = ["", "daemon/", "daemon/core/src/"];

/// Paths of one person's machine. Split, so that this file does not contain them.
const MACHINE_PATHS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];

#[test]
fn every_document_has_one_title() {
    let mut report = Report::default();
    for file in documents() {
        let mut is_code = false;
        let mut titles = Vec::new();
        for (line, number) in file.text.lines().zip(1..) {
            if line.trim_start().starts_with("```") {
                is_code = !is_code;
            } else if !is_code && line.starts_with("# ") {
                titles.push(number);
            }
        }
        if titles.len() != 1 {
            let at = titles.get(1).copied().unwrap_or(1);
            report.add(&file.path, at, format!("{} titles (`# `)", titles.len()));
        }
    }
    report.finish("one `# ` opens a document; its parts are `## `.");
}

#[test]
fn every_file_that_a_map_names_exists() {
    let mut report = Report::default();
    for file in files().iter().filter(|file| MAPS.contains(&file.path.as_str())) {
        for (line, number) in file.text.lines().zip(1..) {
            // Every second part is between backticks.
            let is_path = |text: &&str| text.contains('/') && !text.contains([' ', '*', ':']) && text.contains(".rs");
            for path in line.split('`').skip(1).step_by(2).filter(is_path) {
                if !MAP_ROOTS.iter().any(|folder| root().join(folder).join(path).exists()) {
                    report.add(&file.path, number, format!("there is no {path}"));
                }
            }
        }
    }
    report.finish("name the file as it is called now.");
}

#[test]
fn no_document_names_a_place_on_one_machine() {
    let mut report = Report::default();
    let shipped = |file: &&SourceFile| {
        let is_script = file.path.starts_with(".ci/") || file.path.starts_with("packaging/");
        file.path.ends_with(".md") || file.is_rust() || is_script || file.path.ends_with(".toml")
    };
    for file in files().iter().filter(shipped) {
        for (line, number) in file.text.lines().zip(1..) {
            if let Some(path) = MACHINE_PATHS.iter().find(|path| line.contains(*path)) {
                report.add(&file.path, number, format!("names {path}"));
            }
        }
    }
    report.finish("say it from the root of the clone, or from $HOME.");
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let mut report = Report::default();
    for document in documents() {
        let folder = Path::new(&document.path).parent().expect("a file is in a folder");
        for (line, number) in document.text.lines().zip(1..) {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            for target in targets.filter(|target| !target.contains("://")) {
                let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
                let path = if path.is_empty() { root().join(&document.path) } else { root().join(folder).join(path) };
                let has_anchor = || std::fs::read_to_string(&path).is_ok_and(|text| anchors(&text).contains(anchor));
                if !path.exists() || !(anchor.is_empty() || has_anchor()) {
                    report.add(&document.path, number, format!("leads nowhere: {target}"));
                }
            }
        }
    }
    report.finish("correct the link; an anchor is a heading in lower case, with hyphens for spaces.");
}

/// Returns the anchors of a document's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches(['#', ' ']));
    let letters = |heading: &str| heading.to_lowercase().replace(' ', "-");
    headings.map(|heading| letters(heading).replace(|c: char| !c.is_alphanumeric() && c != '-', "")).collect()
}

#[test]
fn every_page_with_commands_has_a_test_that_runs_them() {
    let mut report = Report::default();
    let tests: String = PAGE_TESTS.iter().filter_map(|path| Some(file(path)?.text.as_str())).collect();
    let is_page = |document: &&SourceFile| document.path.starts_with(PAGES) || document.path == "README.md";
    for page in documents().filter(is_page).filter(|page| page.text.contains("```sh\n")) {
        if !tests.contains(&format!("\"{}\"", page.path)) {
            report.add(&page.path, 1, "no test runs its commands");
        }
    }
    report.finish("add it to tests/it/operator_docs.rs.");
}

#[test]
fn every_condition_and_record_state_is_documented() {
    let mut report = Report::default();
    let mut check = |page: &'static str, code: &str| {
        let page = file(page).expect("the page exists");
        if !page.text.contains(&format!("`{code}`")) {
            report.add(&page.path, 1, format!("`{code}` is missing"));
        }
    };
    ConditionKind::ALL.iter().for_each(|kind| check("packaging/docs/troubleshooting.md", kind.as_str()));
    RecordState::ALL.iter().for_each(|state| check("packaging/docs/dns.md", state.as_str()));
    report.finish("add it to the table of the page: what it means, and when it ends.");
}

#[test]
fn the_glossary_names_types_of_the_code() {
    let mut report = Report::default();
    let glossary = file(GLOSSARY).expect("there is a glossary");
    let used: BTreeSet<&str> = rust_files().flat_map(|file| words(file.code()).map(|(_, word)| word)).collect();
    let mut terms = BTreeSet::new();
    for (line, number) in glossary.text.lines().zip(1..) {
        let [_, term, _, types, _] = line.split('|').collect::<Vec<_>>()[..] else { continue };
        for name in types.split('`').skip(1).step_by(2).filter(|name| !used.contains(name)) {
            report.add(&glossary.path, number, format!("`{name}` is not in the code"));
        }
        let is_header = term.trim().trim_matches('-').is_empty() || term.trim() == "term";
        if !is_header && !terms.insert(term.trim()) {
            report.add(&glossary.path, number, format!("{} is there twice", term.trim()));
        }
    }
    report.finish("use the type's name as it is now; one term has one line.");
}

fn documents() -> impl Iterator<Item = &'static SourceFile> {
    files().iter().filter(|file| file.path.ends_with(".md"))
}
