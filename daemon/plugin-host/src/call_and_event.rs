//! The calls that go into the plugin host, and the events that come out of it.

use std::sync::Arc;

use linecamp_model::{CallId, Name, PluginDigest, ProviderReply, ProviderRequest, ProviderSpec, Text};

/// A call to a provider.
#[derive(Clone, Debug)]
pub struct ProviderCall {
    /// Identifies the call in its reply.
    pub call: CallId,
    /// The provider, with its settings and grants.
    pub spec: Arc<ProviderSpec>,
    /// Whether the site's own configuration defines the provider, as opposed to the server. Only such a provider may
    /// use site secrets without a binding.
    pub is_local: bool,
    /// The operation to run.
    pub request: ProviderRequest,
}

/// An event from the plugin host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostEvent {
    /// A call ended. There is exactly one of these for every [`PluginHost::call`].
    Replied {
        /// The call.
        call: CallId,
        /// The result of the call.
        reply: ProviderReply,
        /// The plugin that handled the call; `None` if no plugin could be loaded.
        plugin: Option<PluginIdentity>,
    },
    /// A file in the plugin directory was added, replaced or deleted.
    PluginChanged {
        /// The name of the plugin.
        name: Name,
        /// The digest that the next call uses, or why this file is not used. In that case the previously loaded plugin
        /// stays in use, if there was one and the file was not deleted.
        result: Result<PluginDigest, Text>,
    },
}

/// A plugin as it described itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginIdentity {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: Text,
}
