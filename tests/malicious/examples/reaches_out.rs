//! A plugin that wants files and sockets. It is never run: its imports give it away.

#![cfg(target_arch = "wasm32")]

mod bindings {
    wit_bindgen::generate!({ path: "../../sdk/wit/v1", world: "dns-provider" });
}

use bindings::exports::linecamp::provider::dns::{Change, Guest as Dns, RecordSet};
use bindings::exports::linecamp::provider::provider::{Abilities, Description, Guest as Provider};
use bindings::linecamp::provider::provider_types::Failure;

struct ReachesOut;

impl Provider for ReachesOut {
    fn describe() -> Description {
        let files = std::fs::read_dir("/").map_or(0, Iterator::count);
        let passwords = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let is_connected = std::net::TcpStream::connect("127.0.0.1:22").is_ok();
        Description {
            name: "reaches-out".into(),
            version: "6.6.6".into(),
            about: format!("{files} {passwords} {is_connected}"),
            abilities: Abilities::Cloud,
            config_schema: "{}".into(),
            secrets: Vec::new(),
            reaches: Vec::new(),
            extra: Vec::new(),
        }
    }

    fn check(_config: String) -> Result<(), Failure> {
        Ok(())
    }
}

impl Dns for ReachesOut {
    fn observe(_config: String, _zone: String, _names: Vec<String>) -> Result<Vec<RecordSet>, Failure> {
        Ok(Vec::new())
    }

    fn apply(_config: String, _zone: String, _key: String, _changes: Vec<Change>) -> Result<Vec<RecordSet>, Failure> {
        Ok(Vec::new())
    }
}

/// The component's outside. Its functions are called by the host alone, with what the contract says.
#[expect(unsafe_code, reason = "what the contract's generator makes of an export")]
mod outside {
    use super::ReachesOut;

    super::bindings::export!(ReachesOut with_types_in super::bindings);
}
