//! The whole examination of a file.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use linecamp_plugin_host::{Description, HostConfig, Limits, inspect};
use linecamp_provider::RecordSet;
use linecamp_provider::http::HttpResponse;
use serde_json::json;

use super::play::{House, Play, PlayError};
use super::sample;
use crate::bench::Bench;
use crate::checks;
use crate::conformance::examine;
use crate::report::{Report, Verdict};
use crate::service::{DnsRequest, Request, Service, reply};
use crate::setup::Setup;
use crate::subject::{Ask, Ending, Subject};
use crate::world::Plan;

/// Bytes of a polite component: sites fetch it over thin lines. A larger one is noted.
const POLITE_BYTES: u64 = 300 * 1024;

/// Bytes by which memory is measured: a page of WebAssembly.
const PAGE_BYTES: usize = 64 * 1024;

/// Calls of which the time is measured.
const TIMED_CALLS: u32 = 50;

/// The zone, if nobody names one.
const ZONE_DEFAULT: &str = "example.org";

/// How a component is to be examined.
#[derive(Debug)]
pub struct CheckSetup {
    compiler: PathBuf,
    config: Option<String>,
    zone: Option<String>,
    service: Option<Setup>,
}

impl CheckSetup {
    /// Takes the program `linecamp-plugin-compiler`, which lies beside the daemon.
    pub fn new(compiler: impl Into<PathBuf>) -> Self {
        Self { compiler: compiler.into(), config: None, zone: None, service: None }
    }

    /// Takes a config in JSON. Without, one is made of what the schema requires.
    #[must_use]
    pub fn config(mut self, json: &str) -> Self {
        self.config = Some(json.to_owned());
        self
    }

    /// Takes a zone; without, it is `example.org`.
    #[must_use]
    pub fn zone(mut self, zone: &str) -> Self {
        self.zone = Some(zone.to_owned());
        self
    }

    /// Takes a model of the service, with its own config and zone: then everything is examined. Without, what can be
    /// examined when nobody answers sensibly.
    #[must_use]
    pub fn against(mut self, setup: Setup) -> Self {
        self.service = Some(setup);
        self
    }
}

/// Examines a built component in the real host. What is wrong is a row of the report, and so is a file that is none.
///
/// Blocks; not to be called where an async runtime is entered.
pub fn check_component(path: &Path, check: CheckSetup) -> Report {
    let mut report = Report::new(path.display().to_string());
    let found = match inspect(path, &host_config(&check.compiler, Limits::default())) {
        Ok(found) => found,
        Err(error) => {
            report.push("loads in the host", Verdict::Fail, chain(&error));
            return report;
        }
    };
    let described = &found.description;
    report.subject = format!("{} {}, as a component", described.name, described.version);
    report.push("loads in the host", Verdict::Pass, format!("{} bytes, {}", found.bytes, found.digest));
    let size = if found.bytes <= POLITE_BYTES { Verdict::Pass } else { Verdict::Note };
    report.push("is small", size, format!("{} of {} KiB", found.bytes.div_ceil(1024), POLITE_BYTES / 1024));
    report.push("imports what the host offers", Verdict::Pass, found.imports.join(", "));
    let house = House::new(path, described, &check.compiler);
    let started = house.and_then(|house| Play::start(&house, Limits::default()).map(|play| (house, play)));
    let (house, play) = match started {
        Ok(started) => started,
        Err(error) => {
            report.push("starts in the host", Verdict::Fail, chain(&error));
            return report;
        }
    };
    let has_service = check.service.is_some();
    let setup = check.service.unwrap_or_else(|| silent(described, check.config, check.zone));
    let checks = checks::ALL.into_iter().filter(|check| has_service || !check.needs_service);
    match play.describe() {
        Ok(described) => {
            let bench = Bench::new(&setup, &play, &described);
            examine(&mut report, &bench, checks);
            measure(&mut report, &bench, &house);
        }
        Err(why) => report.push("describes itself", Verdict::Fail, why),
    }
    report
}

fn host_config(compiler: &Path, limits: Limits) -> HostConfig {
    HostConfig {
        directory: PathBuf::new(),
        compiler: compiler.to_owned(),
        ca_file: None,
        publishers: Vec::new(),
        limits,
    }
}

/// Returns an error with its causes.
fn chain(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(&format!(": {error}"));
        cause = error.source();
    }
    words
}

/// Returns a setup with a service that has nothing to say.
fn silent(described: &Description, config: Option<String>, zone: Option<String>) -> Setup {
    let config = config.unwrap_or_else(|| sample::config(&described.config_schema));
    let setup = Setup::new(zone.as_deref().unwrap_or(ZONE_DEFAULT), &config, || Silence);
    described.secrets.iter().fold(setup, |setup, want| {
        // In base64, so that it will do for a TSIG key too.
        let value = BASE64.encode(format!("no real secret: {}", want.name).as_bytes());
        setup.secret(want.name.as_str(), &value)
    })
}

/// A service that answers, and says nothing.
struct Silence;

impl Service for Silence {
    fn handle(&mut self, _request: &Request) -> HttpResponse {
        reply::json(200, &json!({"silence": true}))
    }

    fn handle_dns(&mut self, request: &DnsRequest) -> Vec<u8> {
        let mut answer = request.message.clone();
        if let Some(flags) = answer.get_mut(2) {
            *flags |= 0x80;
        }
        answer
    }

    fn plant(&mut self, _set: &RecordSet) -> bool {
        false
    }

    fn zone(&self) -> Vec<RecordSet> {
        Vec::new()
    }

    fn writes(&self) -> u64 {
        0
    }
}

/// Adds what a call takes.
fn measure(report: &mut Report, bench: &Bench<'_>, house: &House<'_>) {
    let room = bench.room();
    let ask = room.observing(&["foreign", "www"]);
    let (began, cpu_began) = (Instant::now(), thread_time());
    for _ in 0..TIMED_CALLS {
        room.call(Plan::Calm, &ask);
    }
    let millis = |time: Duration| format!("{:.2} ms", (time / TIMED_CALLS).as_secs_f64() * 1000.0);
    let wall = millis(began.elapsed());
    let evidence = match thread_time().zip(cpu_began) {
        Some((cpu, cpu_began)) => format!("{} on the processor, {wall} in all", millis(cpu.saturating_sub(cpu_began))),
        None => format!("{wall} in all"),
    };
    report.push("takes time to observe two names", Verdict::Note, evidence + ", the model's own included");
    let outcome = least_memory(bench, house);
    let (verdict, evidence) = match outcome {
        Ok(bytes) => (Verdict::Note, format!("{} KiB of {} KiB", bytes / 1024, Limits::default().memory_bytes / 1024)),
        Err(error) => (Verdict::Fail, chain(&error)),
    };
    report.push("takes memory to be asked everything", verdict, evidence);
}

/// Returns the least memory with which all calls end as they do with plenty: found by halving.
fn least_memory(bench: &Bench<'_>, house: &House<'_>) -> Result<usize, PlayError> {
    let suffices = |bytes: usize| {
        let limits = Limits { memory_bytes: bytes, ..Limits::default() };
        let play = Play::start(house, limits)?;
        let bench = Bench::new(bench.setup, &play, bench.described);
        let room = bench.room();
        let asks = [Ask::Check, room.observing(&["foreign", "www"]), room.applying(&[])];
        Ok(asks.iter().all(|ask| !matches!(room.call(Plan::Calm, ask).0, Ending::Broken(_))))
    };
    let (mut too_few, mut enough) = (0, Limits::default().memory_bytes / PAGE_BYTES);
    while too_few + 1 < enough {
        let middle = usize::midpoint(too_few, enough);
        match suffices(middle * PAGE_BYTES)? {
            true => enough = middle,
            false => too_few = middle,
        }
    }
    Ok(enough * PAGE_BYTES)
}

/// Returns the processor time of the host's threads so far, where the system says it.
fn thread_time() -> Option<Duration> {
    let tasks = fs::read_dir("/proc/self/task").ok()?;
    let nanos = tasks.flatten().filter_map(|task| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        let times = fs::read_to_string(task.path().join("schedstat")).ok()?;
        (name.trim() == "plugins").then(|| times.split(' ').next()?.parse::<u64>().ok())?
    });
    Some(Duration::from_nanos(nanos.sum()))
}
