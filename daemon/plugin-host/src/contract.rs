//! What a component was built for, and how it is spoken to. A version of the contract is one file here, which turns our
//! words into its words and back; above this, nobody knows that there are versions.
//!
//! What a plugin returns is believed only after [`checked`] has seen it.

use std::path::Path;

use linecamp_model::{DnsAbilities, Name, ProviderReply, ProviderRequest, Text};
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

use crate::error::PluginHostError;
use crate::sandbox::{self, Sandbox};

mod checked;
mod names;
mod v1;

pub(crate) use self::checked::cut;
pub(crate) use self::names::imports;

/// What a plugin says of itself, after a look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: Text,
    /// What it is, in a sentence.
    pub about: Text,
    /// What it can.
    pub abilities: DnsAbilities,
    /// The JSON Schema of its config, as it gave it.
    pub config_schema: String,
    /// The secrets it needs.
    pub secrets: Vec<SecretWant>,
    /// What it has to reach, `HOST:PORT`; `{field}` stands for what its config says there.
    pub reaches: Vec<Text>,
}

/// A secret that a plugin needs, by the handle it has for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretWant {
    /// The handle.
    pub name: linecamp_model::SecretName,
    /// What it is for.
    pub about: Text,
    /// Whether it works without.
    pub is_required: bool,
}

/// A component made ready for instances, under the version of the contract it was built for.
#[derive(Clone)]
pub(crate) enum Prepared {
    V1(v1::Prepared),
}

/// Makes instances possible, of every version of the contract.
pub(crate) struct Linkers {
    v1: Linker<Sandbox>,
}

/// What a plugin is asked.
pub(crate) struct Invocation<'a> {
    /// Its settings, as JSON.
    pub(crate) config: &'a str,
    /// What it said it can.
    pub(crate) abilities: DnsAbilities,
    pub(crate) request: ProviderRequest,
}

/// How a call of a plugin ended that did not trap: the reply, or what is wrong with the answer.
pub(crate) type Answered<T> = wasmtime::Result<Result<T, String>>;

impl Linkers {
    /// Links what plugins get.
    pub(crate) fn new(engine: &Engine) -> Result<Self, PluginHostError> {
        let linked = || {
            let mut linker = Linker::new(engine);
            sandbox::link(&mut linker)?;
            v1::link(&mut linker)?;
            Ok(linker)
        };
        let v1 = linked().map_err(|source: wasmtime::Error| PluginHostError::Start {
            what: "the interfaces",
            source: source.into(),
        })?;
        Ok(Self { v1 })
    }

    /// Checks what a component wants and is, and makes it ready.
    pub(crate) fn prepare(&self, component: &Component, plugin: &Path) -> Result<Prepared, PluginHostError> {
        names::check(component, self.v1.engine(), plugin)?;
        let prepared = v1::Prepared::new(&self.v1, component);
        prepared
            .map(Prepared::V1)
            .map_err(|source| PluginHostError::Load { plugin: plugin.to_owned(), source: source.into() })
    }
}

impl Prepared {
    /// Asks a fresh instance what it is.
    pub(crate) async fn describe(&self, store: &mut Store<Sandbox>) -> Answered<Description> {
        match self {
            Self::V1(prepared) => prepared.describe(store).await,
        }
    }

    /// Has a fresh instance do what is asked.
    pub(crate) async fn call(&self, store: &mut Store<Sandbox>, ask: Invocation<'_>) -> Answered<ProviderReply> {
        match self {
            Self::V1(prepared) => prepared.call(store, ask).await,
        }
    }
}
