//! The OpenAPI document: what the operations are, as a file that other programs read.
//!
//! The document is made from the table of [operations](super::operation) by a test of this crate, which compares it
//! with `openapi.json`, and with `LINECAMP_GOLDEN=write cargo test -p linecamp-proto openapi` writes it. So the
//! programs carry the document, and nothing that makes it:
//!
//! 1. `schemas`: the shapes, as requests and as responses;
//! 2. `bounds`: what a text or a number may be, beside its type;
//! 3. `answers`: which statuses an operation may answer with;
//! 4. `document`: the operations around them.
//!
//! `compatibility` compares the document with what was documented before, and `chapter` writes the list of operations
//! for the manual.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod bounds;
#[cfg(test)]
mod chapter;
#[cfg(test)]
mod compatibility;
#[cfg(test)]
mod document;
#[cfg(test)]
mod patterns;
#[cfg(test)]
mod schemas;

#[cfg(test)]
pub(super) use schemas::{Generators, OperationShapes};

/// The OpenAPI document of the server's API.
pub const DOCUMENT: &str = include_str!("../../openapi.json");

/// Its media type.
pub const DOCUMENT_MEDIA: &str = "application/json";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::document::{document, written};
    use super::*;

    /// Compares a file of this crate, or writes it.
    pub(super) fn compare(file: &str, made: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        if std::env::var_os("LINECAMP_GOLDEN").is_some_and(|verb| verb == "write") {
            std::fs::write(&path, made).unwrap_or_else(|error| panic!("{file}: {error}"));
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        let help = "`LINECAMP_GOLDEN=write cargo test -p linecamp-proto openapi` writes it";
        let differs = found.lines().zip(made.lines()).zip(1..).find(|((found, made), _)| found != made);
        assert!(found == made, "{file} is not what the table of operations says: {differs:?}\n{help}");
    }

    #[test]
    fn the_document_is_what_the_table_of_operations_says() {
        compare("openapi.json", &written(&document()));
    }

    #[test]
    fn the_document_that_programs_carry_has_every_operation() {
        let document: Value = serde_json::from_str(DOCUMENT).expect("it is JSON");
        let paths = document["paths"].as_object().expect("it has paths");
        let operations = paths.values().flat_map(|path| path.as_object().expect("methods").values());
        let mut names: Vec<_> = operations.map(|operation| operation["operationId"].as_str().expect("named")).collect();
        let mut all: Vec<_> = crate::api::operation::ALL.iter().map(|spec| spec.name).collect();
        names.sort_unstable();
        all.sort_unstable();
        assert_eq!(names, all);
    }
}
