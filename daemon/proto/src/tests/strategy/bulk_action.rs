//! Bulk actions.

use std::collections::BTreeMap;
use std::sync::Arc;

use linecamp_model::{BulkAction, BulkActionId, BulkActionSite, BulkOutcome, BulkRejection, LabelPatch, SiteAction};

use super::*;

fn outcome() -> impl Strategy<Value = BulkOutcome> {
    prop_oneof![
        generation().prop_map(BulkOutcome::Requested),
        (text(), text()).prop_map(|(code, text)| BulkOutcome::Rejected(BulkRejection { code, text })),
    ]
}

fn bulk_action() -> impl Strategy<Value = BulkAction> {
    let sites = btree_map(uniform16(any::<u8>()), (name(), name(), outcome()), 0..4);
    let labels = (btree_map(label_key(), label_value(), 0..3), btree_set(label_key(), 0..3))
        .prop_map(|(set, remove)| LabelPatch { set, remove });
    let action = select(SiteAction::ALL);
    (action, labels, (text(), user::account()), wall(), sites).prop_map(
        |(action, labels, (actor, account), at, sites)| BulkAction {
            account,
            action,
            labels,
            actor,
            at,
            sites: sites_of(sites),
        },
    )
}

fn sites_of(sites: BTreeMap<[u8; 16], (Name, Name, BulkOutcome)>) -> Vec<BulkActionSite> {
    let sites = sites.into_iter().map(|(id, (environment, name, outcome))| BulkActionSite {
        site: SiteId::from_bytes(id),
        environment,
        name,
        outcome,
    });
    sites.collect()
}

/// Any record of a bulk action.
pub(super) fn fleet_record() -> impl Strategy<Value = FleetChange> {
    (uniform8(any::<u8>()), bulk_action())
        .prop_map(|(id, action)| FleetChange::BulkAction(BulkActionId::from_bytes(id), Some(Arc::new(action))))
}
