//! `linecamp site history`.

use linecamp_proto::api::LinkGap;
use linecamp_proto::api::operation::ListSiteHistory;
use linecamp_table::{Cell, Table};

use super::SiteArg;
use crate::client::ApiRequest;
use crate::context::Context;
use crate::text_style::TextStyle;

/// The width of a terminal within which a detail is printed beside its row.
const WIDTH: usize = 100;

impl SiteArg {
    pub(super) async fn history(self, context: &Context<'_>) -> anyhow::Result<()> {
        let request = ApiRequest::<ListSiteHistory>::at(&self.name).query(&context.name_query());
        let gaps = context.client()?.send(request).await?;
        context.out.show(&gaps, |style| list(&gaps.items, style))?;
        if gaps.items.is_empty() {
            context.out.note("no gaps of three minutes or more");
        }
        Ok(())
    }
}

fn list(gaps: &[LinkGap], style: &TextStyle) -> String {
    if gaps.is_empty() {
        return String::new();
    }
    let row = |gap: &LinkGap| {
        [
            Cell::from(&gap.began_at),
            Cell::from(&gap.ended_at),
            Cell::from(length(gap.seconds)),
            Cell::from(&gap.cause),
            Cell::from(detail(gap)),
        ]
    };
    let table = Table::new(["FROM", "TO", "LENGTH", "CAUSE", "DETAIL"]).last_cell_below(WIDTH);
    table.with(gaps.iter().map(row)).render(style.colors)
}

/// Describes the other causes, and what the site or the server said.
fn detail(gap: &LinkGap) -> String {
    let others: Vec<_> =
        gap.causes.iter().skip(1).map(|other| format!("{} {}", other.cause, length(other.seconds))).collect();
    let others = (!others.is_empty()).then(|| format!("also {}", others.join(", ")));
    let merged = (1 < gap.gaps).then(|| format!("{} gaps", gap.gaps));
    let refusal = gap.refusal.as_ref().map(|code| format!("code {code}"));
    let error = Some(gap.last_error.clone()).filter(|error| !error.is_empty());
    let parts: Vec<_> = [merged, others, refusal, error].into_iter().flatten().collect();
    parts.join("; ")
}

/// Formats a length in its two largest units.
fn length(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use linecamp_proto::api::CauseTime;

    use super::*;
    use crate::text_style::plain;

    fn time(cause: &str, seconds: u64) -> CauseTime {
        CauseTime { cause: cause.into(), seconds }
    }

    #[test]
    fn a_history_lists_each_gap_with_its_causes() {
        let power = LinkGap {
            began_at: "2026-11-20T02:00:00Z".into(),
            ended_at: "2026-11-21T05:30:00Z".into(),
            seconds: 99_000,
            cause: "power-off".into(),
            causes: vec![time("power-off", 90_000), time("no-route", 9_000)],
            refusal: None,
            last_error: "cannot start a connection to server.example:8443: network unreachable".into(),
            gaps: 1,
        };
        let refused = LinkGap {
            began_at: "2026-11-21T08:00:00Z".into(),
            ended_at: "2026-11-21T08:04:10Z".into(),
            seconds: 250,
            cause: "refused".into(),
            causes: vec![time("refused", 250)],
            refusal: Some("store-failed".into()),
            last_error: String::new(),
            gaps: 3,
        };
        let text = list(&[power, refused], &plain());
        let heading: Vec<_> = text.lines().next().unwrap_or_default().split_whitespace().collect();
        assert_eq!(heading, ["FROM", "TO", "LENGTH", "CAUSE", "DETAIL"]);
        for part in [
            "1d3h",
            "power-off",
            "also no-route 2h30m; cannot start a connection to server.example:8443: network unreachable",
            "4m10s",
            "3 gaps; code store-failed",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_length_has_two_units() {
        let check = |seconds, expected: &str| assert_eq!(length(seconds), expected);
        check(59, "59s");
        check(3_599, "59m59s");
        check(3_660, "1h1m");
        check(90_000, "1d1h");
    }
}
