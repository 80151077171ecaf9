//! A complete server in one process, tested from outside: its API over TLS, its link over QUIC.

mod api;
mod api_fixture;
mod audit;
mod bulk_actions;
mod connections;
mod data_directory;
mod fake_provider;
mod fixture;
mod http2;
mod idempotency;
mod link;
mod lists;
mod malformed_requests;
mod oidc;
mod origin;
mod overload;
mod panics;
mod people;
mod plugin_descriptions;
mod providers;
mod roles;
mod streams;
