//! Manual pages and shell completions, generated from a program's clap definition.
//!
//! A test of each program calls [`write`], so the programs themselves contain no generator, and every test run detects
//! a definition that yields no page. If the variable [`DIRECTORY`] is set, the pages are written there, for the
//! packages.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::Shell;

/// The variable with the output directory; without it, a temporary directory is used.
pub const DIRECTORY: &str = "LINECAMP_PAGES";

/// The shells that get completions.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// Writes the pages of `command` and of its subcommands to `NAME/man/`, and its completions to `NAME/completions/`.
///
/// # Panics
/// If a page cannot be generated or written. For tests only.
pub fn write(command: &Command) {
    let temporary = tempfile::tempdir().expect("a temporary directory can be created");
    let directory = std::env::var_os(DIRECTORY).map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    try_write(command, &directory).expect("a page can be written");
    check_readme(command);
}

/// Checks that the README's table of commands names all of this program, and no others.
fn check_readme(command: &Command) {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = fs::read_to_string(readme).expect("the README can be read");
    let row = format!("| `{}` | ", command.get_name());
    let cell = readme.lines().find_map(|line| line.strip_prefix(&row)?.split(" | ").nth(1)).expect("it has a row");
    // What is between backticks; of a command with a subcommand, its first word.
    let listed: BTreeSet<_> = cell.split('`').skip(1).step_by(2).filter_map(|text| text.split(' ').next()).collect();
    let names: BTreeSet<_> = command.get_subcommands().map(Command::get_name).filter(|name| *name != "help").collect();
    assert_eq!(listed, names, "README.md lists other commands of {}", command.get_name());
}

fn try_write(command: &Command, directory: &Path) -> io::Result<()> {
    let directory = directory.join(command.get_name());
    let (man, completions) = (directory.join("man"), directory.join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    // Global options are documented in the first page only.
    clap_mangen::generate_to(command.clone().disable_help_subcommand(true), &man)?;
    for shell in SHELLS {
        let name = command.get_name().to_owned();
        clap_complete::generate_to(shell, &mut command.clone(), name, &completions)?;
    }
    Ok(())
}
