//! What plugins cost: file size, loading, calls, and an idle daemon with two of them.
//!
//! Loading and calls go through the plugin host as in the daemon, in a program built like the daemon: static, small,
//! for musl. `cargo xtask bench plugins` builds everything and sets the paths.

mod alternatives;
mod call;
mod resident;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum as _;
use linecamp_plugin_host::{HostConfig, Limits};

use crate::PluginLine;
use crate::numbers::count;
use crate::paths::Bench;
use crate::results::{Bound, Figure, Table};

/// The size budget of a component.
const COMPONENT_KB_MAX: f64 = 300.0;

/// Names the directory of the built components, as in the tests.
const PLUGINS_VARIABLE: &str = "LINECAMP_PLUGINS";

/// Names the compiler program.
const COMPILER_VARIABLE: &str = "LINECAMP_BENCH_COMPILER";

/// The shipped plugins.
const PLUGINS: [&str; 3] = ["dns-powerdns", "dns-rfc2136", "dns-route53"];

/// Locations of the components and the compiler.
#[derive(Debug)]
struct Parts {
    components: PathBuf,
    compiler: PathBuf,
}

pub(crate) async fn measure(line: PluginLine, bench: &Bench, table: &mut Table) -> anyhow::Result<()> {
    let parts = Parts::find()?;
    match line {
        PluginLine::Size => sizes(&parts, bench, table),
        PluginLine::Call => call::measure(&parts, bench, table).await,
        PluginLine::Alternatives => alternatives::measure(bench, table).await,
        PluginLine::Resident => resident::measure(&parts, bench, table).await,
    }
}

/// Returns the measurements to run, in order; all of them if none is selected.
pub(crate) fn lines(only: &[PluginLine]) -> Vec<PluginLine> {
    let all = PluginLine::value_variants().iter();
    all.filter(|line| only.is_empty() || only.contains(line)).copied().collect()
}

/// File sizes: the components that a site downloads, and the programs with and without the compiler.
fn sizes(parts: &Parts, bench: &Bench, table: &mut Table) -> anyhow::Result<()> {
    let bytes = |path: &Path| {
        let metadata = path.metadata().with_context(|| format!("failed to look at {}", path.display()));
        metadata.map(|metadata| count(metadata.len()))
    };
    for name in PLUGINS {
        let size = Figure::new(bytes(&parts.component(name))? / 1e3, "KB");
        table.compare(
            &format!("component {name}"),
            size,
            Bound::AtMost(COMPONENT_KB_MAX),
            "the file, built for release",
        );
    }
    let megabytes = |path: &Path| bytes(path).map(|bytes| Figure::new(bytes / 1e6, "MB"));
    let how = "the static program, which runs plugins and has no compiler in it";
    table.record("linecampd", megabytes(bench.daemon())?, how);
    let how = "the static program beside it, which runs for each new plugin and then is gone";
    table.record("linecamp-plugin-compiler", megabytes(&parts.compiler)?, how);
    Ok(())
}

impl Parts {
    fn find() -> anyhow::Result<Self> {
        let environment = |variable| {
            let path = std::env::var_os(variable).map(PathBuf::from);
            path.with_context(|| format!("{variable} is not set: `cargo xtask bench plugins` builds what it names"))
        };
        Ok(Self { components: environment(PLUGINS_VARIABLE)?, compiler: environment(COMPILER_VARIABLE)? })
    }

    /// Returns the path of a component.
    fn component(&self, name: &str) -> PathBuf {
        self.components.join(format!("{}.wasm", name.replace('-', "_")))
    }

    /// Installs a component as a site does.
    fn install(&self, name: &str, directory: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(directory)?;
        let from = self.component(name);
        std::fs::copy(&from, directory.join(format!("{name}.wasm")))
            .with_context(|| format!("failed to copy {}", from.display()))?;
        Ok(())
    }

    /// Returns the configuration of a host with the daemon's defaults.
    fn config(&self, directory: &Path) -> HostConfig {
        HostConfig {
            directory: directory.to_owned(),
            compiler: self.compiler.clone(),
            ca_file: None,
            publishers: Vec::new(),
            validates_settings: true,
            limits: Limits::default(),
        }
    }
}
