//! Bulk actions.

use std::sync::Arc;

use linecamp_model::{
    BulkAction, BulkActionId, BulkActionSite, BulkOutcome, BulkRejection, CallerAccount, LabelPatch, SiteAction,
};

use super::*;

pub(super) fn fleet_records() -> Vec<(&'static str, FleetChange)> {
    vec![("bulk-action", FleetChange::BulkAction(BulkActionId::from_bytes([0x8c; 8]), Some(Arc::new(bulk_action()))))]
}

fn bulk_action() -> BulkAction {
    let rejection = BulkRejection { code: text("not-possible"), text: text("site camp-007 was removed") };
    let site = |id, named: &str, outcome| BulkActionSite {
        site: SiteId::from_bytes(id),
        environment: name("default"),
        name: name(named),
        outcome,
    };
    BulkAction {
        action: SiteAction::Label,
        labels: LabelPatch {
            set: facts(&[("ring", "canary")]),
            remove: [LabelKey::parse("rack").expect("a key")].into(),
        },
        actor: text("user anna"),
        account: CallerAccount::User(name("anna")),
        at: WALL,
        sites: vec![
            site([0x11; 16], "camp-042", BulkOutcome::Requested(Generation(19))),
            site([0x12; 16], "camp-007", BulkOutcome::Rejected(rejection)),
        ],
    }
}
