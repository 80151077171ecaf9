//! End-to-end tests: what an operator does, through the real programs.
//!
//! There are few of them, because most behavior is tested at a lower level: decisions in `core`, encoding in `proto`,
//! disk crashes in `store`, the wire in `transport`. The end-to-end tests check that the programs combine these parts
//! correctly. `linecamp_tests` documents how to write one; [`cli_json`] parses what the programs print; [`shell`] runs
//! the commands of a documentation page.

mod addresses;
mod api_document;
mod audit;
mod backup;
mod ca_rotation;
mod central_providers;
mod certificate;
mod cli_json;
mod command_errors;
mod connection_floods;
mod corruption;
mod crash;
mod direct_hosts;
mod dns;
mod doctor;
mod duplicate_identity;
mod facts;
mod file_kinds;
mod hosts;
mod http2;
mod https;
mod idle;
mod join;
mod labels;
mod lan_hosts;
mod lan_install;
mod lan_machines;
mod large_lists;
mod link_history;
mod log_floods;
mod long_paths;
mod malformed_traffic;
mod markdown_page;
mod metrics;
mod mounted_disk;
mod moved_server;
mod network;
mod offline;
mod oidc;
mod operator_docs;
mod packages;
mod partition;
mod people;
mod plugin_authors;
mod proxy;
mod readme;
mod rejections;
mod removal;
mod restart;
mod sd_notify;
mod secrets;
mod shell;
mod sim;
mod sim_real;
mod startup_errors;
mod storage;
mod support_bundle;
mod systemd;
mod traces;
