//! What forced commands do beside their own changes.

use linecamp_model::Now;

use super::Fleet;
use super::authorization::IssuedCommand;
use super::command::{FleetCommand, Force};
use super::decision::Decision;
use super::operator::{Forced, decide};

impl Fleet {
    /// Applies the effect of a forced command on records: a provider is abandoned at every site that has it, and those
    /// sites report what remains; for a removed site, the event is recorded here.
    pub(super) fn force(&mut self, forced: Forced, now: Now) {
        match forced {
            Forced::Nothing => {}
            Forced::Provider(changes) => {
                for (site, change) in changes {
                    self.carry_out(Decision { changes: vec![change], event: None, site: Some(site) }, Vec::new(), now);
                }
            }
            Forced::Sites(sites) => {
                for site in sites {
                    let remove = IssuedCommand::of_console(FleetCommand::Remove(site, Force::Yes));
                    let forced = Forced::of(self.effects.state(), &remove);
                    if let Ok(decision) = decide(self.effects.state(), remove, now) {
                        self.force(forced, now);
                        self.carry_out(decision, Vec::new(), now);
                    }
                }
            }
            Forced::Site(site, left) => self.effects.record_left_records(site, &left, now),
        }
    }
}
