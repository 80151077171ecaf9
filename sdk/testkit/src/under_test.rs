//! The provider under test: in this process, or as a component in the host.

use std::marker::PhantomData;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use linecamp_provider::{Change, Context, DnsCapabilities, DnsProvider, ProviderError, RecordSet, entry, names};

use crate::fake_host::{FakeHost, START_MILLIS};

/// Timeout of a call to a provider in this process. The provider does no I/O, so a longer call hangs; its thread is
/// abandoned.
const CALL_LIMIT: Duration = Duration::from_secs(20);

/// A provider's description of itself, whatever language it is written in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProviderDescription {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) summary: String,
    pub(crate) capabilities: DnsCapabilities,
    /// The names of the secrets.
    pub(crate) secrets: Vec<String>,
    pub(crate) endpoints: Vec<String>,
    pub(crate) config_schema: String,
}

/// A call to a provider.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Validate,
    Observe { zone: String, names: Vec<String> },
    Apply { zone: String, key: String, changes: Vec<Change> },
}

/// How a call ended. A successful check returns no sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallResult {
    Done(Vec<RecordSet>),
    Failed(ProviderError),
    /// It panicked, trapped, hung or violated the contract.
    Broken(String),
}

/// A provider under test.
pub(crate) trait ProviderUnderTest {
    fn describe(&self) -> Result<ProviderDescription, String>;

    fn call(&self, fake_host: &FakeHost, config: &str, call: &Call) -> CallResult;

    /// Whether the `field` of an error is available; a host moves it into the message.
    fn is_native(&self) -> bool;

    /// Returns the provider's current time when a fixture is new.
    fn now_millis(&self) -> u64;
}

/// A provider in this process.
pub(crate) struct InProcess<P>(PhantomData<P>);

impl<P> InProcess<P> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<P: DnsProvider + 'static> ProviderUnderTest for InProcess<P> {
    fn describe(&self) -> Result<ProviderDescription, String> {
        let described = on_thread(|| entry::describe::<P>())?;
        let info = described.info;
        Ok(ProviderDescription {
            name: info.name.to_owned(),
            version: info.version.to_owned(),
            summary: info.summary.to_owned(),
            capabilities: info.capabilities,
            secrets: info.secrets.iter().map(|secret| secret.name.to_owned()).collect(),
            endpoints: info.endpoints.iter().map(|endpoint| (*endpoint).to_owned()).collect(),
            config_schema: described.config_schema.to_owned(),
        })
    }

    fn call(&self, fake_host: &FakeHost, config: &str, call: &Call) -> CallResult {
        let (fake_host, config, owned) = (fake_host.clone(), config.to_owned(), call.clone());
        let outcome = on_thread(move || {
            let cx = Context::new(fake_host);
            match owned {
                Call::Validate => entry::validate::<P>(&config, &cx).map(|()| Vec::new()),
                Call::Observe { zone, names } => entry::observe::<P>(&config, &cx, &zone, &names),
                Call::Apply { zone, key, changes } => entry::apply::<P>(
                    &config,
                    &cx,
                    &zone,
                    entry::ChangeSet { idempotency_key: &key, changes: &changes },
                ),
            }
        });
        match outcome {
            Ok(Ok(sets)) => match contract_violation(&sets, call) {
                None => CallResult::Done(sets),
                Some(why) => CallResult::Broken(format!("violated the contract: {why}")),
            },
            Ok(Err(failure)) => CallResult::Failed(failure),
            Err(broken) => CallResult::Broken(broken),
        }
    }

    fn is_native(&self) -> bool {
        true
    }

    fn now_millis(&self) -> u64 {
        START_MILLIS
    }
}

/// Returns what is wrong with the returned sets, by the rules of the host, which fails such a call.
fn contract_violation(sets: &[RecordSet], call: &Call) -> Option<String> {
    /// Maximum number of values in one set that the host accepts.
    const VALUES_MAX: usize = 256;
    let zone = match call {
        Call::Validate => return None,
        Call::Observe { zone, .. } | Call::Apply { zone, .. } => zone,
    };
    sets.iter().find_map(|set| {
        let what = match () {
            () if !names::is_within(&set.name, zone) => "is not in the zone",
            () if set.rtype.is_empty() || !set.rtype.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                "has an invalid type"
            }
            () if i32::MAX.cast_unsigned() < set.ttl => "has a TTL that DNS does not allow",
            () if VALUES_MAX < set.values.len() => "has too many values",
            () => return None,
        };
        Some(format!("it returned {} {}, which {what}", set.name, set.rtype))
    })
}

/// Runs a call on a separate thread, so that a panic or an endless loop is a test result and does not end the kit.
fn on_thread<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let thread = thread::spawn(move || sender.send(call()).unwrap_or_default());
    match receiver.recv_timeout(CALL_LIMIT) {
        Ok(outcome) => Ok(outcome),
        Err(mpsc::RecvTimeoutError::Timeout) => Err(format!("did not finish within {} s", CALL_LIMIT.as_secs())),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            let panic = thread.join().err();
            let message = panic.as_ref().and_then(|panic| {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                text.or_else(|| panic.downcast_ref::<&str>().copied())
            });
            Err(format!("panicked: {}", message.unwrap_or("without a message")))
        }
    }
}
