//! What the kit is given.

use std::collections::BTreeMap;
use std::fmt;

use linecamp_provider::RecordSet;

use crate::service::Service;

/// What the kit needs to know of a provider: a config, secrets, a zone, and how to make a model of its service.
pub struct Setup {
    pub(crate) config: String,
    pub(crate) zone: String,
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) service: Box<dyn Fn() -> Box<dyn Service>>,
}

impl fmt::Debug for Setup {
    /// Without the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("config", &self.config).field("zone", &self.zone).finish_non_exhaustive()
    }
}

impl Setup {
    /// Takes a zone, a config in JSON, and what makes a new service with that zone in it, empty: each check has its
    /// own.
    pub fn new<S: Service + 'static>(zone: &str, config: &str, service: impl Fn() -> S + 'static) -> Self {
        let service = Box::new(move || Box::new(service()) as Box<dyn Service>);
        Self { config: config.to_owned(), zone: zone.to_owned(), secrets: BTreeMap::new(), service }
    }

    /// Gives a secret: the name the provider uses, and what the service expects.
    #[must_use]
    pub fn secret(mut self, name: &str, value: &str) -> Self {
        self.secrets.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Returns a name in the zone.
    pub(crate) fn name(&self, label: &str) -> String {
        format!("{label}.{}", self.zone)
    }

    /// Returns what somebody else keeps in the zone, and who must find it there after everything, byte for byte.
    pub(crate) fn foreign(&self) -> Vec<RecordSet> {
        let set = |label: &str, rtype: &str, ttl: u32, values: &[&str]| {
            RecordSet::new(self.name(label), rtype, ttl, values.iter().copied())
        };
        vec![
            set("foreign", "A", 3600, &["198.51.100.1", "198.51.100.2"]),
            set("foreign", "TXT", 7200, &["v=spf1 -all", "quoted \"words\"; and\\009more\\092"]),
            set("mail", "MX", 3600, &["10 mx.elsewhere.example"]),
            set("*.wild", "CNAME", 600, &["foreign.elsewhere.example"]),
            set("www", "TXT", 3600, &["beside the record that is changed"]),
        ]
    }
}
