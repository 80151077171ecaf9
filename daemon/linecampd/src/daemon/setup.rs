//! The daemon's starting state: its lock on the data directory, and its settings.

use linecamp_core::{EnvironmentLabels, PendingJoin, ServerSource};
use linecamp_model::{ProviderSpec, ServerAddress};
use linecamp_store::DirectoryLock;
use linecamp_transport::LinkSettings;

use crate::config::{Config, HostsConfig, JoinConfig, PluginConfig, join_target, read_text};
use crate::data_directory::DataDirectory;
use crate::drivers::identity::IdentityDriver;
use crate::error::DaemonError;
use crate::facts::FactSources;

/// The lock on a data directory, and the identity stored there.
#[derive(Debug)]
pub(crate) struct DataDirGuard {
    pub(crate) directory: DataDirectory,
    pub(crate) identity: IdentityDriver,
    _lock: DirectoryLock,
}

impl DataDirGuard {
    /// Locks `directory`; creates it if it does not exist.
    pub(crate) fn acquire(directory: DataDirectory) -> Result<Self, DaemonError> {
        let lock = directory.lock()?;
        Ok(Self { identity: IdentityDriver::load(directory.identity())?, directory, _lock: lock })
    }
}

/// The settings that a daemon starts with.
#[derive(Debug)]
pub(crate) struct Setup {
    /// Which server addresses to dial.
    pub(crate) servers: ServerSource,
    /// The join to perform, if any.
    pub(crate) join: Option<PendingJoin>,
    /// Labels from the environment.
    pub(crate) labels: EnvironmentLabels,
    /// Keep-alive settings of the link.
    pub(crate) link: LinkSettings,
    /// Where facts come from.
    pub(crate) facts: FactSources,
    /// Providers from the site's own configuration.
    pub(crate) providers: Vec<ProviderSpec>,
    /// How hosts of the LAN reach this daemon.
    pub(crate) hosts: HostsConfig,
    /// Plugin settings; `None` for a command that ends before plugins could run.
    pub(crate) plugins: Option<PluginConfig>,
}

/// Derives the setup from the configuration. The token file is read only if the site has not joined.
pub(crate) fn setup_of(config: &Config, guard: &mut DataDirGuard) -> Result<Setup, DaemonError> {
    let is_member = guard.identity.identity().is_some();
    let join = match &config.join {
        Some(join) if !is_member => {
            let (join_request, servers) = join_request_of(join.clone(), &config.servers)?;
            guard.identity.prepare_to_join((join_request.token.pin, join.parent()), &servers)?;
            Some(join_request)
        }
        Some(_) | None if is_member => None,
        Some(_) | None => {
            return Err(DaemonError::NotJoined { directory: guard.directory.path().to_owned() });
        }
    };
    Ok(Setup {
        servers: match config.servers.is_empty() {
            true => ServerSource::Saved,
            false => ServerSource::Configured(config.servers.clone()),
        },
        join,
        labels: config.labels.clone(),
        link: if config.is_metered { LinkSettings::metered() } else { LinkSettings::default() },
        facts: FactSources::of_this_machine(&config.docker_socket, config.rancher_labels),
        providers: config.providers.clone(),
        hosts: config.hosts.clone(),
        plugins: Some(config.plugins.clone()),
    })
}

fn join_request_of(
    join: JoinConfig,
    servers: &[ServerAddress],
) -> Result<(PendingJoin, Vec<ServerAddress>), DaemonError> {
    let target = join_target(&read_text(&join.token_file)?, servers)?;
    let join_request = PendingJoin { token: target.token, kind: join.kind, name: join.name, site: join.site };
    Ok((join_request, target.servers))
}
