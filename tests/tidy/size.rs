//! Small rooms.

use crate::report::Report;
use crate::rust::{functions, without_strings};
use crate::tree::{files, rust_files};

/// What 9 of 10 files stay below.
const FILE_LINES_MOST: usize = 450;
/// From here on a file is talked about: it is printed.
const FILE_LINES_TALK: usize = 500;
/// From here on a file is two files.
const FILE_LINES_MAX: usize = 700;
/// More than this does not fit a screen.
const FUNCTION_LINES_MAX: usize = 70;
/// The width of rustfmt.toml.
const LINE_CHARS_MAX: usize = 120;
/// What is bigger than this is data, and belongs elsewhere.
const FILE_BYTES_MAX: usize = 200_000;

/// Functions that may be longer, each with its reason.
const LONG_FUNCTIONS: [(&str, &str); 0] = [];

/// Files that may be bigger.
const BIG_FILES: [&str; 1] = [
    // Written by cargo.
    "Cargo.lock",
];

#[test]
fn a_file_is_a_small_room() {
    let mut report = Report::default();
    let (mut total, mut above_most) = (0, 0);
    for file in rust_files() {
        let lines = file.text.lines().count();
        total += 1;
        above_most += usize::from(lines > FILE_LINES_MOST);
        if lines > FILE_LINES_MAX {
            report.add(&file.path, lines, format!("{lines} lines, and {FILE_LINES_MAX} are the most"));
        } else if lines > FILE_LINES_TALK {
            println!("{}: {lines} lines: talk about it", file.path);
        }
    }
    if above_most * 10 > total {
        report.add(
            ".",
            1,
            format!("{above_most} of {total} files are above {FILE_LINES_MOST} lines: more than a tenth"),
        );
    }
    report.finish("find the second thing the file holds, and give it a file and a name.");
}

#[test]
fn a_function_fits_a_screen() {
    let mut report = Report::default();
    for file in rust_files().filter(|file| !file.is_test()) {
        for function in functions(file.code_outside_tests()) {
            let is_named = LONG_FUNCTIONS.contains(&(file.path.as_str(), function.name.as_str()));
            if function.lines > FUNCTION_LINES_MAX && !is_named {
                let what =
                    format!("`{}` has {} lines, and {FUNCTION_LINES_MAX} are the most", function.name, function.lines);
                report.add(&file.path, function.line, what);
            }
        }
    }
    report.finish("give the second half a name; a match with many arms gets a function for the longest of them.");
}

#[test]
fn a_line_fits_the_width() {
    let mut report = Report::default();
    for file in rust_files() {
        let code = file.code();
        let bare = without_strings(&file.text);
        for (((line, bare), code), number) in file.text.lines().zip(bare.lines()).zip(code.lines()).zip(1..) {
            // What a string says may be long, and so may a table or an address in a comment.
            let is_table = line.trim_start().trim_start_matches(['/', '!']).trim().starts_with('|');
            let is_address = code.trim().is_empty() && line.contains("://");
            let chars = line.chars().count() - inside_strings(line, bare);
            if chars > LINE_CHARS_MAX && !(is_table || is_address) {
                report.add(&file.path, number, format!("{chars} characters"));
            }
        }
    }
    report.finish("`cargo fmt`, and break what it cannot break (comments, attributes, macros) by hand.");
}

#[test]
fn no_file_is_big() {
    let mut report = Report::default();
    for file in files().iter().filter(|file| !BIG_FILES.contains(&file.path.as_str())) {
        if file.bytes > FILE_BYTES_MAX {
            report.add(&file.path, 1, format!("{} bytes, and {FILE_BYTES_MAX} are the most", file.bytes));
        }
    }
    report.finish("make it when it is needed, or keep a smaller sample of it.");
}

/// How many characters of a line stand inside strings: the blanked ones.
fn inside_strings(line: &str, bare: &str) -> usize {
    line.chars().zip(bare.chars()).filter(|(written, left)| written != left).count()
}
