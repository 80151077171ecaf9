//! The host with a plugin that means harm, services that do, and disks that fail.

mod bench;
mod escapes;
mod exchange;
mod floods;
mod hot;
mod lies;
mod loading;
mod outgoing;
mod secrets;
mod service;
