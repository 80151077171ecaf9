//! Loading a compiled plugin, and calling it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use linecamp_model::{
    CallId, DnsSettings, DomainName, Grant, Name, NameTemplate, OwnerId, PluginRef, ProviderConfig, ProviderFailure,
    ProviderReply, ProviderRequest, ProviderSpec, SecretName, Selector, Ttl,
};
use linecamp_plugin_host::{HostEvent, InlineHost, PluginHost, ProviderCall, Secrets, SiteSecret};

use super::{PLUGINS, Parts};
use crate::machine::Burst;
use crate::numbers::{median, micros, millis, percentile};
use crate::paths::Bench;
use crate::results::{Bound, Figure, Table};

/// The budgets, for medians.
const LOAD_MS_MAX: f64 = 1.0;
const CALL_US_MAX: f64 = 100.0;

/// The secrets of a site that has none.
struct NoSecrets;

impl Secrets for NoSecrets {
    fn find(&self, name: &SecretName) -> SiteSecret {
        SiteSecret::missing(name, "the bench")
    }
}

pub(super) async fn measure(parts: &Parts, bench: &Bench, table: &mut Table) -> anyhow::Result<()> {
    let folder = bench.scratch()?;
    for name in PLUGINS {
        parts.install(name, folder.path())?;
        let plugin = PluginRef { name: Name::parse(name)?, digest: None };
        stepwise(&plugin, parts, bench, (folder.path(), table)).await?;
        through_the_host(&plugin, parts, bench, (folder.path(), table)).await?;
    }
    Ok(())
}

/// Measures the parts of a call, one after the other on this thread.
async fn stepwise(
    plugin: &PluginRef,
    parts: &Parts,
    bench: &Bench,
    (folder, table): (&Path, &mut Table),
) -> anyhow::Result<()> {
    let host = InlineHost::open(&parts.config(folder))?;
    // The first load compiles it.
    let loaded = host.load(plugin).await?;
    let burst = Burst::begin(&[]);
    let (loads, calls) = (bench.scale(300, 20), bench.scale(3_000, 100));
    let mut times = Vec::with_capacity(loads);
    for _ in 0..loads {
        let began = Instant::now();
        let loaded = host.load(plugin).await?;
        times.push(began.elapsed());
        drop(loaded);
    }
    let how = format!(
        "from the files in the page cache to a description: read and hash the component, hash and map its compiled \
         form, one call; {}; median of {loads}, p99 {:.2} ms",
        burst.describe(),
        millis(percentile(&times, 0.99))
    );
    let name = &plugin.name;
    table.compare(
        &format!("{name}: load"),
        Figure::new(millis(median(&times)), "ms"),
        Bound::AtMost(LOAD_MS_MAX),
        &how,
    );

    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let began = Instant::now();
        host.describe(&loaded).await.map_err(|problem| anyhow!("{name} {problem}"))?;
        times.push(began.elapsed());
    }
    let how = format!(
        "`describe`, from a new store to its end, on one thread; median of {calls}, p99 {:.0} µs",
        micros(percentile(&times, 0.99))
    );
    let figure = Figure::new(micros(median(&times)), "µs");
    table.compare(&format!("{name}: instantiate and smallest call"), figure, Bound::AtMost(CALL_US_MAX), &how);
    Ok(())
}

/// Measures a call as the daemon makes it: over a queue to the plugins' thread, and back as an event.
async fn through_the_host(
    plugin: &PluginRef,
    parts: &Parts,
    bench: &Bench,
    (folder, table): (&Path, &mut Table),
) -> anyhow::Result<()> {
    let mut host = PluginHost::start(parts.config(folder), Arc::new(NoSecrets))?;
    let burst = Burst::begin(&[]);
    let spec = Arc::new(spec(plugin)?);
    let calls = bench.scale(3_000, 100);
    let mut times = Vec::with_capacity(calls);
    for number in 0..=calls {
        let took = time_rejected_call(&mut host, CallId(number as u64), &spec).await?;
        // The first call loads the plugin.
        if 0 < number {
            times.push(took);
        }
    }
    let how = format!(
        "`check` of settings that do not read, so that nothing is sent: to the plugins' thread, a new instance, and \
         back as an event; {}; median of {calls}",
        burst.describe()
    );
    let figure = Figure::new(micros(median(&times)), "µs");
    table.record(&format!("{}: a whole call as the daemon makes it", plugin.name), figure, &how);
    Ok(())
}

/// Validates a provider without settings, and asserts that the plugin rejects it.
async fn time_rejected_call(host: &mut PluginHost, call: CallId, spec: &Arc<ProviderSpec>) -> anyhow::Result<Duration> {
    let began = Instant::now();
    host.call(ProviderCall { call, spec: Arc::clone(spec), is_local: true, request: ProviderRequest::Validate });
    let event = host.event().await;
    let took = began.elapsed();
    match event {
        HostEvent::Replied { reply: ProviderReply::Failed(ProviderFailure::Refused { .. }), .. } => Ok(took),
        other => bail!("the plugin did something else than refuse its settings: {other:?}"),
    }
}

/// A provider whose settings lack what every plugin needs, and contain a key that none knows.
fn spec(plugin: &PluginRef) -> anyhow::Result<ProviderSpec> {
    Ok(ProviderSpec {
        name: Name::parse("bench")?,
        plugin: plugin.clone(),
        config: ProviderConfig::of_json(r#"{"unknown": 1}"#)?,
        secrets: std::collections::BTreeMap::new(),
        grant: Grant::default(),
        kind: DnsSettings {
            owner: OwnerId::parse("bench")?,
            zones: [DomainName::parse("example.org")?].into(),
            template: NameTemplate::parse(NameTemplate::DEFAULT)?,
            ttl: Ttl::DEFAULT,
            hosts: Selector::default(),
            observed_address: false,
            allow_deletes: false,
            withdraw_inactive: false,
            extra: Vec::new(),
        }
        .into(),
        is_dry_run: false,
        is_withdrawing: false,
    })
}
