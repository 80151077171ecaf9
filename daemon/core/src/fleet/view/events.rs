//! Views of events.

use linecamp_model::{EventView, LoggedEvent};

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

    /// Whether the event is in this view: it is about a site of an environment in it, or the view has everything.
    fn sees_event(self, logged: &LoggedEvent) -> bool {
        let environment = logged.event.site.and_then(|id| self.state.site(id)).map(|(_, of)| &of.environment);
        match environment {
            Some(environment) => self.sees(environment),
            None => self.caller.is_none_or(Authorization::sees_everything),
        }
    }

    fn event_view(self, seq: u64, logged: &LoggedEvent) -> EventView {
        let spec_of = |id| self.state.sites.get(&id).and_then(SiteRecord::site_spec);
        let LoggedEvent { event, received_at } = logged.clone();
        let site = event.site.and_then(spec_of).map(|spec| spec.name.clone());
        EventView { seq, site, event, received_at }
    }

    /// Returns the number of the newest event.
    pub fn last_event(self) -> u64 {
        self.state.events.last()
    }
}
