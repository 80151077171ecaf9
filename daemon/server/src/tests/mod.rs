//! A complete server in one process, tested from outside: its API over TLS, its link over QUIC.

mod api;
mod connections;
mod directory;
mod fixture;
mod link;
mod newcomers;
mod overload;
mod panics;
mod providers;
mod without_store;
