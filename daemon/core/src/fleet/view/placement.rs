//! Placement: which hosts are eligible for something new, and why the others are not.

use linecamp_model::{HostId, LinkState, Name, Now, Phase, Selector, Text};

use super::filter::ListedHost;
use super::{HostOrder, ListView, SiteFilter};
use crate::page::{Page, PageRequest};

/// The bytes of a candidate: names, an ID, and a reason.
const CANDIDATE_BYTES: usize = 700;

/// A host that may be selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its ID.
    pub id: HostId,
    /// Its name.
    pub name: Name,
    /// Its site.
    pub site: Name,
    /// The environment of its site.
    pub environment: Name,
    /// Why it is not eligible; `None` if it is.
    pub obstacle: Option<Obstacle>,
}

/// Why a host is not eligible. The first that holds, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// A term of the selector does not hold; the text says which, and what the label is.
    Label(Text),
    /// It, or its site, is not active; the text says which, and its phase.
    Phase(Text),
    /// It has no link; the text says since when.
    Link(Text),
}

impl Obstacle {
    /// Returns the kind as text, and the detail.
    pub const fn parts(&self) -> (&'static str, &Text) {
        match self {
            Self::Label(detail) => ("label", detail),
            Self::Phase(detail) => ("phase", detail),
            Self::Link(detail) => ("link", detail),
        }
    }
}

impl ListView<'_> {
    /// Returns a page of the hosts that are eligible for something new: active, connected, and matched by the selector
    /// of `filter`. With `all`, the others follow, each with the reason. The page counts the hosts without a link.
    pub fn candidates(self, filter: &SiteFilter, all: bool, page: &PageRequest, now: Now) -> Page<Candidate> {
        let everybody = SiteFilter { selector: Selector::default(), ..filter.clone() };
        let found = self.listed_hosts(&everybody, now).map(|host| (self.obstacle(&host, &filter.selector), host));
        let shown = found.filter(|(obstacle, _)| all || obstacle.is_none());
        let mut offline = 0;
        let counted = shown.inspect(|(_, host)| offline += usize::from(host.is_offline()));
        let entries = counted.map(|(obstacle, host)| {
            let key = HostOrder::Name.key(&host);
            (crate::ItemKey { rank: u64::from(obstacle.is_some()), ..key }, (obstacle, host))
        });
        let page = page.page(entries, |(obstacle, host)| {
            let candidate = Candidate {
                id: host.id,
                name: host.spec.name.clone(),
                site: host.site.spec.name.clone(),
                environment: host.site.registration.environment.clone(),
                obstacle,
            };
            Some((candidate, CANDIDATE_BYTES))
        });
        Page { offline: Some(offline), ..page }
    }

    fn obstacle(self, host: &ListedHost<'_>, selector: &Selector) -> Option<Obstacle> {
        if let Some(unmet) = self.unmet_term(host, selector) {
            return Some(Obstacle::Label(Text::lossy(&unmet)));
        }
        let phase = |noun: &str, phase: Phase| Obstacle::Phase(Text::lossy(&format!("the {noun} is {phase}")));
        let of_site = host.site.registration.life.phase;
        if of_site != Phase::Active {
            return Some(phase("site", of_site));
        }
        if host.phase != Phase::Active {
            return Some(phase("host", host.phase));
        }
        let link = host.link;
        (link.state != LinkState::Connected)
            .then(|| Obstacle::Link(Text::lossy(&format!("{} since {}", link.state, link.since))))
    }
}
