//! What a site noted to have written, where its claim or its provider is gone.

use linecamp_model::{DnsSpec, NameTemplate, ProviderSpec};

use super::records::{GATEWAY, MINUTE, ZONE, conditions, configure, provider, shown, site_with};
use crate::ROUND_PERIOD;

/// The claim is lost, and then the name changes.
#[test]
fn a_record_whose_claim_was_lost_is_deleted_or_named() {
    for is_changed in [false, true] {
        let mut pair = site_with(74, provider());
        pair.run_for(MINUTE);
        pair.name_server.pluck(ZONE, &format!("_linecamp-a.{GATEWAY}"), "TXT");
        if is_changed {
            pair.name_server.plant(ZONE, GATEWAY, "A", &["198.51.100.7"]);
        }
        let dns = DnsSpec { template: NameTemplate::parse("{host}").unwrap(), ..provider().dns };
        configure(&mut pair, Some(ProviderSpec { dns, ..provider() }));
        pair.run_for(2 * ROUND_PERIOD);
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
