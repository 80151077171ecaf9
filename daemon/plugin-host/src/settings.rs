//! What the host is told once.

use std::fmt;
use std::path::PathBuf;

use minisign_verify::PublicKey;

use crate::error::PluginHostError;
use crate::limits::Limits;

/// Where plugins lie, who may publish them, and what they may take.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// The site's `plugins/`: `NAME.wasm` from an operator, `pushed/DIGEST.wasm` from the server, and `cache/`, which
    /// is the host's own. It is made if it is not there.
    pub directory: PathBuf,
    /// The program `linecamp-plugin-compiler`.
    pub compiler: PathBuf,
    /// Certificates (PEM) of authorities that are believed beside the public ones: those of private services.
    pub ca_file: Option<PathBuf>,
    /// Whose signature a component needs, as `FILE.wasm.minisig` beside it. Without any, none is asked for.
    pub publishers: Vec<PublisherKey>,
    /// What a call may take.
    pub limits: Limits,
}

/// The minisign public key of somebody who publishes plugins.
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
