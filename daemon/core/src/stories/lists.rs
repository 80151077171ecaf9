//! Lists of sites and hosts: filters, orders, counts and pages.

use std::time::Duration;

use linecamp_model::{LinkState, Phase, Selector, SiteView};

use crate::testing::{Pair, name, patch, site_ref};
use crate::{
    Authorization, DISCONNECTED_AFTER, Edit, FleetCommand, Force, HostOrder, LinkFilter, Page, PageRequest, SiteFilter,
    SiteOrder,
};

const MINUTE: Duration = Duration::from_secs(60);

/// Five sites: `camp` and `s1` to `s4`. Those with an even number have `ring=canary`; `s3` is inactive, then offline.
fn five_sites() -> Pair {
    let mut pair = Pair::linked(1);
    for number in 1..5 {
        pair.add_node(&format!("s{number}"));
        pair.run_for(MINUTE);
    }
    for site in ["s2", "s4"] {
        pair.ask(FleetCommand::PatchLabels(site_ref(site).into(), patch(&["ring=canary"]))).expect("labelled");
    }
    pair.ask(FleetCommand::Deactivate(site_ref("s3").into())).expect("deactivated");
    pair.run_for(MINUTE);
    pair.cut(3);
    pair.run_for(DISCONNECTED_AFTER + 2 * MINUTE);
    pair
}

fn sites(pair: &Pair, filter: &SiteFilter, order: SiteOrder, page: &PageRequest) -> Page<String> {
    let Page { items, next, total, offline } = pair.fleet.view().site_page(filter, order, page, pair.now());
    Page { items: items.into_iter().map(|site| site.name.to_string()).collect(), next, total, offline }
}

#[test]
fn a_list_is_counted_before_it_is_cut() {
    let pair = five_sites();
    let first = sites(&pair, &SiteFilter::default(), SiteOrder::Name, &PageRequest::first(2));
    assert_eq!((first.items.join(" "), first.total, first.offline), ("camp s1".to_owned(), 5, Some(1)));
    let second = PageRequest { after: first.next, ..PageRequest::first(2) };
    let second = sites(&pair, &SiteFilter::default(), SiteOrder::Name, &second);
    assert_eq!((second.items.join(" "), second.total, second.offline), ("s2 s3".to_owned(), 5, Some(1)));
    let last = PageRequest { after: second.next, ..PageRequest::first(2) };
    let last = sites(&pair, &SiteFilter::default(), SiteOrder::Name, &last);
    assert_eq!((last.items.join(" "), last.next, last.total), ("s4".to_owned(), None, 5));
}

#[test]
fn sites_and_hosts_are_filtered_by_selector_state_link_condition_and_text() {
    let mut pair = five_sites();
    pair.ask(FleetCommand::Edit(
        site_ref("s1").into(),
        Edit { name: None, description: Some(linecamp_model::Text::lossy("Behind the SHOP")) },
    ))
    .expect("edited");
    pair.run_for(MINUTE);
    let check = |filter: SiteFilter, expected: &str, offline: usize| {
        let all = PageRequest::first(10);
        let found = sites(&pair, &filter, SiteOrder::Name, &all);
        assert_eq!((&*found.items.join(" "), found.offline), (expected, Some(offline)), "{filter:?}");
        assert_eq!(found.total, found.items.len());
        let hosts = pair.fleet.view().host_page(&filter, HostOrder::Site, &all, pair.now());
        let found: Vec<_> = hosts.items.iter().map(|host| host.site.as_str()).collect();
        // A host has a phase and a description of its own.
        if filter.text.as_deref() != Some("shop") && filter.phase.is_none() {
            assert_eq!((&*found.join(" "), hosts.offline), (expected, Some(offline)), "{filter:?}");
        }
    };
    let any = SiteFilter::default;
    let selector = |text: &str| Selector::parse(text).expect("valid");
    check(any(), "camp s1 s2 s3 s4", 1);
    check(SiteFilter { selector: selector("ring=canary"), ..any() }, "s2 s4", 0);
    check(SiteFilter { selector: selector("!ring"), ..any() }, "camp s1 s3", 1);
    check(SiteFilter { phase: Some(Phase::Inactive), ..any() }, "s3", 1);
    check(SiteFilter { link: Some(LinkFilter::Offline), ..any() }, "s3", 1);
    check(SiteFilter { link: Some(LinkFilter::In(LinkState::Disconnected)), ..any() }, "s3", 1);
    check(SiteFilter { link: Some(LinkFilter::In(LinkState::Connected)), ..any() }, "camp s1 s2 s4", 0);
    check(SiteFilter { text: Some("s".to_owned()), ..any() }, "s1 s2 s3 s4", 1);
    check(SiteFilter { text: Some("shop".to_owned()), ..any() }, "s1", 0);
    check(SiteFilter { environment: Some(name("lab")), ..any() }, "", 0);
    check(SiteFilter { condition: Some(linecamp_model::ConditionKind::ClockSkew), ..any() }, "", 0);
}

#[test]
fn sites_are_sorted_by_state_link_and_time() {
    let pair = five_sites();
    let check = |order, is_descending, expected: &str| {
        let page = PageRequest { is_descending, ..PageRequest::first(10) };
        assert_eq!(sites(&pair, &SiteFilter::default(), order, &page).items.join(" "), expected, "{order:?}");
    };
    check(SiteOrder::Name, true, "s4 s3 s2 s1 camp");
    check(SiteOrder::Phase, false, "camp s1 s2 s4 s3");
    check(SiteOrder::Link, true, "s3 s4 s2 s1 camp");
    check(SiteOrder::Joined, true, "s4 s3 s2 s1 camp");
    check(SiteOrder::LinkSince, true, "s3 s4 s2 s1 camp");
}

#[test]
fn a_snapshot_has_every_change_before_it_and_none_after_it() {
    let mut pair = five_sites();
    let (console, all) = (Authorization::console(), SiteFilter::default());
    let before = pair.fleet.snapshot();
    let shown = before.lists(&console).sites(&all, pair.now());
    assert_eq!(shown, pair.fleet.view().sites(&all, pair.now()));
    pair.ask(FleetCommand::PatchLabels(site_ref("s1").into(), patch(&["tier=web"]))).expect("labelled");
    pair.ask(FleetCommand::Remove(site_ref("s3").into(), Force::Yes)).expect("removed");
    pair.add_node("s9");
    pair.cut(0);
    pair.run_for(MINUTE);
    let after = pair.fleet.snapshot();
    assert_ne!(after.lists(&console).sites(&all, pair.now()), shown);
    assert_eq!(after.lists(&console).sites(&all, pair.now()), pair.fleet.view().sites(&all, pair.now()));
    assert_eq!(before.lists(&console).link_counts().connected, 4);
    assert_eq!(after.lists(&console).link_counts(), pair.fleet.view().link_counts());
    let unchanged = before.lists(&console).sites(&all, pair.now());
    let labels =
        |sites: &[SiteView]| sites.iter().map(|site| (site.name.clone(), site.labels.clone())).collect::<Vec<_>>();
    assert_eq!(labels(&unchanged), labels(&shown));
}

#[test]
fn a_page_after_a_removed_site_continues_behind_it() {
    let mut pair = five_sites();
    let first = sites(&pair, &SiteFilter::default(), SiteOrder::Name, &PageRequest::first(3));
    assert_eq!(first.items.join(" "), "camp s1 s2");
    let rename = Edit { name: Some(name("a")), description: None };
    pair.ask(FleetCommand::Edit(site_ref("s2").into(), rename)).expect("the last site of the page has another name");
    let second = PageRequest { after: first.next, ..PageRequest::first(3) };
    let second = sites(&pair, &SiteFilter::default(), SiteOrder::Name, &second);
    assert_eq!((second.items.join(" "), second.total), ("s3 s4".to_owned(), 5));
}
