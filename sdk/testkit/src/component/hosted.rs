//! The component under test: each call goes through a host, as in the daemon.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use linecamp_model::{
    CallId, Capabilities, DnsReply, DnsRequest, DnsSettings, DomainName, Endpoint, Grant, Name, NameTemplate, OwnerId,
    PluginDescription, PluginRef, ProviderConfig, ProviderFailure, ProviderReply, ProviderRequest, ProviderSpec,
    RecordChange, RecordKey, RecordSet as ModelSet, RecordType, SecretName, Selector, Text, Ttl,
};
use linecamp_plugin_host::{HostConfig, HostEvent, Limits, PluginHost, PluginHostError, ProviderCall};
use linecamp_provider::{Change, DnsCapabilities, ProviderError, RecordSet};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::network::{FakeNetwork, provider_name};
use crate::fake_host::FakeHost;
use crate::under_test::{Call, CallResult, ProviderDescription, ProviderUnderTest};

/// Why a component could not be started.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    /// Its directory could not be created, or the component could not be copied.
    #[error("failed to copy the component to a temporary directory")]
    Directory(#[source] std::io::Error),
    /// The host did not start.
    #[error("failed to start the plugin host")]
    Host(#[source] PluginHostError),
}

/// A plugin directory with the component in it, shared by successive hosts: the component is compiled only once.
pub(super) struct PluginDir<'a> {
    description: &'a PluginDescription,
    compiler: &'a Path,
    /// Deleted when this value is dropped.
    directory: TempDir,
}

impl<'a> PluginDir<'a> {
    /// Copies the component to a new directory.
    pub(super) fn new(path: &Path, description: &'a PluginDescription, compiler: &'a Path) -> Result<Self, StartError> {
        let directory = tempfile::tempdir().map_err(StartError::Directory)?;
        let place = directory.path().join(format!("{}.wasm", description.name));
        fs::copy(path, place).map_err(StartError::Directory)?;
        Ok(Self { description, compiler, directory })
    }
}

/// A component in a host of its own.
pub(super) struct HostedComponent {
    described: ProviderDescription,
    plugin: Name,
    secrets: BTreeMap<SecretName, SecretName>,
    network: FakeNetwork,
    host: RefCell<PluginHost>,
    runtime: Runtime,
    calls: Cell<u64>,
}

impl HostedComponent {
    /// Starts a host with the component in it.
    pub(super) fn start(plugin_dir: &PluginDir<'_>, limits: Limits) -> Result<Self, StartError> {
        let description = plugin_dir.description;
        let config = HostConfig {
            directory: plugin_dir.directory.path().to_owned(),
            compiler: plugin_dir.compiler.to_owned(),
            ca_file: None,
            publishers: Vec::new(),
            validates_settings: false,
            limits,
        };
        let network = FakeNetwork::default();
        let host = PluginHost::start_on(config, Arc::new(network.clone()), Arc::new(network.clone()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(StartError::Directory)?;
        let secrets = description.secrets.iter().map(|want| (want.name.clone(), want.name.clone())).collect();
        Ok(Self {
            described: described(description),
            plugin: description.name.clone(),
            secrets,
            network,
            host: RefCell::new(host.map_err(StartError::Host)?),
            runtime,
            calls: Cell::new(0),
        })
    }

    fn spec(&self, fake_host: &FakeHost, config: &str) -> Result<ProviderSpec, String> {
        let reach_private = fake_host.endpoints().into_iter().map(|endpoint| Endpoint::parse(&endpoint.to_string()));
        let reach_private: BTreeSet<_> = reach_private.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        Ok(ProviderSpec {
            name: provider_name(),
            plugin: PluginRef { name: self.plugin.clone(), digest: None },
            config: ProviderConfig::of_json(config).map_err(|error| error.to_string())?,
            secrets: self.secrets.clone(),
            grant: Grant { reach_private, plain_http: true, ..Grant::default() },
            kind: DnsSettings {
                owner: OwnerId::parse("conformance").expect("a valid constant"),
                zones: BTreeSet::new(),
                template: NameTemplate::parse(NameTemplate::DEFAULT).expect("a valid constant"),
                ttl: Ttl::DEFAULT,
                hosts: Selector::parse("").expect("the empty selector selects all hosts"),
                observed_address: false,
                allow_deletes: true,
                withdraw_inactive: false,
                extra: Vec::new(),
            }
            .into(),
            is_dry_run: false,
            is_withdrawing: false,
        })
    }

    fn reply(&self, spec: ProviderSpec, request: ProviderRequest) -> ProviderReply {
        self.calls.set(self.calls.get() + 1);
        let id = CallId(self.calls.get());
        let mut host = self.host.borrow_mut();
        host.call(ProviderCall { call: id, spec: Arc::new(spec), is_local: false, request });
        self.runtime.block_on(async {
            loop {
                match host.event().await {
                    HostEvent::Replied { call, reply, .. } if call == id => return reply,
                    HostEvent::Replied { .. } | HostEvent::PluginChanged { .. } => {}
                }
            }
        })
    }
}

impl ProviderUnderTest for HostedComponent {
    fn describe(&self) -> Result<ProviderDescription, String> {
        Ok(self.described.clone())
    }

    fn call(&self, fake_host: &FakeHost, config: &str, call: &Call) -> CallResult {
        self.network.set(fake_host);
        let asked = self.spec(fake_host, config).and_then(|spec| Ok((spec, request(call)?)));
        match asked {
            Ok((spec, request)) => result(self.reply(spec, request)),
            // The daemon would not have sent this call.
            Err(why) => CallResult::Broken(format!("not a valid call: {why}")),
        }
    }

    fn is_native(&self) -> bool {
        false
    }

    fn now_millis(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
    }
}

fn described(description: &PluginDescription) -> ProviderDescription {
    let Capabilities::Dns(capabilities) = description.capabilities;
    ProviderDescription {
        name: description.name.to_string(),
        version: description.version.to_string(),
        summary: description.summary.to_string(),
        capabilities: DnsCapabilities {
            atomic: capabilities.atomic,
            can_list_records: capabilities.can_list_records,
            ttl_min: capabilities.ttl_min.seconds(),
            ttl_max: capabilities.ttl_max.seconds(),
            max_batch_size: capabilities.max_batch_size,
        },
        secrets: description.secrets.iter().map(|want| want.name.to_string()).collect(),
        endpoints: description.endpoints.iter().map(ToString::to_string).collect(),
        config_schema: description.config_schema.clone(),
    }
}

fn request(call: &Call) -> Result<ProviderRequest, String> {
    let name = |text: &String| DomainName::parse(text).map_err(|error| error.to_string());
    Ok(match call {
        Call::Validate => ProviderRequest::Validate,
        Call::Observe { zone, names } => {
            let names = names.iter().map(name).collect::<Result<_, _>>()?;
            ProviderRequest::Dns(DnsRequest::Observe { zone: name(zone)?, names })
        }
        Call::Apply { zone, key, changes } => ProviderRequest::Dns(DnsRequest::Apply {
            zone: name(zone)?,
            key: Text::parse(key).map_err(|error| error.to_string())?,
            changes: changes.iter().map(change).collect::<Result<_, _>>()?,
        }),
    })
}

fn change(change: &Change) -> Result<RecordChange, String> {
    let side = |set: &Option<RecordSet>| set.as_ref().map(model_set).transpose();
    Ok(RecordChange { before: side(&change.before)?, after: side(&change.after)? })
}

fn model_set(set: &RecordSet) -> Result<ModelSet, String> {
    let name = DomainName::parse(&set.name).map_err(|error| error.to_string())?;
    let ttl = Ttl::of(set.ttl).ok_or_else(|| format!("a TTL of {} s is more than DNS allows", set.ttl))?;
    let values: Vec<_> = set.values.iter().map(String::as_str).collect();
    Ok(ModelSet::observed(RecordKey { name, rtype: RecordType::of(&set.rtype) }, ttl, &values))
}

fn result(reply: ProviderReply) -> CallResult {
    match reply {
        ProviderReply::Validated(_) | ProviderReply::Dns(DnsReply::Applied) => CallResult::Done(Vec::new()),
        ProviderReply::Dns(DnsReply::Observed(sets)) => CallResult::Done(sets.iter().map(kit_set).collect()),
        ProviderReply::Failed(failure) => failed(failure),
    }
}

fn kit_set(set: &ModelSet) -> RecordSet {
    let values = set.values.iter().map(|value| value.to_string());
    RecordSet::new(set.key.name.as_str(), set.key.rtype.as_str(), set.ttl.seconds(), values)
}

fn failed(failure: ProviderFailure) -> CallResult {
    CallResult::Failed(match failure {
        ProviderFailure::Retry { after, reason } => {
            ProviderError::Retry { after: after.map(|after: Duration| after), reason: reason.to_string() }
        }
        ProviderFailure::Refused { reason, part } => {
            ProviderError::Invalid { reason: reason.to_string(), field: None, name: part.map(|name| name.to_string()) }
        }
        ProviderFailure::Conflict { reason, part } => {
            let name = part.map_or_else(String::new, |name| name.to_string());
            ProviderError::Conflict { name, found: reason.to_string() }
        }
        ProviderFailure::Unauthorized { reason } => ProviderError::Unauthorized { reason: reason.to_string() },
        ProviderFailure::LimitExceeded { reason } => ProviderError::invalid(reason.to_string()),
        ProviderFailure::Broken { reason } | ProviderFailure::Missing { reason } => {
            return CallResult::Broken(reason.to_string());
        }
    })
}
