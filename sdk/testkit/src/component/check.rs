//! The complete test run of a component file.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use linecamp_model::{PluginDescription, PluginDigest};
use linecamp_plugin_host::{HostConfig, Limits, error_chain, inspect};
use linecamp_provider::RecordSet;
use linecamp_provider::http::HttpResponse;
use serde_json::json;

use super::hosted::{HostedComponent, PluginDir, StartError};
use super::sample;
use crate::checks;
use crate::conformance::examine;
use crate::fake_host::FaultPlan;
use crate::fake_service::{DnsRequest, Request, Service, reply};
use crate::harness::Harness;
use crate::report::{Report, Verdict};
use crate::setup::Setup;
use crate::under_test::{Call, CallResult, ProviderUnderTest};

/// Recommended maximum size of a component in bytes: sites download it over slow links. A larger one gets a note.
const RECOMMENDED_BYTES_MAX: u64 = 300 * 1024;

/// The unit in which memory is measured, in bytes: a WebAssembly page.
const PAGE_BYTES: usize = 64 * 1024;

/// The number of calls over which the time is measured.
const TIMED_CALLS: u32 = 50;

/// The default zone.
const ZONE_DEFAULT: &str = "example.org";

/// How to test a component.
#[derive(Debug)]
pub struct CheckSetup {
    compiler: PathBuf,
    config: Option<String>,
    zone: Option<String>,
    service: Option<Setup>,
}

impl CheckSetup {
    /// Takes the path of the program `linecamp-plugin-compiler`, which is installed beside the daemon.
    pub fn new(compiler: impl Into<PathBuf>) -> Self {
        Self { compiler: compiler.into(), config: None, zone: None, service: None }
    }

    /// Sets the config, in JSON. By default, one is made from the settings that the schema requires.
    #[must_use]
    pub fn config(mut self, json: &str) -> Self {
        self.config = Some(json.to_owned());
        self
    }

    /// Sets the zone. The default is `example.org`.
    #[must_use]
    pub fn zone(mut self, zone: &str) -> Self {
        self.zone = Some(zone.to_owned());
        self
    }

    /// Sets a fake of the service, with its own config and zone, and enables all checks. Without a fake, only those
    /// checks run that need no meaningful responses.
    #[must_use]
    pub fn against(mut self, setup: Setup) -> Self {
        self.service = Some(setup);
        self
    }
}

/// Tests a built component in the real host. Every problem is a row of the report, even a file that is not a component.
///
/// This call blocks; do not call it from inside an async runtime.
pub fn check_component(path: &Path, check: CheckSetup) -> Report {
    let mut report = Report::new(path.display().to_string());
    let found = match inspect(path, &host_config(&check.compiler, Limits::default())) {
        Ok(found) => found,
        Err(error) => {
            report.push("loads in the sandbox", Verdict::Fail, error_chain(&error));
            return report;
        }
    };
    let described = &found.description;
    report.subject = format!("{} {}, as a component", described.name, described.version);
    report.push("loads in the sandbox", Verdict::Pass, format!("{} bytes, {}", found.bytes, found.digest));
    let size = if found.bytes <= RECOMMENDED_BYTES_MAX { Verdict::Pass } else { Verdict::Note };
    report.push("is small", size, format!("{} of {} KiB", found.bytes.div_ceil(1024), RECOMMENDED_BYTES_MAX / 1024));
    report.push("imports only supported interfaces", Verdict::Pass, found.imports.join(", "));
    let plugin_dir = PluginDir::new(path, described, &check.compiler);
    let started = plugin_dir.and_then(|plugin_dir| {
        HostedComponent::start(&plugin_dir, Limits::default()).map(|component| (plugin_dir, component))
    });
    let (plugin_dir, component) = match started {
        Ok(started) => started,
        Err(error) => {
            report.push("starts in the sandbox", Verdict::Fail, error_chain(&error));
            return report;
        }
    };
    let has_service = check.service.is_some();
    let setup = check.service.unwrap_or_else(|| empty_setup(described, check.config, check.zone));
    let checks = checks::ALL.into_iter().filter(|check| has_service || !check.needs_service);
    match component.describe() {
        Ok(described) => {
            let harness = Harness::new(&setup, &component, &described);
            examine(&mut report, &harness, checks);
            measure(&mut report, &harness, &plugin_dir);
        }
        Err(why) => report.push("describes itself", Verdict::Fail, why),
    }
    report
}

/// The description of a component, and the digest of the bytes that described themselves so.
pub type DescribedComponent = (PluginDigest, PluginDescription);

/// Runs a component's `describe` in the real host, without a network and within the limits of a call.
///
/// This call blocks; do not call it from inside an async runtime.
///
/// # Errors
/// Why the component cannot be used.
pub fn describe_component(path: &Path, compiler: &Path) -> Result<DescribedComponent, String> {
    let found = inspect(path, &host_config(compiler, Limits::default())).map_err(|error| error_chain(&error))?;
    Ok((found.digest, found.description))
}

fn host_config(compiler: &Path, limits: Limits) -> HostConfig {
    HostConfig {
        directory: PathBuf::new(),
        compiler: compiler.to_owned(),
        ca_file: None,
        publishers: Vec::new(),
        validates_settings: false,
        limits,
    }
}

/// Returns a setup with a service that has no data.
fn empty_setup(described: &PluginDescription, config: Option<String>, zone: Option<String>) -> Setup {
    let config = config.unwrap_or_else(|| sample::config(&described.config_schema));
    let setup = Setup::new(zone.as_deref().unwrap_or(ZONE_DEFAULT), &config, || EmptyService);
    let setup = Setup { has_data: false, ..setup };
    described.secrets.iter().fold(setup, |setup, want| {
        // In base64, so that it is also valid as a TSIG key.
        let value = BASE64.encode(format!("not a real secret: {}", want.name).as_bytes());
        setup.secret(want.name.as_str(), &value)
    })
}

/// A service whose responses contain no data.
struct EmptyService;

impl Service for EmptyService {
    fn handle(&mut self, _request: &Request) -> HttpResponse {
        reply::json(200, &json!({"empty": true}))
    }

    fn handle_dns(&mut self, request: &DnsRequest) -> Vec<u8> {
        let mut response = request.message.clone();
        if let Some(flags) = response.get_mut(2) {
            *flags |= 0x80;
        }
        response
    }

    fn seed(&mut self, _set: &RecordSet) -> bool {
        false
    }

    fn records(&self) -> Vec<RecordSet> {
        Vec::new()
    }

    fn writes(&self) -> u64 {
        0
    }
}

/// Adds the resources that a call uses to the report.
fn measure(report: &mut Report, harness: &Harness<'_>, plugin_dir: &PluginDir<'_>) {
    let fixture = harness.fixture();
    let call = fixture.observing(&["foreign", "www"]);
    let (began, cpu_began) = (Instant::now(), thread_time());
    for _ in 0..TIMED_CALLS {
        fixture.call(FaultPlan::NoFault, &call);
    }
    let millis = |time: Duration| format!("{:.2} ms", (time / TIMED_CALLS).as_secs_f64() * 1000.0);
    let wall = millis(began.elapsed());
    let evidence = match thread_time().zip(cpu_began) {
        Some((cpu, cpu_began)) => format!("{} of CPU time, {wall} in total", millis(cpu.saturating_sub(cpu_began))),
        None => format!("{wall} in total"),
    };
    report.push("time to observe two names", Verdict::Note, evidence + ", including the fake service");
    let outcome = minimum_memory(harness, plugin_dir);
    let (verdict, evidence) = match outcome {
        Ok(bytes) => (Verdict::Note, format!("{} KiB of {} KiB", bytes / 1024, Limits::default().memory_bytes / 1024)),
        Err(error) => (Verdict::Fail, error_chain(&error)),
    };
    report.push("memory to complete every call", verdict, evidence);
}

/// Returns the least memory, found by bisection, with which no call breaks.
fn minimum_memory(harness: &Harness<'_>, plugin_dir: &PluginDir<'_>) -> Result<usize, StartError> {
    let suffices = |bytes: usize| {
        let limits = Limits { memory_bytes: bytes, ..Limits::default() };
        let component = HostedComponent::start(plugin_dir, limits)?;
        let harness = Harness::new(harness.setup, &component, harness.described);
        let fixture = harness.fixture();
        let calls = [Call::Validate, fixture.observing(&["foreign", "www"]), fixture.applying(&[])];
        Ok(calls.iter().all(|call| !matches!(fixture.call(FaultPlan::NoFault, call).0, CallResult::Broken(_))))
    };
    let (mut too_little, mut enough) = (0, Limits::default().memory_bytes / PAGE_BYTES);
    while too_little + 1 < enough {
        let middle = usize::midpoint(too_little, enough);
        match suffices(middle * PAGE_BYTES)? {
            true => enough = middle,
            false => too_little = middle,
        }
    }
    Ok(enough * PAGE_BYTES)
}

/// Returns the CPU time that the host's threads have used so far, where the system provides it.
fn thread_time() -> Option<Duration> {
    let tasks = fs::read_dir("/proc/self/task").ok()?;
    let nanos = tasks.flatten().filter_map(|task| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        let times = fs::read_to_string(task.path().join("schedstat")).ok()?;
        (name.trim() == "plugins").then(|| times.split(' ').next()?.parse::<u64>().ok())?
    });
    Some(Duration::from_nanos(nanos.sum()))
}

#[cfg(test)]
mod tests {
    use linecamp_model::limits::RECORD_VALUES_MAX;

    use super::*;

    #[test]
    fn the_guide_states_the_recommended_size() {
        let guide = include_str!("../../../GUIDE.md");
        let row = format!("\n| recommended size of a component | {} KiB | ", RECOMMENDED_BYTES_MAX / 1024);
        assert!(guide.contains(&row), "{row}");
    }

    #[test]
    fn sets_are_as_large_as_the_host_writes_them() {
        assert_eq!(checks::VALUES_MAX, RECORD_VALUES_MAX);
    }
}
