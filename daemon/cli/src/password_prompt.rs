//! Passwords: from the terminal without echo, or from a file. Never from the command line, which other users see.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;

use anyhow::Context as _;
use linecamp_model::excerpt;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::argument::ArgumentError;
use crate::input_file;

/// The terminal of the process.
const TERMINAL: &str = "/dev/tty";

/// The largest password file, in bytes. A larger file is not a password.
const FILE_BYTES_MAX: u64 = 4096;

/// Switches the echo on again when it is dropped.
struct EchoOff<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> EchoOff<'a> {
    fn begin(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for EchoOff<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// Asks for a password on the terminal, without echo.
pub(crate) fn ask(question: &str) -> anyhow::Result<String> {
    answer(question, true)
}

/// Asks for a new password on the terminal, twice.
pub(crate) fn ask_new(question: &str) -> anyhow::Result<String> {
    loop {
        let password = ask(&format!("{question}: "))?;
        if password == ask("The same again: ")? {
            return Ok(password);
        }
        print("The two differ. Try again.\n")?;
    }
}

/// Asks for a text on the terminal; an empty answer is `default`.
pub(crate) fn ask_text(question: &str, default: &str) -> anyhow::Result<String> {
    let text = answer(&format!("{question} [{}]: ", excerpt(default, 256)), false)?;
    Ok(if text.trim().is_empty() { default.to_owned() } else { text.trim().to_owned() })
}

/// Whether there is a terminal to ask on.
pub(crate) fn is_available() -> bool {
    terminal().is_ok()
}

/// Reads a password from a file, or from stdin for `-`: its first line.
pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    let text = match path == Path::new("-") {
        true => {
            let mut text = String::new();
            let read = io::stdin().lock().take(FILE_BYTES_MAX).read_to_string(&mut text);
            read.context("cannot read the password from stdin")?;
            text
        }
        false => input_file::read_text(path, FILE_BYTES_MAX)?,
    };
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(ArgumentError::File { path: path.into(), problem: "no password in the first line".into() }.into()),
    }
}

fn answer(question: &str, is_secret: bool) -> anyhow::Result<String> {
    let terminal = terminal().context("there is no terminal to ask for a password; give --password-file FILE")?;
    print(question)?;
    let _echo = match is_secret {
        true => Some(EchoOff::begin(&terminal).context("cannot switch off the echo of the terminal")?),
        false => None,
    };
    let mut line = String::new();
    let count =
        BufReader::new(&terminal).take(FILE_BYTES_MAX).read_line(&mut line).context("cannot read the terminal")?;
    anyhow::ensure!(count != 0, "the terminal was closed");
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn print(text: &str) -> anyhow::Result<()> {
    terminal().and_then(|mut terminal| terminal.write_all(text.as_bytes())).context("cannot write to the terminal")
}

fn terminal() -> io::Result<File> {
    File::options().read(true).write(true).open(TERMINAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_a_file_is_the_password() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("password");
        std::fs::write(&path, "correct horse \r\nbattery\n").expect("writes");
        assert_eq!(read(&path).expect("reads"), "correct horse ");
        std::fs::write(&path, "\n").expect("writes");
        assert!(read(&path).expect_err("empty").to_string().contains("no password in the first line"));
    }
}
