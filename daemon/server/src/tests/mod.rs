//! A whole server in one process, met from outside: its API over TLS, its link over QUIC.

mod api;
mod connections;
mod directory;
mod fixture;
mod link;
mod newcomers;
mod overload;
mod panics;
mod providers;
