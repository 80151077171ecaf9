//! The server's metrics, served by the API at `GET /metrics`.
//!
//! The state of the state machine is read on each scrape; everything else is counted when it happens. No label names a
//! site: the number of series depends on the number of environments, which is bounded, and on closed lists of labels.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use linecamp_core::{Fleet, ProviderSummary};
use linecamp_downlink::HandshakeStats;
use linecamp_model::{Now, WallTime};
use linecamp_service::{Commits, ConnectionCounts, Kind, Metrics};

use crate::session_stats::SessionStats;

/// Responses of the API by status class.
#[derive(Debug, Default)]
pub(crate) struct ResponseCounts {
    classes: [AtomicU64; 4],
}

const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

impl ResponseCounts {
    /// Counts a response.
    pub(crate) fn note(&self, status: u16) {
        let class = usize::from(status / 100).saturating_sub(2).min(CLASSES.len() - 1);
        self.classes[class].fetch_add(1, Ordering::Relaxed);
    }

    /// Writes the metrics.
    pub(crate) fn write(&self, metrics: &mut Metrics) {
        let mut family =
            metrics.family("linecamp_api_requests_total", Kind::Counter, "API responses, by status class.");
        for (class, count) in CLASSES.into_iter().zip(&self.classes) {
            family.sample(&[("code", class)], count.load(Ordering::Relaxed));
        }
    }
}

/// Writes the connection metrics of the API.
pub(crate) fn write_connections(metrics: &mut Metrics, counts: ConnectionCounts, streams: ConnectionCounts) {
    metrics
        .family("linecamp_api_connections", Kind::Gauge, "Open API connections, by whether an API key was presented.")
        .sample(&[("key", "none")], counts.unauthenticated)
        .sample(&[("key", "shown")], counts.authenticated);
    let help =
        "API connections closed by the server because of a limit: too many connections, or a request took too long.";
    metrics
        .family("linecamp_api_connections_closed_total", Kind::Counter, help)
        .sample(&[("reason", "evicted")], counts.evicted)
        .sample(&[("reason", "rejected")], counts.rejected);
    metrics
        .family(
            "linecamp_api_streams",
            Kind::Gauge,
            "API requests in progress over HTTP/2, by whether a key was presented.",
        )
        .sample(&[("key", "none")], streams.unauthenticated)
        .sample(&[("key", "shown")], streams.authenticated);
    let help = "API requests over HTTP/2 ended by the server because of a limit: too many, or a request took too long.";
    metrics
        .family("linecamp_api_streams_closed_total", Kind::Counter, help)
        .sample(&[("reason", "evicted")], streams.evicted)
        .sample(&[("reason", "rejected")], streams.rejected);
}

/// Writes the metrics of the event streams: how many are open, and how many were rejected.
pub(crate) fn write_event_streams(metrics: &mut Metrics, (open, rejected): (usize, u64)) {
    metrics.one("linecamp_event_streams", Kind::Gauge, "Open event streams.", open);
    let help = "Event streams that were rejected because too many were open.";
    metrics.one("linecamp_event_streams_rejected_total", Kind::Counter, help, rejected);
}

/// The state of the loop that the metrics are read from.
pub(crate) struct LoopState<'a> {
    pub(crate) fleet: &'a Fleet,
    pub(crate) sessions: &'a SessionStats,
    pub(crate) commits: &'a Commits,
    pub(crate) handshakes: &'a HandshakeStats,
    pub(crate) now: Now,
}

impl LoopState<'_> {
    /// Writes all metrics of the loop.
    pub(crate) fn write(&self) -> Metrics {
        let mut metrics = Metrics::default();
        metrics
            .family("linecamp_build_info", Kind::Gauge, "Always 1; the labels identify the program and its version.")
            .sample(&[("program", "linecamp-server"), ("version", env!("CARGO_PKG_VERSION"))], 1);
        let started = self.now.wall.saturating_since(WallTime::EPOCH).saturating_sub(self.now.instant.since_origin());
        let help = "Start time of the process, in seconds since the Unix epoch.";
        metrics.one("process_start_time_seconds", Kind::Gauge, help, Duration::as_secs_f64(&started));
        metrics.process();
        self.write_fleet(&mut metrics);
        self.sessions.write(&mut metrics);
        self.handshakes.write(&mut metrics);
        self.commits.write(&mut metrics);
        metrics
    }

    fn write_fleet(&self, metrics: &mut Metrics) {
        let help = "Sites, by environment, phase and link state.";
        let mut sites = metrics.family("linecamp_sites", Kind::Gauge, help);
        for ((environment, phase, link), count) in self.fleet.view().site_counts() {
            let labels = [("environment", environment.as_str()), ("phase", phase.as_str()), ("link", link.as_str())];
            sites.sample(&labels, count);
        }
        let help = "Sites whose status matches their spec.";
        metrics.one("linecamp_sites_converged", Kind::Gauge, help, self.fleet.view().converged_count());
        let help = "Sites rejected because their record in the database cannot be read.";
        metrics.one("linecamp_sites_unreadable", Kind::Gauge, help, self.fleet.quarantined().count());
        let counts = self.fleet.view().link_counts();
        metrics
            .family("linecamp_links", Kind::Gauge, "Sites, by link state.")
            .sample(&[("state", "connected")], counts.connected)
            .sample(&[("state", "reconnecting")], counts.reconnecting)
            .sample(&[("state", "disconnected")], counts.disconnected);
        let providers = self.fleet.view().providers(None);
        let sum = |count: fn(&ProviderSummary) -> usize| providers.iter().map(count).sum::<usize>();
        metrics
            .family(
                "linecamp_provider_sites",
                Kind::Gauge,
                "Sites of all central providers, by the provider's state at the site.",
            )
            .sample(&[("state", "failing")], sum(|of| of.failed))
            .sample(&[("state", "pending")], sum(|of| of.sites.saturating_sub(of.failed + of.converged)))
            .sample(&[("state", "working")], sum(|of| of.converged));
        metrics.one("linecamp_providers", Kind::Gauge, "Central providers.", providers.len());
        metrics.one("linecamp_plugins", Kind::Gauge, "Uploaded plugins.", self.fleet.view().plugins().count());
        let help = "1 while the fleet database cannot be written and changes are rejected, 0 otherwise.";
        let is_failing = u8::from(self.fleet.store_fault().is_some());
        metrics.one("linecamp_store_failing", Kind::Gauge, help, is_failing);
        let help = "Sites that report a storage failure: disk full, not writable or corrupt.";
        metrics.one("linecamp_sites_storage_failed", Kind::Gauge, help, self.fleet.view().storage_failure_count());
        let help = "Sites that have stored the latest set of server addresses since the start of the process.";
        let stored = self.fleet.servers().map_or(0, |(_, stored)| stored);
        metrics.one("linecamp_sites_servers_stored", Kind::Gauge, help, stored);
        let audit = self.fleet.audit_counters();
        let help = "Entries written to the audit log so far.";
        metrics.one("linecamp_audit_entries_total", Kind::Counter, help, audit.extent.head.number);
        let help = "Entries that the audit log has.";
        let entries = audit.extent.head.number - audit.extent.start.number;
        metrics.one("linecamp_audit_entries", Kind::Gauge, help, entries);
        metrics.one("linecamp_audit_bytes", Kind::Gauge, "Size of the audit log, about.", audit.extent.bytes);
        let help = "Refused requests that the audit log counts in an entry with others.";
        metrics.one("linecamp_audit_refusals_counted_total", Kind::Counter, help, audit.folded);
        let help = "Entries of the audit log that wait because the fleet database cannot be written.";
        metrics.one("linecamp_audit_entries_waiting", Kind::Gauge, help, audit.unwritten);
        let help = "Entries of the audit log that were dropped because too many waited.";
        metrics.one("linecamp_audit_entries_dropped_total", Kind::Counter, help, audit.dropped);
        let help = "Events recorded in the fleet so far.";
        metrics.one("linecamp_events_total", Kind::Counter, help, self.fleet.view().last_event());
    }
}

#[cfg(test)]
mod tests {
    use linecamp_core::{FleetConfig, Rng, SavedFleet};
    use linecamp_model::{
        FleetChange, Generation, HostId, Instant, Life, Name, Phase, Recoveries, Registration, SiteId, TokenId,
    };
    use linecamp_proto::VERSIONS;

    use super::*;

    const NOW: Now = Now { instant: Instant::ORIGIN, wall: WallTime::from_unix_millis(1_000_000) };

    fn registered(number: u16) -> FleetChange {
        let life = Life { phase: Phase::Active, since: NOW.wall, requested_at: Generation::ZERO };
        let mut id = [0; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        let registration = Registration {
            gateway: HostId::from_bytes(id),
            environment: Name::parse("default").unwrap(),
            token: TokenId::from_bytes([1; 8]),
            joined_at: NOW.wall,
            life,
            offline_since: None,
            recoveries: Recoveries::default(),
        };
        FleetChange::Site(SiteId::from_bytes(id), Some(registration))
    }

    fn text(sites: u16) -> String {
        let config = FleetConfig { versions: VERSIONS, certificate_life: linecamp_core::CERTIFICATE_LIFE };
        let records = (0..sites).map(registered).collect();
        let fleet = Fleet::new(config, SavedFleet { records, ..SavedFleet::default() }, Rng::new(1), NOW);
        let (sessions, commits, handshakes) = (SessionStats::default(), Commits::default(), HandshakeStats::default());
        let state =
            LoopState { fleet: &fleet, sessions: &sessions, commits: &commits, handshakes: &handshakes, now: NOW };
        let mut metrics = state.write();
        ResponseCounts::default().write(&mut metrics);
        metrics.into_text()
    }

    #[test]
    fn metrics_have_no_series_per_site() {
        let series = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            lines.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
        };
        let (one, thousand) = (text(1), text(1000));
        assert_eq!(series(&one), series(&thousand));
        assert!(thousand.contains("phase=\"active\",link=\"reconnecting\"} 1000\n"), "{thousand}");
    }

    #[test]
    fn answers_are_counted_by_class() {
        let responses = ResponseCounts::default();
        for status in [200, 204, 304, 404, 500, 101, 999] {
            responses.note(status);
        }
        let mut metrics = Metrics::default();
        responses.write(&mut metrics);
        let text = metrics.into_text();
        assert!(text.contains("{code=\"2xx\"} 3\n") && text.contains("{code=\"5xx\"} 2\n"), "{text}");
    }
}
