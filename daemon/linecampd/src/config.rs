//! What was written ([`ConfigFile`]), and what was meant ([`Config`]).
//!
//! [`Config::resolve`] is the only place that reads the environment, and it is handed in. A daemon that was joined
//! with `linecampd join` needs no configuration file at all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use linecamp_core::LabelLayer;
use linecamp_model::limits::{PROVIDERS_PER_SITE_MAX, SERVERS_PER_SITE_MAX};
use linecamp_model::{
    JoinTarget, JoinToken, LabelError, LabelInput, Level, Name, NameError, ProviderError, ProviderSpec, SecretName,
    ServerAddress, TokenError,
};
use linecamp_plugin_host::{PluginHostError, PublisherKey};
use linecamp_proto::api::{ProviderBody, SettingError};
use serde::Deserialize;
use tracing::level_filters::LevelFilter;

/// Where Docker listens on every distribution.
pub const DOCKER_SOCKET_DEFAULT: &str = "/var/run/docker.sock";

/// Changes that an operator would mention: a few lines a day.
pub const LOG_DEFAULT: LevelFilter = LevelFilter::INFO;

/// Bytes of a configuration file, and of a token file. A longer one is refused: it is some other file.
pub const FILE_BYTES_MAX: u64 = 64 * 1024;

/// The daemon's log level, above what the file says.
pub const LOG_VARIABLE: &str = "LINECAMP_LOG";

/// Labels of the gateway host from the environment. Of one key in both, ours wins over the one that
/// people who come from Rancher have in their scripts.
pub const LABEL_VARIABLES: [&str; 2] = ["CATTLE_HOST_LABELS", "LINECAMP_HOST_LABELS"];

/// Where systemd puts what `LoadCredential=` names.
pub const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";

/// The most memory that a call of a plugin can be given: one with a whole Python in it takes 13 MiB at rest.
pub const MEMORY_MIB_MAX: u32 = 256;

/// A configuration file that says of every key what it means. It resolves to the defaults.
pub const SAMPLE: &str = r#"# linecampd configuration. Every key is optional; this file says what holds without it.

# Servers to dial, HOST:PORT, tried in turn, at most 8. Empty: those that the site joined with.
servers = []

# Also report io.rancher.host.linux_kernel_version and io.rancher.host.docker_version.
rancher_labels = true

# Where to ask Docker for its version.
docker_socket = "/var/run/docker.sock"

# error, warn, info, debug or trace. The environment's LINECAMP_LOG goes before it.
log = "info"

[link]
# For links that are paid by the byte: a sign of life every 60 s instead of 15 s, and a lost link is
# noticed after 180 s instead of 45 s.
metered = false

# With both keys, a daemon that belongs to no site yet joins when it starts; without, `linecampd join` does it.
# [join]
# A file with TOKEN@HOST:PORT, or with TOKEN alone if `servers` is set.
# token_file = "/etc/linecamp/join-token"
# The name the site would like.
# name = "camp-042"

[plugins]
# The program that compiles plugins. Without: the one beside linecampd.
# compiler = "/usr/libexec/linecamp-plugin-compiler"
# Certificate authorities of private services, PEM, beside the public ones.
# ca_file = "/etc/linecamp/private-ca.pem"
# minisign public keys: with any, a plugin is used only if one of them signed it (NAME.wasm.minisig).
publishers = []
# Memory of one call of a plugin, 1 to 256. Without: 16.
# memory_mib = 16

# Secrets of this site, by name: the files they are in. One that is not here is looked for among systemd's credentials.
[secrets]
# pdns-key = "/etc/linecamp/pdns.key"

# A provider of this site's own, which works without the server. `linecamp provider add` does the same for many sites.
# [[provider]]
# name = "main-dns"
# plugin = "dns-powerdns"             # plugins/dns-powerdns.wasm in the data directory
# owner = "acme"                      # whose the records are; two fleets must not share it
# zones = ["example.org"]
# template = "{host}.{site}.{environment}"
# ttl = 300
# hosts = ""                          # a selector: which hosts get a record
# observed_address = false            # of a gateway without an address: the one the server sees
# deletes = false                     # without, what is not wanted any more stays
# withdraw_inactive = false
# dry_run = false
# reach = []                          # HOST:PORT that the plugin may reach, where the address is public
# reach_private = ["10.0.0.5:8081"]   # and where it may be private
# plain_http = true
# [provider.config]
# api = "http://10.0.0.5:8081"
# [provider.secrets]
# api-key = "pdns-key"                # what the plugin calls it = what it is called here
"#;

/// Looks a variable of the environment up.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Exactly what was written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConfigFile {
    servers: Option<Vec<String>>,
    rancher_labels: Option<bool>,
    docker_socket: Option<PathBuf>,
    log: Option<String>,
    link: LinkFile,
    join: Option<JoinFile>,
    plugins: PluginsFile,
    secrets: BTreeMap<String, PathBuf>,
    provider: Vec<ProviderBody>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LinkFile {
    metered: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PluginsFile {
    compiler: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    publishers: Vec<String>,
    memory_mib: Option<u32>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JoinFile {
    token_file: PathBuf,
    name: String,
}

/// What was meant: complete and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Servers to dial; empty for those that the site joined with.
    pub servers: Vec<ServerAddress>,
    /// Whether to report the labels that people who come from Rancher look for.
    pub rancher_labels: bool,
    /// Where to ask Docker for its version.
    pub docker_socket: PathBuf,
    /// The log level.
    pub log: LevelFilter,
    /// Whether the link is paid by the byte.
    pub is_metered: bool,
    /// A wish to join.
    pub join: Option<JoinConfig>,
    /// Labels from the environment.
    pub labels: LabelLayer,
    /// Providers of the site's own configuration.
    pub providers: Vec<ProviderSpec>,
    /// How plugins are run.
    pub plugins: PluginConfig,
    /// What is worth a look and no error.
    pub warnings: Vec<String>,
}

/// How plugins are run, and where the site's secrets are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginConfig {
    /// The program that compiles plugins; `None` for the one beside the daemon.
    pub compiler: Option<PathBuf>,
    /// Certificate authorities of private services, PEM.
    pub ca_file: Option<PathBuf>,
    /// Whose signature a plugin needs; none is asked for without any.
    pub publishers: Vec<PublisherKey>,
    /// Memory of one call; `None` for the default.
    pub memory_mib: Option<u32>,
    /// The files of the site's secrets.
    pub secrets: BTreeMap<SecretName, PathBuf>,
    /// Where systemd puts credentials.
    pub credentials: Option<PathBuf>,
}

/// A wish to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinConfig {
    /// Where the token is; read only when it is needed.
    pub token_file: PathBuf,
    /// The name the site would like.
    pub name: Name,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("failed to read {path}", path = path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is longer than any configuration.
    #[error("{path} has more than {FILE_BYTES_MAX} bytes; is it the right file?", path = path.display())]
    TooLong {
        /// Which file.
        path: PathBuf,
    },
    /// The file does not read: broken TOML, an unknown key, a value of another type.
    #[error("{path}: line {line}: {problem}", path = path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A server address does not read.
    #[error("key `servers`: {0}")]
    Server(TokenError),
    /// More servers than a site tries.
    #[error("key `servers` has {count} addresses, and at most {SERVERS_PER_SITE_MAX} are tried")]
    Servers {
        /// How many.
        count: usize,
    },
    /// Not a log level.
    #[error("{whose} is `{found}`, not one of error, warn, info, debug, trace")]
    Log {
        /// The key or variable.
        whose: &'static str,
        /// What it says.
        found: String,
    },
    /// The name does not read.
    #[error("key `join.name`: {0}")]
    Name(NameError),
    /// A provider does not read.
    #[error("table `[[provider]]`, number {number}: {source}")]
    Provider {
        /// Which of them, from 1.
        number: usize,
        /// The cause, with the key.
        source: SettingError,
    },
    /// Two providers of one name.
    #[error("two tables `[[provider]]` have the name {name}")]
    ProviderTwice {
        /// Which.
        name: Name,
    },
    /// More providers than a site has.
    #[error("there are {count} tables `[[provider]]`, and a site has at most {PROVIDERS_PER_SITE_MAX} providers")]
    Providers {
        /// How many.
        count: usize,
    },
    /// A secret's name does not read.
    #[error("table `[secrets]`: {0}")]
    Secret(ProviderError),
    /// A publisher's key does not read.
    #[error("key `plugins.publishers`: {0}")]
    Publisher(PluginHostError),
    /// More memory than a call of a plugin may have, or none.
    #[error("key `plugins.memory_mib` is {found}, and not 1 to {MEMORY_MIB_MAX}")]
    Memory {
        /// What it says.
        found: u32,
    },
    /// Labels in the environment do not read.
    #[error("variable {variable}: {source}")]
    Labels {
        /// Which variable.
        variable: &'static str,
        /// The cause.
        source: LabelError,
    },
}

impl ConfigFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`ConfigError`] names the file, the line and the key.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(path, &read_text(path)?)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            ConfigError::Syntax {
                path: path.to_owned(),
                line: line_of(text, start),
                problem: describe(text, start, error.message()),
            }
        })
    }
}

impl Config {
    /// Says what `file` means in this environment.
    ///
    /// # Errors
    /// [`ConfigError`] names the key or the variable.
    pub fn resolve(file: ConfigFile, env: Env<'_>) -> Result<Self, ConfigError> {
        let servers = file.servers.unwrap_or_default();
        if SERVERS_PER_SITE_MAX < servers.len() {
            return Err(ConfigError::Servers { count: servers.len() });
        }
        let servers = servers
            .iter()
            .map(|text| ServerAddress::parse(text))
            .collect::<Result<_, _>>()
            .map_err(ConfigError::Server)?;
        let join = file.join.map(|join| {
            let name = Name::parse(&join.name).map_err(ConfigError::Name)?;
            let token_file = join.token_file;
            Ok(JoinConfig { token_file, name })
        });
        let providers = providers(&file.provider)?;
        let plugins = plugins(file.plugins, file.secrets, env)?;
        let (labels, warnings) = environment_labels(env)?;
        Ok(Self {
            servers,
            rancher_labels: file.rancher_labels.unwrap_or(true),
            docker_socket: file.docker_socket.unwrap_or_else(|| DOCKER_SOCKET_DEFAULT.into()),
            log: log_level(file.log.as_deref(), env)?,
            is_metered: file.link.metered.unwrap_or(false),
            join: join.transpose()?,
            labels: LabelLayer::from([(Level::Host, labels.labels)]),
            providers,
            plugins,
            warnings,
        })
    }
}

fn providers(written: &[ProviderBody]) -> Result<Vec<ProviderSpec>, ConfigError> {
    if PROVIDERS_PER_SITE_MAX < written.len() {
        return Err(ConfigError::Providers { count: written.len() });
    }
    let mut providers: Vec<ProviderSpec> = Vec::new();
    for (body, number) in written.iter().zip(1..) {
        let spec = body.to_spec().map_err(|source| ConfigError::Provider { number, source })?;
        if providers.iter().any(|other| other.name == spec.name) {
            return Err(ConfigError::ProviderTwice { name: spec.name });
        }
        providers.push(spec);
    }
    Ok(providers)
}

fn plugins(file: PluginsFile, secrets: BTreeMap<String, PathBuf>, env: Env<'_>) -> Result<PluginConfig, ConfigError> {
    if let Some(found) = file.memory_mib.filter(|mib| !(1..=MEMORY_MIB_MAX).contains(mib)) {
        return Err(ConfigError::Memory { found });
    }
    let publishers = file.publishers.iter().map(|key| PublisherKey::parse(key));
    let secrets = secrets.into_iter().map(|(name, path)| Ok((SecretName::parse(&name)?, path)));
    Ok(PluginConfig {
        compiler: file.compiler,
        ca_file: file.ca_file,
        publishers: publishers.collect::<Result<_, _>>().map_err(ConfigError::Publisher)?,
        memory_mib: file.memory_mib,
        secrets: secrets.collect::<Result<_, _>>().map_err(ConfigError::Secret)?,
        credentials: env(CREDENTIALS_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from),
    })
}

/// Reads the labels of the gateway host that the environment holds, and says which keys came twice.
///
/// # Errors
/// [`ConfigError::Labels`] names the variable.
pub fn environment_labels(env: Env<'_>) -> Result<(LabelInput, Vec<String>), ConfigError> {
    let mut all = LabelInput::default();
    let mut warnings = Vec::new();
    for variable in LABEL_VARIABLES {
        let text = env(variable).unwrap_or_default();
        let input = LabelInput::parse_query(&text).map_err(|source| ConfigError::Labels { variable, source })?;
        warnings.extend(repeated_warning(&format!("variable {variable}"), &input));
        all.labels.extend(input.labels);
    }
    Ok((all, warnings))
}

/// Says which keys `input` repeats, if any.
pub fn repeated_warning(whose: &str, input: &LabelInput) -> Option<String> {
    let keys: Vec<_> = input.repeated.iter().map(ToString::to_string).collect();
    (!keys.is_empty()).then(|| format!("{whose} gives {} more than once; the last one holds", keys.join(", ")))
}

/// Reads the log level: the environment's, or what was written, or the default.
///
/// # Errors
/// [`ConfigError::Log`] names the key or variable.
pub fn log_level(written: Option<&str>, env: Env<'_>) -> Result<LevelFilter, ConfigError> {
    let from_env = env(LOG_VARIABLE).filter(|text| !text.is_empty());
    let (whose, found) = match (&from_env, written) {
        (Some(text), _) => ("variable LINECAMP_LOG", text.as_str()),
        (None, Some(text)) => ("key `log`", text),
        (None, None) => return Ok(LOG_DEFAULT),
    };
    match found {
        "error" => Ok(LevelFilter::ERROR),
        "warn" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        _ => Err(ConfigError::Log { whose, found: found.escape_debug().to_string() }),
    }
}

/// Reads `TOKEN@HOST:PORT[,…]`, or a token alone if `servers` are known from elsewhere.
///
/// # Errors
/// [`TokenError`], which never repeats the secret.
pub fn join_target(text: &str, servers: &[ServerAddress]) -> Result<JoinTarget, TokenError> {
    let text = text.trim();
    if servers.is_empty() {
        return JoinTarget::parse(text);
    }
    let token = text.split_once('@').map_or(text, |(token, _)| token);
    Ok(JoinTarget { token: JoinToken::parse(token)?, servers: servers.to_vec() })
}

/// Reads a small text file whole.
///
/// # Errors
/// [`ConfigError::Read`] or [`ConfigError::TooLong`] name the file.
pub fn read_text(path: &Path) -> Result<String, ConfigError> {
    use std::io::Read as _;

    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    if FILE_BYTES_MAX < text.len() as u64 {
        return Err(ConfigError::TooLong { path: path.to_owned() });
    }
    Ok(text)
}

/// Returns the line that byte `offset` of `text` is on, from 1.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    before.filter(|byte| **byte == b'\n').count() + 1
}

/// Adds the key to a problem that does not name it: a value of the wrong type.
fn describe(text: &str, offset: usize, message: &str) -> String {
    let message = message.trim_end().replace('\n', "; ");
    let line = text.lines().nth(line_of(text, offset) - 1).unwrap_or_default();
    match line.split_once('=') {
        Some((key, _)) if !message.contains('`') || message.starts_with("invalid type") => {
            format!("key `{}`: {message}", key.trim())
        }
        Some(_) | None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let env = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Config::resolve(ConfigFile::parse(Path::new("c.toml"), text)?, &env)
    }

    #[test]
    fn the_sample_says_what_holds_without_it() {
        assert_eq!(resolve(SAMPLE, &[]).unwrap(), resolve("", &[]).unwrap());
        let commented_in = SAMPLE.replace("# [join]", "[join]").replace("# token_file", "token_file");
        let commented_in = commented_in.replace("# name =", "name =");
        let join = resolve(&commented_in, &[]).unwrap().join.unwrap();
        assert_eq!(join.name.as_str(), "camp-042");
    }

    #[test]
    fn every_key_is_understood() {
        let config = resolve(
            "servers = [\"a:1\", \"[::1]:2\"]\nrancher_labels = false\ndocker_socket = \"/d\"\nlog = \"warn\"\n\
             [link]\nmetered = true\n[join]\ntoken_file = \"/t\"\nname = \"camp\"",
            &[],
        )
        .unwrap();
        assert_eq!(config.servers[1].to_string(), "[::1]:2");
        assert!(!config.rancher_labels && config.is_metered);
        assert_eq!(config.docker_socket, Path::new("/d"));
        assert_eq!(config.log, LevelFilter::WARN);
        assert_eq!(config.join.unwrap().token_file, Path::new("/t"));
    }

    #[test]
    fn a_mistake_is_named_with_file_line_and_key() {
        let check = |text: &str, words: &[&str]| {
            let error = resolve(text, &[]).unwrap_err().to_string();
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
        };
        check("log = \"info\"\nlabel = 1", &["c.toml: line 2: ", "unknown field `label`"]);
        check("[link]\n\nmeterd = true", &["c.toml: line 3: ", "unknown field `meterd`"]);
        check("rancher_labels = \"yes\"", &["c.toml: line 1: key `rancher_labels`: ", "boolean"]);
        check("a = ", &["c.toml: line 1: "]);
        check("[join]\nname = \"x\"", &["line 1: ", "missing field `token_file`"]);
        check("log = \"loud\"", &["key `log`", "`loud`", "error, warn, info, debug, trace"]);
        check("servers = [\"camp\"]", &["key `servers`", "`camp`", "HOST:PORT"]);
        let many = format!("servers = [{}]", "\"a:1\",".repeat(9));
        check(&many, &["key `servers`", "9 addresses", "at most 8"]);
        check("[join]\ntoken_file = \"t\"\nname = \"Camp\"", &["key `join.name`", "column 1"]);
    }

    #[test]
    fn the_environment_goes_before_the_file() {
        let config = resolve("log = \"warn\"", &[("LINECAMP_LOG", "debug")]).unwrap();
        assert_eq!(config.log, LevelFilter::DEBUG);
        let error = resolve("", &[("LINECAMP_LOG", "all")]).unwrap_err();
        assert!(error.to_string().contains("LINECAMP_LOG"), "{error}");
    }

    #[test]
    fn labels_of_the_environment_are_the_gateways_and_ours_win() {
        let config =
            resolve("", &[("CATTLE_HOST_LABELS", "rack=r1&old=1"), ("LINECAMP_HOST_LABELS", "rack=r7&a%20b=x")]);
        assert!(config.unwrap_err().to_string().starts_with("variable LINECAMP_HOST_LABELS: "));

        let config =
            resolve("", &[("CATTLE_HOST_LABELS", "rack=r1&old=1"), ("LINECAMP_HOST_LABELS", "rack=r6&rack=r7")])
                .unwrap();
        let labels: Vec<_> = config.labels[&Level::Host].iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(labels, ["old=1", "rack=r7"]);
        assert_eq!(config.warnings, ["variable LINECAMP_HOST_LABELS gives rack more than once; the last one holds"]);
    }
}
