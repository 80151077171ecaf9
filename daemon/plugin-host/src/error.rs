//! Errors of plugins and of the host itself.

use std::io;
use std::path::PathBuf;

use linecamp_model::PluginDigest;

/// The error of a dependency that this crate does not expose.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why the host did not start, or a plugin cannot be used. `plugin` is the path of its component.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginHostError {
    /// A directory of the host could not be created, listed or read.
    #[error("failed to prepare the plugin directory {path}", path = path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Another user could place native code or a plugin in the directory.
    #[error(
        "{path} {problem}, so its files cannot be trusted; it must belong to the daemon's user and be writable by no \
         other (chmod go-w)",
        path = path.display()
    )]
    Exposed {
        /// The directory.
        path: PathBuf,
        /// How it is exposed.
        problem: &'static str,
    },
    /// The directory cannot be watched.
    #[error("failed to watch {path} for new plugins", path = path.display())]
    Watch {
        /// The directory.
        path: PathBuf,
        /// The cause.
        source: Cause,
    },
    /// The engine, its thread or TLS did not start.
    #[error("failed to start {what} of the plugin host")]
    Start {
        /// The part that failed.
        what: &'static str,
        /// The cause.
        source: Cause,
    },
    /// The text is not a public key.
    #[error("`{found}` is not a minisign public key, which is one line of base64 that starts with RW")]
    PublisherKey {
        /// The text.
        found: String,
        /// The cause.
        source: Cause,
    },
    /// The plugin file does not exist.
    #[error("plugin {plugin} not found; {remedy}", plugin = plugin.display())]
    Missing {
        /// The expected path.
        plugin: PathBuf,
        /// What to do.
        remedy: &'static str,
    },
    /// The plugin file exists but cannot be read.
    #[error("failed to read plugin {plugin}", plugin = plugin.display())]
    Read {
        /// The plugin.
        plugin: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The plugin file is too large.
    #[error("plugin {plugin} is larger than {limit} bytes", plugin = plugin.display())]
    TooLarge {
        /// The plugin.
        plugin: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// The plugin file does not have the requested digest.
    #[error(
        "plugin {plugin} does not match the pushed digest: found {found}; push it again, or delete the file",
        plugin = plugin.display()
    )]
    WrongDigest {
        /// The plugin.
        plugin: PathBuf,
        /// The actual digest.
        found: PluginDigest,
    },
    /// The plugin has no valid signature of a trusted publisher.
    #[error(
        "plugin {plugin} is not signed by a trusted publisher: {problem}; sign it with `minisign -Sm FILE.wasm` and \
         put FILE.wasm.minisig beside it, or add the publisher's key",
        plugin = plugin.display()
    )]
    Unsigned {
        /// The plugin.
        plugin: PathBuf,
        /// What is wrong with the signature.
        problem: String,
    },
    /// The compiler could not be run.
    #[error(
        "failed to run the plugin compiler {compiler}; it is part of the daemon's installation",
        compiler = compiler.display()
    )]
    Compiler {
        /// The compiler's path.
        compiler: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The compiler rejected the component.
    #[error("failed to compile plugin {plugin}: {problem}", plugin = plugin.display())]
    Compile {
        /// The plugin.
        plugin: PathBuf,
        /// The compiler's message, or its exit status.
        problem: String,
    },
    /// The compiler did not finish because of the state of this machine; a retry may succeed.
    #[error("compilation of plugin {plugin} was interrupted: {problem}", plugin = plugin.display())]
    CompileInterrupted {
        /// The plugin.
        plugin: PathBuf,
        /// The compiler's message, or its exit status.
        problem: String,
    },
    /// The compiled artifact could not be stored.
    #[error("failed to store the compiled plugin {path}", path = path.display())]
    Cache {
        /// The artifact's path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// An artifact that was just compiled cannot be loaded.
    #[error("failed to load plugin {plugin}", plugin = plugin.display())]
    Load {
        /// The plugin.
        plugin: PathBuf,
        /// The cause.
        source: Cause,
    },
    /// The plugin was built for an unsupported contract version.
    #[error(
        "plugin {plugin} is built for {required}; this daemon supports {supported}: {remedy}",
        plugin = plugin.display()
    )]
    Contract {
        /// The plugin.
        plugin: PathBuf,
        /// The package and version it was built for.
        required: String,
        /// The supported package and versions.
        supported: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The component is not a provider.
    #[error(
        "{plugin} is a component but not a provider: it does not export {missing}; build it with the SDK, \
         linecamp-provider",
        plugin = plugin.display()
    )]
    NotAProvider {
        /// The plugin.
        plugin: PathBuf,
        /// The missing export.
        missing: String,
    },
    /// The plugin imports interfaces that plugins do not get.
    #[error(
        "plugin {plugin} imports {imports}, which no plugin may use: files, sockets and the environment are not \
         available; use the contract's http and dns-client",
        plugin = plugin.display()
    )]
    ForbiddenImport {
        /// The plugin.
        plugin: PathBuf,
        /// The interfaces.
        imports: String,
    },
    /// The plugin's `describe` call failed.
    #[error("plugin {plugin} failed to describe itself: {problem}", plugin = plugin.display())]
    DescribeFailed {
        /// The plugin.
        plugin: PathBuf,
        /// The reason.
        problem: String,
    },
    /// The plugin's description is invalid.
    #[error("plugin {plugin} has an invalid description: {problem}", plugin = plugin.display())]
    InvalidDescription {
        /// The plugin.
        plugin: PathBuf,
        /// What is invalid.
        problem: String,
    },
}

impl PluginHostError {
    /// Whether the same file fails in the same way until the file is replaced or the daemon is restarted. Otherwise a
    /// retry may succeed.
    pub const fn is_lasting(&self) -> bool {
        match self {
            Self::TooLarge { .. }
            | Self::WrongDigest { .. }
            | Self::Unsigned { .. }
            | Self::Compile { .. }
            | Self::Load { .. }
            | Self::Contract { .. }
            | Self::NotAProvider { .. }
            | Self::ForbiddenImport { .. }
            | Self::DescribeFailed { .. }
            | Self::InvalidDescription { .. }
            | Self::PublisherKey { .. } => true,
            Self::Directory { .. }
            | Self::Exposed { .. }
            | Self::Watch { .. }
            | Self::Start { .. }
            | Self::Missing { .. }
            | Self::Read { .. }
            | Self::Compiler { .. }
            | Self::CompileInterrupted { .. }
            | Self::Cache { .. } => false,
        }
    }
}
