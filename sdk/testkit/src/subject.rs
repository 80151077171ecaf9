//! The subject of a test: a provider in this process, or a component in the host.

use std::marker::PhantomData;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use linecamp_provider::{Change, Context, DnsAbilities, DnsProvider, Failure, RecordSet, entry, names};

use crate::world::{BEGINNING_MILLIS, World};

/// Timeout of a call to a provider in this process. The provider does no I/O, so a longer call hangs; its thread is
/// abandoned.
const CALL_LIMIT: Duration = Duration::from_secs(20);

/// A provider's description of itself, whatever language it is written in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) about: String,
    pub(crate) abilities: DnsAbilities,
    /// The names of the secrets.
    pub(crate) secrets: Vec<String>,
    pub(crate) reaches: Vec<String>,
    pub(crate) config_schema: String,
}

/// A call to a provider.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Check,
    Observe { zone: String, names: Vec<String> },
    Apply { zone: String, key: String, changes: Vec<Change> },
}

/// How a call ended. A successful check returns no sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Done(Vec<RecordSet>),
    Failed(Failure),
    /// It panicked, trapped, hung or violated the contract.
    Broken(String),
}

/// A provider under test.
pub(crate) trait Subject {
    fn describe(&self) -> Result<Described, String>;

    fn call(&self, world: &World, config: &str, ask: &Ask) -> Ending;

    /// Whether a refusal's `field` is available; a host moves it into the message.
    fn is_native(&self) -> bool;

    /// Returns the provider's current time when a room is new.
    fn now_millis(&self) -> u64;
}

/// A provider in this process.
pub(crate) struct Native<P>(PhantomData<P>);

impl<P> Native<P> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<P: DnsProvider + 'static> Subject for Native<P> {
    fn describe(&self) -> Result<Described, String> {
        let described = aside(|| entry::describe::<P>())?;
        let about = described.about;
        Ok(Described {
            name: about.name.to_owned(),
            version: about.version.to_owned(),
            about: about.about.to_owned(),
            abilities: about.abilities,
            secrets: about.secrets.iter().map(|secret| secret.name.to_owned()).collect(),
            reaches: about.reaches.iter().map(|reach| (*reach).to_owned()).collect(),
            config_schema: described.config_schema.to_owned(),
        })
    }

    fn call(&self, world: &World, config: &str, ask: &Ask) -> Ending {
        let (world, config, asked) = (world.clone(), config.to_owned(), ask.clone());
        let ended = aside(move || {
            let cx = Context::new(world);
            match asked {
                Ask::Check => entry::check::<P>(&config, &cx).map(|()| Vec::new()),
                Ask::Observe { zone, names } => entry::observe::<P>(&config, &cx, &zone, &names),
                Ask::Apply { zone, key, changes } => {
                    entry::apply::<P>(&config, &cx, &zone, entry::Step { key: &key, changes: &changes })
                }
            }
        });
        match ended {
            Ok(Ok(sets)) => match wrong(&sets, ask) {
                None => Ending::Done(sets),
                Some(why) => Ending::Broken(format!("broke its contract: {why}")),
            },
            Ok(Err(failure)) => Ending::Failed(failure),
            Err(broken) => Ending::Broken(broken),
        }
    }

    fn is_native(&self) -> bool {
        true
    }

    fn now_millis(&self) -> u64 {
        BEGINNING_MILLIS
    }
}

/// Returns what is wrong with the returned sets, by the rules of the host, which fails such a call.
fn wrong(sets: &[RecordSet], ask: &Ask) -> Option<String> {
    /// Maximum number of values in one set that the host accepts.
    const VALUES_MAX: usize = 256;
    let zone = match ask {
        Ask::Check => return None,
        Ask::Observe { zone, .. } | Ask::Apply { zone, .. } => zone,
    };
    sets.iter().find_map(|set| {
        let what = match () {
            () if !names::is_within(&set.name, zone) => "is not in the zone",
            () if set.rtype.is_empty() || !set.rtype.bytes().all(|byte| byte.is_ascii_alphanumeric()) => "has no type",
            () if i32::MAX.cast_unsigned() < set.ttl => "lives longer than DNS can say",
            () if VALUES_MAX < set.values.len() => "has too many values",
            () => return None,
        };
        Some(format!("it returned {} {}, which {what}", set.name, set.rtype))
    })
}

/// Runs a call on a separate thread, so that a panic or an endless loop is a test result and does not end the kit.
fn aside<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let (tell, told) = mpsc::sync_channel(1);
    let thread = thread::spawn(move || tell.send(call()).unwrap_or_default());
    match told.recv_timeout(CALL_LIMIT) {
        Ok(ended) => Ok(ended),
        Err(mpsc::RecvTimeoutError::Timeout) => Err(format!("did not end within {} s", CALL_LIMIT.as_secs())),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            let panic = thread.join().err();
            let words = panic.as_ref().and_then(|panic| {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                text.or_else(|| panic.downcast_ref::<&str>().copied())
            });
            Err(format!("panicked: {}", words.unwrap_or("without words")))
        }
    }
}
