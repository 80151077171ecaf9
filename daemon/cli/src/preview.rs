//! Previews: which sites a change would affect, and how many of them are offline.

use linecamp_proto::api::{Preview, PreviewItem};
use linecamp_table::{Cell, Table};

use crate::site_state::State;
use crate::text_style::TextStyle;

/// Renders the sites of a preview; empty if there are none.
pub(crate) fn table(preview: &Preview, style: &TextStyle) -> String {
    if preview.items.is_empty() {
        return String::new();
    }
    let row = |item: &PreviewItem| {
        let state = State::from(item);
        [Cell::from(&item.name), Cell::from(&item.environment), state.cell(), state.since_cell(style)]
    };
    Table::new(["NAME", "ENVIRONMENT", "STATE", "SINCE"]).with(preview.items.iter().map(row)).render(style.colors)
}

/// Renders how many sites a change would affect, and how to apply it.
pub(crate) fn note(preview: &Preview) -> String {
    let verb = if preview.matched == 1 { "site matches" } else { "sites match" };
    match preview.matched {
        0 => "no site matches; nothing changed".into(),
        matched => format!("{matched} {verb}{}\nnothing changed; add --yes to apply", offline_clause(preview)),
    }
}

/// Renders how many sites are offline, as the end of a sentence; empty if there are none.
pub(crate) fn offline_clause(preview: &Preview) -> String {
    match preview.offline {
        0 => String::new(),
        offline => format!(", {offline} of them offline: offline sites apply this when they reconnect"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::site;
    use crate::text_style::plain;

    fn preview() -> Preview {
        let mut offline = site("camp-007");
        offline.link.state = "disconnected".into();
        Preview::from(&[site("camp-042"), offline][..])
    }

    #[test]
    fn a_preview_shows_the_sites_and_how_many_are_offline() {
        insta::assert_snapshot!(table(&preview(), &plain()) + &note(&preview()));
        let none = Preview::from(&[][..]);
        assert_eq!(table(&none, &plain()), "");
        assert_eq!(note(&none), "no site matches; nothing changed");
    }
}
