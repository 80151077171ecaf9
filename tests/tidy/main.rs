//! The project's rules, as tests.
//!
//! Each rule is one test whose name is the rule. A failure lists every violation, as `file:line`, and says what to do.
//! The tests read the source tree, cargo's metadata and, for promises, the test runner's list of tests. They use no
//! network.
//!
//! To change a rule, edit it here, with the reason, in the same commit as the code that needs it. Lists of exceptions
//! are short, stand in the file of their rule, and give a reason for each entry.

mod banned_terms;
mod crates;
mod daemon_without_compiler;
mod documents;
mod errors;
mod file_reads;
mod frozen_formats;
mod import_cycles;
mod licenses;
mod module_docs;
mod modules;
mod peer_log_lines;
mod promises;
mod purity;
mod report;
mod rust;
mod size;
mod skips;
mod sleeps;
mod specification;
mod tree;
mod unfinished_code;
