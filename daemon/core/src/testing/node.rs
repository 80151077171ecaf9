//! A machine of a story.

use super::*;

/// A machine that runs a daemon.
#[derive(Debug)]
pub struct Node {
    /// The state machine under test.
    pub site: Site,
    /// The fault mode of its disk.
    pub disk_fault: DiskFault,
    /// The fault mode of its disk for certificates.
    pub identity_disk_fault: DiskFault,
    /// Why its local socket cannot be opened, if it cannot.
    pub socket_problem: Option<Text>,
    /// Where a corrupt database was moved, as reported at its next start.
    pub corrupt_database: Option<Text>,
    /// How far its wall clock is behind the true time.
    pub clock_behind: Duration,
    /// How far its wall clock is ahead of the true time.
    pub clock_ahead: Duration,
    /// Why the daemon stopped, if it did.
    pub ended: Option<Refusal>,
    /// The number of write requests.
    pub writes: u64,
    /// Replies to local commands.
    pub replies: Vec<Result<(), SiteCommandError>>,
    /// The notices of conditions, for the log of the machine.
    pub condition_notices: Vec<String>,
    /// The drop-in files at its next start.
    pub drop_ins: DropIns,
    /// The stored parts of centrally pushed plugins.
    pub plugins: BTreeMap<PluginDigest, Vec<u8>>,
    /// For each provider called, whether the last call marked it as the site's own.
    pub called: BTreeMap<Name, bool>,
    /// The fault mode of its disk for plugin pieces.
    pub plugin_disk_fault: DiskFault,
    /// Facts it will report.
    pub facts: BTreeMap<LabelKey, LabelValue>,
    /// Facts it cannot observe, whatever `facts` says about them.
    pub not_observed: BTreeSet<LabelKey>,
    /// Its configuration.
    pub config: SiteConfig,
    pub(super) key: KeyFingerprint,
    /// The contents of its disk, by key.
    pub disk: BTreeMap<String, SiteChange>,
    pub(super) pending: BTreeMap<WriteId, Vec<SiteChange>>,
    /// The write that only tests whether there is room.
    pub(super) trial: Option<WriteId>,
    /// The size of the largest write refused since there was room last.
    pub(super) refused: usize,
    pub(super) identity: Option<SiteIdentity>,
    /// The identity that a start loads.
    pub(super) saved_identity: Option<SiteIdentity>,
    pub(super) saving: Option<(IdentityGrant, SiteIdentity)>,
    /// The server addresses on its disk.
    pub servers: Option<KnownServers>,
    /// The authority that issued the certificate in use, and that of the saved one.
    pub(super) issuer: Option<Pin>,
    pub(super) saved_issuer: Option<Pin>,
    /// The authorities on its disk.
    pub authorities: KnownAuthorities,
    pub(super) sessions: BTreeMap<DialId, SessionId>,
    /// Whether it listens for hosts, as a gateway.
    pub listens_for_hosts: bool,
    /// The authority of its LAN.
    pub lan_authority: Pin,
    pub(super) boot: u32,
    pub(super) is_cut: bool,
    /// Why its dials fail while it is cut; by default nothing answers.
    pub obstacle: Option<GapCause>,
    /// Whether the story sends in its name: it then receives no acknowledgements.
    pub(super) is_impersonated: bool,
    /// Modifies the next hello in transit.
    pub(super) forged_greeting: Option<fn(&mut linecamp_model::Hello)>,
    /// Modifies the server's next answer to a hello.
    pub(super) forged_welcome: Option<fn(&mut linecamp_model::Welcome)>,
    /// How the server closed its last session.
    pub(super) hangup: Option<Refusal>,
    /// The last event the server acknowledged.
    pub(super) events_acknowledged: Option<u64>,
}

impl Pair {
    pub(super) fn push_node(
        &mut self,
        key: KeyFingerprint,
        (identity, authorities): (Option<SiteIdentity>, KnownAuthorities),
        disk: BTreeMap<String, SiteChange>,
        join: Option<PendingJoin>,
    ) -> usize {
        let index = self.nodes.len();
        let servers = identity.map(|_| KnownServers::of_token(addresses(&["server:443"])));
        let config = site_config(index, identity, join);
        let saved = SavedSite {
            identity,
            servers: servers.clone(),
            authorities: authorities.clone(),
            records: disk.values().cloned().collect(),
            corrupt_database: None,
            drop_ins: DropIns::default(),
        };
        let site = Site::new(config.clone(), saved, Rng::new(self.seed + index as u64 + 100), self.now());
        self.nodes.push(Node {
            site,
            disk_fault: DiskFault::Well,
            identity_disk_fault: DiskFault::Well,
            socket_problem: None,
            corrupt_database: None,
            clock_behind: Duration::ZERO,
            clock_ahead: Duration::ZERO,
            ended: None,
            writes: 0,
            replies: Vec::new(),
            condition_notices: Vec::new(),
            drop_ins: DropIns::default(),
            plugins: BTreeMap::new(),
            called: BTreeMap::new(),
            plugin_disk_fault: DiskFault::Well,
            facts: BTreeMap::new(),
            not_observed: BTreeSet::new(),
            config,
            key,
            disk,
            pending: BTreeMap::new(),
            trial: None,
            refused: 0,
            identity,
            saved_identity: identity,
            saving: None,
            servers,
            issuer: None,
            saved_issuer: None,
            authorities,
            sessions: BTreeMap::new(),
            listens_for_hosts: false,
            lan_authority: hosts::lan_authority(index),
            boot: 0,
            is_cut: false,
            obstacle: None,
            is_impersonated: false,
            forged_greeting: None,
            forged_welcome: None,
            hangup: None,
            events_acknowledged: None,
        });
        index
    }
}

/// Returns the configuration of a node.
fn site_config(index: usize, identity: Option<SiteIdentity>, join: Option<PendingJoin>) -> SiteConfig {
    SiteConfig {
        daemon_version: Text::lossy("0.1.0"),
        directory: Text::lossy("/var/lib/linecamp"),
        versions: VERSIONS,
        run: RunId::from_bytes([u8::try_from(index).expect("few nodes"); 8]),
        boot: Some(BootId([0; 16])),
        servers: match identity {
            Some(_) => ServerSource::Saved,
            None => ServerSource::Token(addresses(&["server:443"])),
        },
        labels: EnvironmentLabels::default(),
        join,
        providers: Vec::new(),
    }
}
