//! One site of the bench: a minimal version of the daemon's loop.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use linecamp_core::{
    Dial, EnvironmentLabels, Fact, Facts, LinkEvent, LossReason, PendingJoin, Purpose, Rng, SavedSite, ServerSource,
    Site, SiteConfig, SiteIdentity as CoreIdentity, SiteOutput,
};
use linecamp_model::limits::FRAME_BYTES_MAX;
use linecamp_model::{
    DialId, FromMember, FromParent, Generation, IdentityGrant, JoinTarget, KnownServers, LabelKey, LabelValue,
    MemberKind, Name, Now, Pin, Refusal, RunId, ServerAddress, SiteChange, Text, WriteId,
};
use linecamp_proto::{
    VERSIONS, decode_from_parent, decode_refusal, encode_from_member, encode_refusal, refusal_code_number,
};
use linecamp_service::Clock;
use linecamp_transport::{
    DialError, Dialer, Expected, Session, SessionEnd, SessionReceiver, SessionSender, SiteCredentials, SiteIdentity,
    SiteKey, Trust, resolve,
};
use tokio::sync::{AcquireError, OwnedSemaphorePermit};
use tokio::task::JoinHandle;

use crate::progress::SiteProgress;
use crate::site_disk::{Durable, SiteDisk};

/// The facts that a machine like those of the trial collects.
const FACTS: [(&str, &str); 10] = [
    ("io.linecamp.host.arch", "x86_64"),
    ("io.linecamp.host.os", "Debian GNU/Linux 12 (bookworm)"),
    ("io.linecamp.host.cpus", "4"),
    ("io.linecamp.host.memory_mib", "7852"),
    ("io.linecamp.host.kvm", "true"),
    ("io.linecamp.host.aes", "true"),
    ("io.linecamp.host.virtualization", "none"),
    ("io.linecamp.host.linux_kernel_version", "6.1.0-18-amd64"),
    ("io.linecamp.host.docker_version", "26.1.3, build b72abbb"),
    ("io.rancher.host.linux_kernel_version", "6.1"),
];

/// What a site presents when it dials, and the server it trusts.
#[derive(Clone, Debug)]
pub(crate) enum MemberCredentials {
    Joining(Arc<SiteKey>, Pin),
    Member(Arc<SiteIdentity>),
}

impl MemberCredentials {
    /// Dials a server.
    pub(crate) async fn dial(&self, dialer: &Dialer, server: &ServerAddress) -> Result<Session, DialError> {
        let address = resolve(server).await?[0];
        let (credentials, trust) = match self {
            Self::Joining(key, pin) => (SiteCredentials::SelfMade(key), Trust::Pin(*pin)),
            Self::Member(identity) => (SiteCredentials::Issued(identity), identity.trust()),
        };
        dialer.dial(address, credentials, &trust, Expected::Server).await
    }
}

/// The initial settings of a site.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) index: usize,
    pub(crate) name: String,
    pub(crate) target: JoinTarget,
    pub(crate) identity: PathBuf,
    pub(crate) dialer: Arc<Dialer>,
    pub(crate) progress: Arc<SiteProgress>,
}

/// A site and its drivers.
pub(crate) struct Member {
    site: Site,
    index: usize,
    identity: PathBuf,
    servers: Vec<ServerAddress>,
    credentials: MemberCredentials,
    dialer: Arc<Dialer>,
    progress: Arc<SiteProgress>,
    clock: Clock,
    disk: SiteDisk,
    /// Pending writes of spec documents, with their generation.
    specs: BTreeMap<WriteId, Generation>,
    dialing: Option<(DialId, JoinHandle<Result<Session, DialError>>)>,
    link: Option<(DialId, SessionSender, SessionReceiver)>,
    pending: VecDeque<Event>,
    is_stopped: bool,
}

enum Event {
    Timeout,
    Durable(Durable),
    Saved(Result<CoreIdentity, Text>),
    ServersSaved,
    Facts,
    Dialed(DialId, Result<Session, DialError>),
    Received(DialId, Result<Vec<u8>, SessionEnd>),
    Lost(DialId, LossReason),
}

impl Member {
    /// Creates a site that will join.
    pub(crate) fn start(start: Start, disk: SiteDisk) -> anyhow::Result<Self> {
        let key = SiteKey::load_or_create(&start.identity)?;
        let fingerprint = key.fingerprint();
        let seed = fingerprint.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let mut rng = Rng::new(seed);
        let config = SiteConfig {
            daemon_version: Text::lossy(env!("CARGO_PKG_VERSION")),
            directory: Text::lossy("/var/lib/linecamp"),
            versions: VERSIONS,
            run: RunId::from_bytes(rng.next_u64().to_le_bytes()),
            boot: None,
            servers: ServerSource::Configured(start.target.servers.clone()),
            labels: EnvironmentLabels::default(),
            join: Some(PendingJoin {
                token: start.target.token.clone(),
                kind: MemberKind::Site,
                name: Name::parse(&start.name)?,
                site: None,
            }),
            providers: Vec::new(),
        };
        let clock = Clock::start();
        Ok(Self {
            site: Site::new(config, SavedSite::default(), rng, clock.now()),
            index: start.index,
            identity: start.identity,
            credentials: MemberCredentials::Joining(Arc::new(key), start.target.token.pin),
            servers: start.target.servers,
            dialer: start.dialer,
            progress: start.progress,
            clock,
            disk,
            specs: BTreeMap::new(),
            dialing: None,
            link: None,
            pending: VecDeque::new(),
            is_stopped: false,
        })
    }

    /// Runs until the bench ends it; `door` is released at the first welcome.
    pub(crate) async fn run(mut self, permit: Result<OwnedSemaphorePermit, AcquireError>) {
        let mut permit = Some(permit);
        loop {
            while let Some(output) = self.site.poll_output() {
                self.perform(output).await;
            }
            if self.is_stopped {
                return;
            }
            if permit.is_some() && 0 < self.progress.record(self.index).welcomes {
                permit = None;
            }
            let event = self.next_event().await;
            self.handle(event);
        }
    }

    async fn next_event(&mut self) -> Event {
        if let Some(event) = self.pending.pop_front() {
            return event;
        }
        let deadline = self.site.next_deadline().map(|(deadline, _)| deadline);
        tokio::select! {
            biased;
            () = self.clock.wait_until(deadline) => Event::Timeout,
            durable = self.disk.answer() => Event::Durable(durable),
            (dial, result) = dialed(&mut self.dialing) => Event::Dialed(dial, result),
            (dial, result) = received(&mut self.link) => Event::Received(dial, result),
        }
    }

    fn handle(&mut self, event: Event) {
        let now = self.clock.now();
        match event {
            Event::Timeout => self.site.handle_timeout(now),
            Event::Durable(durable) => {
                if let Some(held) = self.specs.remove(&durable.write) {
                    self.progress.update(self.index, |record| {
                        (record.durable, record.durable_at) = (held, durable.at);
                    });
                }
                self.site.handle_persisted(durable.write, now);
            }
            Event::Saved(saved) => self.site.handle_identity_saved(saved, now),
            Event::ServersSaved => self.site.handle_servers_saved(Ok(()), now),
            Event::Facts => self.site.handle_facts(facts(), now),
            Event::Dialed(dial, Ok(session)) => {
                self.dialing = None;
                let (sender, receiver) = session.split();
                self.link = Some((dial, sender, receiver));
                self.site.handle_link(LinkEvent::Dialed(dial), now);
            }
            Event::Dialed(dial, Err(error)) => {
                self.dialing = None;
                let cause = error.gap_cause();
                let text = format!("{:#}", anyhow::Error::new(error));
                self.lose(dial, LossReason::Unreachable(cause, Text::lossy(&text)), now);
            }
            Event::Received(dial, Ok(payload)) => match decode_from_parent(&payload) {
                Ok(message) => self.receive(dial, message, now),
                Err(error) => self.lose(dial, LossReason::Failed(Text::lossy(&error.to_string())), now),
            },
            Event::Received(dial, Err(end)) => self.lose(dial, reason(&end), now),
            Event::Lost(dial, reason) => self.lose(dial, reason, now),
        }
    }

    fn receive(&mut self, dial: DialId, message: FromParent, now: Now) {
        self.site.handle_link(LinkEvent::Received(dial, message), now);
    }

    fn lose(&mut self, dial: DialId, reason: LossReason, now: Now) {
        let text = match &reason {
            LossReason::Closed(refusal) => refusal.to_string(),
            LossReason::Unreachable(_, text) | LossReason::Failed(text) => text.to_string(),
        };
        self.progress.update(self.index, |record| {
            record.last_loss = Some(text);
            record.lost_at = Instant::now();
        });
        self.link = None;
        self.site.handle_link(LinkEvent::Lost(dial, reason), now);
    }

    async fn perform(&mut self, output: SiteOutput) {
        match output {
            SiteOutput::Dial(dial) => self.dial(dial),
            SiteOutput::Send { dial, message } => self.send(dial, &message).await,
            SiteOutput::Hangup { dial, refusal } => self.hang_up(dial, &refusal),
            SiteOutput::Persist { write, changes } => {
                let specs = changes.iter().filter_map(|change| match change {
                    SiteChange::Spec(_, document) => document.as_ref().map(|document| document.generation),
                    _ => None,
                });
                if let Some(held) = specs.max() {
                    self.specs.insert(write, held);
                }
                self.pending.extend(self.disk.commit(write, &changes).map(Event::Durable));
            }
            SiteOutput::SaveIdentity(grant) => {
                let saved = self.save(&grant);
                self.pending.push_back(Event::Saved(saved));
            }
            SiteOutput::SaveServers(_) => self.pending.push_back(Event::ServersSaved),
            // This server replaces no authority.
            SiteOutput::SaveAuthorities(_) => {}
            SiteOutput::CollectFacts => self.pending.push_back(Event::Facts),
            SiteOutput::Removed(refusal) | SiteOutput::JoinRefused(refusal) => {
                self.progress.update(self.index, |record| record.last_loss = Some(refusal.to_string()));
                self.is_stopped = true;
            }
            // This fleet has no providers.
            SiteOutput::Call { .. } | SiteOutput::MeasurePlugin(_) | SiteOutput::KeepPiece(_) => {}
            // No host joins its sites.
            SiteOutput::Host(_) => {}
            SiteOutput::OpenLocalSocket => {}
            SiteOutput::LinkUp { .. } => self.progress.update(self.index, |record| {
                record.welcomes += 1;
                record.welcomed_at = Instant::now();
            }),
            SiteOutput::Joined(_)
            | SiteOutput::LinkDown { .. }
            | SiteOutput::DialFailed { .. }
            | SiteOutput::Condition { .. } => {}
            // The bench's disk does not fail, so it is never probed.
            SiteOutput::Reply { .. } | SiteOutput::ResumeStore(_) | SiteOutput::TryStore(_) => {}
        }
    }

    fn dial(&mut self, dial: Dial) {
        if dial.purpose == Purpose::Link {
            debug_assert!(matches!(self.credentials, MemberCredentials::Member(_)), "it links once it has joined");
        }
        let (credentials, dialer) = (self.credentials.clone(), Arc::clone(&self.dialer));
        let reaching = tokio::spawn(async move { credentials.dial(&dialer, &dial.server).await });
        self.dialing = Some((dial.dial, reaching));
    }

    async fn send(&mut self, dial: DialId, message: &FromMember) {
        let Some((_, sender, _)) = self.link.as_mut().filter(|(current, ..)| *current == dial) else {
            return;
        };
        match sender.send(&encode_from_member(message)).await {
            Ok(()) => {
                if let FromMember::SpecAck(held) = message {
                    self.progress.update(self.index, |record| {
                        (record.acked, record.acked_at) = (*held, Instant::now());
                    });
                }
            }
            Err(end) => self.pending.push_back(Event::Lost(dial, reason(&end))),
        }
    }

    fn hang_up(&mut self, dial: DialId, refusal: &Refusal) {
        if let Some((_, reaching)) = self.dialing.take_if(|(current, _)| *current == dial) {
            reaching.abort();
        }
        if let Some((_, sender, _)) = self.link.take_if(|(current, ..)| *current == dial) {
            sender.close(refusal_code_number(refusal.code), &encode_refusal(refusal));
        }
    }

    fn save(&mut self, grant: &IdentityGrant) -> Result<CoreIdentity, Text> {
        let servers = KnownServers::of_token(self.servers.clone());
        let adopted = SiteIdentity::adopt(&self.identity, grant, &servers);
        let identity = adopted.map_err(|error| Text::lossy(&error.to_string()))?;
        let validity = identity.certificate_validity();
        let seen = CoreIdentity {
            kind: identity.kind(),
            site: identity.site_id(),
            host: identity.host_id(),
            not_before: validity.start,
            not_after: validity.end,
            issuer: identity.issuer(),
        };
        self.credentials = MemberCredentials::Member(Arc::new(identity));
        Ok(seen)
    }
}

fn facts() -> Facts {
    let label = |(key, value)| {
        (
            LabelKey::parse(key).expect("a constant that is a key"),
            Fact::Observed(LabelValue::parse(value).expect("a constant that is a value")),
        )
    };
    FACTS.map(label).into()
}

/// Returns why a session ended, as the daemon does.
fn reason(end: &SessionEnd) -> LossReason {
    if let SessionEnd::Closed { code, reason } = end
        && let Some(refusal) = decode_refusal(*code, reason)
    {
        return LossReason::Closed(refusal);
    }
    LossReason::Failed(Text::lossy(&end.to_string()))
}

async fn dialed(
    dialing: &mut Option<(DialId, JoinHandle<Result<Session, DialError>>)>,
) -> (DialId, Result<Session, DialError>) {
    match dialing {
        Some((dial, reaching)) => (*dial, reaching.await.expect("a dial does not panic")),
        None => std::future::pending().await,
    }
}

async fn received(
    link: &mut Option<(DialId, SessionSender, SessionReceiver)>,
) -> (DialId, Result<Vec<u8>, SessionEnd>) {
    match link {
        Some((dial, _, receiver)) => (*dial, receiver.recv(FRAME_BYTES_MAX).await),
        None => std::future::pending().await,
    }
}
