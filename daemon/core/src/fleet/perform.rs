//! Performs operator commands: decides what they change, adds the entry in the audit log and the answer to keep, and
//! stages all of it as one write.

use linecamp_model::{CommandId, Now, Text};

use super::Fleet;
use super::audit_note::AuditNote;
use super::authorization::IssuedCommand;
use super::command::FleetCommandError;
use super::effects::Release;
use super::kept_answers::PendingAnswer;
use super::operator::decide;
use super::output::FleetOutput;

impl Fleet {
    /// Handles an operator command. It is answered with one [`FleetOutput::Reply`]. Command ids are never reused.
    pub fn handle_command(&mut self, id: CommandId, issued: IssuedCommand, now: Now) {
        self.effects.accept_command(id);
        self.perform_command(id, issued, None, now);
    }

    /// Performs an operator command, and keeps the answer to it if it has an idempotency key.
    pub(super) fn perform_command(
        &mut self,
        id: CommandId,
        issued: IssuedCommand,
        keyed: Option<PendingAnswer>,
        now: Now,
    ) {
        let noted = issued.audit_note();
        self.effects.set_actor(Some(Text::lossy(&issued.authorization.caller.identity.to_string())));
        let is_withdrawal = issued.command.is_withdrawal();
        match decide(self.effects.state(), issued, now) {
            Ok(mut decision) => {
                match is_withdrawal {
                    true => self.note_withdrawal(&decision.changes, now),
                    false => self.note_command(noted.as_ref(), &decision.changes, now),
                }
                if let Some(answer) = keyed {
                    self.keep_answer(answer, &mut decision.changes, now);
                }
                let reply = Release::Output(FleetOutput::Reply { command: id, result: Ok(()) });
                let noted = noted.map(|note| Release::Commanded(Box::new(note)));
                self.carry_out(decision, noted.into_iter().chain([reply]).collect(), now);
            }
            Err(error) => self.refuse_command(id, noted, error, now),
        }
        self.effects.set_actor(None);
        self.end_settled_holds(now);
        self.assign_providers(now);
    }

    /// Answers a command that was refused, and notes that.
    pub(super) fn refuse_command(
        &mut self,
        id: CommandId,
        noted: Option<AuditNote>,
        error: FleetCommandError,
        now: Now,
    ) {
        if let Some(note) = noted {
            self.note_refusal(note.refused(&error), now);
        }
        self.effects.reply(id, Err(error));
    }
}
