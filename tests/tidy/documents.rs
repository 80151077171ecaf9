//! Rules for the documents.

use crate::report::Report;
use crate::tree::{SourceFile, files};

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

fn documents() -> impl Iterator<Item = &'static SourceFile> {
    files().iter().filter(|file| file.path.ends_with(".md"))
}
