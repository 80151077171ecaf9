//! Whether this machine's clock is right: compared with the server's, or as systemd reports it.

use std::ops::Range;
use std::time::Duration;

use linecamp_model::WallTime;

use crate::code::FindingCode;
use crate::command::run_command;
use crate::finding::CheckResult;
use crate::systemd::systemd_runs;

/// How long `timedatectl` may take; it calls a service that systemd may have to start.
const LIMIT: Duration = Duration::from_secs(3);

/// Bytes of its output: two lines.
const BYTES_MAX: u64 = 4 * 1024;

/// How old a reported time may be when it is sent: it is in whole seconds, and a server may format it once a second.
const DATE_AGE_MAX: Duration = Duration::from_secs(2);

/// A time that a server reported, and what the local clock showed around that moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerDate {
    /// The time it reported.
    pub date: WallTime,
    /// The local clock before the request and after the response.
    pub local: Range<WallTime>,
}

impl ServerDate {
    /// Returns the smallest difference of the two clocks that explains this reading, and whether the local clock is
    /// behind.
    pub fn skew(&self) -> (Duration, bool) {
        let behind = self.date.saturating_since(self.local.end);
        let ahead = self.local.start.saturating_since(self.date + DATE_AGE_MAX);
        (behind.max(ahead), ahead < behind)
    }
}

/// What is known about the server's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerTime {
    /// The time it reported.
    Reported(ServerDate),
    /// The range it must be in, from the validity of its certificate.
    Within(Range<WallTime>),
}

/// Compares the local clock, which shows `ours` now, with the server's. A difference of more than `skew_max` is wrong.
pub fn clock(ours: WallTime, theirs: Option<&ServerTime>, skew_max: Duration) -> CheckResult {
    let remedy = "check which of the two clocks is wrong; on this machine, `timedatectl set-ntp true` (or chrony) keeps \
                  it correct, and `date -s` sets it once";
    match theirs {
        None => CheckResult::skipped(
            FindingCode::ClockUnknown,
            format!("no server reported its time; the local clock shows {ours}"),
        ),
        Some(ServerTime::Reported(reported)) => {
            let ServerDate { date, local } = reported;
            let (apart, is_behind) = reported.skew();
            let (code, way) = match is_behind {
                true => (FindingCode::ClockBehind, "behind"),
                false => (FindingCode::ClockAhead, "ahead of"),
            };
            if apart.is_zero() {
                return CheckResult::ok(format!("the local clock agrees with the server's, {date}"));
            }
            let evidence =
                format!("the local clock showed {}, {} {way} the server's ({date})", local.end, format_span(apart));
            match skew_max < apart {
                true => CheckResult::fail(code, evidence, remedy),
                false => CheckResult::ok(evidence),
            }
        }
        Some(ServerTime::Within(range)) => {
            let evidence = format!(
                "the local clock shows {ours}; the server's clock is between {} and {} according to its certificate, which \
                 it renews every day",
                range.start, range.end
            );
            let is_behind = ours < range.start.earlier(skew_max);
            let code = if is_behind { FindingCode::ClockBehind } else { FindingCode::ClockAhead };
            match is_behind || range.end + skew_max < ours {
                true => CheckResult::fail(code, evidence, remedy),
                false => CheckResult::ok(evidence),
            }
        }
    }
}

/// Asks systemd whether the clock is synchronized.
pub fn synchronized() -> CheckResult {
    if !systemd_runs() {
        return CheckResult::skipped(
            FindingCode::NoSystemd,
            "systemd is not running on this machine, so whether the clock is synchronized is unknown",
        );
    }
    let arguments = ["show", "--property=NTPSynchronized", "--value"];
    match run_command("timedatectl", &arguments, LIMIT, BYTES_MAX) {
        Ok(ran) => evaluate_synchronized(ran.stdout.trim()),
        Err(error) => CheckResult::skipped(
            FindingCode::ClockUnknown,
            format!("cannot determine whether the clock is synchronized: {error}"),
        ),
    }
}

fn evaluate_synchronized(answer: &str) -> CheckResult {
    match answer {
        "yes" => CheckResult::ok("timedatectl: the clock is synchronized"),
        "no" => CheckResult::warn(
            FindingCode::ClockNotSynchronized,
            "timedatectl: the clock is not synchronized",
            "`timedatectl set-ntp true`, or install chrony; certificates are issued by this clock",
        ),
        _ => CheckResult::skipped(
            FindingCode::ClockUnknown,
            "timedatectl does not report whether the clock is synchronized",
        ),
    }
}

/// Subtracts a duration from a time.
trait Earlier {
    fn earlier(self, by: Duration) -> Self;
}

impl Earlier for WallTime {
    fn earlier(self, by: Duration) -> Self {
        Self::EPOCH + self.saturating_since(Self::EPOCH + by)
    }
}

/// Formats a duration in its two largest units.
fn format_span(span: Duration) -> String {
    let seconds = span.as_secs();
    match (seconds / 86_400, seconds % 86_400 / 3600, seconds % 3600 / 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;

    const DAY: Duration = Duration::from_secs(86_400);
    const NOW: WallTime = WallTime::from_unix_millis(1_795_314_424_000);
    const SKEW: Duration = Duration::from_secs(90);

    #[track_caller]
    fn check(ours: WallTime, theirs: &ServerTime, expected: Verdict, code: FindingCode) {
        let result = clock(ours, Some(theirs), SKEW);
        assert_eq!((result.verdict, result.code), (expected, code), "{result:?}");
    }

    #[test]
    fn the_clock_is_compared_with_the_servers() {
        let check = |local, expected, code| {
            let reported = ServerTime::Reported(ServerDate { date: NOW, local: local..local });
            check(local, &reported, expected, code);
        };
        check(NOW + Duration::from_secs(1), Verdict::Ok, FindingCode::Ok);
        check(NOW + Duration::from_secs(80), Verdict::Ok, FindingCode::Ok);
        check(NOW + DAY, Verdict::Fail, FindingCode::ClockAhead);
        check(WallTime::EPOCH, Verdict::Fail, FindingCode::ClockBehind);
        assert_eq!(clock(NOW, None, SKEW).verdict, Verdict::Skipped);
    }

    /// A slow response, or a result that is evaluated later, does not look like another clock.
    #[test]
    fn clocks_are_compared_as_read_at_the_same_moment() {
        let seconds = Duration::from_secs;
        let skew = |from: WallTime, to: WallTime| ServerDate { date: NOW, local: from..to }.skew();
        assert_eq!(skew(NOW, NOW + seconds(100)), (Duration::ZERO, false));
        assert_eq!(skew(NOW.earlier(seconds(100)), NOW), (Duration::ZERO, false));
        assert_eq!(skew(NOW + seconds(10), NOW + seconds(20)), (seconds(8), false));
        assert_eq!(skew(NOW.earlier(seconds(20)), NOW.earlier(seconds(10))), (seconds(10), true));
        let reported = ServerTime::Reported(ServerDate { date: NOW, local: NOW.earlier(DAY)..NOW + DAY });
        check(NOW + DAY, &reported, Verdict::Ok, FindingCode::Ok);
    }

    #[test]
    fn without_a_reported_time_the_certificate_bounds_the_servers_clock() {
        let within = ServerTime::Within(NOW..NOW + DAY);
        check(NOW + DAY / 2, &within, Verdict::Ok, FindingCode::Ok);
        check(NOW.earlier(SKEW), &within, Verdict::Ok, FindingCode::Ok);
        check(NOW.earlier(2 * SKEW), &within, Verdict::Fail, FindingCode::ClockBehind);
        check(NOW + 2 * DAY, &within, Verdict::Fail, FindingCode::ClockAhead);
        check(WallTime::EPOCH, &within, Verdict::Fail, FindingCode::ClockBehind);
    }

    #[test]
    fn a_difference_is_shown_in_its_two_largest_units() {
        let check = |seconds, expected| assert_eq!(format_span(Duration::from_secs(seconds)), expected);
        check(7, "7 s");
        check(80, "1 min 20 s");
        check(3 * 3600, "3 h 0 min");
        check(86_400, "1 d 0 h");
    }

    #[test]
    fn synchronization_is_read_from_timedatectl() {
        assert_eq!(evaluate_synchronized("yes").verdict, Verdict::Ok);
        assert_eq!(evaluate_synchronized("no").verdict, Verdict::Warn);
        assert_eq!(evaluate_synchronized("").verdict, Verdict::Skipped);
    }
}
