//! Which messages a stream gets.

use linecamp_model::{Name, SiteId};

use crate::fleet::Authorization;

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// An event, and whether a site reported it.
    Event {
        /// Whether a site reported it, rather than the server.
        is_reported: bool,
    },
    /// The state of a site or of a host.
    State,
}

/// What a message is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSubject {
    /// What it says.
    pub kind: MessageKind,
    /// The environment of its site; `None` if it is about no site, or about one that does not exist any more.
    pub environment: Option<Name>,
    /// Its site.
    pub site: Option<SiteId>,
}

/// Selects messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamFilter {
    /// Messages about sites of this environment; `None` for all.
    pub environment: Option<Name>,
    /// Messages about this site; `None` for all.
    pub site: Option<SiteId>,
    /// Events reported by sites, or not by sites; `None` for both.
    pub is_reported: Option<bool>,
    /// Whether states are selected.
    pub has_states: bool,
    /// Whether events are selected.
    pub has_events: bool,
}

impl StreamFilter {
    /// Whether a stream with this filter gets a message: the filter selects it, and the caller may see it.
    pub fn selects(&self, subject: &StreamSubject, caller: &Authorization) -> bool {
        let is_kind = match subject.kind {
            MessageKind::Event { is_reported } => {
                self.has_events && self.is_reported.is_none_or(|wanted| wanted == is_reported)
            }
            MessageKind::State => self.has_states,
        };
        let is_visible = match &subject.environment {
            Some(environment) => caller.sees(environment),
            None => caller.sees_everything(),
        };
        is_kind
            && is_visible
            && (self.site.is_none() || self.site == subject.site)
            && (self.environment.is_none() || self.environment == subject.environment)
    }
}

#[cfg(test)]
mod tests {
    use linecamp_model::{Access, Role};

    use super::*;
    use crate::testing::name;

    const SITE: SiteId = SiteId::from_bytes([1; 16]);
    const ALL: StreamFilter =
        StreamFilter { environment: None, site: None, is_reported: None, has_states: true, has_events: true };

    fn subject(environment: Option<&str>, kind: MessageKind) -> StreamSubject {
        StreamSubject { kind, environment: environment.map(name), site: environment.map(|_| SITE) }
    }

    fn viewer_in(environment: &str) -> Authorization {
        let environments = [(name(environment), Role::Viewer)].into();
        Authorization { access: Access { everywhere: None, environments }, ..Authorization::console() }
    }

    #[test]
    fn a_stream_gets_only_what_its_caller_may_see() {
        let console = Authorization::console();
        for kind in [MessageKind::State, MessageKind::Event { is_reported: false }] {
            let [lab, none] = [subject(Some("lab"), kind), subject(None, kind)];
            assert!(ALL.selects(&lab, &viewer_in("lab")) && ALL.selects(&lab, &console));
            assert!(!ALL.selects(&lab, &viewer_in("shop")));
            assert!(!ALL.selects(&none, &viewer_in("lab")), "what belongs to no environment");
            assert!(ALL.selects(&none, &console));
        }
    }

    #[test]
    fn a_filter_selects_by_kind_source_site_and_environment() {
        let check = |filter: StreamFilter, expected: [bool; 4]| {
            let event = |is_reported| MessageKind::Event { is_reported };
            let subjects = [
                subject(Some("lab"), MessageKind::State),
                subject(Some("lab"), event(true)),
                subject(Some("shop"), event(false)),
                subject(None, event(false)),
            ];
            let found = subjects.map(|subject| filter.selects(&subject, &Authorization::console()));
            assert_eq!(found, expected, "{filter:?}");
        };
        check(ALL, [true; 4]);
        check(StreamFilter { has_states: false, ..ALL }, [false, true, true, true]);
        check(StreamFilter { has_events: false, ..ALL }, [true, false, false, false]);
        check(StreamFilter { is_reported: Some(true), ..ALL }, [true, true, false, false]);
        check(StreamFilter { environment: Some(name("lab")), ..ALL }, [true, true, false, false]);
        check(StreamFilter { site: Some(SITE), ..ALL }, [true, true, true, false]);
        check(StreamFilter { site: Some(SiteId::from_bytes([2; 16])), ..ALL }, [false; 4]);
    }
}
