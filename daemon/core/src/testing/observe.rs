//! What a test reads of a [`Pair`].

use super::*;

impl Pair {
    /// Returns the first site.
    pub fn site(&self) -> &Site {
        &self.nodes[0].site
    }

    /// Returns the operator's view of the site named `camp`.
    pub fn view(&self) -> SiteView {
        self.fleet.view().site(&site_ref("camp"), self.now()).expect("camp is known")
    }

    /// Returns the value of one of camp's labels, as shown to operators.
    pub fn seen_label(&self, wanted: &str) -> Option<String> {
        self.view().labels.get(&key(wanted)).map(|label| label.value.to_string())
    }

    /// Returns the value of one of camp's labels, as the site has it.
    pub fn label_entry(&self, wanted: &str) -> Option<String> {
        self.site().label(wanted)
    }

    /// Whether the first site considers itself connected.
    pub fn is_linked(&self) -> bool {
        self.is_linked_node(0)
    }

    /// Whether a site considers itself connected.
    pub fn is_linked_node(&self, index: usize) -> bool {
        self.nodes[index].site.view(self.now()).link.state == linecamp_model::LinkState::Connected
    }

    /// Returns the gaps of camp's link, oldest first, each with when it began.
    pub fn link_history(&self) -> Vec<(WallTime, LinkGap)> {
        self.fleet.view().link_history(&site_ref("camp")).expect("camp is known")
    }

    /// Returns the events shown to operators.
    pub fn events(&self) -> Vec<Event> {
        self.fleet.view().events(0, EventFilter::default(), 10_000).into_iter().map(|view| view.event).collect()
    }

    /// Returns the current time.
    pub fn now(&self) -> Now {
        Now { instant: Instant::after_origin(self.elapsed), wall: STARTED_AT + self.elapsed }
    }

    /// Whether the first site has sent its hello and waits for the answer.
    pub fn is_in_handshake(&self) -> bool {
        self.site().view(self.now()).link_doing.as_str().starts_with("handshake with")
    }
}
