//! What a provider's author passes to the kit: a config, secrets, a zone, and a fake of the service.

use std::collections::BTreeMap;
use std::fmt;

use linecamp_provider::RecordSet;

use crate::fake_service::Service;

/// What the kit needs to test a provider: a config, secrets, a zone, and a function that makes a fake of its service.
pub struct Setup {
    pub(crate) config: String,
    pub(crate) zone: String,
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) service: Box<dyn Fn() -> Box<dyn Service>>,
    /// Whether the service has data, so that calls can succeed.
    pub(crate) has_data: bool,
}

impl fmt::Debug for Setup {
    /// Omits the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("config", &self.config).field("zone", &self.zone).finish_non_exhaustive()
    }
}

impl Setup {
    /// Takes a zone, a config in JSON, and a function that makes a new fake with that zone, empty: each test uses its
    /// own.
    pub fn new<S: Service + 'static>(zone: &str, config: &str, service: impl Fn() -> S + 'static) -> Self {
        let service = Box::new(move || Box::new(service()) as Box<dyn Service>);
        Self { config: config.to_owned(), zone: zone.to_owned(), secrets: BTreeMap::new(), service, has_data: true }
    }

    /// Adds a secret: the name that the provider uses, and the value that the service expects.
    #[must_use]
    pub fn secret(mut self, name: &str, value: &str) -> Self {
        self.secrets.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Returns the absolute name of a label in the zone.
    pub(crate) fn name(&self, label: &str) -> String {
        format!("{label}.{}", self.zone)
    }

    /// Returns the foreign record sets: owned by someone else, they must be in the zone after every test, byte for
    /// byte.
    pub(crate) fn foreign(&self) -> Vec<RecordSet> {
        let set = |label: &str, rtype: &str, ttl: u32, values: &[&str]| {
            RecordSet::new(self.name(label), rtype, ttl, values.iter().copied())
        };
        vec![
            set("foreign", "A", 3600, &["198.51.100.1", "198.51.100.2"]),
            set("foreign", "TXT", 7200, &["v=spf1 -all", "quoted \"words\"; and\\009more\\092"]),
            set("mail", "MX", 3600, &["10 mx.elsewhere.example"]),
            set("*.wild", "CNAME", 600, &["foreign.elsewhere.example"]),
            set("www", "TXT", 3600, &["beside the changed record"]),
        ]
    }
}
