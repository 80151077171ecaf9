//! The link recorder: why the site had no session with its server, for when it is back.
//!
//! A *gap* is the time between two sessions, over any number of attempts, crashes and restarts. What an attempt
//! observes counts for the time since the attempt before it; what ended the previous run of the daemon counts for the
//! time until this one started. The next hello reports the gap, and the server stores it with the return of the site.
//!
//! What has to survive a power cut or a crash is one record of the database ([`LinkRecord`]). It is written when the
//! daemon stops, at the first session of a run if it differs, and during a gap after [`GAP_MIN`] and then once every
//! [`NOTE_INTERVAL`]. A shorter gap writes nothing, however often it happens. A run that was cut off had a session if
//! its record has no gap: it could not note when it ended, and only the server knows. If its record has one, it ended
//! within the hour after the record was written. That hour counts for a power cut; after a crash, after which the
//! daemon is usually started again at once, it counts for the cause before.

use std::time::Duration;

use linecamp_model::limits::LINK_GAPS_WAITING_MAX;
use linecamp_model::{
    BootId, GapCause, GapReport, Instant, LinkRecord, Now, RefusalCode, SiteChange, Text, link_error,
};

use super::super::config::SiteConfig;
use super::super::effects::Effects;
use super::super::link_event::LossReason;
use super::super::output::Timer;
use crate::DISCONNECTED_AFTER;

/// The shortest gap that is noted and kept: as long as a lost link counts as reconnecting.
pub(super) const GAP_MIN: Duration = DISCONNECTED_AFTER;

/// How often a gap in progress is noted again. A power cut loses what was observed since.
pub(super) const NOTE_INTERVAL: Duration = Duration::from_secs(3600);

/// Records gaps of the link.
#[derive(Clone, Debug)]
pub(super) struct LinkRecorder {
    boot: Option<BootId>,
    daemon_version: Text,
    gap: Option<OpenGap>,
    /// Gaps that no server has acknowledged, oldest first.
    waiting: Vec<GapReport>,
}

/// The gap in progress.
#[derive(Clone, Debug)]
struct OpenGap {
    /// What is known of it. Its beginning is by the clock of the run in which it began.
    report: GapReport,
    /// When it began, if that was in this run.
    began: Option<Instant>,
    /// Up to when the causes are counted.
    counted_to: Instant,
    /// The last observed cause, which holds until another one is observed.
    cause: GapCause,
    /// Whether the server said that it stops, and has not answered since: silence has this cause.
    is_server_stopped: bool,
}

impl LinkRecorder {
    /// Starts with the record of earlier runs. A site that was never registered has no gap.
    pub(super) fn new(config: &SiteConfig, record: Option<&LinkRecord>, is_member: bool, now: Now) -> Self {
        let mut recorder = Self {
            boot: config.boot,
            daemon_version: config.daemon_version.clone(),
            gap: is_member.then(|| OpenGap::new(GapReport::default(), None, now)),
            waiting: record.map(|record| record.waiting.clone()).unwrap_or_default(),
        };
        if let (Some(gap), Some(record)) = (&mut recorder.gap, record) {
            let end = end_of_run(record, config);
            // A run that was cut off while it had a session did not note when it ended.
            let is_known = record.is_stopped || record.current.is_some();
            let time = if is_known { now.wall.saturating_since(record.noted_at) } else { Duration::ZERO };
            let stopped = GapReport { began_at: record.is_stopped.then_some(record.noted_at), ..GapReport::default() };
            gap.report = record.current.clone().unwrap_or(stopped);
            let seen = if end == GapCause::DaemonCrash { time.min(NOTE_INTERVAL) } else { Duration::ZERO };
            if let Some(current) = record.current.as_ref().filter(|_| !seen.is_zero()) {
                gap.report.times.add(current.times.longest(), seen);
                gap.report.times.add(end, time - seen);
            } else {
                gap.report.times.add(end, time);
            }
            gap.cause = end;
        }
        recorder
    }

    /// Plans the notes of a gap that an earlier run began.
    pub(super) fn start(&self, now: Now, effects: &mut Effects) {
        if self.gap.is_some() {
            effects.set_timer(Timer::NoteGap, now, GAP_MIN);
        }
    }

    /// Handles the end of a session: a gap begins.
    pub(super) fn session_lost(&mut self, reason: &LossReason, now: Now, effects: &mut Effects) {
        let report = GapReport { began_at: Some(now.wall), ..GapReport::default() };
        self.gap = Some(OpenGap::new(report, Some(now.instant), now));
        self.attempt_failed(reason, now);
        effects.set_timer(Timer::NoteGap, now, GAP_MIN);
    }

    /// Handles a failed attempt to open a session.
    pub(super) fn attempt_failed(&mut self, reason: &LossReason, now: Now) {
        if let Some(gap) = &mut self.gap {
            gap.observe(reason, now);
        }
    }

    /// Returns the gaps to report in a hello. The last one is in progress, and the hello may end it.
    pub(super) fn to_report(&self, now: Now) -> Vec<GapReport> {
        self.waiting.iter().cloned().chain(self.gap.as_ref().map(|gap| gap.report(now))).collect()
    }

    /// Handles a new session. The server has the gaps that the hello reported, or they wait for the next one.
    pub(super) fn session_opened(&mut self, is_reported: bool, now: Now, effects: &mut Effects) {
        effects.clear_timer(Timer::NoteGap);
        let gap = self.gap.take();
        if is_reported {
            self.waiting.clear();
        } else if let Some(gap) = gap.filter(|gap| GAP_MIN <= gap.length(now)) {
            self.waiting.push(GapReport { ended_at: Some(now.wall), ..gap.report(now) });
            self.merge_oldest();
        }
        self.save(false, now, effects);
    }

    /// Notes the gap in progress.
    pub(super) fn note(&self, now: Now, effects: &mut Effects) {
        if self.gap.is_some() {
            effects.set_timer(Timer::NoteGap, now, NOTE_INTERVAL);
            self.save(false, now, effects);
        }
    }

    /// Writes the record unless the disk has it. While the store fails nothing is written.
    pub(super) fn save(&self, is_stopped: bool, now: Now, effects: &mut Effects) {
        // Of a gap that may still be short, nothing is noted, unless the run ends.
        let is_noted = |gap: &&OpenGap| is_stopped || GAP_MIN <= gap.length(now);
        let record = LinkRecord {
            boot: self.boot,
            daemon_version: self.daemon_version.clone(),
            noted_at: now.wall,
            is_stopped,
            current: self.gap.as_ref().filter(is_noted).map(|gap| gap.report(now)),
            waiting: self.waiting.clone(),
        };
        let stored = effects.state().link_record.as_deref();
        let is_stored = stored.is_some_and(|stored| is_same(stored, &record));
        if !is_stored && !effects.is_store_failing() {
            effects.stage(&[SiteChange::LinkRecord(Some(Box::new(record)))], Vec::new());
        }
    }

    /// Merges the two oldest gaps if there is no room for another one in a hello.
    fn merge_oldest(&mut self) {
        if LINK_GAPS_WAITING_MAX <= self.waiting.len() {
            let oldest = self.waiting.remove(0);
            if let Some(next) = self.waiting.first_mut() {
                let later = std::mem::replace(next, oldest);
                next.merge(&later);
            }
        }
    }
}

impl OpenGap {
    fn new(report: GapReport, began: Option<Instant>, now: Now) -> Self {
        Self { report, began, counted_to: now.instant, cause: GapCause::Unknown, is_server_stopped: false }
    }

    fn observe(&mut self, reason: &LossReason, now: Now) {
        let (mut cause, refusal, text) = match reason {
            LossReason::Closed(refusal) => (cause_of(refusal.code), Some(refusal.code), &refusal.text),
            LossReason::Unreachable(cause, text) => (*cause, None, text),
            LossReason::Failed(text) => (GapCause::Unknown, None, text),
        };
        if cause == GapCause::NoAnswer && self.is_server_stopped {
            cause = GapCause::ServerStopped;
        }
        let has_answered = matches!(cause, GapCause::Refused | GapCause::Paced | GapCause::Tls);
        self.is_server_stopped = !has_answered && (self.is_server_stopped || cause == GapCause::ServerStopped);
        self.count(cause, now);
        self.cause = cause;
        self.report.refusal = refusal.filter(|_| cause == GapCause::Refused).or(self.report.refusal);
        self.report.last_error = link_error(text);
    }

    /// Counts the time so far for a cause.
    fn count(&mut self, cause: GapCause, now: Now) {
        let time = now.instant.saturating_since(self.counted_to);
        if !time.is_zero() {
            self.report.times.add(cause, time);
        }
        self.counted_to = now.instant;
    }

    fn report(&self, now: Now) -> GapReport {
        let mut gap = self.clone();
        gap.count(self.cause, now);
        // The wall clock may have been set since.
        let began_at = self.began.map(|began| now.wall.saturating_sub(now.instant.saturating_since(began)));
        GapReport { began_at: began_at.or(gap.report.began_at), ..gap.report }
    }

    fn length(&self, now: Now) -> Duration {
        match self.began {
            Some(began) => now.instant.saturating_since(began),
            None => self.report(now).times.total(),
        }
    }
}

/// Returns what ended the run that wrote a record.
fn end_of_run(record: &LinkRecord, config: &SiteConfig) -> GapCause {
    let was_rebooted = record.boot.zip(config.boot).is_some_and(|(before, after)| before != after);
    match (was_rebooted, record.is_stopped, record.daemon_version == config.daemon_version) {
        (true, _, _) => GapCause::PowerOff,
        (false, false, _) => GapCause::DaemonCrash,
        (false, true, false) => GapCause::DaemonUpdate,
        (false, true, true) => GapCause::DaemonRestart,
    }
}

/// Returns the cause that a close by the server stands for.
const fn cause_of(code: RefusalCode) -> GapCause {
    match code {
        RefusalCode::ServerStopping => GapCause::ServerStopped,
        RefusalCode::Busy => GapCause::Paced,
        RefusalCode::Done | RefusalCode::SiteStopping => GapCause::Unknown,
        RefusalCode::Protocol
        | RefusalCode::NoCommonVersion
        | RefusalCode::TokenUnknown
        | RefusalCode::TokenExpired
        | RefusalCode::TokenUsedUp
        | RefusalCode::TokenRevoked
        | RefusalCode::NameTaken
        | RefusalCode::EnvironmentFull
        | RefusalCode::SiteFull
        | RefusalCode::NotRegistered
        | RefusalCode::Removed
        | RefusalCode::DuplicateIdentity
        | RefusalCode::RecoverLimit
        | RefusalCode::Superseded
        | RefusalCode::StoreFailed
        | RefusalCode::ServerRestored => GapCause::Refused,
    }
}

/// Whether two records say the same. When a record was written matters only if it says that something ended then.
fn is_same(stored: &LinkRecord, record: &LinkRecord) -> bool {
    let is_timeless = record.current.is_none() && !record.is_stopped;
    let noted_at = if is_timeless { stored.noted_at } else { record.noted_at };
    *stored == LinkRecord { noted_at, ..record.clone() }
}
