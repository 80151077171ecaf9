//! Runs a program to completion and captures its output.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::binaries::program;
use crate::namespace::NetworkNamespace;
use crate::process::clean_environment;
use crate::wait::wait_until;

/// Time limit of one command. The CLI's own timeout is shorter, so exceeding this means that a program hangs.
const COMMAND_MAX: Duration = Duration::from_secs(60);

/// The output of a completed program.
#[derive(Clone, Debug)]
pub struct CommandOutput {
    /// The command line, for messages.
    pub line: String,
    /// The exit code; `None` if a signal killed it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl CommandOutput {
    /// Asserts that it succeeded.
    ///
    /// # Panics
    /// With its output if it failed.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// Asserts its exit code.
    ///
    /// # Panics
    /// With its output if it exited otherwise.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "`{}` exited with another code:\n{}{}", self.line, self.stdout, self.stderr);
        self
    }

    /// Parses its standard output as JSON.
    ///
    /// # Panics
    /// If it is not valid JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("`{}` printed no JSON ({error}):\n{}", self.line, self.stdout))
    }

    /// Returns the word after a marker such as `pin:`.
    ///
    /// # Panics
    /// If the output has no such marker.
    #[track_caller]
    pub fn word_after(&self, marker: &str) -> String {
        let word = self.stdout.split_once(marker).and_then(|(_, rest)| rest.split_whitespace().next());
        word.unwrap_or_else(|| panic!("`{}` printed no `{marker}`:\n{}", self.line, self.stdout)).to_owned()
    }
}

impl NetworkNamespace {
    /// Runs one of our programs there to completion.
    pub(crate) fn run(
        &self,
        name: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
        home: &Path,
    ) -> CommandOutput {
        let mut command = self.command(program(name));
        command.args(arguments);
        clean_environment(&mut command);
        command.env("HOME", home).env("NO_COLOR", "1").envs(environment.iter().copied());
        run_command(command, format!("{name} {}", arguments.join(" ")), home)
    }
}

/// Runs any command to completion; `line` names it in messages, and its output is stored below `home` while it runs.
pub(crate) fn run_command(mut command: Command, line: String, home: &Path) -> CommandOutput {
    let output = tempfile::tempdir_in(home).expect("a directory for the output can be made");
    let (out, err) = (output.path().join("out"), output.path().join("err"));
    // Files, since nothing drains a pipe while we wait.
    command.stdin(Stdio::null());
    command.stdout(File::create(&out).expect("a file can be made"));
    command.stderr(File::create(&err).expect("a file can be made"));
    let mut child = command.spawn().unwrap_or_else(|error| panic!("failed to start `{line}`: {error}"));
    let exit_status = wait_until(COMMAND_MAX, || child.try_wait().expect("the child has not been waited for"));
    if exit_status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let read = |path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    let said = CommandOutput {
        line,
        code: exit_status.and_then(|status| status.code()),
        stdout: read(&out),
        stderr: read(&err),
    };
    assert!(exit_status.is_some(), "`{}` did not exit in time:\n{}{}", said.line, said.stdout, said.stderr);
    said
}
