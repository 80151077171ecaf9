//! Conditions as text.

use linecamp_proto::api::Condition;
use linecamp_table::{Cell, Color, Table};

use crate::text_style::TextStyle;

/// Renders conditions; empty if there are none.
pub(crate) fn conditions_table(conditions: &[Condition], style: &TextStyle) -> String {
    if conditions.is_empty() {
        return String::new();
    }
    let row = |condition: &Condition| {
        [
            Cell::colored(&condition.kind, Color::Red),
            Cell::from(style.age(&condition.since)),
            Cell::from(&condition.detail),
        ]
    };
    Table::new(["CONDITION", "SINCE", "DETAIL"]).with(conditions.iter().map(row)).render(style.colors)
}
