//! Audit: who did what, in a chain of entries that is durable with what it describes.
//!
//! - A command that succeeds has its entry in the write of its changes ([`Fleet::note_command`]), so that neither is
//!   there without the other. So has a site that joins.
//! - Everything else has an entry of its own: a command that is refused or fails, and a request that ends without a
//!   command ([`Fleet::handle_audit`]). Refusals change nothing, and anybody can cause them: equal ones are counted and
//!   written once per interval ([`refusals`]), and their answer does not wait for the disk.
//! - While the store cannot be written, entries are kept in memory, at most [`UNWRITTEN_MAX`], and written when it has
//!   recovered. No audited change is lost by that: without the store there are no changes.
//! - The log is a list of blocks ([`chain`]). Retention removes the oldest ones.

mod chain;
mod changes;
mod refusals;
#[cfg(test)]
mod tests;

use linecamp_model::{
    AuditActor, AuditEntry, AuditExtent, AuditOutcome, AuditRetention, Caller, CommandId, FleetChange, Identity,
    Instant, Name, Now, SessionId, SiteId, Text, WallTime,
};

use self::chain::{append, cut, extent};
use self::changes::changes;
use self::refusals::{Refusal, Refusals};
use super::Fleet;
use super::audit_note::{AuditNote, entry, entry_of};
use super::config::SavedFleet;
use super::effects::{Effects, Release};
use super::output::FleetOutput;
use super::registry::{Membership, membership};
use super::state::FleetState;

/// Entries that are kept while the store cannot be written. Further ones are dropped and counted.
const UNWRITTEN_MAX: usize = 256;

/// How much of the audit log is kept, unless it is configured: a year, and what a backup can hold.
pub const AUDIT_RETENTION_DEFAULT: AuditRetention =
    AuditRetention { age: std::time::Duration::from_secs(365 * 24 * 3600), bytes: 64 * 1024 * 1024 };

/// What of the audit log is not in the database.
#[derive(Clone, Debug)]
pub(super) struct AuditLog {
    retention: AuditRetention,
    refusals: Refusals,
    /// Entries that could not be written yet.
    unwritten: Vec<AuditEntry>,
    /// How many entries were dropped because the store could not be written for too long.
    dropped: u64,
}

impl Default for AuditLog {
    fn default() -> Self {
        let (refusals, unwritten) = (Refusals::default(), Vec::new());
        Self { retention: AUDIT_RETENTION_DEFAULT, refusals, unwritten, dropped: 0 }
    }
}

impl AuditLog {
    fn keep(&mut self, entry: AuditEntry) {
        match self.unwritten.len() < UNWRITTEN_MAX {
            true => self.unwritten.push(entry),
            false => self.dropped += 1,
        }
    }

    /// Returns when the counted refusals are written next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.refusals.ends_at()
    }
}

/// Counters of the audit log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditCounters {
    /// Its extent.
    pub extent: AuditExtent,
    /// Refused requests that were counted instead of getting an entry of their own.
    pub folded: u64,
    /// Entries that wait because the store cannot be written.
    pub unwritten: usize,
    /// Entries that were dropped because too many waited.
    pub dropped: u64,
}

impl Fleet {
    /// Sets how much of the audit log is kept. What is too much is removed from the next new block or sweep on.
    pub const fn set_audit_retention(&mut self, retention: AuditRetention) {
        self.audit.retention = retention;
    }

    /// Returns the counters of the audit log.
    pub fn audit_counters(&self) -> AuditCounters {
        AuditCounters {
            extent: extent(self.effects.state()),
            folded: self.audit.refusals.folded(),
            unwritten: self.audit.unwritten.len(),
            dropped: self.audit.dropped,
        }
    }

    /// Handles the end of an audited request that has no entry from a command. It is answered with one
    /// [`FleetOutput::Reply`]: when its entry is durable if it was done, immediately otherwise.
    pub fn handle_audit(&mut self, id: CommandId, note: AuditNote, now: Now) {
        self.effects.accept_command(id);
        let reply = Release::Output(FleetOutput::Reply { command: id, result: Ok(()) });
        if note.outcome == AuditOutcome::Done {
            return self.write_entry(note.entry(now.wall), vec![reply], now);
        }
        self.note_refusal(note, now);
        self.release(reply, now);
    }

    /// Writes or counts what was refused or failed.
    pub(super) fn note_refusal(&mut self, note: AuditNote, now: Now) {
        match self.audit.refusals.note(&note, now) {
            Refusal::New => self.write_entry(note.entry(now.wall), Vec::new(), now),
            Refusal::Counted => {}
        }
    }

    /// Adds the entry of a command that succeeds to the next write: that of its first change.
    pub(super) fn note_command(&mut self, noted: Option<&AuditNote>, decided: &[FleetChange], now: Now) {
        let Some(AuditNote { request, caller, .. }) = noted.cloned() else { return };
        let caller = user_of_login(caller, decided);
        let before = self.effects.replaced(decided);
        let changes = changes(self.effects.state(), before.iter().zip(decided));
        let entry = entry_of(request, &caller, changes, now.wall);
        self.accompany(entry, now);
    }

    /// Adds the entry of a site that joins, or of a machine that takes one over, to the next write.
    pub(super) fn note_site(
        &mut self,
        operation: &'static str,
        (session, member): (SessionId, &Membership),
        decided: &[FleetChange],
        now: Now,
    ) {
        let target = format!("site {}/{}", member.environment, member.name);
        self.note_member(operation, (session, member), &target, decided, now);
    }

    /// Adds the entry of a host that joins the server, or leaves, to the next write. Its actor is the site.
    pub(super) fn note_host(
        &mut self,
        operation: &'static str,
        (session, site, name): (SessionId, SiteId, &Name),
        decided: &[FleetChange],
        now: Now,
    ) {
        let Some(member) = membership(self.effects.state(), site) else { return };
        let target = format!("host {}/{}/{name}", member.environment, member.name);
        self.note_member(operation, (session, &member), &target, decided, now);
    }

    fn note_member(
        &mut self,
        operation: &'static str,
        (session, member): (SessionId, &Membership),
        target: &str,
        decided: &[FleetChange],
        now: Now,
    ) {
        let before = self.effects.replaced(decided);
        let changes = changes(self.effects.state(), before.iter().zip(decided));
        let address = self.downlink.session_address(session);
        let address = address.as_str().parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
        let actor = AuditActor::Site(member.site, member.name.clone());
        let target = Text::lossy(target);
        self.accompany(AuditEntry { address, ..entry(actor, operation, target, changes, now.wall) }, now);
    }

    /// Adds the entry of a change that the server itself makes to the next write.
    pub(super) fn note_server(&mut self, operation: &'static str, decided: &[FleetChange], now: Now) {
        let before = self.effects.replaced(decided);
        let changes = changes(self.effects.state(), before.iter().zip(decided));
        self.accompany(entry(AuditActor::Server, operation, Text::lossy("server"), changes, now.wall), now);
    }

    /// Adds the entry of a person who loses the roles to the next write: the server takes them, when it refuses a login
    /// at the identity provider. The entry of the login says that it was refused.
    pub(super) fn note_withdrawal(&mut self, decided: &[FleetChange], now: Now) {
        if !decided.is_empty() {
            self.note_server("user.withdraw", decided, now);
        }
    }

    /// Handles the end of the interval in which refusals are counted.
    pub(super) fn write_refusals(&mut self, now: Now) {
        for note in self.audit.refusals.take(now) {
            self.write_entry(note, Vec::new(), now);
        }
    }

    /// Writes the entries that could not be written before.
    pub(super) fn write_unwritten(&mut self, now: Now) {
        for entry in std::mem::take(&mut self.audit.unwritten) {
            self.write_entry(entry, Vec::new(), now);
        }
    }

    /// Keeps an entry whose write failed.
    pub(super) fn keep_entry(&mut self, entry: AuditEntry) {
        self.audit.keep(entry);
    }

    /// Returns the changes that remove what is not to be kept.
    pub(super) fn audit_cut(&self, now: Now) -> Vec<FleetChange> {
        cut(self.effects.state(), self.audit.retention, now.wall)
    }

    fn accompany(&mut self, entry: AuditEntry, now: Now) {
        let changes = append(self.effects.state(), entry, self.audit.retention, now.wall);
        self.effects.accompany(changes);
    }

    /// Writes an entry, or keeps it if the store cannot be written. `then` is released in either case.
    fn write_entry(&mut self, entry: AuditEntry, then: Vec<Release>, now: Now) {
        if self.store.fault().is_some() {
            self.audit.keep(entry);
            return then.into_iter().for_each(|release| self.release(release, now));
        }
        let changes = append(self.effects.state(), entry.clone(), self.audit.retention, now.wall);
        let releases = [Release::Audited(Box::new(entry))].into_iter().chain(then).collect();
        self.effects.stage(changes, releases);
    }
}

/// Returns the caller of a command. Before a login at the identity provider it is nobody, and the entry names the user
/// whose session begins.
fn user_of_login(caller: Caller, decided: &[FleetChange]) -> Caller {
    let begun = decided.iter().find_map(|change| match change {
        FleetChange::UserSession(_, Some(session)) => Some(Identity::User(session.user.clone(), session.id)),
        _ => None,
    });
    match (&caller.identity, begun) {
        (Identity::Anonymous, Some(identity)) => Caller { identity, ..caller },
        _ => caller,
    }
}

/// Returns the changes that record what was done at the server's console while the server is stopped. `saved` is
/// its database, and `decided` is what changes. They are written together.
pub fn console_changes(
    saved: &SavedFleet,
    operation: &'static str,
    decided: &[FleetChange],
    now: WallTime,
) -> Vec<FleetChange> {
    console_entry(FleetState::from_records(saved.readable()), operation, decided, now)
}

/// Like [`console_changes`], with the state before the changes.
pub(super) fn console_entry(
    state: FleetState,
    operation: &'static str,
    decided: &[FleetChange],
    now: WallTime,
) -> Vec<FleetChange> {
    let mut effects = Effects::new(state);
    let before = effects.replaced(decided);
    let changes = changes(effects.state(), before.iter().zip(decided));
    let actor = AuditActor::Caller(Identity::Console);
    let entry = entry(actor, operation, Text::lossy("console"), changes, now);
    append(effects.state(), entry, AUDIT_RETENTION_DEFAULT, now)
}
