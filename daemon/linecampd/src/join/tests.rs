use std::sync::Arc;

use linecamp_model::{
    Document, DocumentKey, FromMember, FromParent, Generation, HostId, IdentityGrant, Incarnation, JoinSecret,
    JoinToken, LabelInput, LabelSet, Level, MemberKind, Pin, Refusal, RefusalCode, SessionId, SiteId, SiteSpec,
    SpecBody, SpecDelta, Text, TokenId, Welcome,
};
use linecamp_proto::{decode_from_member, encode_from_parent, encode_refusal, refusal_code_number};
use linecamp_transport::{
    Authority, Incoming, Listener, ListenerSettings, Platform, Session, SystemClock, WallClock as _,
};

use super::*;

/// The server's answer to the handshake.
#[derive(Clone, Copy)]
enum HandshakeReply {
    Welcome,
    Refuse(RefusalCode),
}

/// A scripted server over the real transport.
struct Server {
    authority: Arc<Authority>,
    listener: Arc<Listener>,
    _ca: tempfile::TempDir,
}

impl Server {
    fn new() -> Self {
        let ca = tempfile::tempdir().unwrap();
        let authority = Authority::create(&ca.path().join("ca"), &[], SystemClock.now()).unwrap();
        let authority = Arc::new(authority);
        let listener = Listener::bind(
            ([127, 0, 0, 1], 0).into(),
            Arc::clone(&authority),
            ListenerSettings::default(),
            Platform::default(),
        );
        Self { listener: Arc::new(listener.unwrap()), authority, _ca: ca }
    }

    fn answer(&self, reply: HandshakeReply) -> tokio::task::JoinHandle<()> {
        let (listener, authority) = (Arc::clone(&self.listener), Arc::clone(&self.authority));
        tokio::spawn(async move {
            while let Some(incoming) = listener.accept().await {
                serve(incoming, &authority, reply).await;
            }
        })
    }

    fn join_command(&self) -> JoinCommand {
        let mut join_command = join_command(&self.listener.local_addr().to_string());
        join_command.target.token.pin = self.authority.pin();
        join_command.limit = Duration::from_secs(20);
        join_command
    }
}

async fn serve(incoming: Incoming, authority: &Authority, reply: HandshakeReply) {
    let (peer, session) = incoming.establish().await.unwrap();
    let closer = session.closer();
    let (mut sender, mut receiver) = Session::split(session);
    let first = receiver.recv(64 * 1024).await.unwrap();
    let answer = match (decode_from_member(&first).unwrap(), reply) {
        (_, HandshakeReply::Refuse(code)) => {
            let refusal = Refusal::new(code, "an operator removed it");
            return closer.close(refusal_code_number(code), &encode_refusal(&refusal));
        }
        (FromMember::Join(_), _) => {
            let begin = SystemClock.now();
            let validity = begin..begin + Duration::from_secs(3600);
            let certificate = authority.issue_member(&peer.public_key, SiteId::from_bytes([1; 16]).into(), validity);
            vec![FromParent::Identity(IdentityGrant {
                name: Name::parse("camp-042").unwrap(),
                environment: Name::parse("default").unwrap(),
                site: SiteId::from_bytes([1; 16]),
                kind: MemberKind::Site,
                host: HostId::from_bytes([2; 16]),
                gateway_chain: Vec::new(),
                certificate: certificate.unwrap(),
                authorities: vec![authority.certificate_der().to_vec()],
            })]
        }
        (_, HandshakeReply::Welcome) => vec![FromParent::Welcome(welcome()), FromParent::Spec(spec())],
    };
    for message in answer {
        sender.send(&encode_from_parent(&message)).await.unwrap();
    }
    while receiver.recv(1 << 20).await.is_ok() {}
}

fn welcome() -> Welcome {
    Welcome {
        version: 1,
        session: SessionId(1),
        wall: SystemClock.now(),
        spec_incarnation: Incarnation(9),
        status_held: Generation::ZERO,
        events_held: 0,
        redial_spread: Duration::from_secs(1),
        observed_address: Text::lossy("127.0.0.1"),
        pending: false,
        gaps_stored: true,
    }
}

fn spec() -> SpecDelta {
    let body = SpecBody::Site(SiteSpec {
        name: Name::parse("camp-042").unwrap(),
        environment: Name::parse("default").unwrap(),
        description: Text::default(),
        target: Target::Pending,
        assigned: LabelSet::default(),
    });
    let document = Document { generation: Generation(1), body: Some(body) };
    SpecDelta {
        base: Generation::ZERO,
        to: Generation(1),
        snapshot: true,
        documents: [(DocumentKey::Site, document)].into(),
        more: false,
    }
}

fn join_command(server: &str) -> JoinCommand {
    let labels = LabelInput::parse_list(["rack=r7"]).unwrap().labels;
    JoinCommand {
        site: None,
        target: JoinTarget {
            token: JoinToken {
                id: TokenId::from_bytes([1; 8]),
                secret: JoinSecret::from_bytes([2; 16]),
                pin: Pin::of(b"ca"),
            },
            servers: vec![ServerAddress::parse(server).unwrap()],
        },
        kind: MemberKind::Site,
        name: Some(Name::parse("camp-042").unwrap()),
        labels: LabelLayer::from([(Level::Site, labels)]),
        environment: EnvironmentLabels::default(),
        limit: Duration::from_secs(1),
        facts: FactSources::of_this_machine("/nowhere".as_ref(), false),
    }
}

#[tokio::test]
async fn an_address_that_does_not_answer_is_named() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = silent.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let data = DataDirectory::new(directory.path());

    let error = join(data.clone(), join_command(&server), &mut |_| {}).await.unwrap_err();

    assert_eq!(error.exit_code(), 1, "{error}");
    assert!(error.to_string().contains(&server), "{error}");
    assert!(error.to_string().contains("within 1s"), "{error}");
    // The key is kept, so that a retry is the same site, and the labels are kept.
    assert!(data.identity().join("key.pem").exists());
    let opened = crate::drivers::store::open(&data.database()).unwrap();
    let has_labels = |change: &_| matches!(change, linecamp_model::SiteChange::LocalLabels(Level::Site, Some(_)));
    assert!(opened.records.iter().any(has_labels));
}

#[tokio::test]
async fn joining_again_reports_the_first_join() {
    let server = Server::new();
    let _serving = server.answer(HandshakeReply::Welcome);
    let directory = tempfile::tempdir().unwrap();
    let data = DataDirectory::new(directory.path());
    let mut joined = join(data.clone(), server.join_command(), &mut |_| {}).await.unwrap();
    let expected = Joined {
        name: Name::parse("camp-042").unwrap(),
        environment: Name::parse("default").unwrap(),
        is_pending: true,
        was_member: false,
        servers_changed: false,
    };
    assert_eq!(joined, expected);

    joined = join(data.clone(), server.join_command(), &mut |_| {}).await.unwrap();
    assert!(joined.was_member && !joined.servers_changed);
    let mut without_name = server.join_command();
    without_name.name = None;
    joined = join(data.clone(), without_name, &mut |_| {}).await.unwrap();
    assert!(joined.was_member, "a site that has joined needs no name");

    let mut other = server.join_command();
    other.name = Some(Name::parse("camp-043").unwrap());
    let error = join(data, other, &mut |_| {}).await.unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
    assert!(error.to_string().contains("already joined as camp-042"), "{error}");
}

#[tokio::test]
async fn a_server_with_another_key_is_refused_at_once() {
    let server = Server::new();
    let _serving = server.answer(HandshakeReply::Welcome);
    let directory = tempfile::tempdir().unwrap();
    let mut join_command = server.join_command();
    join_command.target.token.pin = Pin::of(b"another");
    let mut reported = Vec::new();
    let mut report = |text: &str| reported.push(text.to_owned());

    let error = join(DataDirectory::new(directory.path()), join_command, &mut report).await.unwrap_err();

    assert_eq!(error.exit_code(), 3, "{error}");
    assert!(error.to_string().contains("not the pinned"), "{error}");
    assert_eq!(reported, Vec::<String>::new(), "the error alone reports the attempt that ended the join");
}

#[tokio::test]
async fn a_rejection_is_reported_once() {
    let server = Server::new();
    let _serving = server.answer(HandshakeReply::Refuse(RefusalCode::TokenExpired));
    let directory = tempfile::tempdir().unwrap();
    let mut reported = Vec::new();
    let mut report = |text: &str| reported.push(text.to_owned());

    let error = join(DataDirectory::new(directory.path()), server.join_command(), &mut report).await.unwrap_err();

    assert!(matches!(error, DaemonError::JoinRefused(_)), "{error}");
    assert_eq!(reported, Vec::<String>::new(), "the error alone reports the rejection");
}

#[tokio::test]
async fn a_removed_site_deletes_its_identity() {
    let server = Server::new();
    let serving = server.answer(HandshakeReply::Welcome);
    let directory = tempfile::tempdir().unwrap();
    let data = DataDirectory::new(directory.path());
    join(data.clone(), server.join_command(), &mut |_| {}).await.unwrap();
    serving.abort();
    let _ = serving.await;
    let _serving = server.answer(HandshakeReply::Refuse(RefusalCode::Removed));

    let error = join(data.clone(), server.join_command(), &mut |_| {}).await.unwrap_err();

    assert_eq!(error.exit_code(), 3, "{error}");
    assert!(error.to_string().contains("an operator removed it"), "{error}");
    assert!(!data.database().exists());
    assert!(!data.identity().join("key.pem").exists());
}

/// The addresses that the site in `data` keeps.
fn kept(data: &DataDirectory) -> Vec<ServerAddress> {
    let identity = linecamp_transport::SiteIdentity::load(&data.identity()).unwrap().unwrap();
    identity.servers().confirmed.addresses.clone()
}

#[tokio::test]
async fn a_token_of_the_same_server_replaces_the_addresses_once_they_carry_a_link() {
    let server = Server::new();
    let _serving = server.answer(HandshakeReply::Welcome);
    let directory = tempfile::tempdir().unwrap();
    let data = DataDirectory::new(directory.path());
    join(data.clone(), server.join_command(), &mut |_| {}).await.unwrap();
    let before = kept(&data);

    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut wrong = server.join_command();
    wrong.target.servers = vec![ServerAddress::parse(&silent.local_addr().unwrap().to_string()).unwrap()];
    wrong.limit = Duration::from_secs(1);
    let error = join(data.clone(), wrong, &mut |_| {}).await.unwrap_err();
    assert_eq!(error.exit_code(), 1, "{error}");
    assert_eq!(kept(&data), before, "nothing changed");

    let mut right = server.join_command();
    let name = format!("localhost:{}", server.listener.local_addr().port());
    right.target.servers = vec![ServerAddress::parse(&name).unwrap()];
    let joined = join(data.clone(), right.clone(), &mut |_| {}).await.unwrap();
    assert!(joined.was_member && joined.servers_changed);
    assert_eq!(kept(&data), right.target.servers);
}

#[tokio::test]
async fn a_token_of_another_server_is_refused_and_changes_nothing() {
    let (server, other) = (Server::new(), Server::new());
    let _serving = (server.answer(HandshakeReply::Welcome), other.answer(HandshakeReply::Welcome));
    let directory = tempfile::tempdir().unwrap();
    let data = DataDirectory::new(directory.path());
    join(data.clone(), server.join_command(), &mut |_| {}).await.unwrap();
    let before = kept(&data);

    let error = join(data.clone(), other.join_command(), &mut |_| {}).await.unwrap_err();

    assert_eq!(error.exit_code(), 3, "{error}");
    assert!(error.to_string().contains("linecampd forget"), "{error}");
    assert_eq!(kept(&data), before);
}

/// Keeps the identity in `data` from being written.
fn block_identity_writes(data: &DataDirectory) {
    std::fs::create_dir_all(data.identity().join("membership.new/blocked")).unwrap();
}

#[tokio::test]
async fn addresses_that_cannot_be_saved_are_an_error() {
    let server = Server::new();
    let _serving = server.answer(HandshakeReply::Welcome);
    let directory = tempfile::tempdir().unwrap();
    let data = DataDirectory::new(directory.path());
    join(data.clone(), server.join_command(), &mut |_| {}).await.unwrap();
    let before = kept(&data);
    block_identity_writes(&data);

    let mut moved = server.join_command();
    let name = format!("localhost:{}", server.listener.local_addr().port());
    moved.target.servers = vec![ServerAddress::parse(&name).unwrap()];
    let error = join(data.clone(), moved, &mut |_| {}).await.unwrap_err();

    assert_eq!(error.exit_code(), 1, "{error}");
    assert!(error.to_string().contains("cannot save the server's addresses: "), "{error}");
    assert_eq!(kept(&data), before);
}

#[tokio::test]
async fn another_name_is_refused_before_anything_changes() {
    let server = Server::new();
    let _serving = server.answer(HandshakeReply::Welcome);
    let directory = tempfile::tempdir().unwrap();
    let data = DataDirectory::new(directory.path());
    join(data.clone(), server.join_command(), &mut |_| {}).await.unwrap();
    let before = kept(&data);

    let mut other = server.join_command();
    other.name = Some(Name::parse("camp-043").unwrap());
    let name = format!("localhost:{}", server.listener.local_addr().port());
    other.target.servers = vec![ServerAddress::parse(&name).unwrap()];
    other.labels = LabelLayer::from([(Level::Site, LabelInput::parse_list(["rack=r8"]).unwrap().labels)]);
    let error = join(data.clone(), other, &mut |_| {}).await.unwrap_err();

    assert!(matches!(error, DaemonError::OtherName { .. }), "{error}");
    assert_eq!(kept(&data), before);
    let records = format!("{:?}", crate::drivers::store::open(&data.database()).unwrap().records);
    assert!(records.contains("r7") && !records.contains("r8"), "no label changed: {records}");
}

/// A reload hands the driver over to a new state machine.
#[tokio::test]
async fn addresses_that_are_not_saved_survive_a_reload() {
    let server = Server::new();
    let _serving = server.answer(HandshakeReply::Welcome);
    let directory = tempfile::tempdir().unwrap();
    let data = DataDirectory::new(directory.path());
    join(data.clone(), server.join_command(), &mut |_| {}).await.unwrap();
    let mut guard = DataDirGuard::acquire(data.clone()).unwrap();
    block_identity_writes(&data);
    let followed = linecamp_model::KnownServers::of_token(ServerAddress::parse_list("new.example:8443").unwrap());
    guard.identity.save_servers(followed.clone()).unwrap_err();

    let mut daemon = Daemon::open(guard, member_setup()).unwrap();

    assert_eq!(daemon.site.view(daemon.clock.now()).servers, followed);
    assert!(matches!(daemon.next_event().await, Event::ServersSaved(Err(_))), "they are saved again");
}

fn member_setup() -> Setup {
    Setup {
        servers: ServerSource::Saved,
        join: None,
        labels: EnvironmentLabels::default(),
        link: LinkSettings::default(),
        facts: FactSources::of_this_machine("/nowhere".as_ref(), false),
        providers: Vec::new(),
        hosts: HostsConfig::default(),
        plugins: None,
    }
}

#[test]
fn a_member_with_configured_addresses_is_warned() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("site.toml");
    let site = Installation {
        directory: DataDirectory::new(directory.path()),
        config: Some(file.clone()),
        variable: |_| None,
    };
    std::fs::write(&file, "log = \"info\"\n").unwrap();
    assert_eq!(warn_of_configured_servers(&site), None);
    std::fs::write(&file, "servers = [\"camp.example:8443\"]\n").unwrap();
    let warning = warn_of_configured_servers(&site).unwrap();
    assert!(
        warning.starts_with("warning: the daemon dials only the addresses in its configuration: camp.e"),
        "{warning}"
    );
}
