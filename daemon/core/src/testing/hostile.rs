//! Forged messages in a story, and checks of their effects.

use linecamp_model::limits::COUNTER_MAX;
use linecamp_model::{
    DialId, Event, FleetChange, FromMember, FromParent, Generation, Hello, KeyFingerprint, Salvage, SessionId,
    SiteChange, SiteId, Text, Welcome,
};

use super::{Pair, PairEvent, Parent};
use crate::{EventFilter, LinkEvent, LossReason, SavedFleet, SessionEvent, UnreadableRecord};

use std::time::Duration;

impl Pair {
    /// Takes over a site's sessions for the story: the site no longer receives acknowledgements.
    pub fn impersonate(&mut self, index: usize) {
        self.nodes[index].is_impersonated = true;
    }

    /// Sends a message to the server in a site's name, on its current session.
    pub fn say(&mut self, index: usize, message: FromMember) {
        if let Some(session) = self.nodes[index].sessions.values().copied().next_back() {
            let parent = self.parent_of(session);
            self.after(Duration::ZERO, PairEvent::AtParent(parent, session, SessionEvent::Received(message)));
        }
    }

    fn parent_of(&self, session: SessionId) -> Parent {
        self.sessions.get(&session).and_then(|route| route.parent)
    }

    /// Sends a message to a site in the server's name, on its current session.
    pub fn tell(&mut self, index: usize, message: FromParent) {
        if let Some(dial) = self.nodes[index].sessions.keys().copied().next_back() {
            self.after(Duration::ZERO, PairEvent::AtSite(index, LinkEvent::Received(dial, message)));
        }
    }

    /// Breaks a site's session and modifies the next hello.
    pub fn greet_with(&mut self, index: usize, change: fn(&mut Hello)) {
        self.nodes[index].forged_greeting = Some(change);
        for (dial, session) in std::mem::take(&mut self.nodes[index].sessions) {
            let (parent, closed) = (self.parent_of(session), SessionEvent::Closed(Text::lossy("broken")));
            self.sessions.remove(&session);
            let reason = LossReason::Failed(Text::lossy("broken"));
            self.after(Duration::ZERO, PairEvent::AtParent(parent, session, closed));
            self.nodes[index].sessions.insert(dial, session);
            self.after(Duration::ZERO, PairEvent::AtSite(index, LinkEvent::Lost(dial, reason)));
        }
    }

    /// Breaks a site's session and modifies the server's answer to its next hello.
    pub fn welcome_with(&mut self, index: usize, change: fn(&mut Welcome)) {
        self.greet_with(index, |_| {});
        self.nodes[index].forged_welcome = Some(change);
    }

    /// Modifies a site's next hello, and the server's answer to it.
    pub fn forge_handshake(&mut self, index: usize, hello: fn(&mut Hello), welcome: fn(&mut Welcome)) {
        self.nodes[index].forged_greeting = Some(hello);
        self.nodes[index].forged_welcome = Some(welcome);
    }

    /// Returns the dial of a site's current session.
    pub fn dial_of(&self, index: usize) -> Option<DialId> {
        self.nodes[index].sessions.keys().copied().next_back()
    }

    /// Returns a site's key.
    pub fn key_of(&self, index: usize) -> KeyFingerprint {
        self.nodes[index].key
    }

    /// Returns the ID of the site that a node is registered as.
    ///
    /// # Panics
    /// The node has not joined.
    pub fn site_id(&self, index: usize) -> SiteId {
        let owner = self.fleet_disk.values().find_map(|change| match change {
            FleetChange::SiteKey(site, key, Some(_)) if *key == self.nodes[index].key => Some(*site),
            _ => None,
        });
        owner.expect("the node has joined")
    }

    /// Kills the server and restarts it from a disk with unreadable records. They stay on the disk.
    pub fn start_fleet_without(&mut self, unreadable: impl Fn(&FleetChange) -> Option<Salvage>) {
        self.stop_fleet();
        let mut saved = SavedFleet::default();
        for (key, change) in &self.fleet_disk {
            match unreadable(change) {
                Some(salvage) => {
                    let problem = Text::lossy("a bit has flipped");
                    saved.unreadable.push(UnreadableRecord { key: Text::lossy(key), problem, salvage });
                }
                None => saved.records.push(change.clone()),
            }
        }
        self.start_fleet_from(saved);
    }

    /// Runs until `is_done`, for an hour at most.
    pub fn run_until(&mut self, is_done: impl Fn(&Self) -> bool) {
        let end = self.now().instant + Duration::from_secs(3_600);
        while !is_done(self) && self.now().instant < end {
            self.step();
        }
    }

    /// Returns the text with which the server last closed a session of a site.
    pub fn hangup_of(&self, index: usize) -> Option<String> {
        self.nodes[index].hangup.as_ref().map(ToString::to_string)
    }

    /// Returns the number of the last event the server acknowledged to a site.
    pub fn events_acknowledged(&self, index: usize) -> Option<u64> {
        self.nodes[index].events_acknowledged
    }

    /// Checks that everything on every disk can be read back: no number exceeds what its encoding can hold.
    pub fn assert_readable(&self) {
        let fleet = self.fleet_disk.values().flat_map(fleet_numbers);
        let sites = self.nodes.iter().flat_map(|node| node.disk.values().flat_map(site_numbers));
        for (what, number) in fleet.chain(sites) {
            assert!(number <= COUNTER_MAX, "{what}: {number} is on a disk and cannot be read again");
        }
    }

    /// Returns the number of status documents of the first site at the server, including tombstones.
    pub fn status_documents(&self) -> usize {
        self.status_generations().count()
    }

    /// Returns the newest status generation of the first site at the server.
    pub fn status_head(&self) -> Generation {
        self.status_generations().max().unwrap_or_default()
    }

    /// Returns the events that the server itself recorded.
    pub fn server_events(&self) -> Vec<Event> {
        let events = self
            .fleet
            .view()
            .events(0, EventFilter::default(), 20_000)
            .into_iter()
            .filter(|view| view.received_at.is_none());
        events.map(|view| view.event).collect()
    }

    fn status_generations(&self) -> impl Iterator<Item = Generation> {
        let first = self.site_id(0);
        self.fleet_disk.values().filter_map(move |change| match change {
            FleetChange::Status(site, _, Some(document)) if *site == first => Some(document.generation),
            _ => None,
        })
    }
}

fn fleet_numbers(change: &FleetChange) -> Vec<(&'static str, u64)> {
    match change {
        FleetChange::Spec(_, _, Some(document)) => vec![("a spec's generation", document.generation.0)],
        FleetChange::Status(_, _, Some(document)) => vec![("a status's generation", document.generation.0)],
        FleetChange::ReplicationCursor(_, Some(cursor)) => {
            vec![("the last event", cursor.events_held), ("dropped events", cursor.events_dropped)]
        }
        FleetChange::Event(seq, _) => vec![("an event's number", *seq)],
        FleetChange::Site(_, Some(registration)) => vec![("a phase's generation", registration.life.requested_at.0)],
        _ => Vec::new(),
    }
}

fn site_numbers(change: &SiteChange) -> Vec<(&'static str, u64)> {
    match change {
        SiteChange::Origin(Some(origin)) => {
            vec![("events made", origin.events_made), ("events dropped", origin.events_dropped)]
        }
        SiteChange::Spec(_, Some(document)) => vec![("a spec's generation", document.generation.0)],
        SiteChange::Status(_, Some(document)) => vec![("a status's generation", document.generation.0)],
        SiteChange::Event(seq, _) => vec![("an event's number", *seq)],
        _ => Vec::new(),
    }
}
