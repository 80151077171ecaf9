//! Journeys: what an operator does, end to end, through the real programs.
//!
//! There are few of them, because most behavior is tested at a lower level: decisions in `core`, encoding in `proto`,
//! disk crashes in `store`, the wire in `transport`. The journeys test that the programs combine these parts correctly.
//! `linecamp_tests` documents how to write one; [`shown`] parses what the programs print; [`shell`] runs the
//! commands of a documentation page.

mod author;
mod central;
mod certificate;
mod crash;
mod crowd;
mod damage;
mod disk;
mod dns;
mod doctor;
mod duplicate;
mod join;
mod labels;
mod metrics;
mod network;
mod noise;
mod observation;
mod offline;
mod packages;
mod page;
mod pages;
mod partition;
mod readme;
mod refused;
mod removal;
mod restart;
mod secrets;
mod service;
mod shell;
mod shown;
mod sim;
mod sim_real;
mod start;
mod steady;
mod storage;
mod support;
mod systemd;
