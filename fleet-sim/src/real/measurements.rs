//! Measurements: the JSON of `linecamp-sim real -o json`, and a table for people.
//!
//! Field names are stable. `_seconds` and `_ms` are times, with fractions; `_kib` is memory in KiB, as the kernel
//! counts it. Figures about many sites are observed through the server's API, which is polled every 50 ms, so times
//! have that resolution plus the duration of one request.

use std::fmt::Write as _;

use serde::Serialize;

/// The result of a run in real mode.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RealOutcome {
    /// Number of sites.
    pub sites: u32,
    /// Whether waits were short, and the storm over bad links was skipped.
    pub quick: bool,
    /// The seed of the links.
    pub seed: u64,
    /// How all sites joined.
    pub join: Join,
    /// Memory of the processes once all sites had the label and were idle.
    pub memory: Memory,
    /// One label set on all sites.
    pub label: LabelRound,
    /// The server killed and restarted: over perfect links, then over bad ones.
    pub storms: Vec<Storm>,
    /// Half of the sites unreachable.
    pub cut: Cut,
    /// The exit of all daemons.
    pub stop: Stop,
    /// Log lines at level ERROR, with the log's name; the first twenty.
    pub errors: Vec<String>,
    /// Duration of the whole run.
    pub wall_seconds: f64,
}

/// The join step, from the first daemon's start until the server reports every site connected.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Join {
    /// Sites that joined and were linked: all of them, or the run would have failed.
    pub joined: usize,
    /// How many of them have a separate `linecampd` process.
    pub separate: usize,
    /// How many of them share a hosting process.
    pub hosted: usize,
    /// Number of hosting processes.
    pub hosting_processes: usize,
    /// When half of them were linked.
    pub linked_50_seconds: f64,
    /// When all of them were linked.
    pub linked_all_seconds: f64,
}

/// Memory of the processes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Memory {
    /// The server before the first site, resident.
    pub server_empty_rss_kib: u64,
    /// The server with all sites linked, resident.
    pub server_rss_kib: u64,
    /// The anonymous part of `server_rss_kib`.
    pub server_anon_kib: u64,
    /// The server's additional resident memory per site: the difference divided by the number of sites. With few sites,
    /// what all their simultaneous handshakes left behind outweighs the memory of a link.
    pub server_rss_per_site_kib: f64,
    /// The daemons with a separate process, resident.
    pub daemon_rss_kib: Spread,
    /// The anonymous part of `daemon_rss_kib`.
    pub daemon_anon_kib: Spread,
    /// The hosting processes, resident, divided by the number of daemons in them; `null` if there are none.
    pub hosted_rss_per_daemon_kib: Option<f64>,
}

/// Minimum, median and maximum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// The minimum.
    pub min: u64,
    /// The median; of the two middle values, the greater.
    pub median: u64,
    /// The maximum.
    pub max: u64,
}

/// One label set on all sites by selector, timed from the start of the operator's CLI.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelRound {
    /// When the CLI exited: the label is durable at the server for every site.
    pub durable_ms: f64,
    /// When every site had reported that it matches its spec.
    pub converged_ms: f64,
}

/// The server killed, and restarted after a while.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Storm {
    /// One-way latency of a link, without jitter.
    pub latency_ms: u64,
    /// Percentage of datagrams that a link lost in each direction.
    pub loss_percent: u8,
    /// How long the server was down before it was restarted.
    pub down_seconds: f64,
    /// Sites that were linked again: all of them, or the run would have failed.
    pub back: usize,
    /// When 50 % of the sites were linked again, from the moment the new server listened.
    pub back_50_seconds: f64,
    /// When 90 % were linked again.
    pub back_90_seconds: f64,
    /// When 99 % were linked again.
    pub back_99_seconds: f64,
    /// When all were linked again.
    pub back_all_seconds: f64,
}

/// Half of the sites unreachable, while another label is set on all of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cut {
    /// Duration of the cut.
    pub seconds: f64,
    /// Sites that could neither send nor receive.
    pub cut: usize,
    /// Sites that could send but received nothing.
    pub black_holed: usize,
    /// Sites that the server did not report connected at the end of the cut.
    pub offline: usize,
    /// Sites that had not converged at the end of the cut.
    pub behind: usize,
    /// Sites that were linked and had converged afterwards: all of them, or the run would have failed.
    pub back: usize,
    /// When half of the unreachable sites were back, from the end of the cut.
    pub back_50_seconds: f64,
    /// When all of them were back.
    pub back_all_seconds: f64,
}

/// All daemons asked to exit at once.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stop {
    /// Processes that were asked to exit.
    pub processes: usize,
    /// How many of them exited successfully.
    pub clean: usize,
    /// When the last one had exited.
    pub seconds: f64,
}

impl RealOutcome {
    /// Formats the result as a table for people.
    pub fn table(&self) -> String {
        let mut rows = Vec::new();
        self.join.add_rows(&mut rows);
        self.memory.add_rows(&mut rows);
        self.label.add_rows(&mut rows);
        for storm in &self.storms {
            storm.add_rows(&mut rows);
        }
        self.cut.add_rows(&mut rows);
        self.stop.add_rows(&mut rows);
        rows.push(("log lines at level ERROR".to_owned(), self.errors.len().to_string()));
        rows.push(("total duration".to_owned(), seconds(self.wall_seconds)));

        let width = rows.iter().map(|(what, _)| what.chars().count()).max().unwrap_or_default();
        let waits = if self.quick { ", short waits" } else { "" };
        let mut text = format!("{} sites, seed {}{waits}\n\n", self.sites, self.seed);
        for (what, figure) in rows {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{what:<width$}  {figure}");
        }
        for line in &self.errors {
            let _ = writeln!(text, "\n{line}");
        }
        text
    }
}

type Rows = Vec<(String, String)>;

fn row(rows: &mut Rows, what: &str, figure: String) {
    rows.push((what.to_owned(), figure));
}

impl Join {
    fn add_rows(&self, rows: &mut Rows) {
        let Self { joined, separate, hosted, hosting_processes, .. } = self;
        let how = format!("{joined}: {separate} in separate processes, {hosted} in {hosting_processes} shared ones");
        row(rows, "sites joined and linked", how);
        row(rows, "  half of them after", seconds(self.linked_50_seconds));
        row(rows, "  all after", seconds(self.linked_all_seconds));
    }
}

impl Memory {
    fn add_rows(&self, rows: &mut Rows) {
        let server = format!("{} KiB, {} of it anonymous", self.server_rss_kib, self.server_anon_kib);
        row(rows, "server memory", server);
        row(rows, "  without sites", format!("{} KiB", self.server_empty_rss_kib));
        row(rows, "  per site", format!("{:.1} KiB", self.server_rss_per_site_kib));
        let spread = |Spread { min, median, max }| format!("{min} / {median} / {max} KiB");
        row(rows, "daemon memory, min / median / max", spread(self.daemon_rss_kib));
        row(rows, "  anonymous", spread(self.daemon_anon_kib));
        if let Some(each) = self.hosted_rss_per_daemon_kib {
            row(rows, "  in a shared process, per daemon", format!("{each:.0} KiB"));
        }
    }
}

impl LabelRound {
    fn add_rows(&self, rows: &mut Rows) {
        row(rows, "label on all sites: durable at the server", format!("{:.0} ms", self.durable_ms));
        row(rows, "  all converged", format!("{:.0} ms", self.converged_ms));
    }
}

impl Storm {
    fn add_rows(&self, rows: &mut Rows) {
        let links = match (self.latency_ms, self.loss_percent) {
            (0, 0) => String::new(),
            (latency, loss) => format!(", {latency} ms each way, {loss} % loss"),
        };
        let what = format!("server killed, restarted after {:.0} s{links}: half linked", self.down_seconds);
        row(rows, &what, seconds(self.back_50_seconds));
        row(rows, "  90 % linked", seconds(self.back_90_seconds));
        row(rows, "  99 % linked", seconds(self.back_99_seconds));
        row(rows, "  all linked", seconds(self.back_all_seconds));
    }
}

impl Cut {
    fn add_rows(&self, rows: &mut Rows) {
        let what = format!("unreachable for {:.0} s", self.seconds);
        let counts =
            format!("{} cut, {} receive nothing; {} offline at the end", self.cut, self.black_holed, self.offline);
        row(rows, &what, counts);
        row(rows, "  half of them linked and converged after", seconds(self.back_50_seconds));
        row(rows, "  all after", seconds(self.back_all_seconds));
    }
}

impl Stop {
    fn add_rows(&self, rows: &mut Rows) {
        let how = format!("{} of {} processes, the last after {}", self.clean, self.processes, seconds(self.seconds));
        row(rows, "stopped cleanly", how);
    }
}

fn seconds(value: f64) -> String {
    format!("{value:.2} s")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> RealOutcome {
        let storm = Storm {
            latency_ms: 100,
            loss_percent: 5,
            down_seconds: 5.0,
            back: 24,
            back_50_seconds: 1.0,
            back_90_seconds: 2.0,
            back_99_seconds: 3.0,
            back_all_seconds: 3.5,
        };
        RealOutcome {
            sites: 24,
            quick: true,
            seed: 7,
            join: Join {
                joined: 24,
                separate: 20,
                hosted: 4,
                hosting_processes: 1,
                linked_50_seconds: 0.5,
                linked_all_seconds: 0.75,
            },
            memory: Memory {
                server_empty_rss_kib: 9_000,
                server_rss_kib: 10_000,
                server_anon_kib: 4_000,
                server_rss_per_site_kib: 41.7,
                daemon_rss_kib: Spread { min: 1, median: 2, max: 3 },
                daemon_anon_kib: Spread::default(),
                hosted_rss_per_daemon_kib: None,
            },
            label: LabelRound { durable_ms: 30.0, converged_ms: 41.0 },
            storms: vec![Storm { latency_ms: 0, loss_percent: 0, ..storm.clone() }, storm],
            cut: Cut {
                seconds: 10.0,
                cut: 6,
                black_holed: 6,
                offline: 0,
                behind: 12,
                back: 12,
                back_50_seconds: 1.0,
                back_all_seconds: 2.0,
            },
            stop: Stop { processes: 21, clean: 21, seconds: 0.5 },
            errors: vec!["server: ERROR lost".to_owned()],
            wall_seconds: 40.0,
        }
    }

    #[test]
    fn the_table_has_every_figure_in_two_columns() {
        let text = outcome().table();
        for line in [
            "24 sites, seed 7, short waits",
            "server killed, restarted after 5 s, 100 ms each way, 5 % loss: half linked  1.00 s",
            "6 cut, 6 receive nothing; 0 offline at the end",
            "21 of 21 processes, the last after 0.50 s",
            "server: ERROR lost",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn json_field_names_are_stable() {
        let json = serde_json::to_value(outcome()).unwrap();
        assert_eq!(json["join"]["separate"], 20);
        assert_eq!(json["storms"][1]["back"], 24);
        assert_eq!(json["memory"]["daemon_rss_kib"]["median"], 2);
        assert_eq!(json["stop"]["clean"], 21);
    }
}
