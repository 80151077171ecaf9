//! The component as a subject: each call goes through a host, as in the daemon.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use linecamp_model::{
    CallId, DnsSpec, DomainName, Endpoint, Grant, Name, NameTemplate, OwnerId, PluginRef, ProviderConfig,
    ProviderFailure, ProviderReply, ProviderRequest, ProviderSpec, RecordChange, RecordKey, RecordSet as ModelSet,
    RecordType, SecretName, Selector, Text, Ttl,
};
use linecamp_plugin_host::{Description, HostConfig, HostEvent, Limits, PluginHost, PluginHostError, ProviderCall};
use linecamp_provider::{Change, DnsAbilities, Failure, RecordSet};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::stage::{Stage, provider_name};
use crate::subject::{Ask, Described, Ending, Subject};
use crate::world::World;

/// Why a component could not be started.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlayError {
    /// Its directory could not be created, or the component could not be copied.
    #[error("the component could not be copied to a directory of its own")]
    Directory(#[source] std::io::Error),
    /// The host did not start.
    #[error("the host did not start")]
    Host(#[source] PluginHostError),
}

/// A plugin directory with the component in it, shared by successive hosts: the component is compiled only once.
pub(super) struct House<'a> {
    description: &'a Description,
    compiler: &'a Path,
    /// Deleted when this value is dropped.
    directory: TempDir,
}

impl<'a> House<'a> {
    /// Copies the component to a new directory.
    pub(super) fn new(path: &Path, description: &'a Description, compiler: &'a Path) -> Result<Self, PlayError> {
        let directory = tempfile::tempdir().map_err(PlayError::Directory)?;
        let place = directory.path().join(format!("{}.wasm", description.name));
        fs::copy(path, place).map_err(PlayError::Directory)?;
        Ok(Self { description, compiler, directory })
    }
}

/// A component in a host of its own.
pub(super) struct Play {
    described: Described,
    plugin: Name,
    secrets: BTreeMap<SecretName, SecretName>,
    stage: Stage,
    host: RefCell<PluginHost>,
    runtime: Runtime,
    calls: Cell<u64>,
}

impl Play {
    /// Starts a host with the component in it.
    pub(super) fn start(house: &House<'_>, limits: Limits) -> Result<Self, PlayError> {
        let description = house.description;
        let config = HostConfig {
            directory: house.directory.path().to_owned(),
            compiler: house.compiler.to_owned(),
            ca_file: None,
            publishers: Vec::new(),
            limits,
        };
        let stage = Stage::default();
        let host = PluginHost::start_on(config, Arc::new(stage.clone()), Arc::new(stage.clone()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(PlayError::Directory)?;
        let secrets = description.secrets.iter().map(|want| (want.name.clone(), want.name.clone())).collect();
        Ok(Self {
            described: described(description),
            plugin: description.name.clone(),
            secrets,
            stage,
            host: RefCell::new(host.map_err(PlayError::Host)?),
            runtime,
            calls: Cell::new(0),
        })
    }

    fn spec(&self, world: &World, config: &str) -> Result<ProviderSpec, String> {
        let reach_private = world.reaches().into_iter().map(|reach| Endpoint::parse(&reach.to_string()));
        let reach_private: BTreeSet<_> = reach_private.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        Ok(ProviderSpec {
            name: provider_name(),
            plugin: PluginRef { name: self.plugin.clone(), digest: None },
            config: ProviderConfig::of_json(config).map_err(|error| error.to_string())?,
            secrets: self.secrets.clone(),
            grant: Grant { reach_private, plain_http: true, ..Grant::default() },
            dns: DnsSpec {
                owner: OwnerId::parse("examiner").expect("a constant that is a name"),
                zones: BTreeSet::new(),
                template: NameTemplate::parse(NameTemplate::DEFAULT).expect("a constant that is a template"),
                ttl: Ttl::DEFAULT,
                hosts: Selector::parse("").expect("nothing selects all"),
                observed_address: false,
                allow_deletes: true,
                withdraw_inactive: false,
                extra: Vec::new(),
            },
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

impl Subject for Play {
    fn describe(&self) -> Result<Described, String> {
        Ok(self.described.clone())
    }

    fn call(&self, world: &World, config: &str, ask: &Ask) -> Ending {
        self.stage.set(world);
        let asked = self.spec(world, config).and_then(|spec| Ok((spec, request(ask)?)));
        match asked {
            Ok((spec, request)) => ending(self.reply(spec, request)),
            // The daemon would not have sent this call.
            Err(why) => Ending::Broken(format!("cannot be asked: {why}")),
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

fn described(description: &Description) -> Described {
    let abilities = description.abilities;
    Described {
        name: description.name.to_string(),
        version: description.version.to_string(),
        about: description.about.to_string(),
        abilities: DnsAbilities {
            atomic: abilities.atomic,
            lists_zones: abilities.lists_zones,
            ttl_min: abilities.ttl_min.seconds(),
            ttl_max: abilities.ttl_max.seconds(),
            changes_max: abilities.changes_max,
        },
        secrets: description.secrets.iter().map(|want| want.name.to_string()).collect(),
        reaches: description.reaches.iter().map(ToString::to_string).collect(),
        config_schema: description.config_schema.clone(),
    }
}

fn request(ask: &Ask) -> Result<ProviderRequest, String> {
    let name = |text: &String| DomainName::parse(text).map_err(|error| error.to_string());
    Ok(match ask {
        Ask::Check => ProviderRequest::Check,
        Ask::Observe { zone, names } => {
            ProviderRequest::Observe { zone: name(zone)?, names: names.iter().map(name).collect::<Result<_, _>>()? }
        }
        Ask::Apply { zone, key, changes } => ProviderRequest::Apply {
            zone: name(zone)?,
            key: Text::parse(key).map_err(|error| error.to_string())?,
            changes: changes.iter().map(change).collect::<Result<_, _>>()?,
        },
    })
}

fn change(change: &Change) -> Result<RecordChange, String> {
    let side = |set: &Option<RecordSet>| set.as_ref().map(model_set).transpose();
    Ok(RecordChange { before: side(&change.before)?, after: side(&change.after)? })
}

fn model_set(set: &RecordSet) -> Result<ModelSet, String> {
    let name = DomainName::parse(&set.name).map_err(|error| error.to_string())?;
    let ttl = Ttl::of(set.ttl).ok_or_else(|| format!("{} s are more than DNS can say", set.ttl))?;
    let values: Vec<_> = set.values.iter().map(String::as_str).collect();
    Ok(ModelSet::observed(RecordKey { name, rtype: RecordType::of(&set.rtype) }, ttl, &values))
}

fn ending(reply: ProviderReply) -> Ending {
    match reply {
        ProviderReply::Checked(_) | ProviderReply::Applied => Ending::Done(Vec::new()),
        ProviderReply::Observed(sets) => Ending::Done(sets.iter().map(kit_set).collect()),
        ProviderReply::Failed(failure) => failed(failure),
    }
}

fn kit_set(set: &ModelSet) -> RecordSet {
    let values = set.values.iter().map(|value| value.to_string());
    RecordSet::new(set.key.name.as_str(), set.key.rtype.as_str(), set.ttl.seconds(), values)
}

fn failed(failure: ProviderFailure) -> Ending {
    Ending::Failed(match failure {
        ProviderFailure::Retry { after, reason } => {
            Failure::Retry { after: after.map(|after: Duration| after), reason: reason.to_string() }
        }
        ProviderFailure::Refused { reason, name } => {
            Failure::Refused { reason: reason.to_string(), field: None, name: name.map(|name| name.to_string()) }
        }
        // The host prepends the name to the message.
        ProviderFailure::Conflict { reason } => {
            let name = reason.as_str().split(": ").next().unwrap_or_default().to_owned();
            Failure::Conflict { name, owner: reason.to_string() }
        }
        ProviderFailure::Unauthorized { reason } => Failure::Unauthorized { reason: reason.to_string() },
        ProviderFailure::LimitExceeded { reason } => Failure::refused(reason.to_string()),
        ProviderFailure::Broken { reason } | ProviderFailure::Missing { reason } => {
            return Ending::Broken(reason.to_string());
        }
    })
}
