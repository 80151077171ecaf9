//! Answers that are kept: a request that is sent again with its idempotency key gets the answer of the first time.
//!
//! The answer is computed from the state that the command leaves, and is committed in the same write, as the entry in
//! the audit log is: either all are durable or none. A request that is sent again while that write is in progress waits
//! for it, like every reply. It changes nothing, so it has no entry in the audit log; it has one if it fails. An error
//! is not kept, because nothing was changed.
//!
//! A key belongs to the account that used it first, to one operation, and to what was asked for; another use of it is
//! an error. What is kept is limited for each account and in all, so an account can only push out its own answers, or
//! those of an account that has more.

use std::collections::BTreeMap;
use std::fmt;

use linecamp_model::limits::{
    KEPT_ANSWER_BYTES_MAX, KEPT_ANSWER_LIFE, KEPT_ANSWERS_BYTES_MAX, KEPT_ANSWERS_MAX, KEPT_ANSWERS_PER_ACCOUNT_MAX,
};
use linecamp_model::{
    CallerAccount, CommandId, FleetChange, IdempotencyKeyHash, KeptAnswer, Now, RequestDigest, RequestId, Text,
};

use super::authorization::{Authorization, IssuedCommand};
use super::command::FleetCommandError;
use super::command_check::check_command;
use super::effects::Release;
use super::output::FleetOutput;
use super::state::FleetState;
use super::{Fleet, FleetView};

/// What is kept of an answer that is too large.
const NOTHING: &str = "null";

/// Returns the answer to a command in JSON, without secrets, from what its caller sees afterwards.
pub type AnswerBuilder = Box<dyn FnOnce(FleetView<'_>, Now) -> String + Send>;

/// A request with an idempotency key.
pub struct KeyedRequest {
    /// The hash of the key.
    pub key: IdempotencyKeyHash,
    /// The name of the operation.
    pub operation: Text,
    /// The digest of what is asked for.
    pub digest: RequestDigest,
    /// Makes the answer.
    pub answer: AnswerBuilder,
}

impl fmt::Debug for KeyedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedRequest").field("operation", &self.operation).finish_non_exhaustive()
    }
}

/// The answer to a request that is being decided.
#[derive(Debug)]
pub(super) struct PendingAnswer {
    request: KeyedRequest,
    caller: Authorization,
}

impl Fleet {
    /// Handles an operator command with an idempotency key, as [`Fleet::handle_command`] does: either the command takes
    /// effect now and the answer is kept, or it did before. Afterwards [`FleetView::kept_answer`] has the answer.
    pub fn handle_keyed_command(&mut self, id: CommandId, issued: IssuedCommand, keyed: KeyedRequest, now: Now) {
        self.effects.accept_command(id);
        let noted = issued.audit_note();
        match find(self.effects.state(), &issued, &keyed, now) {
            Ok(true) => {
                let reply = Release::Output(FleetOutput::Reply { command: id, result: Ok(()) });
                let noted = noted.map(|note| Release::Commanded(Box::new(note)));
                self.when_durable(noted.into_iter().chain([reply]).collect(), now);
            }
            Ok(false) => {
                let answer = PendingAnswer { request: keyed, caller: issued.authorization.clone() };
                self.perform_command(id, issued, Some(answer), now);
            }
            Err(error) => self.refuse_command(id, noted, error, now),
        }
    }

    /// Adds to what a command changes that its answer is kept.
    pub(super) fn keep_answer(&mut self, answer: PendingAnswer, decided: &mut Vec<FleetChange>, now: Now) {
        let (links, contacts, activity) = (self.downlink.links(), &self.contacts, &self.activity);
        let kept = self
            .effects
            .preview(decided, |state| answer.changes(state, FleetView::new(state, links, contacts, activity), now));
        decided.extend(kept);
    }
}

impl PendingAnswer {
    /// Returns the changes that keep the answer, and drop others for it.
    fn changes(self, state: &FleetState, view: FleetView<'_>, now: Now) -> Vec<FleetChange> {
        let Self { request: KeyedRequest { key, operation, digest, answer }, caller } = self;
        let mut answer = answer(view.for_caller(&caller), now);
        if KEPT_ANSWER_BYTES_MAX < answer.len() {
            NOTHING.clone_into(&mut answer);
        }
        let account = caller.caller.identity.account();
        let mut changes = surplus(state, &account, answer.len());
        let request: RequestId = caller.caller.request;
        let kept = KeptAnswer { account, operation, digest, request, at: now.wall, answer };
        changes.push(FleetChange::KeptAnswer(key, Some(Box::new(kept))));
        changes
    }
}

/// Returns whether the answer to a request is kept.
fn find(state: &FleetState, issued: &IssuedCommand, keyed: &KeyedRequest, now: Now) -> Result<bool, FleetCommandError> {
    let Some(kept) = state.kept_answers.get(&keyed.key).filter(|kept| !is_over(kept, now)) else {
        return Ok(false);
    };
    let reused = |how: String| {
        let text = format!("this Idempotency-Key was used {how}; use another one for another request");
        Err(FleetCommandError::KeyReused(text))
    };
    if kept.account != issued.authorization.caller.identity.account() {
        return reused("by another user".to_owned());
    }
    if kept.operation != keyed.operation {
        return reused(format!("for another operation, by request {}", kept.request));
    }
    if kept.digest != keyed.digest {
        return reused(format!("with another body, by request {}", kept.request));
    }
    // What the caller may not do any more is not shown again.
    check_command(state, &issued.authorization, &mut issued.command.clone())?;
    Ok(true)
}

fn is_over(kept: &KeptAnswer, now: Now) -> bool {
    kept.at + KEPT_ANSWER_LIFE <= now.wall
}

/// Returns the changes that drop the answers that are not kept any longer.
pub(super) fn expired(state: &FleetState, now: Now) -> impl Iterator<Item = FleetChange> {
    let over = state.kept_answers.iter().filter(move |(_, kept)| is_over(kept, now));
    over.map(|(key, _)| FleetChange::KeptAnswer(*key, None))
}

/// Returns the changes that make room for another answer of an account.
fn surplus(state: &FleetState, account: &CallerAccount, bytes: usize) -> Vec<FleetChange> {
    let mut accounts = BTreeMap::<&CallerAccount, Vec<_>>::new();
    let mut total = bytes;
    for (key, kept) in &state.kept_answers {
        accounts.entry(&kept.account).or_default().push((kept.at, *key, kept.answer.len()));
        total += kept.answer.len();
    }
    let mut count = state.kept_answers.len();
    let is_over = |count: usize, total: usize| KEPT_ANSWERS_MAX <= count || KEPT_ANSWERS_BYTES_MAX < total;
    let is_full = |of: Option<&Vec<_>>| of.is_some_and(|own| KEPT_ANSWERS_PER_ACCOUNT_MAX <= own.len());
    if !is_full(accounts.get(account)) && !is_over(count, total) {
        return Vec::new();
    }
    // The oldest is the last one, so that it is dropped first.
    accounts.values_mut().for_each(|kept| kept.sort_unstable_by(|a, b| b.cmp(a)));
    let mut dropped = Vec::new();
    loop {
        let from = match is_full(accounts.get(account)) {
            true => accounts.get_mut(account),
            false if is_over(count, total) => accounts.values_mut().max_by_key(|kept| kept.len()),
            false => break,
        };
        let Some((_, key, bytes)) = from.and_then(Vec::pop) else { break };
        (count, total) = (count - 1, total - bytes);
        dropped.push(FleetChange::KeptAnswer(key, None));
    }
    dropped
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use linecamp_model::{AuditOutcome, Identity, KeyId, KeyIdentity, WriteId};

    use super::*;
    use crate::fleet::audit_note::AuditedRequest;
    use crate::fleet::testing::{NOW, VERSIONS, apply, bytes, state};
    use crate::fleet::{CERTIFICATE_LIFE, EnvironmentEdit, FleetCommand, FleetConfig, SavedFleet};
    use crate::rng::Rng;
    use crate::testing::name;
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
            let config = FleetConfig { versions: VERSIONS, certificate_life: CERTIFICATE_LIFE };
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
}
