//! A shell that runs the commands of a page block by block, as a reader pastes them, and checks what they print.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use linecamp_tests::{PATIENCE, program, wait_until};

use crate::markdown_page::{Block, matches};

/// How long all commands of a page may take, in seconds: on an idle machine, the slowest page takes twenty.
const PAGE_SECONDS_MAX: &str = "180";

/// Printed after each block.
const END: &str = "--- end of block ---";

/// A running `bash -e`, with stdout and stderr in one stream.
#[derive(Debug)]
pub(crate) struct Shell {
    process: Child,
    commands: ChildStdin,
    output: BufReader<ChildStdout>,
    transcript: String,
}

impl Shell {
    /// Starts a shell in `directory`, with the programs under test in its path.
    pub(crate) fn start(directory: &Path, variables: &[(&str, &str)]) -> Self {
        let programs = program("linecamp");
        let programs = programs.parent().expect("programs are in a folder").display();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut process = Command::new("timeout")
            .args([PAGE_SECONDS_MAX, "bash", "-e"])
            .current_dir(directory)
            .env("PATH", format!("{programs}:{path}"))
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash can be run");
        let commands = process.stdin.take().expect("it is piped");
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut shell = Self { process, commands, output, transcript: String::new() };
        // What a page starts in the background ends with the shell.
        shell.run("exec 2>&1\ntrap 'kill $(jobs -p) 2> /dev/null' EXIT\n");
        shell
    }

    /// Runs commands and returns what they print.
    ///
    /// # Panics
    /// If one of them fails, or the page takes too long.
    #[track_caller]
    pub(crate) fn run(&mut self, commands: &str) -> String {
        self.transcript.push_str(commands);
        // No command may read the rest of the page as its own input.
        let sent = writeln!(self.commands, "{{\n{commands}\n}} < /dev/null\necho; echo '{END}'");
        let mut printed = String::new();
        let ended = sent.is_ok() && self.read_to_end_of_block(&mut printed);
        self.transcript.push_str(&printed);
        assert!(ended, "the last command failed, or took too long:\n{}", self.transcript);
        printed
    }

    fn read_to_end_of_block(&mut self, printed: &mut String) -> bool {
        loop {
            let begin = printed.len();
            if self.output.read_line(printed).unwrap_or_default() == 0 {
                return false;
            }
            if printed[begin..].trim_end() == END {
                // The line break before the marker is the shell's, for output that does not end its last line.
                printed.truncate(begin - 1);
                return true;
            }
        }
    }

    /// Runs the blocks of commands. A block with language `text` is the output of the last command before it, which is
    /// repeated until it prints that.
    ///
    /// # Panics
    /// Like [`Shell::run`], if the output is another one, and for a block of any other language.
    #[track_caller]
    pub(crate) fn follow(&mut self, blocks: &[Block<'_>]) {
        let mut last = ("", String::new());
        for block in blocks {
            match block.language {
                "sh" => last = (block.text.trim_end().lines().last().unwrap_or_default(), self.run(block.text)),
                "text" => self.expect(last.0, &last.1, block.text),
                other => panic!("a block of {other} cannot be run"),
            }
        }
    }

    #[track_caller]
    fn expect(&mut self, command: &str, printed: &str, pattern: &str) {
        let mut printed = printed.to_owned();
        if matches(pattern, &printed) {
            return;
        }
        let found = wait_until(PATIENCE, || {
            printed = self.run(&format!("{command}\n"));
            matches(pattern, &printed).then_some(())
        });
        assert!(found.is_some(), "`{command}` does not print this:\n{pattern}\nbut this:\n{printed}");
    }

    /// Returns all commands so far and their output.
    pub(crate) fn transcript(&self) -> &str {
        &self.transcript
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // The shell ends with its input, after its trap.
        let _ = writeln!(self.commands, "exit");
        let _ = self.process.wait();
    }
}
