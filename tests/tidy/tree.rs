//! The source tree: every file of the project, read once.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::rust;

/// Directories without project files, or with generated ones.
const SKIPPED: [&str; 4] = ["target", ".git", "node_modules", "generated"];

/// A file of the project.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// Its path from the root, with `/`.
    pub(crate) path: String,
    /// Its size.
    pub(crate) bytes: usize,
    /// Its text; empty if it is not UTF-8.
    pub(crate) text: String,
    is_test: bool,
    code: OnceLock<String>,
    code_outside_tests: OnceLock<String>,
}

impl SourceFile {
    /// Creates a file that is not on disk, for tests of the rules.
    pub(crate) fn of(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            bytes: text.len(),
            text: text.to_owned(),
            is_test: false,
            code: OnceLock::new(),
            code_outside_tests: OnceLock::new(),
        }
    }

    /// Whether it is Rust source.
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether all of it is test code: below `tests/`, or a module compiled only for tests.
    pub(crate) fn is_test(&self) -> bool {
        self.is_test
    }

    /// Returns its [`rust::code`].
    pub(crate) fn code(&self) -> &str {
        self.code.get_or_init(|| rust::code(&self.text))
    }

    /// Returns its [`rust::code_outside_tests`].
    pub(crate) fn code_outside_tests(&self) -> &str {
        self.code_outside_tests.get_or_init(|| rust::code_outside_tests(self.code()))
    }
}

/// Returns the root of the workspace.
pub(crate) fn root() -> PathBuf {
    // Read at run time, because several clones may share a build directory.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo names the package's directory");
    Path::new(&manifest).parent().expect("tests stands below the root").to_owned()
}

/// Returns all files of the project, sorted by path.
pub(crate) fn files() -> &'static [SourceFile] {
    static FILES: OnceLock<Vec<SourceFile>> = OnceLock::new();
    FILES.get_or_init(|| {
        let root = root();
        let mut files = Vec::new();
        collect(&root, &root, &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        mark_tests(&mut files);
        assert!(files.len() > 50, "{} does not look like the workspace", root.display());
        files
    })
}

/// Returns all Rust files.
pub(crate) fn rust_files() -> impl Iterator<Item = &'static SourceFile> {
    files().iter().filter(|file| file.is_rust())
}

/// Returns the file at `path`, if it exists.
pub(crate) fn file(path: &str) -> Option<&'static SourceFile> {
    files().iter().find(|file| file.path == path)
}

fn collect(root: &Path, directory: &Path, files: &mut Vec<SourceFile>) {
    for entry in fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display())) {
        let entry = entry.expect("the directory can be listed");
        let (path, name) = (entry.path(), entry.file_name());
        let kind = entry.file_type().expect("the kind of an entry is known");
        if kind.is_dir() {
            if !SKIPPED.iter().any(|skipped| name == *skipped) {
                collect(root, &path, files);
            }
        } else if kind.is_file() && path.extension().is_none_or(|extension| extension != "new") {
            let Ok(bytes) = fs::read(&path) else { continue };
            let relative = path.strip_prefix(root).expect("it was found below the root");
            let path = relative.to_string_lossy().replace('\\', "/");
            let size = bytes.len();
            let text = String::from_utf8(bytes).unwrap_or_default();
            files.push(SourceFile { bytes: size, ..SourceFile::of(&path, &text) });
        }
    }
}

/// A module declared under `#[cfg(test)]` is test code, with everything below it.
fn mark_tests(files: &mut [SourceFile]) {
    let mut places = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let directory = match file.path.rsplit_once('/') {
            Some((directory, "lib.rs" | "main.rs" | "mod.rs")) => directory,
            _ => file.path.trim_end_matches(".rs"),
        };
        for (_, rest) in
            file.text.match_indices("#[cfg(test)]").map(|(at, marker)| file.text.split_at(at + marker.len()))
        {
            let declared = rest.split_once(';').and_then(|(item, _)| item.trim().rsplit_once("mod "));
            if let Some((_, name)) = declared.filter(|(_, name)| name.chars().all(|c| c == '_' || c.is_alphanumeric()))
            {
                places.push(format!("{directory}/{name}.rs"));
                places.push(format!("{directory}/{name}/"));
            }
        }
    }
    for file in files {
        // The bench is a program that measures; everything else below `tests` is test code.
        let is_below_tests = file.path.contains("/tests/") || file.path.starts_with("tests/");
        let is_below_tests = is_below_tests && !file.path.starts_with("tests/bench/");
        file.is_test = is_below_tests || places.iter().any(|place| file.path.starts_with(place.as_str()));
    }
}
