//! No test and no pure crate waits for time to pass.
//!
//! A test advances its own clock, and waits for a process by condition. The rule detects every kind of wait seen so
//! far: a sleep by its name, an interval, a wait for something that cannot happen, a timeout meant to expire, a loop
//! until the clock has advanced, and a sleep in a shell command or a script.

use crate::purity::is_pure;
use crate::report::Report;
use crate::rust::{Function, functions, words};
use crate::tree::{SourceFile, files, rust_files};

/// Functions that wait, by name.
const SLEEPS: [&str; 8] =
    ["sleep", "sleep_until", "sleep_ms", "park_timeout", "wait_timeout", "interval", "interval_at", "timeout_at"];

/// Functions that may wait, and why: none is a test.
const ALLOWED: [(&str, &str, &str); 7] = [
    ("tests/harness/wait.rs", "wait_until", "the one poll of a condition; everything else waits through it"),
    ("tests/malicious/src/attempts.rs", "attempt", "a plugin that sleeps is what a host has to end"),
    ("daemon/plugin-host/src/tests/service.rs", "serve", "a service that lets its answer drip, a byte a tick"),
    ("daemon/transport/src/connect_first.rs", "attempt", "moves the paused clock of its tests"),
    ("fleet-sim/src/quic/network/tests.rs", "pass", "moves the paused clock of `run`"),
    ("fleet-sim/src/quic/tests.rs", "until", "moves the paused clock of `run`"),
    ("fleet-sim/src/quic/tests.rs", "live", "moves the paused clock of `run`"),
];

/// Marks a test whose clock is paused: there, a sleep advances the clock.
const PAUSED: &str = "start_paused = true";

/// File extensions of scripts that tests run.
const SCRIPTS: [&str; 3] = [".py", ".sh", ".js"];

#[test]
fn no_test_and_no_pure_crate_sleeps() {
    let mut report = Report::default();
    let mut used = [false; ALLOWED.len()];
    for file in rust_files().filter(|file| !file.path.starts_with("tests/tidy/")) {
        for (line, what) in sleeps(file) {
            let function = function_at(file, line);
            let name = function.as_ref().map_or("", |function| function.name.as_str());
            let is_allowed = |(path, allowed, _): &(&str, &str, &str)| file.path == *path && name == *allowed;
            if let Some(at) = ALLOWED.iter().position(is_allowed) {
                used[at] = true;
            } else if !function.is_some_and(|function| is_paused(file, &function)) {
                report.add(&file.path, line, what);
            }
        }
    }
    for file in files().iter().filter(|file| is_script_of_tests(&file.path)) {
        for (line, _) in words(&file.text).filter(|(_, word)| *word == "sleep") {
            report.add(&file.path, line, "sleeps");
        }
    }
    for ((path, function, _), _) in ALLOWED.iter().zip(used).filter(|(_, is_used)| !is_used) {
        report.add(path, 1, format!("`{function}` may sleep, and does not: take it out of the list"));
    }
    report.finish(
        "move the clock (`Pair`, tokio's paused time), or wait for a condition with the harness's wait_for, which fails \
         when its time runs out. What is not a test, such as a ticker, gets its line in tests/tidy/sleeps.rs.",
    );
}

/// Returns the lines that wait for time to pass, and how, in a file's tests or a pure file.
fn sleeps(file: &SourceFile) -> Vec<(usize, &'static str)> {
    let is_whole = file.is_test() || is_pure(file);
    let production: Vec<&str> = if is_whole { Vec::new() } else { file.code_outside_tests().lines().collect() };
    // A line of production code is the same with and without tests.
    let is_test = |line: usize, text: &str| is_whole || production.get(line - 1) != Some(&text);
    let code: Vec<&str> = file.code().lines().collect();
    let mut found = Vec::new();
    for (line, statement) in statements(file.code()) {
        if code.get(line - 1).is_some_and(|text| is_test(line, text))
            && let Some(what) = sleep_of(&statement)
        {
            found.push((line, what));
        }
    }
    for ((text, code), line) in file.text.lines().zip(&code).zip(1..) {
        if is_test(line, code) && sleeps_in_shell(text) && !sleeps_in_shell(code) {
            found.push((line, "a shell that sleeps"));
        }
    }
    found
}

/// Returns how a statement waits for time to pass, if it does.
fn sleep_of(statement: &str) -> Option<&'static str> {
    let text = statement.split_whitespace().collect::<Vec<_>>().join(" ").replace(" (", "(");
    let calls = |name: &str| {
        text.match_indices(name).any(|(at, _)| {
            let (before, after) = (&text[..at], &text[at + name.len()..]);
            let is_word = !before.ends_with(|letter: char| letter == '_' || letter.is_alphanumeric());
            is_word && after.starts_with('(') && !before.ends_with("fn ")
        })
    };
    let dense = text.replace(' ', "");
    let has_limit = ["timeout(", "wait_until(", "wait_for(", "wait_ended("].iter().any(|name| dense.contains(name));
    let is_assertion = dense.starts_with("assert");
    let compares = dense.replace("=>", "").replace("->", "").contains(['<', '>']) || dense.contains("while");
    if SLEEPS.iter().any(|name| calls(name)) {
        Some("sleeps")
    } else if has_limit && (dense.contains("||None") || dense.contains("pending(") || dense.contains("pending::<")) {
        Some("waits for what cannot come")
    } else if has_limit && (dense.contains("is_err()") || dense.contains("is_none()") || dense.starts_with("let_=")) {
        Some("waits for a limit of time to run out")
    } else if ["wait_until(", "wait_ended("].iter().any(|name| dense.split(name).skip(1).any(is_span)) {
        Some("waits for a span, not up to a limit: name the limit, PATIENCE or ..._MAX")
    } else if dense.contains(".elapsed()") && compares && !is_assertion {
        Some("waits for the clock")
    } else {
        None
    }
}

/// Whether the first argument of a wait is a fixed duration, rather than a named maximum.
fn is_span(arguments: &str) -> bool {
    let first = arguments.split([',', ')']).next().unwrap_or_default();
    let is_constant = first.len() > 1 && first.chars().all(|letter| letter == '_' || letter.is_ascii_uppercase());
    first.starts_with("Duration::from") || (is_constant && !first.contains("PATIENCE") && !first.ends_with("_MAX"))
}

/// Returns every statement, roughly: the text between semicolons and braces, with its first line.
fn statements(code: &str) -> Vec<(usize, String)> {
    let (mut found, mut line) = (Vec::new(), 1);
    for part in code.split_inclusive([';', '{', '}']) {
        let blank = part.len() - part.trim_start().len();
        let begin = line + part[..blank].matches('\n').count();
        line += part.matches('\n').count();
        found.push((begin, part.trim().to_owned()));
    }
    found
}

fn function_at(file: &SourceFile, line: usize) -> Option<Function> {
    let around = |function: &Function| function.line <= line && line < function.line + function.lines;
    functions(file.code()).into_iter().rfind(around)
}

/// Whether a function's attributes pause its clock.
fn is_paused(file: &SourceFile, function: &Function) -> bool {
    let before: Vec<&str> = file.text.lines().take(function.line - 1).collect();
    before.iter().rev().take_while(|line| line.trim_start().starts_with("#[")).any(|line| line.contains(PAUSED))
}

fn is_script_of_tests(path: &str) -> bool {
    let is_of_tests = path.starts_with("tests/") || path.contains("/tests/");
    is_of_tests && SCRIPTS.iter().any(|ending| path.ends_with(ending))
}

fn sleeps_in_shell(line: &str) -> bool {
    line.match_indices("sleep ").any(|(at, word)| {
        let is_span = |letter: char| letter.is_ascii_digit() || letter == '$' || letter == '.';
        line[at + word.len()..].starts_with(is_span)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_wait_for_time_to_pass_is_found() {
        let check = |statement: &str, expected| assert_eq!(sleep_of(statement).is_some(), expected, "{statement}");
        check("thread::sleep(POLL);", true);
        check("tokio::time::sleep (x).await;", true);
        check("thread::park_timeout(x);", true);
        check("let mut ticks = tokio::time::interval(x);", true);
        check("let passing = wait_until(Duration::from_millis(moment), || None::<()>);", true);
        check("timeout(limit, std::future::pending::<()>()).await;", true);
        check("assert!(notified.recv_timeout(Duration::from_millis(50)).is_err(), \"x\");", true);
        check("let _ = gate.recv_timeout(LIMIT);", true);
        check("let change = wait_until(WATCHED, || changed());", true);
        check("let ended = wait_until(COMMAND_MAX, || ended());", false);
        check("assert!(process.wait_ended(SPAN).is_none());", true);
        check("while begun.elapsed() < Duration::from_millis(moment) {", true);
        check("(LIFE + SLACK < offline.elapsed()).then_some(())", true);

        check("assert!(begun.elapsed() < LIMIT);", false);
        check("let found = wait_until(PATIENCE, || process.ended());", false);
        check("let answer = answers.recv_timeout(PATIENCE).unwrap();", false);
        check("return sleep(POLL);", true);
        check("fn sleep(limit: u8) {", false);
        check("async fn a_plugin_that_sleeps_is_ended() {", false);
        check("self.fleet.handle_timeout(now);", false);
        assert!(sleeps_in_shell("sh -c 'sleep 3'") && sleeps_in_shell("sleep $1") && !sleeps_in_shell("sleep well"));
    }
}
