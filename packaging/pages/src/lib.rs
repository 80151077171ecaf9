//! Manual pages and shell completions, made of a program's own clap definition.
//!
//! A test of each program calls [`write`], so the programs themselves carry nothing of it, and a definition of which no
//! page can be made is found by every test run. Where [`DIRECTORY`] is set, that is where the pages are put: so the
//! packages get theirs.

#![forbid(unsafe_code)]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::Shell;

/// The variable that names the directory to write to, instead of one that is thrown away.
pub const DIRECTORY: &str = "LINECAMP_PAGES";

/// The shells that get completions.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// Writes the pages of `command` and of all below it to `NAME/man/`, and its completions to `NAME/completions/`.
///
/// # Panics
/// If a page cannot be made or written: it is for tests.
pub fn write(command: &Command) {
    let thrown_away = tempfile::tempdir().expect("a temporary directory can be made");
    let directory = std::env::var_os(DIRECTORY).map_or_else(|| thrown_away.path().to_owned(), PathBuf::from);
    try_write(command, &directory).expect("a page can be written");
}

fn try_write(command: &Command, directory: &Path) -> io::Result<()> {
    let directory = directory.join(command.get_name());
    let (man, completions) = (directory.join("man"), directory.join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    // Options that go before and after a word stand in the first page only.
    clap_mangen::generate_to(command.clone().disable_help_subcommand(true), &man)?;
    for shell in SHELLS {
        let name = command.get_name().to_owned();
        clap_complete::generate_to(shell, &mut command.clone(), name, &completions)?;
    }
    Ok(())
}
