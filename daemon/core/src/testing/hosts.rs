//! Hosts of a LAN in a story: they dial the gateway of a site, which is another node.

use linecamp_model::{HostId, HostToken, LinkState, LocalHostView};

use super::*;
use crate::{Credential, HostCommand, JoinsAs};

/// How long a host token of a story is valid.
const TOKEN_LIFE: Duration = DAY;

/// Returns the authority of the LAN of a gateway.
pub(super) fn lan_authority(gateway: usize) -> Pin {
    Pin::of(format!("lan {gateway}").as_bytes())
}

/// Returns the address at which a gateway listens for hosts.
fn gateway_address(gateway: usize) -> Vec<ServerAddress> {
    addresses(&[&format!("gateway-{gateway}:443")])
}

/// Returns the gateway that listens at an address.
pub(super) fn gateway_at(address: &ServerAddress) -> Option<usize> {
    address.host().strip_prefix("gateway-")?.parse().ok()
}

impl Pair {
    /// Creates a token at a gateway that hosts join it with.
    pub fn create_host_token(&mut self, gateway: usize, uses_max: u32) {
        let now = self.now_at(gateway).wall;
        let secret = self.host_token(gateway).secret.hash();
        let token = HostToken { secret, created_at: now, expires_at: now + TOKEN_LIFE, uses_max };
        let command = HostCommand::CreateToken(self.host_token(gateway).id, token);
        self.local_command_at(gateway, SiteCommand::Host(command));
    }

    /// Returns the token that hosts join a gateway with.
    pub fn host_token(&self, gateway: usize) -> JoinToken {
        let id = TokenId::from_bytes([u8::try_from(gateway).expect("few nodes") + 100; 8]);
        JoinToken { id, secret: JoinSecret::from_bytes([3; 16]), pin: self.nodes[gateway].lan_authority }
    }

    /// Adds a machine with its own key that is about to join a gateway as a host.
    pub fn add_host(&mut self, gateway: usize, wished: &str) -> usize {
        let token = self.host_token(gateway);
        self.add_host_with(gateway, PendingJoin { token, kind: MemberKind::Host, name: name(wished), site: None })
    }

    /// Adds a machine that is about to join a gateway with this request.
    pub fn add_host_with(&mut self, gateway: usize, join: PendingJoin) -> usize {
        let index = self.nodes.len();
        let fingerprint = KeyFingerprint::of(&[u8::try_from(index).expect("few nodes")]);
        self.push_node(fingerprint, (None, KnownAuthorities::default()), BTreeMap::new(), Some(join));
        self.nodes[index].config.servers = ServerSource::Token(gateway_address(gateway));
        self.start_node(index);
        index
    }

    /// Creates a token that hosts of `camp` join the server with.
    pub fn create_direct_token(&mut self, uses: u32) {
        let token = self.direct_token();
        self.operator(FleetCommand::CreateToken(NewToken {
            id: token.id,
            secret: token.secret.hash(),
            environment: name("default"),
            ttl: TOKEN_LIFE,
            uses,
            labels: patch(&[]),
            joins_as: JoinsAs::Host(site_ref("camp")),
        }));
    }

    /// Returns the token that hosts of `camp` join the server with.
    pub fn direct_token(&self) -> JoinToken {
        JoinToken { id: TokenId::from_bytes([60; 8]), ..self.token.clone() }
    }

    /// Adds a machine with its own key that is about to join the server as a host of `camp`.
    pub fn add_direct_host(&mut self, wished: &str) -> usize {
        let token = self.direct_token();
        let site = Some(name("camp"));
        self.add_direct_host_with(PendingJoin { token, kind: MemberKind::Host, name: name(wished), site })
    }

    /// Adds a machine that is about to join the server with this request.
    pub fn add_direct_host_with(&mut self, join: PendingJoin) -> usize {
        let fingerprint = KeyFingerprint::of(&[u8::try_from(self.nodes.len()).expect("few nodes")]);
        self.push_node(fingerprint, (None, KnownAuthorities::default()), BTreeMap::new(), Some(join))
    }

    /// Returns the token that sites join the server with.
    pub fn site_token(&self) -> JoinToken {
        self.token.clone()
    }

    /// Lets another machine take the place of a gateway: it has another key, another LAN authority and no database.
    pub fn replace_gateway(&mut self, gateway: usize) {
        let token = JoinToken { id: TokenId::from_bytes([50; 8]), ..self.token.clone() };
        self.operator(FleetCommand::CreateToken(NewToken {
            joins_as: JoinsAs::Replacement(site_ref("camp")),
            id: token.id,
            secret: token.secret.hash(),
            environment: name("default"),
            ttl: DAY,
            uses: 1,
            labels: patch(&[]),
        }));
        self.run_for(Duration::from_secs(1));
        self.kill_node(gateway);
        let number = u8::try_from(gateway).expect("few nodes") + 200;
        let node = &mut self.nodes[gateway];
        node.key = KeyFingerprint::of(&[number]);
        node.lan_authority = Pin::of(&[number]);
        node.disk.clear();
        (node.identity, node.saved_identity, node.saved_issuer) = (None, None, None);
        (node.servers, node.authorities) = (None, KnownAuthorities::default());
        node.config.servers = ServerSource::Token(addresses(&["server:443"]));
        node.config.join = Some(PendingJoin { token, kind: MemberKind::Site, name: name("camp"), site: None });
        self.start_node(gateway);
    }

    /// Returns what a gateway shows of a host.
    pub fn host_at(&self, gateway: usize, wanted: &str) -> Option<LocalHostView> {
        let hosts = self.nodes[gateway].site.view(self.now()).hosts;
        hosts.into_iter().find(|host| host.name.as_ref() == Some(&name(wanted)))
    }

    /// Returns the id of the host that a node is.
    pub fn host_id(&self, index: usize) -> Option<HostId> {
        self.nodes[index].identity.map(|identity| identity.host)
    }

    /// Whether a host considers itself connected.
    pub fn is_linked_host(&self, index: usize) -> bool {
        self.nodes[index].site.view(self.now()).link.state == LinkState::Connected
    }

    pub(super) fn connect_to_gateway(&mut self, index: usize, dial: DialId, gateway: usize) {
        let is_up = self.nodes.get(gateway).is_some_and(|node| node.listens_for_hosts && node.ended.is_none());
        let node = &self.nodes[index];
        if node.is_cut || !is_up {
            let address = gateway_address(gateway).remove(0);
            return self.fail_dial(index, dial, &address);
        }
        let at = &self.nodes[gateway];
        // A gateway has a certificate of its own LAN's authority, and one of the server's.
        let shown = [Some(at.lan_authority), at.issuer];
        let trusted = &node.authorities.pins;
        if !trusted.is_empty() && !shown.iter().flatten().any(|pin| trusted.contains(pin)) {
            let reason = LossReason::Failed(Text::lossy("the certificate is from an untrusted authority"));
            return self.after(LATENCY, PairEvent::AtSite(index, LinkEvent::Lost(dial, reason)));
        }
        let credential = match node.identity {
            Some(_) if node.issuer != Some(at.lan_authority) => Credential::Foreign,
            None => Credential::SelfMade,
            Some(identity) if self.now_at(gateway).wall <= identity.not_after => Credential::Issued,
            Some(_) => Credential::Expired,
        };
        self.open_session(index, dial, Some(gateway), credential);
    }
}
