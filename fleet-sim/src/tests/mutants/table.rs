//! The table of known bugs, `mutants.toml`, and the edits that plant them in the text of a source file.

use std::path::Path;

use serde::Deserialize;

/// The condition in an edit that stands for "this bug is planted".
const CONDITION: &str = "PLANTED";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    mutant: Vec<Mutant>,
}

/// A known bug.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mutant {
    /// Its name.
    pub(super) name: String,
    /// What it does, in a sentence.
    pub(super) about: String,
    /// A recipe that exposes it.
    pub(super) scenario: String,
    /// The checkers that may detect it first.
    pub(super) detected_by: Vec<String>,
    /// What plants it.
    edit: Vec<Edit>,
}

/// A replacement in a source file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    /// A path below `daemon/core/src`.
    file: String,
    /// Text that occurs in the file exactly once.
    find: String,
    /// Its replacement.
    replace: String,
}

/// Returns all known bugs.
///
/// # Panics
/// If the table is invalid.
pub(super) fn mutants() -> Vec<Mutant> {
    let table: Table = toml::from_str(include_str!("../../../mutants.toml")).expect("mutants.toml is valid");
    for mutant in &table.mutant {
        let name = &mutant.name;
        assert!(mutant.edit.iter().any(|edit| edit.replace.contains(CONDITION)), "{name} is not behind {CONDITION}");
    }
    table.mutant
}

/// Returns the text of `file`, a path below `daemon/core/src`, with all bugs of this file behind their conditions.
///
/// # Errors
/// A sentence that names the file and the bug, if an edit does not fit.
pub(super) fn mutate(file: &Path, text: &str, mutants: &[Mutant]) -> Result<String, String> {
    let mut mutated = text.to_owned();
    for mutant in mutants {
        for edit in mutant.edit.iter().filter(|edit| Path::new(&edit.file) == file) {
            let count = mutated.matches(&edit.find).count();
            if count != 1 {
                let (name, file, find) = (&mutant.name, file.display(), &edit.find);
                return Err(format!("mutant {name}: daemon/core/src/{file} contains {count} times, not once: {find}"));
            }
            let condition = format!("crate::is_planted({:?})", mutant.name);
            mutated = mutated.replacen(&edit.find, &edit.replace.replace(CONDITION, &condition), 1);
        }
    }
    Ok(mutated)
}

/// Returns the files that the bugs are planted in.
pub(super) fn files(mutants: &[Mutant]) -> impl Iterator<Item = &Path> {
    mutants.iter().flat_map(|mutant| &mutant.edit).map(|edit| Path::new(&edit.file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant(find: &str, replace: &str) -> Mutant {
        let edit = Edit { file: "a.rs".to_owned(), find: find.to_owned(), replace: replace.to_owned() };
        let (name, empty) = ("a-bug".to_owned(), String::new);
        Mutant { name, about: empty(), scenario: empty(), detected_by: Vec::new(), edit: vec![edit] }
    }

    #[test]
    fn an_edit_is_made_behind_its_condition() {
        let mutated = mutate(Path::new("a.rs"), "if a {}", &[mutant("if a", "if a && !PLANTED")]);
        assert_eq!(mutated.as_deref(), Ok("if a && !crate::is_planted(\"a-bug\") {}"));
    }

    #[test]
    fn an_edit_that_does_not_fit_exactly_once_names_the_file_and_the_mutant() {
        for (text, count) in [("if b {}", 0), ("if a {} if a {}", 2)] {
            let error = mutate(Path::new("a.rs"), text, &[mutant("if a", "if PLANTED")]).unwrap_err();
            assert_eq!(error, format!("mutant a-bug: daemon/core/src/a.rs contains {count} times, not once: if a"));
        }
    }
}
