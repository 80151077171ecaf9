//! The identity on disk ↔ the state machine's `SaveIdentity`, `SaveServers` and `SaveAuthorities`.

use std::path::PathBuf;
use std::sync::Arc;

use linecamp_core::{SiteIdentity, UnsavedIdentity};
use linecamp_model::{AuthoritySet, IdentityGrant, KnownAuthorities, KnownServers, Parent, Pin, ServerAddress, Text};
use linecamp_transport::{Expected, GatewayCertificate, SiteCredentials, SiteKey, TransportError, Trust, error_chain};

/// What a dial presents, and what it trusts.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// Before the join: the key alone, the pin from the join token, and what is joined.
    Joining(Arc<SiteKey>, Pin, Parent),
    /// After the join: the site's certificate and authorities.
    Member(Arc<linecamp_transport::SiteIdentity>),
}

impl Credentials {
    pub(crate) fn credentials(&self) -> SiteCredentials<'_> {
        match self {
            Self::Joining(key, ..) => SiteCredentials::SelfMade(key),
            Self::Member(identity) => SiteCredentials::Issued(identity),
        }
    }

    pub(crate) fn trust(&self) -> Trust {
        match self {
            Self::Joining(_, pin, _) => Trust::Pin(*pin),
            Self::Member(identity) => identity.trust(),
        }
    }

    /// Returns the peer of a dial: the server, or the gateway of the host's site.
    pub(crate) fn expected(&self) -> Expected {
        let (parent, site) = match self {
            Self::Joining(_, _, parent) => (*parent, None),
            Self::Member(identity) => (identity.parent(), Some(identity.site_id())),
        };
        match parent {
            Parent::Server => Expected::Server,
            Parent::Gateway => Expected::Gateway(site),
        }
    }

    /// Returns the part of the identity that the state machine needs; `None` before the join.
    pub fn identity(&self) -> Option<SiteIdentity> {
        match self {
            Self::Joining(..) => None,
            Self::Member(identity) => Some(for_machine(identity)),
        }
    }
}

/// The identity directory.
#[derive(Debug)]
pub(crate) struct IdentityDriver {
    path: PathBuf,
    credentials: Option<Credentials>,
    /// The server addresses in use: stored, or to be stored with a new membership.
    servers: Option<KnownServers>,
    /// Why the server addresses are not stored, if saving them failed.
    servers_problem: Option<Text>,
    /// An identity in use that is not saved to disk.
    unsaved: Option<UnsavedIdentity>,
}

/// The result of saving a certificate.
#[derive(Clone, Debug)]
pub(crate) enum SaveResult {
    /// Saved to disk.
    Saved(SiteIdentity),
    /// In use, but not saved to disk.
    Unsaved(UnsavedIdentity),
    /// Unusable, or it is the first certificate and could not be saved.
    Failed(Text),
}

impl IdentityDriver {
    /// Loads the site's identity, if it has joined.
    pub(crate) fn load(path: PathBuf) -> Result<Self, TransportError> {
        let identity = linecamp_transport::SiteIdentity::load(&path)?;
        Ok(Self {
            servers: identity.as_ref().map(|one| one.servers().clone()),
            credentials: identity.map(|identity| Credentials::Member(Arc::new(identity))),
            servers_problem: None,
            unsaved: None,
            path,
        })
    }

    /// Prepares to join `parent` at `servers`; creates the machine's key if there is none.
    pub(crate) fn prepare_to_join(
        &mut self,
        (pin, parent): (Pin, Parent),
        servers: &[ServerAddress],
    ) -> Result<(), TransportError> {
        let key = SiteKey::load_or_create(&self.path)?;
        self.credentials = Some(Credentials::Joining(Arc::new(key), pin, parent));
        self.servers = Some(KnownServers::of_token(servers.to_vec()));
        Ok(())
    }

    /// Returns the part of the identity that the state machine needs.
    pub(crate) fn identity(&self) -> Option<SiteIdentity> {
        self.credentials.as_ref().and_then(Credentials::identity)
    }

    /// Returns the credentials for a dial.
    pub(crate) fn credentials(&self) -> Option<Credentials> {
        self.credentials.clone()
    }

    /// Returns what the gateway of a site authenticates itself to its hosts with; `None` if it has nothing usable.
    pub(crate) fn gateway_certificate(&self) -> Option<GatewayCertificate> {
        let Some(Credentials::Member(identity)) = &self.credentials else { return None };
        let certificate = identity.gateway_certificate();
        let problem = certificate.as_ref().err().map(|error| error_chain(error));
        problem.into_iter().for_each(|problem| tracing::debug!(problem, "no certificate of the server for hosts"));
        certificate.ok()
    }

    /// Returns the certificates of the authorities that the site trusts, in DER.
    pub(crate) fn trusted(&self) -> Vec<Vec<u8>> {
        match self.credentials.as_ref().map(Credentials::trust) {
            Some(Trust::Authorities(authorities)) => authorities,
            Some(Trust::Pin(_)) | None => Vec::new(),
        }
    }

    /// Returns the server addresses in use: stored, or waiting to be.
    pub(crate) const fn servers(&self) -> Option<&KnownServers> {
        self.servers.as_ref()
    }

    /// Returns why the server addresses in use are not stored.
    pub(crate) fn servers_problem(&self) -> Option<Text> {
        self.servers_problem.clone()
    }

    /// Returns the identity in use that is not saved to disk.
    pub(crate) fn unsaved(&self) -> Option<UnsavedIdentity> {
        self.unsaved.clone()
    }

    /// Makes a grant durable. This blocks while two small files are synced, once in months. A member that cannot save
    /// the grant uses it anyway, so that the site stays connected.
    pub(crate) fn save(&mut self, grant: IdentityGrant) -> SaveResult {
        self.unsaved = None;
        let servers = self.servers.clone().unwrap_or_else(|| KnownServers::of_token(Vec::new()));
        let saved = match &self.credentials {
            Some(Credentials::Member(member)) => member.renew(&self.path, &grant, &servers),
            Some(Credentials::Joining(_, _, parent)) => {
                linecamp_transport::SiteIdentity::adopt_from(*parent, &self.path, &grant, &servers)
            }
            None => linecamp_transport::SiteIdentity::adopt(&self.path, &grant, &servers),
        };
        match saved {
            Ok(identity) => {
                let identity_view = for_machine(&identity);
                self.servers_problem = None;
                self.credentials = Some(Credentials::Member(Arc::new(identity)));
                SaveResult::Saved(identity_view)
            }
            Err(error) => {
                let problem = error_chain(&error);
                tracing::warn!(problem, "cannot save the certificate that the server issued");
                let problem = Text::lossy(&problem);
                match self.use_unsaved(&grant) {
                    Some(identity) => {
                        let unsaved = UnsavedIdentity { grant, identity, problem };
                        self.unsaved = Some(unsaved.clone());
                        SaveResult::Unsaved(unsaved)
                    }
                    None => SaveResult::Failed(problem),
                }
            }
        }
    }

    /// Makes the server addresses durable. This blocks while a small file is synced, once for each change. If that
    /// fails, they are kept in memory.
    pub(crate) fn save_servers(&mut self, servers: KnownServers) -> Result<(), Text> {
        let Some(Credentials::Member(member)) = &self.credentials else {
            return Err(Text::lossy("the site has not joined"));
        };
        let saved = member.with_servers(&self.path, &servers);
        self.servers = Some(servers);
        self.servers_problem = None;
        match saved {
            Ok(identity) => {
                self.credentials = Some(Credentials::Member(Arc::new(identity)));
                Ok(())
            }
            Err(error) => {
                let problem = error_chain(&error);
                tracing::warn!(problem, "cannot save the server's addresses; they are used from memory");
                let problem = Text::lossy(&problem);
                self.servers_problem = Some(problem.clone());
                Err(problem)
            }
        }
    }

    /// Makes the server's authorities durable, without those that no trusted one has certified. This blocks while a
    /// small file is synced, once for each change. Returns what is stored, and which of them issued the certificate.
    pub(crate) fn save_authorities(&mut self, told: &AuthoritySet) -> Result<(KnownAuthorities, Option<Pin>), Text> {
        let Some(Credentials::Member(member)) = &self.credentials else {
            return Err(Text::lossy("the site has not joined"));
        };
        match member.with_authorities(Some(&self.path), told) {
            Ok(identity) => {
                let stored = (identity.authorities(), identity.issuer());
                self.credentials = Some(Credentials::Member(Arc::new(identity)));
                Ok(stored)
            }
            Err(error) => {
                let problem = error_chain(&error);
                tracing::warn!(problem, "cannot save the server's certificate authorities");
                Err(Text::lossy(&problem))
            }
        }
    }

    /// Returns the authorities that are stored.
    pub(crate) fn authorities(&self) -> KnownAuthorities {
        match &self.credentials {
            Some(Credentials::Member(member)) => member.authorities(),
            Some(Credentials::Joining(..)) | None => KnownAuthorities::default(),
        }
    }

    fn use_unsaved(&mut self, grant: &IdentityGrant) -> Option<SiteIdentity> {
        let Some(Credentials::Member(member)) = &self.credentials else { return None };
        let renewed = member.renewed(grant).ok()?;
        let identity_view = for_machine(&renewed);
        self.credentials = Some(Credentials::Member(Arc::new(renewed)));
        Some(identity_view)
    }
}

fn for_machine(identity: &linecamp_transport::SiteIdentity) -> SiteIdentity {
    let validity = identity.certificate_validity();
    SiteIdentity {
        kind: identity.kind(),
        site: identity.site_id(),
        host: identity.host_id(),
        not_before: validity.start,
        not_after: validity.end,
        issuer: identity.issuer(),
    }
}
