//! What a daemon begins with: the right to its directory, and how it is to be.

use linecamp_core::{JoinWish, LabelLayer};
use linecamp_model::{ProviderSpec, ServerAddress};
use linecamp_store::DirectoryLock;
use linecamp_transport::LinkSettings;

use crate::config::{Config, JoinConfig, PluginConfig, join_target, read_text};
use crate::directory::DataDirectory;
use crate::drive::identity::IdentityDriver;
use crate::error::DaemonError;
use crate::facts::FactSources;

/// The right to a data directory, and who lives there.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) directory: DataDirectory,
    pub(crate) identity: IdentityDriver,
    _lock: DirectoryLock,
}

impl Claim {
    /// Takes `directory`, which is made if it is not there.
    pub(crate) fn take(directory: DataDirectory) -> Result<Self, DaemonError> {
        let lock = directory.lock()?;
        Ok(Self { identity: IdentityDriver::load(directory.identity())?, directory, _lock: lock })
    }
}

/// How a daemon is to be.
#[derive(Debug)]
pub(crate) struct Setup {
    /// ServerTargets to dial.
    pub(crate) servers: Vec<ServerAddress>,
    /// A wish to join.
    pub(crate) join: Option<JoinWish>,
    /// Labels from the environment.
    pub(crate) labels: LabelLayer,
    /// How often to say that we are there.
    pub(crate) link: LinkSettings,
    /// Where facts come from.
    pub(crate) facts: FactSources,
    /// Providers of the site's own configuration.
    pub(crate) providers: Vec<ProviderSpec>,
    /// How plugins are run; `None` for an errand that ends before they could have done anything.
    pub(crate) plugins: Option<PluginConfig>,
}

/// Says how a daemon with this configuration is to be. A token file is read only if the site has not joined.
pub(crate) fn setup_of(config: &Config, claim: &mut Claim) -> Result<Setup, DaemonError> {
    let is_member = claim.identity.identity().is_some();
    let (join, join_servers) = match &config.join {
        Some(join) if !is_member => {
            let (wish, servers) = wish_of(join.clone(), &config.servers)?;
            claim.identity.prepare_to_join(wish.token.pin, &servers)?;
            (Some(wish), servers)
        }
        Some(_) | None if is_member => (None, Vec::new()),
        Some(_) | None => {
            return Err(DaemonError::NotJoined { directory: claim.directory.path().to_owned() });
        }
    };
    let servers = [config.servers.clone(), join_servers, claim.identity.servers().to_vec()];
    Ok(Setup {
        servers: servers.into_iter().find(|servers| !servers.is_empty()).unwrap_or_default(),
        join,
        labels: config.labels.clone(),
        link: if config.is_metered { LinkSettings::metered() } else { LinkSettings::default() },
        facts: FactSources::of_this_machine(&config.docker_socket, config.rancher_labels),
        providers: config.providers.clone(),
        plugins: Some(config.plugins.clone()),
    })
}

fn wish_of(join: JoinConfig, servers: &[ServerAddress]) -> Result<(JoinWish, Vec<ServerAddress>), DaemonError> {
    let target = join_target(&read_text(&join.token_file)?, servers)?;
    let wish = JoinWish { token: target.token, name: join.name };
    Ok((wish, target.servers))
}
