//! The server's parts without its HTTP: the real `Fleet`, store and listener in a loop like the server's. A child
//! process of the bench, which sends commands on stdin and reads the results on stdout.
//!
//! | line in | action | line out |
//! |---|---|---|
//! | (start) | opens everything, creates a token | `ready TOKEN@ADDRESS` |
//! | `push VALUE` | labels all linked sites in one loop turn | `pushed ORDERED_US P50_US LAST_US` when acknowledged |
//! | `counters` | | `counters COMMITS WRITES CHANGES` of the store |
//!
//! It exists because the API sets labels site by site, so that measuring a fleet-wide change through it measures HTTP;
//! and because the store's counters are not visible from outside the server.

use std::collections::HashMap;
use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use linecamp_core::{
    CERTIFICATE_LIFE, Credential, Fleet, FleetCommand, FleetConfig, FleetOutput, IssuedCommand, NewToken, Peer, Rng,
    SavedFleet, SessionEvent, SiteRef,
};
use linecamp_model::limits::FRAME_BYTES_MAX;
use linecamp_model::{
    CommandId, FromMember, FromParent, IdentityGrant, JoinSecret, JoinToken, LabelKey, LabelPatch, LabelValue, Name,
    SessionId, Text, TokenId, WriteId,
};
use linecamp_proto::record::fleet_change;
use linecamp_proto::{VERSIONS, decode_from_member, encode_from_parent, encode_refusal, refusal_code_number};
use linecamp_service::Clock;
use linecamp_store::{Change, Kind, OnCorruption, QUEUE_WRITES_MAX, Store};
use linecamp_transport::{
    Authority, Credential as Shown, Incoming, Listener, ListenerSettings, Peer as Proven, Platform, Session,
    SessionCloser, SystemClock, WallClock as _,
};
use tokio::sync::mpsc;

use crate::load_generator::site_name;
use crate::numbers::{micros, percentile};

/// Queue length of the server's own loop.
const EVENTS_MAX: usize = 128;
/// Queue length of the server's own sessions.
const OUTGOING_MAX: usize = 24;

enum Event {
    Opened(Proven, String, SessionHandle),
    Received(FromMember),
    Closed,
}

struct SessionHandle {
    outgoing: mpsc::Sender<Vec<u8>>,
    closer: SessionCloser,
}

struct Open {
    handle: SessionHandle,
    public_key: Vec<u8>,
    is_linked: bool,
}

/// A push in progress.
struct Push {
    began: Instant,
    /// How long the state machine took to process it.
    ordered: Duration,
    waiting: usize,
    acks: HashMap<SessionId, Duration>,
}

struct ServerLoop {
    fleet: Fleet,
    clock: Clock,
    authority: Arc<Authority>,
    store: Store,
    sessions: HashMap<SessionId, Open>,
    commands: u64,
    push: Option<Push>,
}

/// Serves a new fleet in `data` until stdin is closed.
pub(crate) fn run(data: &Path) -> anyhow::Result<()> {
    crate::runtime()?.block_on(serve(data))
}

async fn serve(data: &Path) -> anyhow::Result<()> {
    let authority = Arc::new(Authority::create(&data.join("ca"), &[], SystemClock.now())?);
    let (answer_sender, mut answers) = mpsc::channel(QUEUE_WRITES_MAX);
    let opened = Store::open(&data.join("fleet.db"), Kind::Fleet, OnCorruption::Refuse, move |answer| {
        drop(answer_sender.blocking_send(answer));
    })?;
    let any = ([127, 0, 0, 1], 0).into();
    let listener = Listener::bind(any, Arc::clone(&authority), ListenerSettings::default(), Platform::default())?;
    let address = listener.local_addr();
    let clock = Clock::start();
    let config = FleetConfig { versions: VERSIONS, certificate_life: CERTIFICATE_LIFE };
    let fleet = Fleet::new(config, SavedFleet::default(), Rng::new(u64::from(address.port())), clock.now());
    let mut this =
        ServerLoop { fleet, clock, authority, store: opened.store, sessions: HashMap::new(), commands: 0, push: None };
    this.perform_outputs()?;
    let token = this.make_token()?;
    print_line(&format!("ready {}@{address}", token.reveal()))?;

    let (note_sender, mut events) = mpsc::channel(EVENTS_MAX);
    tokio::spawn(accept(listener, note_sender));
    let mut read_lines = read_lines();
    loop {
        let deadline = this.fleet.next_deadline().map(|(deadline, _)| deadline);
        // The same order as in the server's own loop.
        tokio::select! {
            biased;
            () = this.clock.wait_until(deadline) => this.fleet.handle_timeout(this.clock.now()),
            Some(answer) = answers.recv() => {
                answer.result.context("the bench's disk has room")?;
                this.fleet.handle_persisted(WriteId(answer.write), this.clock.now());
            }
            line = read_lines.recv() => match line {
                Some(line) => this.execute(&line)?,
                None => return Ok(()),
            },
            Some((id, handle_event)) = events.recv() => this.handle_event(id, handle_event)?,
        }
        this.perform_outputs()?;
    }
}

impl ServerLoop {
    fn make_token(&mut self) -> anyhow::Result<JoinToken> {
        let token = JoinToken {
            id: TokenId::from_bytes([1; 8]),
            secret: JoinSecret::from_bytes([2; 16]),
            pin: self.authority.pin(),
        };
        self.command(FleetCommand::CreateToken(NewToken {
            joins_as: linecamp_core::JoinsAs::Site,
            id: token.id,
            secret: token.secret.hash(),
            environment: Name::parse("default")?,
            ttl: Duration::from_secs(3600),
            uses: 20_000,
            labels: LabelPatch::default(),
        }))?;
        Ok(token)
    }

    fn command(&mut self, command: FleetCommand) -> anyhow::Result<()> {
        self.commands += 1;
        self.fleet.handle_command(CommandId(self.commands), IssuedCommand::of_console(command), self.clock.now());
        self.perform_outputs()
    }

    fn execute(&mut self, line: &str) -> anyhow::Result<()> {
        match line.split_once(' ') {
            Some(("push", value)) => self.push(value),
            None if line == "counters" => {
                let counters = self.store.counters();
                print_line(&format!("counters {} {} {}", counters.commits, counters.writes, counters.changes))
            }
            _ => bail!("no such order: {line}"),
        }
    }

    fn push(&mut self, value: &str) -> anyhow::Result<()> {
        let sites = self.sessions.values().filter(|open| open.is_linked).count();
        self.push = Some(Push {
            began: Instant::now(),
            ordered: Duration::ZERO,
            waiting: sites,
            acks: HashMap::with_capacity(sites),
        });
        let label = (LabelKey::parse("bench.push")?, LabelValue::parse(value)?);
        for site in 0..sites {
            let patch = LabelPatch { set: [label.clone()].into(), ..LabelPatch::default() };
            let site = SiteRef { environment: Some(Name::parse("default")?), name: Name::parse(&site_name(site))? };
            self.command(FleetCommand::PatchLabels(site.into(), patch))?;
        }
        if let Some(push) = &mut self.push {
            push.ordered = push.began.elapsed();
        }
        Ok(())
    }

    fn handle_event(&mut self, id: SessionId, handle_event: Event) -> anyhow::Result<()> {
        let event = match handle_event {
            Event::Opened(peer, address, handle) => {
                let credential = match peer.credential {
                    Shown::SelfMade => Credential::SelfMade,
                    Shown::Issued { .. } => Credential::Issued,
                    Shown::Expired { .. } => Credential::Expired,
                    Shown::Foreign => Credential::Foreign,
                };
                let open = Open { handle, public_key: peer.public_key, is_linked: false };
                self.sessions.insert(id, open);
                SessionEvent::Opened(Peer { fingerprint: peer.fingerprint, credential, address: Text::lossy(&address) })
            }
            Event::Received(message) => {
                if matches!(message, FromMember::SpecAck(_)) {
                    self.acknowledged(id)?;
                }
                SessionEvent::Received(message)
            }
            Event::Closed => {
                self.sessions.remove(&id);
                SessionEvent::Closed(Text::default())
            }
        };
        self.fleet.handle_session(id, event, self.clock.now());
        Ok(())
    }

    fn acknowledged(&mut self, id: SessionId) -> anyhow::Result<()> {
        let Some(push) = &mut self.push else { return Ok(()) };
        push.acks.entry(id).or_insert_with(|| push.began.elapsed());
        if push.acks.len() < push.waiting {
            return Ok(());
        }
        let acks: Vec<_> = push.acks.values().copied().collect();
        let [middle, last] = [0.5, 1.0].map(|part| micros(percentile(&acks, part)));
        let ordered = micros(push.ordered);
        self.push = None;
        print_line(&format!("pushed {ordered:.0} {middle:.0} {last:.0}"))
    }

    fn perform_outputs(&mut self) -> anyhow::Result<()> {
        while let Some(output) = self.fleet.poll_output() {
            match output {
                FleetOutput::Send { session, message } => self.send(session, &message),
                FleetOutput::Issue { session, request } => {
                    let Some(open) = self.sessions.get(&session) else {
                        continue;
                    };
                    let validity = request.not_before..request.not_after;
                    let grant = IdentityGrant {
                        kind: request.kind,
                        name: request.name,
                        environment: request.environment,
                        site: request.site,
                        host: request.host,
                        gateway_chain: Vec::new(),
                        certificate: self.authority.issue_member(&open.public_key, request.site.into(), validity)?,
                        authorities: vec![self.authority.certificate_der().to_vec()],
                    };
                    self.send(session, &FromParent::Identity(grant));
                }
                FleetOutput::Hangup { session, refusal } => {
                    if let Some(open) = self.sessions.get(&session) {
                        let code = refusal_code_number(refusal.code);
                        open.handle.closer.close(code, &encode_refusal(&refusal));
                    }
                }
                FleetOutput::ReadPlugin { .. } => {}
                FleetOutput::Persist { write, changes } => {
                    let rows = changes.iter().map(|change| {
                        let (key, body) = fleet_change(change);
                        Change { key, body }
                    });
                    self.store.submit(write.0, rows.collect()).context("the bench's store has room")?;
                }
                FleetOutput::TryStore(write) => {
                    self.store.submit_trial(write.0).context("the bench's store has room")?;
                }
                FleetOutput::ResumeStore(write) => self.store.resume(write.0),
                FleetOutput::LinkUp { session, .. } => {
                    if let Some(open) = self.sessions.get_mut(&session) {
                        open.is_linked = true;
                    }
                }
                FleetOutput::LinkDown { .. }
                | FleetOutput::SiteJoined { .. }
                | FleetOutput::HostJoined { .. }
                | FleetOutput::ServersChanged(_)
                | FleetOutput::ServerUrlChanged(_)
                | FleetOutput::Removed { .. } => {}
                FleetOutput::Reply { result, .. } => {
                    if let Err(error) = result {
                        bail!("a command was refused: {error:?}");
                    }
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, session: SessionId, message: &FromParent) {
        if let Some(open) = self.sessions.get_mut(&session) {
            // A session whose queue is full or that has ended reports that itself.
            drop(open.handle.outgoing.try_send(encode_from_parent(message)));
        }
    }
}

async fn accept(listener: Listener, events: mpsc::Sender<(SessionId, Event)>) {
    let mut last = SessionId::default();
    while let Some(incoming) = listener.accept().await {
        last = last.next();
        tokio::spawn(run_session(last, incoming, events.clone()));
    }
}

async fn run_session(id: SessionId, incoming: Incoming, events: mpsc::Sender<(SessionId, Event)>) {
    let Ok((peer, session)) = incoming.establish().await else {
        return;
    };
    let (outgoing, queue) = mpsc::channel(OUTGOING_MAX);
    let closer = session.closer();
    let address = session.remote_address().to_string();
    let opened = Event::Opened(peer, address, SessionHandle { outgoing, closer });
    if events.send((id, opened)).await.is_ok() {
        relay_frames(id, session, queue, &events).await;
        drop(events.send((id, Event::Closed)).await);
    }
}

async fn relay_frames(
    id: SessionId,
    session: Session,
    mut queue: mpsc::Receiver<Vec<u8>>,
    events: &mpsc::Sender<(SessionId, Event)>,
) {
    let (mut sender, mut receiver) = session.split();
    let read = async {
        while let Ok(payload) = receiver.recv(FRAME_BYTES_MAX).await {
            let Ok(message) = decode_from_member(&payload) else {
                return;
            };
            if events.send((id, Event::Received(message))).await.is_err() {
                return;
            }
        }
    };
    let write = async {
        while let Some(payload) = queue.recv().await {
            if sender.send(&payload).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = read => {}
        () = write => {}
    }
}

/// Reads commands on a separate thread; the channel closes with stdin.
fn read_lines() -> mpsc::Receiver<String> {
    let (sender, read_lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    read_lines
}

fn print_line(line: &str) -> anyhow::Result<()> {
    println!("{line}");
    std::io::stdout().flush().context("failed to print")
}
