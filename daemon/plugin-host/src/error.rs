//! Why a plugin, or the host itself, does not come up.

use std::io;
use std::path::PathBuf;

use linecamp_model::PluginDigest;

/// A cause from a library that this crate hides.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why the host did not start, or a plugin cannot be used. `plugin` is the path of its component.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginHostError {
    /// A directory of ours could not be made, listed or read.
    #[error("failed to prepare the plugin directory {path}", path = path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody else could put native code, or a plugin of their own, where we take it from.
    #[error(
        "{path} {problem}, so what lies in it could be anybody's; make it a directory of the daemon's user that others \
         cannot write to (chmod go-w)",
        path = path.display()
    )]
    Exposed {
        /// Which directory.
        path: PathBuf,
        /// In what way.
        problem: &'static str,
    },
    /// The directory cannot be watched.
    #[error("failed to watch {path} for new plugins", path = path.display())]
    Watch {
        /// Which.
        path: PathBuf,
        /// Why.
        source: Cause,
    },
    /// The engine, its thread or its TLS did not start.
    #[error("failed to start {what} of the plugin host")]
    Start {
        /// Which part.
        what: &'static str,
        /// Why.
        source: Cause,
    },
    /// Not a key.
    #[error("`{found}` is not a minisign public key, which is one line of base64 beginning with RW")]
    PublisherKey {
        /// What was found.
        found: String,
        /// Why not.
        source: Cause,
    },
    /// There is no such file.
    #[error("there is no plugin {plugin}; {remedy}", plugin = plugin.display())]
    Missing {
        /// Where it was looked for.
        plugin: PathBuf,
        /// What to do.
        remedy: &'static str,
    },
    /// The file is there and cannot be read.
    #[error("failed to read the plugin {plugin}", plugin = plugin.display())]
    Read {
        /// Which.
        plugin: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Larger than we take.
    #[error("the plugin {plugin} has more than {most} bytes", plugin = plugin.display())]
    TooBig {
        /// Which.
        plugin: PathBuf,
        /// The most.
        most: u64,
    },
    /// Not the bytes that were asked for.
    #[error(
        "the plugin {plugin} is not what was pushed: its digest is {found}; push it again, or delete the file",
        plugin = plugin.display()
    )]
    WrongDigest {
        /// Which.
        plugin: PathBuf,
        /// What it is.
        found: PluginDigest,
    },
    /// No signature that counts.
    #[error(
        "the plugin {plugin} is not signed by a trusted publisher: {problem}; sign it with `minisign -Sm FILE.wasm` and \
         put FILE.wasm.minisig beside it, or add the publisher's key",
        plugin = plugin.display()
    )]
    Unsigned {
        /// Which.
        plugin: PathBuf,
        /// In what way.
        problem: String,
    },
    /// The compiler could not be run.
    #[error("failed to run the plugin compiler {compiler}; it is part of the daemon's installation", compiler = compiler.display())]
    Compiler {
        /// Which program.
        compiler: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The compiler refuses the component.
    #[error("the plugin {plugin} cannot be compiled: {problem}", plugin = plugin.display())]
    Compile {
        /// Which.
        plugin: PathBuf,
        /// In what way: what the compiler said, or how it ended.
        problem: String,
    },
    /// The machine did not let the compiler finish; another time it may.
    #[error("the plugin {plugin} could not be compiled: {problem}", plugin = plugin.display())]
    Uncompiled {
        /// Which.
        plugin: PathBuf,
        /// In what way: what the compiler said, or how it ended.
        problem: String,
    },
    /// The compiled form could not be kept.
    #[error("failed to keep the compiled plugin {path}", path = path.display())]
    Cache {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was compiled a moment ago does not load.
    #[error("failed to load the plugin {plugin}", plugin = plugin.display())]
    Load {
        /// Which.
        plugin: PathBuf,
        /// Why.
        source: Cause,
    },
    /// Built for a contract that we do not know.
    #[error(
        "the plugin {plugin} is built for {wanted}; this daemon understands {understood}: {remedy}",
        plugin = plugin.display()
    )]
    Contract {
        /// Which.
        plugin: PathBuf,
        /// The package and version it was built for.
        wanted: String,
        /// The package and versions that we know.
        understood: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A component, and no provider.
    #[error(
        "{plugin} is a component, but no provider: it does not export {missing}; build it with the SDK, \
         linecamp-provider",
        plugin = plugin.display()
    )]
    World {
        /// Which.
        plugin: PathBuf,
        /// What it would have to export.
        missing: String,
    },
    /// It wants what plugins do not get.
    #[error(
        "the plugin {plugin} wants {wanted}, which no plugin gets: files, sockets and the environment stay closed; \
         reach out through the contract's http and exchange",
        plugin = plugin.display()
    )]
    Import {
        /// Which.
        plugin: PathBuf,
        /// The interfaces.
        wanted: String,
    },
    /// It could not say what it is.
    #[error("the plugin {plugin} failed to describe itself: {problem}", plugin = plugin.display())]
    Describe {
        /// Which.
        plugin: PathBuf,
        /// How it ended.
        problem: String,
    },
    /// What it says of itself is not acceptable.
    #[error("the plugin {plugin} describes itself wrongly: {problem}", plugin = plugin.display())]
    Description {
        /// Which.
        plugin: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

impl PluginHostError {
    /// Says whether the same file will fail in the same way until it is replaced, or the daemon started anew; otherwise
    /// trying again may help.
    pub const fn is_lasting(&self) -> bool {
        match self {
            Self::TooBig { .. }
            | Self::WrongDigest { .. }
            | Self::Unsigned { .. }
            | Self::Compile { .. }
            | Self::Load { .. }
            | Self::Contract { .. }
            | Self::World { .. }
            | Self::Import { .. }
            | Self::Describe { .. }
            | Self::Description { .. }
            | Self::PublisherKey { .. } => true,
            Self::Directory { .. }
            | Self::Exposed { .. }
            | Self::Watch { .. }
            | Self::Start { .. }
            | Self::Missing { .. }
            | Self::Read { .. }
            | Self::Compiler { .. }
            | Self::Uncompiled { .. }
            | Self::Cache { .. } => false,
        }
    }
}

/// Renders an error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
