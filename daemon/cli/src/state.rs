//! How a site or a host is, in one word.

use linecamp_model::{LinkState, Phase};
use linecamp_proto::api::{Host, Link, PreviewItem, Site};

use crate::output::{Cell, Colour, TextStyle};

/// What the word is made of.
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
    /// Returns the word: the phase, but the link's word in place of `active` when the link is not connected.
    pub(crate) fn word(self) -> &'a str {
        if self.is_link_word() { &self.link.state } else { self.phase }
    }

    /// Returns since when the word holds.
    pub(crate) fn since(self) -> &'a str {
        if self.is_link_word() { &self.link.since } else { self.phase_since }
    }

    /// Returns the word as a cell, in the colour of its meaning.
    pub(crate) fn cell(self) -> Cell {
        Cell::coloured(self.word(), colour(self.word()))
    }

    /// Returns how long the word has held, as a cell.
    pub(crate) fn since_cell(self, style: &TextStyle) -> Cell {
        Cell::from(style.age(self.since()))
    }

    fn is_link_word(self) -> bool {
        self.phase == Phase::Active.as_str() && !self.link.is_connected()
    }
}

/// Returns the colour of a phase or link word: red wants somebody, yellow is on its way, dim is over.
pub(crate) fn colour(word: &str) -> Colour {
    if word == LinkState::Disconnected.as_str() {
        return Colour::Red;
    }
    match Phase::parse(word) {
        Some(Phase::Active) => Colour::Green,
        Some(Phase::Inactive) => Colour::Plain,
        Some(Phase::Removed | Phase::Purged) => Colour::Dim,
        Some(_) => Colour::Yellow,
        None if word == LinkState::Connected.as_str() => Colour::Green,
        None => Colour::Yellow,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_word_stands_in_place_of_active_alone() {
        let check = |phase: &str, link_state: &str, expected: (&str, &str)| {
            let link = Link { state: link_state.into(), since: "link".into(), address: String::new() };
            let state = State { phase, phase_since: "phase", link: &link };
            assert_eq!((state.word(), state.since()), expected, "{phase} {link_state}");
        };
        check("active", "connected", ("active", "phase"));
        check("active", "reconnecting", ("reconnecting", "link"));
        check("active", "disconnected", ("disconnected", "link"));
        check("inactive", "disconnected", ("inactive", "phase"));
        check("deactivating", "disconnected", ("deactivating", "phase"));
        check("removed", "disconnected", ("removed", "phase"));
    }
}
