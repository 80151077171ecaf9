//! The laws of the house, as tests.
//!
//! Each law is one test whose name is the law. A failure lists every place that breaks it, as `file:line`, and says
//! what to do. They read the source tree, cargo's own description of it and, for promises, the test runner's list
//! of tests; no network.
//!
//! A law that is wrong is changed here, with its reason, in the same commit as the code that needs it. Lists of
//! exceptions are short, stand in the file of their law, and every entry says why.

mod compiler;
mod crates;
mod documents;
mod essays;
mod licences;
mod promises;
mod purity;
mod released;
mod report;
mod rust;
mod size;
mod skips;
mod sleeps;
mod specification;
mod tree;
mod words;
