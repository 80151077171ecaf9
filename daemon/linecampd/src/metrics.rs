//! The daemon's metrics: `linecampd metrics`, and HTTP on the local socket.
//!
//! Values that the state machine exposes anyway are read on request. The rest is counted here as events pass through
//! the loop. Label values come from closed sets, so that the number of series is bounded.

use std::collections::BTreeMap;
use std::time::Duration;

use linecamp_core::LossReason;
use linecamp_model::{
    LinkState, LocalView, Now, ProviderFailure, ProviderReply, ProviderStatus, RecordState, WallTime,
};
use linecamp_service::{Commits, Kind, Metrics};

/// Counters of the loop since the process started.
#[derive(Debug)]
pub(crate) struct Counters {
    started: WallTime,
    dials: u64,
    sessions: u64,
    is_up: bool,
    /// Sessions that ended, by reason.
    losses: BTreeMap<&'static str, u64>,
    /// Dials that failed, by reason.
    failures: BTreeMap<&'static str, u64>,
    /// Plugin replies, by result.
    calls: BTreeMap<&'static str, u64>,
    reloads: [u64; 2],
    local_requests: u64,
    /// The server's clock minus ours at the start of the last session, in seconds.
    clock_offset: Option<f64>,
}

impl Counters {
    /// Starts all counters at zero.
    pub(crate) fn start(now: Now) -> Self {
        Self {
            started: now.wall,
            dials: 0,
            sessions: 0,
            is_up: false,
            losses: BTreeMap::new(),
            failures: BTreeMap::new(),
            calls: BTreeMap::new(),
            reloads: [0; 2],
            local_requests: 0,
            clock_offset: None,
        }
    }

    /// Counts a dial.
    pub(crate) const fn dial(&mut self) {
        self.dials += 1;
    }

    /// Counts a session that is up; `server_wall` is the server's clock at its start.
    pub(crate) fn link_up(&mut self, server_wall: WallTime, now: Now) {
        self.sessions += 1;
        self.is_up = true;
        self.clock_offset = Some(seconds_between(server_wall, now.wall));
    }

    /// Counts a session that ended.
    pub(crate) fn link_down(&mut self, reason: &LossReason) {
        self.is_up = false;
        *self.losses.entry(code(reason)).or_default() += 1;
    }

    /// Counts an attempt to connect that failed.
    pub(crate) fn dial_failed(&mut self, reason: &LossReason) {
        *self.failures.entry(code(reason)).or_default() += 1;
    }

    /// Counts the loss of the link to a restart of the state machine.
    pub(crate) fn hand_over(&mut self) {
        if std::mem::take(&mut self.is_up) {
            *self.losses.entry("reloaded").or_default() += 1;
        }
    }

    /// Counts a plugin reply.
    pub(crate) fn reply(&mut self, reply: &ProviderReply) {
        let result = match reply {
            ProviderReply::Failed(ProviderFailure::Retry { .. }) => "retry",
            ProviderReply::Failed(ProviderFailure::Refused { .. }) => "refused",
            ProviderReply::Failed(ProviderFailure::Conflict { .. }) => "conflict",
            ProviderReply::Failed(ProviderFailure::Unauthorized { .. }) => "unauthorized",
            ProviderReply::Failed(ProviderFailure::LimitExceeded { .. }) => "limit-exceeded",
            ProviderReply::Failed(ProviderFailure::Broken { .. }) => "broken",
            ProviderReply::Failed(ProviderFailure::Missing { .. }) => "missing",
            _ => "ok",
        };
        *self.calls.entry(result).or_default() += 1;
    }

    /// Counts a configuration reload that was applied or rejected.
    pub(crate) const fn reload(&mut self, is_applied: bool) {
        self.reloads[is_applied as usize] += 1;
    }

    /// Counts a request on the local socket.
    pub(crate) const fn local_request(&mut self) {
        self.local_requests += 1;
    }

    /// Renders all metrics.
    pub(crate) fn text(&self, site: &LocalView, commits: &Commits) -> String {
        let mut metrics = Metrics::default();
        metrics
            .family("linecamp_build_info", Kind::Gauge, "Always 1, with the version of the daemon.")
            .sample(&[("program", "linecampd"), ("version", env!("CARGO_PKG_VERSION"))], 1);
        let help = "Start time of the process, in seconds since 1970.";
        metrics.one("process_start_time_seconds", Kind::Gauge, help, seconds_between(self.started, WallTime::EPOCH));
        metrics.process();
        self.write_link(&mut metrics, site);
        write_site(&mut metrics, site);
        write_providers(&mut metrics, &site.providers);
        let help = "Plugin calls, by result.";
        write_by_label(&mut metrics, "linecamp_plugin_calls_total", help, "result", &self.calls);
        commits.write(&mut metrics);
        let help = "Requests on the local socket.";
        metrics.one("linecamp_local_requests_total", Kind::Counter, help, self.local_requests);
        metrics
            .family("linecamp_reloads_total", Kind::Counter, "Configuration reloads, by result.")
            .sample(&[("result", "refused")], self.reloads[0])
            .sample(&[("result", "taken")], self.reloads[1]);
        metrics.into_text()
    }

    fn write_link(&self, metrics: &mut Metrics, site: &LocalView) {
        let is_up = u8::from(site.link.state == LinkState::Connected);
        metrics.one("linecamp_link_up", Kind::Gauge, "1 while connected to a server, otherwise 0.", is_up);
        let since = seconds_between(site.link.since, WallTime::EPOCH);
        let help = "Time of the last change of the link state, in seconds since 1970.";
        metrics.one("linecamp_link_change_timestamp_seconds", Kind::Gauge, help, since);
        metrics.one("linecamp_link_dials_total", Kind::Counter, "Connection attempts to a server.", self.dials);
        let help = "Connection attempts that failed, by reason.";
        write_by_label(metrics, "linecamp_link_dial_failures_total", help, "reason", &self.failures);
        let help = "Sessions established with a server; all but the first are reconnects.";
        metrics.one("linecamp_link_sessions_total", Kind::Counter, help, self.sessions);
        let help = "Sessions with a server that ended, by reason.";
        write_by_label(metrics, "linecamp_link_losses_total", help, "reason", &self.losses);
        if let Some(offset) = self.clock_offset {
            let help = "The server's clock minus the local clock, at the start of the last session.";
            metrics.one("linecamp_clock_offset_seconds", Kind::Gauge, help, offset);
        }
    }
}

/// Returns the metric's label of a loss.
const fn code(reason: &LossReason) -> &'static str {
    match reason {
        LossReason::Closed(refusal) => refusal.code.as_str(),
        LossReason::Unreachable(..) | LossReason::Failed(_) => "failed",
    }
}

fn write_site(metrics: &mut Metrics, site: &LocalView) {
    let help = "Newest spec generation stored durably.";
    metrics.one("linecamp_spec_applied_generation", Kind::Gauge, help, site.applied_generation.0);
    let lag = site.applied_generation.0.saturating_sub(site.converged_generation.0);
    let help = "Spec generations stored but not converged.";
    metrics.one("linecamp_spec_lag_generations", Kind::Gauge, help, lag);
    let help = "Events queued for the server.";
    metrics.one("linecamp_outbox_events", Kind::Gauge, help, site.outbox_events);
    let help = "Events dropped because the queue was full, since the database was created.";
    metrics.one("linecamp_outbox_dropped_events_total", Kind::Counter, help, site.events_dropped);
    let mut conditions = metrics.family("linecamp_conditions", Kind::Gauge, "Active conditions of the site, by kind.");
    for kind in linecamp_model::ConditionKind::ALL {
        let count = site.conditions.iter().filter(|condition| condition.kind == *kind).count();
        conditions.sample(&[("kind", kind.as_str())], count);
    }
    if let Some(end) = site.certificate_expires_at {
        let help = "Expiry of the site's certificate, in seconds since 1970.";
        let end = seconds_between(end, WallTime::EPOCH);
        metrics.one("linecamp_certificate_expiry_timestamp_seconds", Kind::Gauge, help, end);
    }
    metrics.one("linecamp_hosts", Kind::Gauge, "Hosts of the site.", site.hosts.len());
}

fn write_providers(metrics: &mut Metrics, providers: &[ProviderStatus]) {
    let failing = providers.iter().filter(|provider| provider.failure.is_some()).count();
    metrics
        .family("linecamp_providers", Kind::Gauge, "Providers of the site, by state.")
        .sample(&[("state", "working")], providers.len() - failing)
        .sample(&[("state", "failing")], failing);
    let mut records = metrics.family("linecamp_dns_records", Kind::Gauge, "DNS records of the site, by state.");
    for state in RecordState::ALL {
        let all = providers.iter().flat_map(|provider| provider.records());
        records.sample(&[("state", state.as_str())], all.filter(|record| record.state == *state).count());
    }
}

fn write_by_label(
    metrics: &mut Metrics,
    name: &'static str,
    help: &str,
    label: &'static str,
    counts: &BTreeMap<&'static str, u64>,
) {
    let mut family = metrics.family(name, Kind::Counter, help);
    for (value, count) in counts {
        family.sample(&[(label, value)], count);
    }
}

/// Returns `a` minus `b`, in seconds.
fn seconds_between(a: WallTime, b: WallTime) -> f64 {
    let later = |from: WallTime, to: WallTime| Duration::as_secs_f64(&from.saturating_since(to));
    if b <= a { later(a, b) } else { -later(b, a) }
}
