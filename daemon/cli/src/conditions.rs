//! Conditions as text.

use linecamp_proto::api::Condition;
use linecamp_table::{Cell, Color, Table};

use crate::text_style::TextStyle;

/// The width of a terminal within which a detail is printed whole, so that its end, which says what to do, is seen.
const WIDTH: usize = 80;

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
    let table = Table::new(["CONDITION", "SINCE", "DETAIL"]).last_cell_below(WIDTH);
    table.with(conditions.iter().map(row)).render(style.colors)
}
