//! One run of a program to its end, and what it said.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::binaries::program;
use crate::place::Place;
use crate::process::clean_environment;
use crate::wait::wait_until;

/// How long one command may take. The CLI's own timeout is shorter, so this is a program that hangs.
const COMMAND_MAX: Duration = Duration::from_secs(60);

/// What a program said until it ended.
#[derive(Clone, Debug)]
pub struct Said {
    /// The command line, for messages.
    pub line: String,
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

impl Said {
    /// Insists that it succeeded.
    ///
    /// # Panics
    /// With all it said, if it did not.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// Insists on an exit code.
    ///
    /// # Panics
    /// With all it said, if it ended otherwise.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "`{}` said:\n{}{}", self.line, self.stdout, self.stderr);
        self
    }

    /// Reads what it printed as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("`{}` printed no JSON ({error}):\n{}", self.line, self.stdout))
    }

    /// Returns the word behind a marker, such as `pin:`.
    ///
    /// # Panics
    /// If it printed no such line.
    #[track_caller]
    pub fn word_after(&self, marker: &str) -> String {
        let word = self.stdout.split_once(marker).and_then(|(_, rest)| rest.split_whitespace().next());
        word.unwrap_or_else(|| panic!("`{}` printed no `{marker}`:\n{}", self.line, self.stdout)).to_owned()
    }
}

impl Place {
    /// Runs one of our programs there, to its end.
    pub(crate) fn run(&self, name: &str, arguments: &[&str], environment: &[(&str, &str)], home: &Path) -> Said {
        let mut command = self.command(program(name));
        command.args(arguments);
        clean_environment(&mut command);
        command.env("HOME", home).env("NO_COLOR", "1").envs(environment.iter().copied());
        run_command(command, format!("{name} {}", arguments.join(" ")), home)
    }
}

/// Runs any command to its end; `line` is what it is called in messages, and its output is below `home` meanwhile.
pub(crate) fn run_command(mut command: Command, line: String, home: &Path) -> Said {
    let output = tempfile::tempdir_in(home).expect("a directory for the output can be made");
    let (out, err) = (output.path().join("out"), output.path().join("err"));
    // Files, since nobody empties a pipe while we wait.
    command.stdin(Stdio::null());
    command.stdout(File::create(&out).expect("a file can be made"));
    command.stderr(File::create(&err).expect("a file can be made"));
    let mut child = command.spawn().unwrap_or_else(|error| panic!("`{line}` does not start: {error}"));
    let ended = wait_until(COMMAND_MAX, || child.try_wait().expect("a child can be asked"));
    if ended.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let read = |path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    let said = Said { line, code: ended.and_then(|status| status.code()), stdout: read(&out), stderr: read(&err) };
    assert!(ended.is_some(), "`{}` did not end:\n{}{}", said.line, said.stdout, said.stderr);
    said
}
