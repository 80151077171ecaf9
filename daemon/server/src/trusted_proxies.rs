//! The networks of the proxies whose forwarding headers count. A configuration reload may change them.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use linecamp_core::IpNetworks;

/// The trusted proxies. Clones share the state.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrustedProxies(Arc<RwLock<Arc<IpNetworks>>>);

impl TrustedProxies {
    pub(crate) fn new(networks: IpNetworks) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(networks))))
    }

    /// Returns the networks.
    pub(crate) fn networks(&self) -> Arc<IpNetworks> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the networks.
    pub(crate) fn set(&self, networks: IpNetworks) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(networks);
    }

    /// Returns whether `address` is a trusted proxy.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.networks().contains(address)
    }
}
