//! Views of events.

use linecamp_model::{EventView, LoggedEvent, Name};

use super::{EventFilter, FleetView};
use crate::fleet::authorization::Authorization;
use crate::fleet::site_record::SiteRecord;

impl FleetView<'_> {
    /// Returns at most `limit` events after number `after` that match `filter`, oldest first.
    pub fn events(self, after: u64, filter: EventFilter, limit: usize) -> Vec<EventView> {
        let events = self.state.events.after(after);
        let events = events.filter(|(_, logged)| self.sees_event(logged) && filter.matches(logged));
        events.take(limit).map(|(seq, event)| self.event_view(seq, event)).collect()
    }

    /// Returns the newest events up to and including number `last` that match `filter`, at most `limit`, oldest first.
    pub fn newest_events(self, last: u64, filter: EventFilter, limit: usize) -> Vec<EventView> {
        let events = self.state.events.up_to(last).rev();
        let events = events.filter(|(_, logged)| self.sees_event(logged) && filter.matches(logged)).take(limit);
        let mut events: Vec<_> = events.map(|(seq, event)| self.event_view(seq, event)).collect();
        events.reverse();
        events
    }

    /// Returns the events after number `after` up to and including `last`, oldest first, each with the environment of
    /// its site.
    pub fn events_with_environments(self, after: u64, last: u64) -> Vec<(Option<Name>, EventView)> {
        let events = self.state.events.after(after).take_while(|(seq, _)| *seq <= last);
        let events = events.filter(|(_, logged)| self.sees_event(logged));
        events.map(|(seq, logged)| (self.environment_of(logged).cloned(), self.event_view(seq, logged))).collect()
    }

    /// Returns the environment of the site that an event is about, if the site still exists.
    fn environment_of(&self, logged: &LoggedEvent) -> Option<&Name> {
        logged.event.site.and_then(|id| self.state.site(id)).map(|(_, of)| &of.environment)
    }

    /// Whether the event is in this view: it is about a site of an environment in it, or the view has everything.
    fn sees_event(self, logged: &LoggedEvent) -> bool {
        match self.environment_of(logged) {
            Some(environment) => self.sees(environment),
            None => self.caller.is_none_or(Authorization::sees_everything),
        }
    }

    fn event_view(self, seq: u64, logged: &LoggedEvent) -> EventView {
        let spec_of = |id| self.state.sites.get(&id).and_then(SiteRecord::site_spec);
        let LoggedEvent { event, received_at, actor } = logged.clone();
        let site = event.site.and_then(spec_of).map(|spec| spec.name.clone());
        EventView { seq, site, event, received_at, actor }
    }

    /// Returns the number of the newest event.
    pub fn last_event(self) -> u64 {
        self.state.events.last()
    }
}
