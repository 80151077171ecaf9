//! Kept answers, on a server without a disk.

use std::time::Duration;

use linecamp_model::{AuditOutcome, BulkActionId, Identity, KeyId, KeyIdentity, SiteAction, SiteId, WriteId};

use super::*;
use crate::fleet::audit_note::AuditedRequest;
use crate::fleet::testing::{NOW, VERSIONS, apply, bytes, state, state_with_site};
use crate::fleet::{EnvironmentEdit, FleetCommand, FleetConfig, NewBulkAction, SavedFleet};
use crate::rng::Rng;
use crate::testing::{name, patch};
use crate::{SWEEP_PERIOD, StoreFault};

/// A server without a disk: what it writes is durable when the test says so.
struct Server {
    fleet: Fleet,
    records: Vec<FleetChange>,
    waiting: Vec<(WriteId, Vec<FleetChange>)>,
    replies: Vec<(CommandId, Result<(), FleetCommandError>)>,
    last: u64,
    now: Now,
}

impl Server {
    fn start(records: Vec<FleetChange>, now: Now) -> Self {
        let config = FleetConfig { versions: VERSIONS, certificate_life: crate::CERTIFICATE_LIFE };
        let saved = SavedFleet { records: records.clone(), ..SavedFleet::default() };
        let fleet = Fleet::new(config, saved, Rng::new(1), now);
        let mut server = Self { fleet, records, waiting: Vec::new(), replies: Vec::new(), last: 0, now };
        server.drain();
        server.commit();
        server
    }

    fn drain(&mut self) {
        while let Some(output) = self.fleet.poll_output() {
            match output {
                FleetOutput::Persist { write, changes } => self.waiting.push((write, changes)),
                FleetOutput::Reply { command, result } => self.replies.push((command, result)),
                _ => {}
            }
        }
    }

    /// Makes everything that waits durable.
    fn commit(&mut self) {
        while !self.waiting.is_empty() {
            let (write, changes) = self.waiting.remove(0);
            self.records.extend(changes);
            self.fleet.handle_persisted(write, self.now);
            self.drain();
        }
    }

    /// Creates an environment with a key, as an account of the console.
    fn create(&mut self, environment: &str, key: &str, by: u8) {
        self.last += 1;
        let command = FleetCommand::CreateEnvironment(name(environment), EnvironmentEdit::default());
        let mut issued = IssuedCommand::of_console(command);
        let (id, of) = (KeyId::from_bytes([by; 8]), name("key"));
        let target = Text::lossy("/api/v1/environments");
        issued.audited = Some(AuditedRequest { operation: "environment.create", target });
        issued.authorization.caller.identity = Identity::Key(KeyIdentity { id, name: of, user: None });
        let keyed = KeyedRequest {
            key: IdempotencyKeyHash::of(key.as_bytes()),
            operation: Text::lossy("environment.create"),
            digest: RequestDigest::of(environment.as_bytes()),
            answer: Box::new(|view, _| format!("{} environments", view.environments().len())),
        };
        self.fleet.handle_keyed_command(CommandId(self.last), issued, keyed, self.now);
        self.drain();
    }

    fn answer(&self, key: &str) -> Option<&str> {
        let kept = self.fleet.view().kept_answer(&IdempotencyKeyHash::of(key.as_bytes()));
        kept.map(|kept| kept.answer.as_str())
    }

    fn results(&mut self) -> Vec<Result<(), &'static str>> {
        let code = |error: FleetCommandError| match error {
            FleetCommandError::KeyReused(_) => "key-reused",
            FleetCommandError::NameTaken(_) => "name-taken",
            FleetCommandError::Store(_) => "store",
            FleetCommandError::Forbidden(_) => "forbidden",
            other => panic!("{other:?}"),
        };
        self.replies.drain(..).map(|(_, result)| result.map_err(code)).collect()
    }
}

#[test]
fn a_request_that_is_sent_again_takes_effect_once_and_has_the_answer_of_the_first_time() {
    let mut server = Server::start(Vec::new(), NOW);
    server.create("lab", "k1", 1);
    server.create("lab", "k1", 1);
    assert_eq!(server.results(), [], "neither is answered before the write is durable");
    assert_eq!(server.waiting.len(), 2, "the second one only waits");
    assert_eq!(server.waiting[1].1, []);
    server.commit();
    assert_eq!(server.results(), [Ok(()), Ok(())]);
    server.create("shop", "k2", 1);
    server.create("lab", "k1", 1);
    server.commit();
    assert_eq!(server.results(), [Ok(()), Ok(())]);
    assert_eq!((server.answer("k1"), server.answer("k2")), (Some("2 environments"), Some("3 environments")));
    server.create("lab", "k3", 1);
    assert_eq!((server.results(), server.answer("k3")), (vec![Err("name-taken")], None), "an error is not kept");
}

#[test]
fn the_entry_in_the_audit_log_is_written_with_the_answer_and_a_repetition_has_none() {
    let mut server = Server::start(Vec::new(), NOW);
    server.create("lab", "k1", 1);
    let [(_, write)] = &server.waiting[..] else { panic!("one write: {:?}", server.waiting) };
    let parts: [fn(&FleetChange) -> bool; 3] = [
        |change| matches!(change, FleetChange::Environment(..)),
        |change| matches!(change, FleetChange::AuditEntry(..)),
        |change| matches!(change, FleetChange::KeptAnswer(..)),
    ];
    assert!(parts.iter().all(|part| write.iter().filter(|change| part(change)).count() == 1), "{write:?}");
    server.create("lab", "k1", 1);
    server.commit();
    server.create("lab", "k1", 1);
    server.create("other", "k1", 1);
    server.commit();
    let outcomes = server.records.iter().filter_map(|change| match change {
        FleetChange::AuditEntry(_, Some(entry)) => Some(entry.outcome.clone()),
        _ => None,
    });
    let outcomes: Vec<_> = outcomes.collect();
    assert_eq!(outcomes, [AuditOutcome::Done, AuditOutcome::Refused(Text::lossy("key-reused"))]);
}

#[test]
fn a_key_is_for_one_account_and_one_request() {
    let mut server = Server::start(Vec::new(), NOW);
    server.create("lab", "k1", 1);
    server.commit();
    server.create("other", "k1", 1);
    server.create("lab", "k1", 2);
    assert_eq!(server.results(), [Ok(()), Err("key-reused"), Err("key-reused")]);
    assert_eq!(server.answer("k1"), Some("2 environments"));
}

#[test]
fn a_bulk_action_is_repeated_also_when_a_site_of_it_has_been_purged_since() {
    let (mut state, site) = state_with_site();
    let purged = SiteId::from_bytes([9; 16]);
    let (id, sites) = (BulkActionId::from_bytes([7; 8]), [(site, None), (purged, None)].into());
    let new = NewBulkAction { id, action: SiteAction::ForceRemove, labels: patch(&[]), sites };
    let issued = IssuedCommand::of_console(FleetCommand::ActOnSites(Box::new(new)));
    let (operation, digest) = (Text::lossy("bulk-action.create"), RequestDigest::of(b"the request"));
    let key = IdempotencyKeyHash::of(b"k1");
    let keyed = KeyedRequest { key, operation: operation.clone(), digest, answer: Box::new(|_, _| String::new()) };
    assert_eq!(find(&state, &issued, &keyed, NOW), Ok(false));
    let (account, request) = (CallerAccount::Console, RequestId::from_bytes([1; 8]));
    let kept = KeptAnswer { account, operation, digest, request, at: NOW.wall, answer: String::new() };
    apply(&mut state, |_| vec![FleetChange::KeptAnswer(key, Some(Box::new(kept)))]);
    assert_eq!(find(&state, &issued, &keyed, NOW), Ok(true));
}

#[test]
fn a_server_that_is_killed_after_the_commit_replays_and_one_that_is_killed_before_performs() {
    let mut server = Server::start(Vec::new(), NOW);
    server.create("lab", "k1", 1);
    let before = server.records.clone();
    server.commit();
    for (records, writes) in [(before, 1), (server.records, 0)] {
        let mut server = Server::start(records, NOW);
        server.create("lab", "k1", 1);
        assert_eq!(server.waiting.len(), writes);
        server.commit();
        assert_eq!((server.results(), server.answer("k1")), (vec![Ok(())], Some("2 environments")));
    }
}

#[test]
fn an_answer_is_undone_with_its_write() {
    let mut server = Server::start(Vec::new(), NOW);
    server.create("lab", "k1", 1);
    server.create("lab", "k1", 1);
    let (write, _) = server.waiting.remove(0);
    server.waiting.clear();
    server.fleet.handle_persist_failed(write, StoreFault::DiskFull, NOW);
    server.drain();
    assert_eq!((server.results(), server.answer("k1")), (vec![Err("store"), Err("store")], None));
    server.create("lab", "k1", 1);
    server.commit();
    assert_eq!((server.results(), server.answer("k1")), (vec![Ok(())], Some("2 environments")));
}

#[test]
fn an_answer_is_kept_for_a_day() {
    let mut server = Server::start(Vec::new(), NOW);
    server.create("lab", "k1", 1);
    server.commit();
    let pass = |server: &mut Server, time: Duration| {
        server.now = Now { instant: server.now.instant + time, wall: server.now.wall + time };
    };
    pass(&mut server, KEPT_ANSWER_LIFE - Duration::from_secs(1));
    server.create("lab", "k1", 1);
    assert_eq!(server.results(), [Ok(()), Ok(())]);
    pass(&mut server, Duration::from_secs(1));
    server.create("lab", "k1", 1);
    assert_eq!(server.results(), [Err("name-taken")], "the key is as good as new");
    pass(&mut server, SWEEP_PERIOD);
    let now = server.now;
    server.fleet.handle_timeout(now);
    server.drain();
    server.commit();
    assert_eq!(server.answer("k1"), None);
}

fn key(number: usize) -> IdempotencyKeyHash {
    IdempotencyKeyHash::from_bytes(bytes(number))
}

fn keep(state: &mut FleetState, number: usize, account: CallerAccount, size: usize) -> usize {
    let changes = surplus(state, &account, size);
    let dropped = changes.len();
    let kept = KeptAnswer {
        account,
        operation: Text::lossy("token.create"),
        digest: RequestDigest::from_bytes(bytes(number)),
        request: RequestId::from_bytes([1; 8]),
        at: NOW.wall + Duration::from_millis(number as u64),
        answer: "x".repeat(size),
    };
    apply(state, |_| changes);
    apply(state, |_| vec![FleetChange::KeptAnswer(key(number), Some(Box::new(kept)))]);
    dropped
}

fn user(text: &str) -> CallerAccount {
    CallerAccount::User(name(text))
}

#[test]
fn an_account_pushes_out_its_own_oldest_answer() {
    let mut state = state();
    keep(&mut state, 0, user("other"), 1);
    for number in 1..=KEPT_ANSWERS_PER_ACCOUNT_MAX {
        assert_eq!(keep(&mut state, number, user("anna"), 1), 0);
    }
    assert_eq!(keep(&mut state, KEPT_ANSWERS_PER_ACCOUNT_MAX + 1, user("anna"), 1), 1);
    assert!(!state.kept_answers.contains_key(&key(1)) && state.kept_answers.contains_key(&key(2)));
    assert!(state.kept_answers.contains_key(&key(0)));
}

#[test]
fn all_answers_are_limited_and_the_account_with_the_most_makes_room() {
    let mut state = state();
    let accounts = KEPT_ANSWERS_MAX / KEPT_ANSWERS_PER_ACCOUNT_MAX;
    for number in 0..KEPT_ANSWERS_MAX - 1 {
        let account = user(&format!("u{}", number % accounts));
        let kept = KeptAnswer {
            account,
            operation: Text::default(),
            digest: RequestDigest::from_bytes(bytes(0)),
            request: RequestId::from_bytes([1; 8]),
            at: NOW.wall,
            answer: String::new(),
        };
        apply(&mut state, |_| vec![FleetChange::KeptAnswer(key(number), Some(Box::new(kept)))]);
    }
    assert_eq!(keep(&mut state, KEPT_ANSWERS_MAX, user("anna"), 1), 0);
    assert_eq!(keep(&mut state, KEPT_ANSWERS_MAX + 1, user("anna"), 1), 1);
    assert_eq!(state.kept_answers.len(), KEPT_ANSWERS_MAX);
    let own = state.kept_answers.values().filter(|kept| kept.account == user("anna"));
    assert_eq!(own.count(), 2);
}

#[test]
fn the_bytes_of_all_answers_are_limited() {
    let mut state = state();
    let full = KEPT_ANSWERS_BYTES_MAX / KEPT_ANSWER_BYTES_MAX;
    for number in 0..full {
        assert_eq!(keep(&mut state, number, user("anna"), KEPT_ANSWER_BYTES_MAX), 0);
    }
    assert_eq!(keep(&mut state, full, user("bert"), 1), 1);
    assert!(!state.kept_answers.contains_key(&key(0)));
    assert_eq!(keep(&mut state, full + 1, user("bert"), KEPT_ANSWER_BYTES_MAX), 1);
}
