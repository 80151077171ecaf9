//! The host with a malicious plugin, malicious services and failing disks.

mod bench;
mod dns_client;
mod escapes;
mod floods;
mod hot;
mod lies;
mod loading;
mod outgoing;
mod secrets;
mod service;
