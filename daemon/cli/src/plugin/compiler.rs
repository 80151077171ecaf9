//! The program that compiles components.

use std::path::{Path, PathBuf};

use crate::argument::ArgumentError;
use crate::input_file::invalid;

/// Its name.
const COMPILER: &str = "linecamp-plugin-compiler";

/// Where it is installed, relative to the directory of this program: beside it, or where the package of the daemon puts
/// it.
const DIRECTORIES: [&str; 2] = [".", "../libexec/linecamp"];

/// Returns the given compiler, or the installed one.
pub(super) fn find(given: Option<PathBuf>) -> Result<PathBuf, ArgumentError> {
    let program = std::env::current_exe().unwrap_or_default();
    let path = given.unwrap_or_else(|| installed(&program));
    match path.is_file() {
        true => Ok(path),
        false => Err(invalid(
            &path,
            format!("not found: {COMPILER} is installed with linecampd; give its path with --compiler FILE"),
        )),
    }
}

fn installed(program: &Path) -> PathBuf {
    let mut paths = DIRECTORIES.iter().map(|place| program.with_file_name(place).join(COMPILER));
    paths.find(|path| path.is_file()).unwrap_or_else(|| program.with_file_name(COMPILER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_compiler_is_reported() {
        let error = find(Some("/nowhere/linecamp-plugin-compiler".into())).expect_err("there is none").to_string();
        assert!(error.contains("/nowhere/") && error.contains("--compiler FILE"), "{error}");
    }

    #[test]
    fn the_compiler_is_found_beside_the_program_or_where_packages_put_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let (program, package) = (dir.path().join("bin/linecamp"), dir.path().join("libexec/linecamp"));
        std::fs::create_dir_all(program.parent().expect("a parent")).expect("created");
        assert_eq!(installed(&program), dir.path().join("bin").join(COMPILER));
        std::fs::create_dir_all(&package).expect("created");
        std::fs::write(package.join(COMPILER), "").expect("written");
        assert!(installed(&program).ends_with("../libexec/linecamp/linecamp-plugin-compiler"));
        std::fs::write(program.with_file_name(COMPILER), "").expect("written");
        assert!(installed(&program).ends_with("bin/./linecamp-plugin-compiler"));
    }
}
