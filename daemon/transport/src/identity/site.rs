//! The identity of a site: its key, which authenticates it, and what the server issued.
//!
//! `identity/` contains two files. `key.pem` is generated once, at the site, and never leaves it. `membership.pem` is
//! the result of joining: the IDs of the site and of the host that runs the daemon (`Gateway` if a site has joined,
//! `Host` if a host has joined its gateway, `Direct host` if it has joined the server) and the server addresses as
//! text, for a site the certificate of its gateway, then the daemon's certificate, then the authorities it trusts, with
//! the number of their set if the server told one. The addresses are those that have carried a link, and those that the
//! server told and that have not (lines `New server`), each with the number of their set; a file without a number has
//! the addresses of a join token.
//!
//! It is one file so that it changes atomically: a site has either joined or not. Without it the site presents a
//! self-signed certificate. The signature in the handshake proves that the site holds the key, regardless of the issuer
//! of the certificate.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use data_encoding::BASE64;
use linecamp_model::{
    AuthoritySet, HostId, IdentityGrant, KeyFingerprint, KnownAuthorities, KnownServers, MemberKind, Parent, Pin,
    ServerAddress, ServerSet, SiteId, WallTime,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::certified::certified_authorities;
use super::files;
use super::gateway_certificate::GatewayCertificate;
use super::site_key::{MEMBERSHIP_FILE, SiteKey, remedy};
use super::x509::{self, CertificateFacts};
use crate::error::TransportError;
use crate::random::RandomSource;
use crate::server_verifier::{ExpiryFloor, Trust};
use crate::tls::ClientChain;

const SITE_LINE: &str = "Site: ";
const GATEWAY_LINE: &str = "Gateway: ";
const HOST_LINE: &str = "Host: ";
const DIRECT_HOST_LINE: &str = "Direct host: ";
const GATEWAY_CERTIFICATE_LINE: &str = "Gateway certificate: ";
const SERVER_LINE: &str = "Server: ";
const SERVER_SET_LINE: &str = "Server set: ";
const CANDIDATE_LINE: &str = "New server: ";
const CANDIDATE_SET_LINE: &str = "New server set: ";
const AUTHORITY_SET_LINE: &str = "Authority set: ";

/// The identity of a site that has joined.
#[derive(Debug)]
pub struct SiteIdentity {
    key: Arc<SiteKey>,
    membership: Membership,
}

impl SiteIdentity {
    /// Loads the identity in `dir`; `None` if the site has not joined.
    ///
    /// # Errors
    /// [`TransportError`] names the file that is missing or corrupt.
    pub fn load(dir: &Path) -> Result<Option<Self>, TransportError> {
        let path = dir.join(MEMBERSHIP_FILE);
        let Some(bytes) = files::read_file(&path, &remedy(dir))? else {
            return Ok(None);
        };
        let key = SiteKey::load_or_create(dir)?;
        let membership = Membership::parse(&bytes, &key).map_err(|problem| TransportError::Corrupt {
            path,
            problem,
            remedy: remedy(dir),
        })?;
        Ok(Some(Self { key: Arc::new(key), membership }))
    }

    /// Stores the reply of the usual parent to a join durably, for the key in `dir`: that of the server to a site, and
    /// that of the gateway to a host.
    ///
    /// An earlier membership is replaced atomically.
    ///
    /// # Errors
    /// [`TransportError::BadCertificate`] if a certificate cannot be decoded or is for another key.
    pub fn adopt(dir: &Path, grant: &IdentityGrant, servers: &KnownServers) -> Result<Self, TransportError> {
        Self::adopt_from(usual_parent(grant.kind), dir, grant, servers)
    }

    /// Stores the reply of this parent to a join durably, like [`SiteIdentity::adopt`].
    ///
    /// # Errors
    /// [`TransportError::BadCertificate`] if a certificate cannot be decoded or is for another key.
    pub fn adopt_from(
        parent: Parent,
        dir: &Path,
        grant: &IdentityGrant,
        servers: &KnownServers,
    ) -> Result<Self, TransportError> {
        let key = SiteKey::load_or_create(dir)?;
        let membership = Membership::of_grant(parent, grant, servers, &key).map_err(invalid_answer)?;
        files::write_file(&dir.join(MEMBERSHIP_FILE), membership.to_text().as_bytes())?;
        Ok(Self { key: Arc::new(key), membership })
    }

    /// Creates an identity like [`SiteIdentity::adopt`], but only in memory: a simulated site has no disk.
    ///
    /// # Errors
    /// [`TransportError::BadCertificate`] if a certificate cannot be decoded or is for another key.
    pub fn in_memory(key: Arc<SiteKey>, grant: &IdentityGrant, servers: &KnownServers) -> Result<Self, TransportError> {
        let parent = usual_parent(grant.kind);
        let membership = Membership::of_grant(parent, grant, servers, &key).map_err(invalid_answer)?;
        Ok(Self { key, membership })
    }

    /// Returns this identity with the renewed certificate of `grant`, only in memory: for when the disk cannot be
    /// written. The authorities stay.
    ///
    /// # Errors
    /// [`TransportError::BadCertificate`] if a certificate cannot be decoded or is for another key.
    pub fn renewed(&self, grant: &IdentityGrant) -> Result<Self, TransportError> {
        Ok(Self { key: Arc::clone(&self.key), membership: self.membership_of(grant, self.servers())? })
    }

    /// Returns this identity with other server addresses, and stores it durably in `dir`. Addresses that are stored
    /// already are not written again.
    ///
    /// # Errors
    /// [`TransportError`] names the file that could not be written.
    pub fn with_servers(&self, dir: &Path, servers: &KnownServers) -> Result<Self, TransportError> {
        let membership = Membership { servers: servers.clone(), ..self.membership.clone() };
        self.write(dir, &membership)?;
        Ok(Self { key: Arc::clone(&self.key), membership })
    }

    /// Returns this identity with the renewed certificate of `grant`, and stores it durably in `dir`. The authorities
    /// stay: only [`with_authorities`](Self::with_authorities) changes them.
    ///
    /// # Errors
    /// [`TransportError::BadCertificate`] if a certificate cannot be decoded or is for another key.
    pub fn renew(&self, dir: &Path, grant: &IdentityGrant, servers: &KnownServers) -> Result<Self, TransportError> {
        let membership = self.membership_of(grant, servers)?;
        files::write_file(&dir.join(MEMBERSHIP_FILE), membership.to_text().as_bytes())?;
        Ok(Self { key: Arc::clone(&self.key), membership })
    }

    fn membership_of(&self, grant: &IdentityGrant, servers: &KnownServers) -> Result<Membership, TransportError> {
        let Membership { trust, .. } = &self.membership;
        let authorities = trust.iter().map(|der| der.to_vec()).collect();
        let grant = IdentityGrant { authorities, ..grant.clone() };
        let renewed = Membership::of_grant(self.parent(), &grant, servers, &self.key).map_err(invalid_answer)?;
        Ok(Membership { authority_set: self.membership.authority_set, ..renewed })
    }

    /// Returns this identity with the authorities of `told`, and stores it durably in `dir`; without one, only in
    /// memory. An authority that is not trusted yet is left out, unless one that is has certified it. What is stored
    /// already is not written again.
    ///
    /// # Errors
    /// [`TransportError::BadCertificate`] if no authority is left; [`TransportError`] names the file that could not be
    /// written.
    pub fn with_authorities(&self, dir: Option<&Path>, told: &AuthoritySet) -> Result<Self, TransportError> {
        let trust = certified_authorities(&self.membership.trust, told);
        if trust.is_empty() {
            let problem = "no trusted authority has certified one of them".to_owned();
            return Err(TransportError::BadCertificate { whose: "the server's set of authorities", problem });
        }
        let membership = Membership { authority_set: told.number, trust, ..self.membership.clone() };
        if let Some(dir) = dir {
            self.write(dir, &membership)?;
        }
        Ok(Self { key: Arc::clone(&self.key), membership })
    }

    /// Writes a membership unless it is stored already.
    fn write(&self, dir: &Path, membership: &Membership) -> Result<(), TransportError> {
        let (path, text) = (dir.join(MEMBERSHIP_FILE), membership.to_text());
        match files::read_file(&path, &remedy(dir))?.as_deref() == Some(text.as_bytes()) {
            true => Ok(()),
            false => files::write_file(&path, text.as_bytes()),
        }
    }

    /// Returns the authorities that are stored.
    pub fn authorities(&self) -> KnownAuthorities {
        KnownAuthorities { number: self.membership.authority_set, pins: self.trust().pins() }
    }

    /// Returns the trusted authority that issued the certificate; `None` if it is none of them.
    pub fn issuer(&self) -> Option<Pin> {
        let keys = self.membership.trust.iter().filter_map(|der| CertificateFacts::read(der).ok());
        let certificate = &self.membership.certificate;
        keys.map(|facts| facts.public_key).find(|key| x509::is_signed_with(certificate, key)).map(|key| Pin::of(&key))
    }

    /// Durably removes everything in `dir`. The membership is removed first, so that an interruption leaves a site that
    /// has not joined.
    ///
    /// # Errors
    /// [`TransportError::Write`] names what could not be removed.
    pub fn forget(dir: &Path) -> Result<(), TransportError> {
        files::remove_file(&dir.join(MEMBERSHIP_FILE))?;
        files::empty_dir(dir)
    }

    /// Returns the key.
    pub fn key(&self) -> &SiteKey {
        &self.key
    }

    /// Returns the fingerprint of the key.
    pub fn fingerprint(&self) -> KeyFingerprint {
        self.key.fingerprint()
    }

    /// Returns the ID of the site.
    pub fn site_id(&self) -> SiteId {
        self.membership.ids.site
    }

    /// Returns what has joined.
    pub const fn kind(&self) -> MemberKind {
        self.membership.ids.kind
    }

    /// Returns what it joined.
    pub const fn parent(&self) -> Parent {
        self.membership.ids.parent
    }

    /// Returns the ID of the host that runs the daemon: of a site, its gateway.
    pub const fn host_id(&self) -> HostId {
        self.membership.ids.host
    }

    /// Returns what the gateway of a site authenticates itself to its hosts with.
    ///
    /// # Errors
    /// [`TransportError::BadCertificate`] if the server issued no usable certificate.
    pub fn gateway_certificate(&self) -> Result<GatewayCertificate, TransportError> {
        let chain = self.membership.gateway_chain.split_first();
        let (certificate, above) = chain.map_or((&[][..], &[][..]), |(certificate, above)| (&certificate[..], above));
        GatewayCertificate::new(certificate, above, &self.key)
    }

    /// Returns the start and end of the certificate's validity, in whole seconds.
    pub fn certificate_validity(&self) -> Range<WallTime> {
        self.membership.validity.clone()
    }

    /// Returns the floor for the date of a server certificate: the start of this site's own certificate.
    pub fn expiry_floor(&self) -> ExpiryFloor {
        ExpiryFloor::Certified(self.membership.validity.start)
    }

    /// Returns the addresses of the server.
    pub const fn servers(&self) -> &KnownServers {
        &self.membership.servers
    }

    /// Returns the authorities that this site accepts for its server.
    pub fn trust(&self) -> Trust {
        Trust::Authorities(self.membership.trust.iter().map(|der| der.to_vec()).collect())
    }
}

/// The credentials that a site presents when it connects.
#[derive(Clone, Copy, Debug)]
pub enum SiteCredentials<'a> {
    /// Only its key, in a self-signed certificate: before it has joined.
    SelfMade(&'a SiteKey),
    /// The certificate issued by the server, valid or expired.
    Issued(&'a SiteIdentity),
}

impl SiteCredentials<'_> {
    /// Returns the time that has certainly passed: the server wrote it into the site's certificate.
    pub(crate) fn expiry_floor(self) -> ExpiryFloor {
        match self {
            Self::SelfMade(_) => ExpiryFloor::Unknown,
            Self::Issued(identity) => identity.expiry_floor(),
        }
    }

    pub(crate) fn client_chain(self, random: &RandomSource) -> Result<ClientChain, TransportError> {
        let (key, certificate) = match self {
            Self::SelfMade(key) => (key, key.self_made_certificate(random)?),
            Self::Issued(identity) => (&*identity.key, identity.membership.certificate.clone()),
        };
        Ok((vec![certificate], PrivateKeyDer::Pkcs8(key.to_der())))
    }
}

/// The IDs that the server drew when the site registered.
#[derive(Clone, Copy, Debug)]
struct Ids {
    kind: MemberKind,
    parent: Parent,
    site: SiteId,
    host: HostId,
}

#[derive(Clone, Debug)]
struct Membership {
    ids: Ids,
    certificate: CertificateDer<'static>,
    gateway_chain: Vec<Vec<u8>>,
    validity: Range<WallTime>,
    /// The number of the set that the authorities are from; zero: from the join.
    authority_set: u64,
    /// The certificates of the trusted authorities.
    trust: Vec<CertificateDer<'static>>,
    servers: KnownServers,
}

impl Membership {
    fn of_grant(parent: Parent, grant: &IdentityGrant, servers: &KnownServers, key: &SiteKey) -> Result<Self, String> {
        let ids = Ids { kind: grant.kind, parent, site: grant.site, host: grant.host };
        let membership = Self::new(ids, (&grant.certificate, &grant.authorities), servers, key)?;
        Ok(Self { gateway_chain: grant.gateway_chain.clone(), ..membership })
    }

    fn new(
        ids: Ids,
        (certificate, authorities): (&[u8], &[Vec<u8>]),
        servers: &KnownServers,
        key: &SiteKey,
    ) -> Result<Self, String> {
        let facts = CertificateFacts::read(certificate)?;
        if facts.public_key != key.public_key() {
            return Err(format!(
                "the certificate is for the key {}, not for {}",
                facts.fingerprint(),
                key.fingerprint()
            ));
        }
        if authorities.is_empty() {
            return Err("no trusted authority".to_owned());
        }
        for authority in authorities {
            CertificateFacts::read(authority)?;
        }
        if servers.confirmed.addresses.is_empty() {
            return Err("no server address".to_owned());
        }
        Ok(Self {
            ids,
            certificate: CertificateDer::from(certificate.to_vec()),
            gateway_chain: Vec::new(),
            validity: facts.validity,
            authority_set: 0,
            trust: authorities.iter().cloned().map(CertificateDer::from).collect(),
            servers: servers.clone(),
        })
    }

    fn parse(bytes: &[u8], key: &SiteKey) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let line = |prefix| text.lines().find_map(|line| line.strip_prefix(prefix));
        let site = line(SITE_LINE).and_then(SiteId::parse).ok_or("it does not contain the ID of the site")?;
        let of_host = |(kind, parent)| {
            let host = line(host_line(kind, parent)).and_then(HostId::parse)?;
            Some((kind, parent, host))
        };
        let kinds = [
            (MemberKind::Site, Parent::Server),
            (MemberKind::Host, Parent::Gateway),
            (MemberKind::Host, Parent::Server),
        ];
        let host = kinds.into_iter().find_map(of_host);
        let (kind, parent, host) = host.ok_or("it does not contain the ID of the gateway or host")?;
        let gateway_chain = text.lines().filter_map(|line| line.strip_prefix(GATEWAY_CERTIFICATE_LINE));
        let gateway_chain: Result<_, _> = gateway_chain.map(|text| BASE64.decode(text.as_bytes())).collect();
        let gateway_chain = gateway_chain.map_err(|error| format!("a certificate of the gateway: {error}"))?;
        let confirmed = read_set(text, SERVER_SET_LINE, SERVER_LINE)?;
        let candidate = read_set(text, CANDIDATE_SET_LINE, CANDIDATE_LINE)?;
        let candidate = Some(candidate).filter(|set| !set.addresses.is_empty());
        let servers = KnownServers { confirmed, candidate };
        let certificates = CertificateDer::pem_slice_iter(bytes)
            .map(|certificate| certificate.map(|der| der.to_vec()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| error.to_string())?;
        let (certificate, authorities) = certificates.split_first().ok_or("no certificate found")?;
        let authority_set = line(AUTHORITY_SET_LINE).map_or(Ok(0), str::parse);
        let authority_set = authority_set.map_err(|error| format!("the number of the set of authorities: {error}"))?;
        let membership = Self::new(Ids { kind, parent, site, host }, (certificate, authorities), &servers, key)?;
        Ok(Self { authority_set, gateway_chain, ..membership })
    }

    fn to_text(&self) -> String {
        let Ids { kind, parent, site, host } = self.ids;
        let ids = [format!("{SITE_LINE}{site}\n"), format!("{}{host}\n", host_line(kind, parent))];
        let gateway = self.gateway_chain.iter();
        let gateway = gateway.map(|der| format!("{GATEWAY_CERTIFICATE_LINE}{}\n", BASE64.encode(der)));
        let KnownServers { confirmed, candidate } = &self.servers;
        let confirmed = set_lines(confirmed, SERVER_SET_LINE, SERVER_LINE);
        let candidate = candidate.iter().flat_map(|set| set_lines(set, CANDIDATE_SET_LINE, CANDIDATE_LINE));
        let set = (self.authority_set != 0).then(|| format!("{AUTHORITY_SET_LINE}{}\n", self.authority_set));
        let certificates = std::iter::once(&self.certificate).chain(&self.trust);
        let blocks = certificates.map(|der| files::certificate_pem(der));
        ids.into_iter().chain(confirmed).chain(candidate).chain(set).chain(gateway).chain(blocks).collect()
    }
}

/// Reads the set of addresses in the lines that begin with `address_prefix`. Release 0.1.0 wrote no number.
fn read_set(text: &str, number_prefix: &str, address_prefix: &str) -> Result<ServerSet, String> {
    let lines = |prefix| text.lines().filter_map(move |line: &str| line.strip_prefix(prefix));
    let number = lines(number_prefix).next().map_or(Ok(0), str::parse);
    let number = number.map_err(|error| format!("the number of a set of servers: {error}"))?;
    let addresses = lines(address_prefix).map(|line| ServerAddress::parse(line).map_err(|error| error.to_string()));
    Ok(ServerSet { number, addresses: addresses.collect::<Result<_, _>>()? })
}

/// Returns the lines that [`read_set`] reads.
fn set_lines(set: &ServerSet, number_prefix: &str, address_prefix: &str) -> Vec<String> {
    let number = (set.number != 0).then(|| format!("{number_prefix}{}\n", set.number));
    let addresses = set.addresses.iter().map(|address| format!("{address_prefix}{address}\n"));
    number.into_iter().chain(addresses).collect()
}

/// Returns what a member joins unless something else is said.
const fn usual_parent(kind: MemberKind) -> Parent {
    match kind {
        MemberKind::Site => Parent::Server,
        MemberKind::Host => Parent::Gateway,
    }
}

/// Returns the beginning of the line with the ID of the host that runs the daemon.
const fn host_line(kind: MemberKind, parent: Parent) -> &'static str {
    match (kind, parent) {
        (MemberKind::Site, _) => GATEWAY_LINE,
        (MemberKind::Host, Parent::Gateway) => HOST_LINE,
        (MemberKind::Host, Parent::Server) => DIRECT_HOST_LINE,
    }
}

fn invalid_answer(problem: String) -> TransportError {
    TransportError::BadCertificate { whose: "the server's answer", problem }
}
