//! Which hosts are eligible for something new.

use std::time::Duration;

use linecamp_model::Selector;

use crate::testing::{Pair, host_ref, patch, site_ref};
use crate::{FleetCommand, PageRequest, SiteFilter};

const MINUTE: Duration = Duration::from_secs(60);

/// Returns the hosts that a selector selects, and all others with the kind of the reason.
fn selected(pair: &Pair, selector: &str) -> Vec<(String, Option<&'static str>)> {
    let filter = SiteFilter { selector: Selector::parse(selector).expect("it is valid"), ..SiteFilter::default() };
    let page = pair.fleet.view().candidates(&filter, true, &PageRequest::first(10), pair.now());
    let eligible = pair.fleet.view().candidates(&filter, false, &PageRequest::first(10), pair.now());
    assert_eq!(eligible.total, page.items.iter().filter(|host| host.obstacle.is_none()).count());
    let kind = |host: &crate::Candidate| host.obstacle.as_ref().map(|obstacle| obstacle.parts().0);
    page.items.iter().map(|host| (host.name.to_string(), kind(host))).collect()
}

#[test]
fn a_host_is_eligible_that_matches_and_is_active_and_connected() {
    let mut pair = Pair::linked(1);
    pair.create_host_token(0, 10);
    pair.create_direct_token(10);
    pair.run_for(MINUTE);
    let (press, saw) = (pair.add_host(0, "press"), pair.add_direct_host("saw"));
    pair.run_for(5 * MINUTE);
    let of = |name: &str, obstacle| (name.to_owned(), obstacle);
    assert_eq!(selected(&pair, ""), [of("camp", None), of("press", None), of("saw", None)]);
    pair.ask(FleetCommand::PatchLabels(host_ref("press").into(), patch(&["gpu="]))).expect("assigned");
    assert_eq!(selected(&pair, "gpu"), [of("press", None), of("camp", Some("label")), of("saw", Some("label"))]);
    pair.ask(FleetCommand::Deactivate(host_ref("press").into())).expect("asked");
    assert_eq!(selected(&pair, "gpu")[1], of("press", Some("phase")));
    pair.run_for(MINUTE);
    pair.ask(FleetCommand::Activate(host_ref("press").into())).expect("asked");
    pair.run_for(MINUTE);
    pair.cut(saw);
    pair.cut(press);
    pair.run_for(10 * MINUTE);
    assert_eq!(selected(&pair, ""), [of("camp", None), of("press", Some("link")), of("saw", Some("link"))]);
    pair.ask(FleetCommand::Deactivate(site_ref("camp").into())).expect("asked");
    pair.run_for(MINUTE);
    assert!(selected(&pair, "").iter().all(|(_, obstacle)| *obstacle == Some("phase")));
}
