//! The displayed state of a site or host: its lifecycle phase combined with its link state.

use linecamp_model::{LinkState, Phase};
use linecamp_proto::api::{Host, Link, PreviewItem, Site};

use crate::text_style::TextStyle;
use linecamp_table::{Cell, Color};

/// The phase and link of a site or host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State<'a> {
    phase: &'a str,
    phase_since: &'a str,
    link: &'a Link,
}

macro_rules! has_state {
    ($($thing:ident),*) => {
        $(impl<'a> From<&'a $thing> for State<'a> {
            fn from(thing: &'a $thing) -> Self {
                Self {
                    phase: &thing.state,
                    phase_since: &thing.state_since,
                    link: &thing.link,
                }
            }
        })*
    };
}

has_state!(Site, Host, PreviewItem);

impl<'a> State<'a> {
    /// Returns the state to display: the phase, or the link state if an active site is not connected.
    pub(crate) fn name(self) -> &'a str {
        if self.shows_link_state() { &self.link.state } else { self.phase }
    }

    /// Returns when this state began.
    pub(crate) fn since(self) -> &'a str {
        if self.shows_link_state() { &self.link.since } else { self.phase_since }
    }

    /// Returns the state as a colored cell.
    pub(crate) fn cell(self) -> Cell {
        Cell::colored(self.name(), color(self.name()))
    }

    /// Returns the age of the state as a cell.
    pub(crate) fn since_cell(self, style: &TextStyle) -> Cell {
        Cell::from(style.age(self.since()))
    }

    fn shows_link_state(self) -> bool {
        self.phase == Phase::Active.as_str() && !self.link.is_connected()
    }
}

/// Returns the color of a phase or link state: red needs attention, yellow is in progress, dim is finished.
pub(crate) fn color(state: &str) -> Color {
    if state == LinkState::Disconnected.as_str() {
        return Color::Red;
    }
    match Phase::parse(state) {
        Some(Phase::Active) => Color::Green,
        Some(Phase::Inactive) => Color::Plain,
        Some(Phase::Removed | Phase::Purged) => Color::Dim,
        Some(_) => Color::Yellow,
        None if state == LinkState::Connected.as_str() => Color::Green,
        None => Color::Yellow,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_state_replaces_only_active() {
        let check = |phase: &str, link_state: &str, expected: (&str, &str)| {
            let link = Link { state: link_state.into(), since: "link".into(), address: String::new() };
            let state = State { phase, phase_since: "phase", link: &link };
            assert_eq!((state.name(), state.since()), expected, "{phase} {link_state}");
        };
        check("active", "connected", ("active", "phase"));
        check("active", "reconnecting", ("reconnecting", "link"));
        check("active", "disconnected", ("disconnected", "link"));
        check("inactive", "disconnected", ("inactive", "phase"));
        check("deactivating", "disconnected", ("deactivating", "phase"));
        check("removed", "disconnected", ("removed", "phase"));
    }
}
