//! Host tokens: what a machine of the LAN needs to join the gateway of its site.

use linecamp_core::{HostCommand, OWN_ADDRESS_LABEL, Site, SiteCommand};
use linecamp_model::limits::{SERVERS_PER_SITE_MAX, TOKEN_TTL_MAX, TOKEN_USES_MAX};
use linecamp_model::{HostToken, JoinSecret, JoinTarget, JoinToken, Now, ServerAddress, TokenId, shell_quoted};
use linecamp_proto::local::{CreatedHostToken, NewHostToken};
use linecamp_transport::{error_chain, random_bytes};

use crate::drivers::lan::LanDriver;
use crate::drivers::lan_install::Installer;

/// Creates host tokens: it knows the pin of the LAN's authority, and the addresses of this gateway.
pub(crate) struct HostTokens<'a> {
    pub(crate) lan: &'a mut LanDriver,
    /// The configured addresses of this gateway.
    pub(crate) addresses: &'a [ServerAddress],
}

/// A host token that is about to be stored, with its secret.
#[derive(Debug)]
pub(crate) struct DraftToken {
    target: JoinTarget,
    terms: HostToken,
    installer: Installer,
}

impl DraftToken {
    /// Returns the command that stores it.
    pub(crate) fn command(&self) -> SiteCommand {
        SiteCommand::Host(HostCommand::CreateToken(self.target.token.id, self.terms.clone()))
    }

    /// Returns the answer to the request, with the token's secret. Reads the packages, and blocks meanwhile.
    pub(crate) fn reveal(&self) -> CreatedHostToken {
        let JoinTarget { token, servers } = &self.target;
        let addresses: Vec<_> = servers.iter().map(ToString::to_string).collect();
        let join = format!("{}@{}", token.reveal(), addresses.join(","));
        CreatedHostToken {
            // `printf` is a builtin of the shell, so the token is in no process's arguments.
            command: format!(
                "printf '%s\\n' {} | sudo -u linecamp linecampd join - --host --name NAME",
                shell_quoted(&join)
            ),
            install: self.installer.line(&self.target),
            join,
            id: token.id.to_string(),
            expires_at: self.terms.expires_at.to_string(),
            uses: self.terms.uses_max,
        }
    }
}

impl HostTokens<'_> {
    /// Makes a token, which is valid once the state machine has stored it.
    ///
    /// # Errors
    /// What is wrong with the request, or why this machine cannot have tokens.
    pub(crate) fn draft(&mut self, new: &NewHostToken, site: &Site, now: Now) -> Result<DraftToken, String> {
        let ttl = std::time::Duration::from_secs(new.ttl_seconds);
        if ttl.is_zero() || TOKEN_TTL_MAX < ttl {
            return Err(format!("a token's time is more than 0 and at most {} days", TOKEN_TTL_MAX.as_secs() / 86_400));
        }
        if new.uses == 0 || TOKEN_USES_MAX < new.uses {
            return Err(format!("a token has 1 to {TOKEN_USES_MAX} uses, not {}", new.uses));
        }
        let Some(id) = site.gateway_of() else {
            return Err("this machine is not the gateway of a site: only a gateway has host tokens".to_owned());
        };
        let addresses = self.addresses(site)?;
        let pin = self.lan.pin(id, now.wall).map_err(|error| error_chain(&error))?;
        let random = || random_bytes().map_err(|error| error_chain(&error));
        let (token_id, secret): ([u8; 8], [u8; 16]) = (random()?, random_bytes().map_err(|error| error_chain(&error))?);
        let token = JoinToken { id: TokenId::from_bytes(token_id), secret: JoinSecret::from_bytes(secret), pin };
        let (created_at, expires_at) = (now.wall, now.wall + ttl);
        let terms = HostToken { secret: token.secret.hash(), created_at, expires_at, uses_max: new.uses };
        let target = JoinTarget { token, servers: addresses };
        Ok(DraftToken { target, terms, installer: self.lan.installer().clone() })
    }

    /// Returns the addresses of this gateway: those that are configured, or those that the machine reports.
    fn addresses(&self, site: &Site) -> Result<Vec<ServerAddress>, String> {
        if !self.addresses.is_empty() {
            return Ok(self.addresses.to_vec());
        }
        let port = self.lan.address().port();
        let reported = site.label(OWN_ADDRESS_LABEL).unwrap_or_default();
        let parsed = reported.split(',').filter_map(|text| text.trim().parse().ok());
        let with_port = parsed.map(|address: std::net::IpAddr| std::net::SocketAddr::new(address, port).to_string());
        let addresses: Vec<_> = with_port.filter_map(|text| ServerAddress::parse(&text).ok()).collect();
        match addresses.is_empty() {
            true => Err("no address of this machine is known: set `hosts.addresses` in its configuration".to_owned()),
            false => Ok(addresses.into_iter().take(SERVERS_PER_SITE_MAX).collect()),
        }
    }
}
