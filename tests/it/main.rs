//! Journeys: what an operator does, from end to end, through the real programs.
//!
//! There are few of them, because everything that can be shown more purely is shown there: decisions in `core`, bytes
//! in `proto`, crashes of the disk in `store`, the wire in `transport`. What is left for here is that the programs put
//! these parts together. `linecamp_tests` says how a journey is written; [`shown`] reads what the programs print.

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
mod partition;
mod readme;
mod refused;
mod removal;
mod restart;
mod secrets;
mod service;
mod shown;
mod sim;
mod sim_real;
mod start;
mod steady;
mod storage;
mod support;
mod systemd;
