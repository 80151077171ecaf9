//! A plugin that means harm: it tries, one by one, what a sandbox is there to prevent.
//!
//! Its config says what it does: `{"do": "spin"}`, and what that needs, such as a `url`; values are plain strings
//! without escapes. What came of it is the reason of the failure that it returns, so that a test sees what the plugin
//! saw. What it says of itself has no config to go by, so it goes by [`MODE`], which a test overwrites in the file.
//!
//! It is written on the bare contract and not on the SDK: who means harm does not use it.

// On this machine there is nothing to it: the names that a component exports are none that a linker takes.
#![cfg(target_arch = "wasm32")]

mod answers;
mod attempts;

mod bindings {
    wit_bindgen::generate!({ path: "../../sdk/wit/v1", world: "dns-provider" });
}

use bindings::exports::linecamp::provider::dns::{Change, Guest as Dns, RecordSet};
use bindings::exports::linecamp::provider::provider::{
    Abilities, Description, DnsAbilities, Guest as Provider, SecretWant,
};
use bindings::linecamp::provider::provider_types::{Failure, Refusal};

/// How it describes itself: a word in a place of 16 bytes that a test finds and overwrites.
static MODE: [u8; 16] = *b"MODE=honest     ";

struct Malicious;

impl Provider for Malicious {
    fn describe() -> Description {
        // Not known to the compiler, which would otherwise leave the other modes out.
        let mode = std::hint::black_box(&MODE);
        let mode = std::str::from_utf8(&mode[5..]).unwrap_or_default().trim_end();
        let abilities = DnsAbilities { atomic: true, lists_zones: true, ttl_min: 1, ttl_max: 86_400, changes_max: 100 };
        let mut description = Description {
            name: "malicious".into(),
            version: "6.6.6".into(),
            about: "Tries what a sandbox prevents.".into(),
            abilities: Abilities::Dns(abilities),
            config_schema: r#"{"type":"object"}"#.into(),
            secrets: vec![SecretWant { name: "key".into(), about: "To give away.".into(), required: false }],
            reaches: vec!["{url}".into()],
            extra: Vec::new(),
        };
        match mode {
            "spin" => attempts::spin(),
            "panic" => panic!("cannot say what it is"),
            "reach" => description.about = attempts::reach("http://granted.example/"),
            "other" => description.name = "dns-powerdns".into(),
            "noname" => description.name = "../../etc".into(),
            "long" => description.about = "a".repeat(5_000_000),
            "schema" => description.config_schema = "a".repeat(1_000_000),
            "one" => description.abilities = Abilities::Dns(DnsAbilities { changes_max: 1, ..abilities }),
            "ttl" => description.abilities = Abilities::Dns(DnsAbilities { ttl_min: 90_000, ..abilities }),
            "cloud" => description.abilities = Abilities::Cloud,
            "secrets" => description.secrets = vec![description.secrets[0].clone(); 1_000],
            _ => {}
        }
        description
    }

    fn check(config: String) -> Result<(), Failure> {
        attempts::attempt(&Config(&config))
    }
}

impl Dns for Malicious {
    fn observe(config: String, zone: String, names: Vec<String>) -> Result<Vec<RecordSet>, Failure> {
        answers::observe(&Config(&config), &zone, &names)
    }

    fn apply(config: String, zone: String, key: String, changes: Vec<Change>) -> Result<Vec<RecordSet>, Failure> {
        answers::apply(&Config(&config), &zone, &key, changes)
    }
}

/// The component's outside. Its functions are called by the host alone, with what the contract says.
#[expect(unsafe_code, reason = "what the contract's generator makes of an export")]
mod outside {
    use super::Malicious;

    super::bindings::export!(Malicious with_types_in super::bindings);
}

/// What it is told to do.
struct Config<'a>(&'a str);

impl Config<'_> {
    /// Returns the string under `key`.
    fn get(&self, key: &str) -> &str {
        // Between quotes stand the names and the values in turn.
        let texts: Vec<&str> = self.0.split('"').skip(1).step_by(2).collect();
        texts.chunks(2).find(|pair| pair[0] == key).and_then(|pair| pair.get(1)).copied().unwrap_or_default()
    }
}

/// Says what came of an attempt.
fn came_of_it(reason: impl Into<String>) -> Failure {
    Failure::Refused(Refusal { reason: reason.into(), field: None, name: None })
}
