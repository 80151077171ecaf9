//! Ownership notes of records whose claim or provider is gone.

use linecamp_model::{DnsSettings, NameTemplate, ProviderSpec, RecordState};

use super::providers::listed_records;
use super::records::{GATEWAY, MINUTE, ZONE, conditions, configure, provider, remove, shown, site_with};
use crate::RECONCILE_INTERVAL;

/// The claim is lost, and then the name changes.
#[test]
fn a_record_without_its_claim_is_deleted_or_reported() {
    for is_changed in [false, true] {
        let mut pair = site_with(74, provider());
        pair.run_for(MINUTE);
        pair.name_server.pluck(ZONE, &format!("_linecamp-a.{GATEWAY}"), "TXT");
        if is_changed {
            pair.name_server.plant(ZONE, GATEWAY, "A", &["198.51.100.7"]);
        }
        let dns = DnsSettings { template: NameTemplate::parse("{host}").unwrap(), ..provider().dns().clone() };
        configure(&mut pair, Some(ProviderSpec { kind: dns.into(), ..provider() }));
        pair.run_for(2 * RECONCILE_INTERVAL);
        let left = super::providers::left(&pair);
        match is_changed {
            false => assert_eq!((shown(&pair).len(), left.len()), (1, 0), "{:?} {left:?}", shown(&pair)),
            true => {
                assert_eq!(shown(&pair).len(), 2, "{:?}", shown(&pair));
                assert!(left.len() == 1 && left[0].contains(GATEWAY) && left[0].contains("198.51.100.7"), "{left:?}");
            }
        }
        assert_eq!(conditions(&pair), []);
    }
}

/// A provider is removed from the configuration and its records stay; then the site is removed.
#[test]
fn a_removed_site_reports_the_records_of_an_unconfigured_provider() {
    let mut pair = site_with(76, provider());
    pair.run_for(MINUTE);
    configure(&mut pair, None);
    pair.run_for(MINUTE);
    pair.crash_site();
    pair.run_for(MINUTE);
    let central = listed_records(&pair);
    assert_eq!(central[0].record.state, RecordState::Retained, "the operator sees it");
    remove(&mut pair);
    pair.run_for(MINUTE);
    assert!(pair.nodes[0].ended.is_some(), "nothing holds it up");
    let left = super::providers::left(&pair);
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].contains("provider dns") && left[0].contains(GATEWAY), "{left:?}");
    assert!(left[0].contains(&format!("zone {ZONE}")), "{left:?}");
}
