//! The host's configuration, set once at startup.

use std::fmt;
use std::path::PathBuf;

use minisign_verify::PublicKey;

use crate::error::PluginHostError;
use crate::limits::Limits;

/// Where plugins are stored, who may publish them, and their limits.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// The site's `plugins/`: `NAME.wasm` from an operator, `pushed/DIGEST.wasm` from the server, and `cache/`, which
    /// belongs to the host. Created if missing.
    pub directory: PathBuf,
    /// The path of the program `linecamp-plugin-compiler`.
    pub compiler: PathBuf,
    /// A PEM file with CA certificates of private services, trusted in addition to the public CAs.
    pub ca_file: Option<PathBuf>,
    /// The publishers whose signature a component needs, as `FILE.wasm.minisig` next to it. If empty, no signature is
    /// required.
    pub publishers: Vec<PublisherKey>,
    /// Whether a provider whose settings do not fit the plugin's description fails its validation without a call. The
    /// conformance kit, which tests what the plugin itself reports, turns this off.
    pub validates_settings: bool,
    /// The limits of a call.
    pub limits: Limits,
}

/// The minisign public key of a plugin publisher.
#[derive(Clone, PartialEq, Eq)]
pub struct PublisherKey(pub(crate) PublicKey);

impl PublisherKey {
    /// Parses what `minisign -G` prints or writes to `minisign.pub`: one line of base64, with or without the comment
    /// above it.
    ///
    /// # Errors
    /// [`PluginHostError::PublisherKey`].
    pub fn parse(text: &str) -> Result<Self, PluginHostError> {
        let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
        match PublicKey::from_base64(line) {
            Ok(key) => Ok(Self(key)),
            Err(source) => {
                Err(PluginHostError::PublisherKey { found: line.escape_debug().to_string(), source: source.into() })
            }
        }
    }
}

impl fmt::Debug for PublisherKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublisherKey")
    }
}
