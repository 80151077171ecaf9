//! End-to-end tests: what an operator does, through the real programs.
//!
//! There are few of them, because most behavior is tested at a lower level: decisions in `core`, encoding in `proto`,
//! disk crashes in `store`, the wire in `transport`. The end-to-end tests check that the programs combine these parts
//! correctly. `linecamp_tests` documents how to write one; [`site_view`] parses what the programs print; [`shell`] runs
//! the commands of a documentation page.

mod central_providers;
mod certificate;
mod command_errors;
mod connection_floods;
mod corruption;
mod crash;
mod disk;
mod dns;
mod doctor;
mod duplicate;
mod hosts;
mod idle;
mod join;
mod labels;
mod malformed_traffic;
mod metrics;
mod network;
mod observation;
mod offline;
mod packages;
mod page;
mod pages;
mod partition;
mod plugin_authors;
mod readme;
mod rejections;
mod removal;
mod restart;
mod secrets;
mod service;
mod shell;
mod sim;
mod sim_real;
mod site_view;
mod start;
mod storage;
mod support;
mod systemd;
