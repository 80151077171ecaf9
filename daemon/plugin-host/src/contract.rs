//! Which contract a component was built for, and how to call it. Each version of the contract is one module here that
//! converts between the model and the contract's types; nothing above this module knows about versions.
//!
//! What a plugin returns is used only after [`validate`] has validated it.

use std::path::Path;

use linecamp_model::{Capabilities, PluginDescription, ProviderReply, ProviderRequest};
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

use crate::error::PluginHostError;
use crate::sandbox::{self, Sandbox};

mod names;
mod v1;
mod validate;

pub(crate) use self::names::imports;

/// A component ready to be instantiated, under the contract version it was built for.
#[derive(Clone)]
pub(crate) enum Prepared {
    V1(v1::Prepared),
}

/// The linkers, one for each version of the contract.
pub(crate) struct Linkers {
    v1: Linker<Sandbox>,
}

/// One invocation of a plugin.
pub(crate) struct Invocation<'a> {
    /// The provider's settings, as JSON.
    pub(crate) config: &'a str,
    /// The capabilities that the plugin described.
    pub(crate) capabilities: Capabilities,
    pub(crate) request: ProviderRequest,
}

/// The result of an invocation that did not trap: the reply, or why the plugin's result is invalid.
pub(crate) type Validated<T> = wasmtime::Result<Result<T, String>>;

impl Linkers {
    /// Links everything that plugins may import.
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

    /// Checks the imports and exports of a component, and prepares it for instantiation.
    pub(crate) fn prepare(&self, component: &Component, plugin: &Path) -> Result<Prepared, PluginHostError> {
        names::check(component, self.v1.engine(), plugin)?;
        let prepared = v1::Prepared::new(&self.v1, component);
        prepared
            .map(Prepared::V1)
            .map_err(|source| PluginHostError::Load { plugin: plugin.to_owned(), source: source.into() })
    }
}

impl Prepared {
    /// Calls `describe` on a fresh instance.
    pub(crate) async fn describe(&self, store: &mut Store<Sandbox>) -> Validated<PluginDescription> {
        match self {
            Self::V1(prepared) => prepared.describe(store).await,
        }
    }

    /// Runs the requested operation on a fresh instance.
    pub(crate) async fn call(
        &self,
        store: &mut Store<Sandbox>,
        invocation: Invocation<'_>,
    ) -> Validated<ProviderReply> {
        match self {
            Self::V1(prepared) => prepared.call(store, invocation).await,
        }
    }
}
