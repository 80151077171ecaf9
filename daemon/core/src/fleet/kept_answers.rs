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
use super::command::{FleetCommand, FleetCommandError};
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
    // What the caller may not do any more is not shown again. A site may have been purged since.
    let mut command = issued.command.clone();
    if let FleetCommand::ActOnSites(new) = &mut command {
        new.sites.retain(|site, _| state.site(*site).is_some());
    }
    check_command(state, &issued.authorization, &mut command)?;
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
mod tests;
