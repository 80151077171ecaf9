//! A malicious plugin: it attempts, one at a time, everything that the sandbox has to prevent.
//!
//! Its config selects the attempt, `{"do": "spin"}`, and has the parameters, such as a `url`; values are plain strings
//! without escapes. The plugin returns the outcome as the reason of an error, so a test sees what the plugin observed.
//! `describe` has no config; it uses [`MODE`] instead, which a test overwrites in the component file.
//!
//! It uses the contract directly and not the SDK, as an attacker would.

// Empty on other targets: a native linker does not accept the names that a component exports.
#![cfg(target_arch = "wasm32")]

mod attempts;
mod disguises;
mod results;

mod bindings {
    wit_bindgen::generate!({ path: "../../sdk/wit/v1", world: "dns-provider" });
}

use bindings::exports::linecamp::provider::dns::{Change, Guest as Dns, RecordSet};
use bindings::exports::linecamp::provider::provider::{
    Capabilities, Description, DnsCapabilities, Guest as Provider, SecretRequirement,
};
use bindings::linecamp::provider::provider_types::{Error, Invalid};

/// How the plugin describes itself: a keyword in 16 bytes that a test finds and overwrites.
static MODE: [u8; 16] = *b"MODE=honest     ";

struct Malicious;

impl Provider for Malicious {
    fn describe() -> Description {
        // Hidden from the optimizer, which would otherwise remove the other modes.
        let mode = std::hint::black_box(&MODE);
        let mode = std::str::from_utf8(&mode[5..]).unwrap_or_default().trim_end();
        let capabilities =
            DnsCapabilities { atomic: true, can_list_records: true, ttl_min: 1, ttl_max: 86_400, max_batch_size: 100 };
        let mut description = Description {
            name: "malicious".into(),
            version: "6.6.6".into(),
            summary: "Attempts what a sandbox prevents.".into(),
            capabilities: Capabilities::Dns(capabilities),
            config_schema: r#"{"type":"object"}"#.into(),
            secrets: vec![SecretRequirement { name: "key".into(), summary: "To be leaked.".into(), required: false }],
            endpoints: vec!["{url}".into()],
            extra: Vec::new(),
        };
        match mode {
            "spin" => attempts::spin(),
            "panic" => panic!("cannot describe itself"),
            "reach" => description.summary = attempts::reach("http://granted.example/"),
            "other" => description.name = "dns-powerdns".into(),
            "noname" => description.name = "../../etc".into(),
            "long" => description.summary = "a".repeat(5_000_000),
            "schema" => description.config_schema = "a".repeat(1_000_000),
            "one" => {
                description.capabilities = Capabilities::Dns(DnsCapabilities { max_batch_size: 1, ..capabilities })
            }
            "ttl" => description.capabilities = Capabilities::Dns(DnsCapabilities { ttl_min: 90_000, ..capabilities }),
            "cloud" => description.capabilities = Capabilities::Cloud,
            "secrets" => description.secrets = vec![description.secrets[0].clone(); 1_000],
            _ => {}
        }
        description
    }

    fn validate(config: String) -> Result<(), Error> {
        attempts::attempt(&Config(&config))
    }
}

impl Dns for Malicious {
    fn observe(config: String, zone: String, names: Vec<String>) -> Result<Vec<RecordSet>, Error> {
        results::observe(&Config(&config), &zone, &names)
    }

    fn apply(
        config: String,
        zone: String,
        idempotency_key: String,
        changes: Vec<Change>,
    ) -> Result<Vec<RecordSet>, Error> {
        results::apply(&Config(&config), &zone, &idempotency_key, changes)
    }
}

/// The exports. Only the host calls them, with arguments as the contract defines them.
#[expect(unsafe_code, reason = "generated code of the exports")]
mod exports {
    use super::Malicious;

    super::bindings::export!(Malicious with_types_in super::bindings);
}

/// The selected attempt and its parameters.
struct Config<'a>(&'a str);

impl Config<'_> {
    /// Returns the string under `key`.
    fn get(&self, key: &str) -> &str {
        // The quoted strings are alternately names and values.
        let texts: Vec<&str> = self.0.split('"').skip(1).step_by(2).collect();
        texts.chunks(2).find(|pair| pair[0] == key).and_then(|pair| pair.get(1)).copied().unwrap_or_default()
    }
}

/// Returns the outcome of an attempt as an error.
fn outcome_error(reason: impl Into<String>) -> Error {
    Error::Invalid(Invalid { reason: reason.into(), field: None, name: None })
}
