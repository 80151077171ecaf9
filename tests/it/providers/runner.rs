//! The real host with one plugin, called sequentially.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use linecamp_model::{
    CallId, DnsReply, DnsRequest, DnsSettings, DomainName, Endpoint, Grant, Name, NameTemplate, OwnerId, PluginRef,
    ProviderConfig, ProviderFailure, ProviderReply, ProviderRequest, ProviderSpec, RecordChange, RecordKey, RecordSet,
    RecordType, SecretName, Selector, Text, Ttl,
};
use linecamp_plugin_host::{
    HostConfig, HostEvent, Limits, PluginHost, ProviderCall, Secret, SecretBinding, SecretScope, SecretUse, Secrets,
    SiteSecret,
};
use linecamp_tests::{NameServer, plugin, program};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The time limit of a call here: a server that hangs times out within the test.
const CALL_TIME: Duration = Duration::from_secs(5);

/// How long a reply may take: the compiler runs before the first, and other tests run at the same time.
const REPLY_TIME: Duration = Duration::from_secs(120);

/// The real host, with the plugin for one name server, and its settings.
pub(super) struct Runner {
    host: PluginHost,
    runtime: Runtime,
    secrets: Arc<TestSecrets>,
    config: Value,
    spec: ProviderSpec,
    calls: u64,
    _directory: TempDir,
}

/// Secrets that a test sets and changes, each with its permitted use.
#[derive(Debug)]
struct TestSecrets {
    server: Endpoint,
    values: Mutex<BTreeMap<String, (String, SecretUse)>>,
}

impl Secrets for TestSecrets {
    fn find(&self, name: &SecretName) -> SiteSecret {
        let Some((value, usage)) = self.values.lock().expect("no thread panicked").get(name.as_str()).cloned() else {
            return SiteSecret::missing(name, "the test");
        };
        let hosts = BTreeSet::from([self.server.clone()]);
        let providers = BTreeSet::from([provider_name()]);
        let binding = SecretBinding { plain_http: hosts.clone(), hosts, uses: [usage].into(), providers };
        SiteSecret { scope: SecretScope::Bound(binding), content: Ok(Secret::new(value.into_bytes())) }
    }
}

impl Runner {
    /// Starts a host with the server's plugin, configured for the server.
    pub(super) fn new(server: &dyn NameServer) -> Self {
        let setup = server.provider();
        let directory = tempfile::Builder::new().prefix("linecamp-it-").tempdir().expect("a directory can be made");
        let file = directory.path().join(format!("{}.wasm", setup.plugin));
        fs::copy(plugin(setup.plugin), file).expect("the plugin can be copied");
        let config = HostConfig {
            directory: directory.path().to_owned(),
            compiler: program("linecamp-plugin-compiler"),
            ca_file: None,
            publishers: Vec::new(),
            validates_settings: true,
            limits: Limits { call_time: CALL_TIME, ..Limits::default() },
        };
        let endpoint = Endpoint::parse(&setup.reach.to_string()).expect("an address");
        let secrets = Arc::new(TestSecrets { server: endpoint.clone(), values: Mutex::default() });
        let host = PluginHost::start(config, Arc::clone(&secrets) as Arc<dyn Secrets>).expect("the host starts");
        let grant = Grant { reach_private: [endpoint].into(), plain_http: true, ..Grant::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut spec = spec(setup.plugin, grant);
        for secret in &setup.secrets {
            let name = SecretName::parse(secret.name).expect("a secret's name");
            let usage = SecretUse::parse(secret.usage).expect("a use of secrets");
            let entry = (secret.value.clone(), usage);
            secrets.values.lock().expect("no thread panicked").insert(name.to_string(), entry);
            spec.secrets.insert(name.clone(), name);
        }
        Self { host, runtime, secrets, config: setup.config, spec, calls: 0, _directory: directory }
    }

    /// Changes the value of a secret.
    pub(super) fn set_secret(&self, secret: &str, value: &str) {
        let mut values = self.secrets.values.lock().expect("no thread panicked");
        value.clone_into(&mut values.get_mut(secret).expect("a secret of the setup").0);
    }

    /// Changes a setting of the plugin's config.
    pub(super) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.config[key] = value.into();
    }

    /// Calls the plugin, and returns the reply.
    pub(super) fn call(&mut self, request: ProviderRequest) -> ProviderReply {
        self.calls += 1;
        self.spec.config = ProviderConfig::of_json(&self.config.to_string()).expect("a config");
        let spec = Arc::new(self.spec.clone());
        self.host.call(ProviderCall { call: CallId(self.calls), spec, is_local: false, request });
        let event = self.runtime.block_on(async { tokio::time::timeout(REPLY_TIME, self.host.event()).await });
        match event.expect("there is a reply") {
            HostEvent::Replied { reply, .. } => reply,
            other => panic!("{other:?}"),
        }
    }

    /// Observes these names, and fails without a result.
    #[track_caller]
    pub(super) fn observe(&mut self, zone: &str, names: &[&str]) -> Vec<RecordSet> {
        match self.call(observing(zone, names)) {
            ProviderReply::Dns(DnsReply::Observed(sets)) => sets,
            other => panic!("{other:?}"),
        }
    }

    /// Applies changes.
    pub(super) fn apply(&mut self, zone: &str, changes: &[RecordChange]) -> ProviderReply {
        let key = Text::parse("a step of a test").expect("a text");
        self.call(ProviderRequest::Dns(DnsRequest::Apply { zone: domain(zone), key, changes: changes.to_vec() }))
    }

    /// Applies changes, and fails if they are not done.
    #[track_caller]
    pub(super) fn done(&mut self, zone: &str, changes: &[RecordChange]) {
        let reply = self.apply(zone, changes);
        assert_eq!(reply, ProviderReply::Dns(DnsReply::Applied), "{changes:?}");
    }
}

/// Checks that a call failed, and returns the failure.
#[track_caller]
pub(super) fn failure(reply: ProviderReply) -> ProviderFailure {
    match reply {
        ProviderReply::Failed(failure) => failure,
        other => panic!("it did not fail: {other:?}"),
    }
}

pub(super) fn observing(zone: &str, names: &[&str]) -> ProviderRequest {
    let names = names.iter().map(|name| domain(name)).collect();
    ProviderRequest::Dns(DnsRequest::Observe { zone: domain(zone), names })
}

pub(super) fn domain(text: &str) -> DomainName {
    DomainName::parse(text).expect("a name")
}

/// Builds a record set from a text such as `a.example.org 300 A`, and values.
pub(super) fn set(words: &str, values: &[&str]) -> RecordSet {
    let [name, ttl, rtype] = words.split(' ').collect::<Vec<_>>()[..] else { panic!("`{words}` is not NAME TTL TYPE") };
    let key = RecordKey { name: domain(name), rtype: RecordType::of(rtype) };
    let ttl = Ttl::of(ttl.parse().expect("seconds")).expect("not too many");
    RecordSet::parse(key, ttl, values).expect("a record set")
}

pub(super) fn create(after: &RecordSet) -> RecordChange {
    RecordChange { before: None, after: Some(after.clone()) }
}

pub(super) fn replace(before: &RecordSet, after: &RecordSet) -> RecordChange {
    RecordChange { before: Some(before.clone()), after: Some(after.clone()) }
}

pub(super) fn delete(before: &RecordSet) -> RecordChange {
    RecordChange { before: Some(before.clone()), after: None }
}

fn provider_name() -> Name {
    Name::parse("main").expect("a name")
}

fn spec(plugin: &str, grant: Grant) -> ProviderSpec {
    ProviderSpec {
        name: provider_name(),
        plugin: PluginRef { name: Name::parse(plugin).expect("a name"), digest: None },
        config: ProviderConfig::default(),
        secrets: BTreeMap::new(),
        grant,
        kind: DnsSettings {
            owner: OwnerId::parse("acme").expect("an owner id"),
            zones: [domain("example.org")].into(),
            template: NameTemplate::parse(NameTemplate::DEFAULT).expect("a template"),
            ttl: Ttl::DEFAULT,
            hosts: Selector::parse("").expect("a selector"),
            observed_address: false,
            allow_deletes: false,
            withdraw_inactive: false,
            extra: Vec::new(),
        }
        .into(),
        is_dry_run: false,
        is_withdrawing: false,
    }
}
