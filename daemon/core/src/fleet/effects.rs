//! Effects: what the parts of the fleet cause. Each part puts its outputs and staged changes here, in the order in
//! which they must happen; [`Fleet`](super::Fleet) hands the outputs to the driver.
//!
//! A staged change takes effect in memory at once, and everything read through [`Effects::state`] includes it. What the
//! outside may learn from it is a [`Release`], which comes back when the write is durable.

use std::collections::{BTreeSet, VecDeque};

use linecamp_model::{AuditEntry, CommandId, FleetChange, HostId, Now, SiteId, Text, WriteId};

use super::audit_note::AuditNote;
use super::command::FleetCommandError;
use super::decision::Note;
use super::event_log::event;
use super::output::FleetOutput;
use super::provider_assignment::Unassigned;
use super::state::FleetState;
use crate::downlink;
use crate::staging::StagedState;

/// What is released when a write is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Release {
    /// An output of the fleet itself.
    Output(FleetOutput),
    /// Something that the downlink waits for.
    Downlink(downlink::Release),
    /// A write to a site's spec or life.
    SpecDurable(SiteId),
    /// A write to the spec of the site of these hosts, which joined the server.
    HostSpecsDurable(Vec<HostId>),
    /// Tell the connected sites the server's addresses.
    Servers,
    /// Tell the connected sites the server's authorities.
    Authorities,
    /// An entry of the audit log that has a write of its own.
    Audited(Box<AuditEntry>),
    /// A command whose entry is in the write.
    Commanded(Box<AuditNote>),
    /// Ends the store failure.
    StoreTried,
}

/// The state all parts share, and what they caused.
#[derive(Clone, Debug)]
pub(super) struct Effects {
    staged: StagedState<FleetState, Release>,
    outputs: VecDeque<FleetOutput>,
    /// The operator commands that have no reply yet.
    commands: BTreeSet<CommandId>,
    /// Sites whose provider assignment must be computed again.
    unassigned: Unassigned,
    /// Sites whose records may have changed since [`Effects::take_touched`].
    touched: BTreeSet<SiteId>,
    /// Changes that the next write has beside its own.
    accompanying: Vec<FleetChange>,
    /// Who causes the events that are recorded now: the caller of the command that is being carried out.
    actor: Option<Text>,
}

impl Effects {
    /// Starts from the durable state.
    pub(super) fn new(state: FleetState) -> Self {
        Self {
            staged: StagedState::new(state),
            outputs: VecDeque::new(),
            commands: BTreeSet::new(),
            unassigned: Unassigned::default(),
            touched: BTreeSet::new(),
            accompanying: Vec::new(),
            actor: None,
        }
    }

    /// Returns the state, including changes that are not durable yet.
    pub(super) const fn state(&self) -> &FleetState {
        self.staged.state()
    }

    /// Appends an output.
    pub(super) fn output(&mut self, output: FleetOutput) {
        self.outputs.push_back(output);
    }

    /// Appends an output that was released. A reply ends its command.
    pub(super) fn emit(&mut self, output: FleetOutput) {
        match output {
            FleetOutput::Reply { command, result } => self.reply(command, result),
            output => self.output(output),
        }
    }

    /// Removes and returns the oldest output.
    pub(super) fn next_output(&mut self) -> Option<FleetOutput> {
        self.outputs.pop_front()
    }
}

/// Durable changes.
impl Effects {
    /// Applies `changes` in memory and requests that they are made durable; `releases` come back then.
    pub(super) fn stage(&mut self, mut changes: Vec<FleetChange>, releases: Vec<Release>) {
        changes.append(&mut self.accompanying);
        debug_assert!(is_followed_by_spec(&changes, &releases), "spec is sent only when it is durable");
        debug_assert!(do_generations_rise(&changes, self.state()), "generations only rise");
        let write = self.staged.stage(&changes, releases);
        self.unassigned.note(&changes, self.staged.state());
        self.touched.extend(changes.iter().filter_map(FleetChange::site));
        self.output(FleetOutput::Persist { write, changes });
    }

    /// Stages changes and their events as one write.
    pub(super) fn stage_noted(
        &mut self,
        mut changes: Vec<FleetChange>,
        events: Vec<Note>,
        releases: Vec<Release>,
        now: Now,
    ) {
        let events = events.into_iter().map(|(kind, site, text)| event(kind, site, &text, now)).collect();
        changes.extend(self.state().events.event_changes(events, self.actor.as_ref()));
        self.stage(changes, releases);
    }

    /// Adds changes to the next write, which follows before anything else is decided.
    pub(super) fn accompany(&mut self, changes: Vec<FleetChange>) {
        debug_assert!(self.accompanying.is_empty(), "they were computed on a state without the others");
        self.accompanying = changes;
    }

    /// Whether the next write has changes beside its own.
    pub(super) const fn has_accompanying(&self) -> bool {
        !self.accompanying.is_empty()
    }

    /// Returns what each of `changes` would replace.
    pub(super) fn replaced(&mut self, changes: &[FleetChange]) -> Vec<FleetChange> {
        self.staged.replaced(changes)
    }

    /// Reads the state as it would be after `changes`.
    pub(super) fn preview<T>(&mut self, changes: &[FleetChange], read: impl FnOnce(&FleetState) -> T) -> T {
        self.staged.preview(changes, read)
    }

    /// Sets who causes the events that are recorded from now on.
    pub(super) fn set_actor(&mut self, actor: Option<Text>) {
        self.actor = actor;
    }

    /// Loads a change that the store is known to hold, before anything is staged.
    pub(super) fn restore(&mut self, change: FleetChange) {
        self.staged.restore(change);
    }

    /// Requests a probe of the store.
    pub(super) fn try_store(&mut self) {
        let write = self.staged.stage(&[], vec![Release::StoreTried]);
        self.output(FleetOutput::TryStore(write));
    }

    /// Handles the store's answer to a write and returns its releases; `None` for an unknown write. A failed write is
    /// undone with all later ones.
    pub(super) fn settle(&mut self, write: WriteId, is_durable: bool) -> Option<Vec<Release>> {
        let settled = self.staged.settle(write, is_durable)?;
        if !is_durable {
            // Which sites the undone changes were about is not known.
            self.touched.extend(self.staged.state().sites.keys());
        }
        Some(settled.releases)
    }

    /// Returns the sites whose records may have changed since the last call.
    pub(super) fn take_touched(&mut self) -> BTreeSet<SiteId> {
        std::mem::take(&mut self.touched)
    }

    /// Whether everything staged so far is durable.
    pub(super) fn is_durable(&self) -> bool {
        self.staged.in_flight() == 0
    }

    /// Returns the sites whose provider assignment must be computed again.
    pub(super) const fn unassigned(&mut self) -> &mut Unassigned {
        &mut self.unassigned
    }

    /// Marks all sites for a new assignment of providers.
    pub(super) fn unassign_all(&mut self) {
        self.unassigned.mark_all(self.staged.state());
    }
}

/// Commands.
impl Effects {
    /// Notes a command, which gets exactly one reply.
    pub(super) fn accept_command(&mut self, command: CommandId) {
        let is_new = self.commands.insert(command);
        debug_assert!(is_new, "{command} already waits for a reply");
    }

    /// Replies to a command.
    pub(super) fn reply(&mut self, command: CommandId, result: Result<(), FleetCommandError>) {
        let was_waiting = self.commands.remove(&command);
        debug_assert!(was_waiting, "{command} has its reply already");
        self.output(FleetOutput::Reply { command, result });
    }
}

/// Whether every new spec document has a generation above those its site has.
fn do_generations_rise(changes: &[FleetChange], state: &FleetState) -> bool {
    changes.iter().all(|change| match change {
        FleetChange::Spec(site, _, Some(document)) => {
            state.sites.get(site).is_none_or(|record| record.spec.head() < document.generation)
        }
        _ => true,
    })
}

/// Whether every site with a new spec document is sent spec only after these changes are durable. A site that joins has
/// no session yet that could be sent any.
fn is_followed_by_spec(changes: &[FleetChange], releases: &[Release]) -> bool {
    let joins = changes.iter().any(|change| matches!(change, FleetChange::TokenUse(..)));
    joins
        || changes.iter().all(|change| match change {
            FleetChange::Spec(site, _, Some(_)) => releases.contains(&Release::SpecDurable(*site)),
            _ => true,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staged_outputs_are_released_once_durable() {
        let mut effects = Effects::new(FleetState::default());
        effects.accept_command(CommandId(7));
        let reply = FleetOutput::Reply { command: CommandId(7), result: Ok(()) };
        effects.stage(Vec::new(), vec![Release::Output(reply.clone())]);
        let Some(FleetOutput::Persist { write, .. }) = effects.next_output() else { panic!("one write") };
        assert!(!effects.is_durable());
        assert_eq!(effects.next_output(), None);
        assert_eq!(effects.settle(write, true), Some(vec![Release::Output(reply.clone())]));
        effects.emit(reply.clone());
        assert_eq!(effects.next_output(), Some(reply));
        assert_eq!((effects.settle(write, true), effects.is_durable()), (None, true));
    }
}
