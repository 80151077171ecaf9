//! A plugin that uses files and sockets. It never runs: the host rejects its imports.

#![cfg(target_arch = "wasm32")]

mod bindings {
    wit_bindgen::generate!({ path: "../../sdk/wit/v1", world: "dns-provider" });
}

use bindings::exports::linecamp::provider::dns::{Change, Guest as Dns, RecordSet};
use bindings::exports::linecamp::provider::provider::{Capabilities, Description, Guest as Provider};
use bindings::linecamp::provider::provider_types::Error;

struct ReachesOut;

impl Provider for ReachesOut {
    fn describe() -> Description {
        let files = std::fs::read_dir("/").map_or(0, Iterator::count);
        let passwords = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let is_connected = std::net::TcpStream::connect("127.0.0.1:22").is_ok();
        Description {
            name: "reaches-out".into(),
            version: "6.6.6".into(),
            summary: format!("{files} {passwords} {is_connected}"),
            capabilities: Capabilities::Cloud,
            config_schema: "{}".into(),
            secrets: Vec::new(),
            endpoints: Vec::new(),
            extra: Vec::new(),
        }
    }

    fn validate(_config: String) -> Result<(), Error> {
        Ok(())
    }
}

impl Dns for ReachesOut {
    fn observe(_config: String, _zone: String, _names: Vec<String>) -> Result<Vec<RecordSet>, Error> {
        Ok(Vec::new())
    }

    fn apply(
        _config: String,
        _zone: String,
        _idempotency_key: String,
        _changes: Vec<Change>,
    ) -> Result<Vec<RecordSet>, Error> {
        Ok(Vec::new())
    }
}

/// The exports. Only the host calls them, with arguments as the contract defines them.
#[expect(unsafe_code, reason = "generated code of the exports")]
mod exports {
    use super::ReachesOut;

    super::bindings::export!(ReachesOut with_types_in super::bindings);
}
