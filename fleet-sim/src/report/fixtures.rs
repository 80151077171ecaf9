//! Sample outcomes for testing reports: one that passed, one with everything in it, one that is hostile.

#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the numbers are small and made up")]

use crate::outcome::{Figures, Outcome, Sample, SlowSite, Storm, Verdict, Violation};

const DAY: f64 = 86_400.0;
const SITES: u32 = 500;
/// Ten minutes between samples.
const STEP: f64 = 600.0;

/// Returns 30 days of 500 sites with three storms, a partition and two violations.
pub(crate) fn failed() -> Outcome {
    Outcome {
        scenario: "storms-and-partitions".into(),
        about: "A month of faults: the server restarts, a region goes offline, and the server is down for hours."
            .into(),
        mode: "quic".into(),
        seed: 42,
        sites: SITES,
        virtual_seconds: 30.0 * DAY,
        wall_seconds: 41.2,
        events: 48_213_907,
        trace_hash: "8f3c2a90b1d7e64455aa0c1d9e7f3b2261c0de998b7a66541203fedcba987654".into(),
        wire_hash: Some("17d0e5c3a2b4968877665544332211000f1e2d3c4b5a69788796a5b4c3d2e1f0".into()),
        outcome: Verdict::Failed,
        violations: violations(),
        figures: Figures {
            messages: 9_345_120,
            bytes: 14_820_334_112,
            bytes_per_site_month: 29_640_668,
            bytes_per_site_month_max: 61_204_551,
            dials: 61_702,
            sessions: 58_911,
            site_writes: 214_455,
            server_writes: 90_233,
            faults: 12_401,
            requests: 36_000,
            requests_refused: 212,
            converged_after_seconds: 251.4,
            memory_bytes: 1_384_120_320,
        },
        samples: samples(),
        storms: vec![
            storm("the server restarted", 6.2 * DAY, SITES, 30.0),
            storm("region eu-north lost its network for 9 hours", 14.875 * DAY, 180, 95.0),
            storm("the server was down for 3 hours", 23.0 * DAY, SITES, 120.0),
        ],
        slowest: slowest(),
    }
}

/// Returns a run without violations.
pub(crate) fn passed() -> Outcome {
    Outcome {
        seed: 7,
        mode: "model".into(),
        outcome: Verdict::Passed,
        violations: Vec::new(),
        wall_seconds: 9.8,
        ..failed()
    }
}

/// Returns a run that tries to break its reports: markup, control characters, invalid numbers, peaks that match
/// nothing.
pub(crate) fn malicious() -> Outcome {
    let hostile = "</script><script>alert('x')</script>\" onload=\"x\u{1b}[2J\u{0}\u{202e}&amp;]]>\n--";
    let sample = |at_seconds| Sample { at_seconds, connected: u32::MAX, bytes: u64::MAX, ..Sample::default() };
    Outcome {
        scenario: hostile.into(),
        about: hostile.into(),
        mode: hostile.into(),
        trace_hash: hostile.into(),
        wire_hash: Some(hostile.into()),
        virtual_seconds: f64::INFINITY,
        wall_seconds: f64::NAN,
        events: u64::MAX,
        violations: vec![Violation {
            checker: hostile.into(),
            at_seconds: f64::NAN,
            sites: vec![hostile.into(); 20],
            what: hostile.into(),
            replay: hostile.into(),
            inputs: vec![hostile.into()],
            ..Violation::default()
        }],
        figures: Figures { converged_after_seconds: f64::NEG_INFINITY, bytes: u64::MAX, ..Figures::default() },
        samples: [f64::NAN, 0.0, 0.0, 5.0, 1.0, f64::INFINITY, 1e300].map(sample).to_vec(),
        storms: vec![
            Storm { what: hostile.into(), at_seconds: f64::NAN, back_50_seconds: Some(f64::NAN), ..Storm::default() },
            Storm {
                dials_per_second: vec![0, u32::MAX, 0, 3],
                second_peak: 99,
                back_99_seconds: Some(1e9),
                ..Storm::default()
            },
        ],
        slowest: vec![SlowSite {
            site: hostile.into(),
            why: hostile.into(),
            seconds: f64::INFINITY,
            ..SlowSite::default()
        }],
        ..Outcome::default()
    }
}

fn violations() -> Vec<Violation> {
    let input = |text: &str| text.to_owned();
    vec![
        Violation {
            checker: "acknowledged-writes-survive".into(),
            step: 31_204_882,
            at_seconds: 19.6 * DAY + 2_471.375,
            sites: vec!["site-0317".into()],
            what: "site-0317 acknowledged generation 48 and has generation 47 after its restart".into(),
            replay: "linecamp-sim run scenarios/storms-and-partitions.toml --seed 42 --sites 317 --until-step 31204882"
                .into(),
            inputs: vec![
                input("19 d 15:05:11.020  site-0317  message: delta 47..48, 3 labels"),
                input("19 d 15:05:11.020  site-0317  output: persist generation 48"),
                input("19 d 15:05:11.022  site-0317  fault: power lost, 1 write unsynced"),
                input("19 d 15:05:11.375  site-0317  start: reads generation 47"),
            ],
        },
        Violation {
            checker: "one-session-per-site".into(),
            step: 37_933_001,
            at_seconds: 23.0 * DAY + 12.5,
            sites: vec!["site-0042".into(), "site-0042 (copy)".into()],
            what: "two sessions of one identity were established at once, in epochs 118 and 119".into(),
            replay: "linecamp-sim run scenarios/storms-and-partitions.toml --seed 42 --until-step 37933001".into(),
            inputs: vec![
                input("23 d 00:00:12.481  server     hello from site-0042, epoch 118"),
                input("23 d 00:00:12.499  server     hello from site-0042 (copy), epoch 119"),
            ],
        },
    ]
}

fn samples() -> Vec<Sample> {
    let mut rng = SimRng(42);
    (0..=4_320_u32).map(|number| sample(f64::from(number) * STEP, &mut rng)).collect()
}

fn sample(at_seconds: f64, rng: &mut SimRng) -> Sample {
    let days = at_seconds / DAY;
    let is_within = |from: f64, hours: f64| days >= from && days < from + hours / 24.0;
    let flapping = rng.below(6) + u32::from(is_within(10.0, 30.0)) * (14 + rng.below(12));
    let (mut reconnecting, mut disconnected) = (flapping, 2 + rng.below(2));
    if is_within(14.5, 9.0) {
        (reconnecting, disconnected) = if is_within(14.5, 0.5) { (180, 2) } else { (flapping, 182) };
    }
    if is_within(22.875, 3.0) {
        (reconnecting, disconnected) = if is_within(22.875, 0.5) { (SITES - 2, 2) } else { (0, SITES) };
    }
    if is_within(6.196, 0.2) || is_within(23.0, 0.2) {
        (reconnecting, disconnected) = (300, 60);
    }
    let connected = SITES.saturating_sub(reconnecting + disconnected);
    let converged = connected.saturating_sub(rng.below(8)) + disconnected / 3;
    let daily = 1.0 + 0.45 * (days * std::f64::consts::TAU).sin();
    let messages = (f64::from(connected) * 4.2 * daily) as u64 + u64::from(rng.below(400) + reconnecting * 12);
    Sample {
        at_seconds,
        connected,
        reconnecting,
        disconnected,
        converged,
        messages,
        bytes: messages * (1_450 + u64::from(rng.below(300))),
        dials: u64::from(reconnecting * 2 + rng.below(4)),
    }
}

/// Sites reconnect with jitter, most of them soon; those whose first dial was lost reconnect in a second wave.
fn storm(what: &str, at_seconds: f64, lost: u32, spread: f64) -> Storm {
    let mut rng = SimRng(u64::from(lost));
    let wave = |second: f64, middle: f64, width: f64| (-((second - middle) / width).powi(2)).exp();
    let density =
        |second: f64| wave(second, spread * 0.3, spread * 0.22) + 0.3 * wave(second, spread * 1.3, spread * 0.2);
    let all: f64 = (0..300_u32).map(|second| density(f64::from(second))).sum();
    let dials_per_second: Vec<u32> = (0..300_u32)
        .map(|second| {
            let dials = 1.2 * f64::from(lost) * density(f64::from(second)) / all;
            (dials * (0.8 + 0.05 * f64::from(rng.below(9)))).round() as u32
        })
        .collect();
    let first = dials_per_second.iter().copied().max().unwrap_or_default();
    let second = dials_per_second.iter().skip((spread * 0.85) as usize).copied().max().unwrap_or_default();
    Storm {
        what: what.into(),
        at_seconds,
        lost,
        back_50_seconds: Some(spread * 0.34),
        back_90_seconds: Some(spread * 1.25),
        back_99_seconds: Some(spread * 1.8),
        dials_per_second,
        first_peak: first,
        second_peak: second,
    }
}

fn slowest() -> Vec<SlowSite> {
    let slow = |site: &str, profile: &str, seconds, why: &str| SlowSite {
        site: site.into(),
        profile: profile.into(),
        seconds,
        why: why.into(),
    };
    vec![
        slow(
            "site-0441",
            "satellite",
            843.0,
            "its clock was wrong by 400 days, and the certificate had to be recovered first",
        ),
        slow("site-0127", "lte", 512.5, "waited 8 min 10 s before its next dial"),
        slow("site-0128", "lte", 498.1, "waited 7 min 58 s before its next dial"),
        slow("site-0330", "dsl", 301.0, "the disk was full, and the delta could not be committed"),
        slow("site-0005", "satellite", 244.9, "two of three handshakes were lost"),
        slow("site-0209", "lte", 120.3, "waited 2 min before its next dial"),
    ]
}

/// A generator good enough for sample plots (xorshift64).
struct SimRng(u64);

impl SimRng {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 % u64::from(end)).unwrap_or_default()
    }
}
