//! The host with a malicious plugin, malicious services and failing disks.

mod author_documents;
mod dns_client;
mod escapes;
mod fixture;
mod floods;
mod hot_reload;
mod invalid_answers;
mod loading;
mod network;
mod secrets;
mod service;
mod settings;
