//! What plugins cost: their files, loading them, calling them, and a daemon that has two of them and does nothing.
//!
//! Loading and calling go through the plugin host as the daemon has it, in a program built as the daemon is: static,
//! small, for musl. `cargo xtask bench plugins` builds all of it and names the places.

mod call;
mod resident;
mod rivals;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum as _;
use linecamp_plugin_host::{HostConfig, Limits};

use crate::PluginLine;
use crate::numbers::count;
use crate::place::Bench;
use crate::table::{Bound, Figure, Table};

/// The budget of a component.
const COMPONENT_KB_MAX: f64 = 300.0;

/// Names the folder of the built components, as the tests have it.
const PLUGINS_VARIABLE: &str = "LINECAMP_PLUGINS";

/// Names the program that compiles.
const COMPILER_VARIABLE: &str = "LINECAMP_BENCH_COMPILER";

/// The plugins that ship.
const PLUGINS: [&str; 3] = ["dns-powerdns", "dns-rfc2136", "dns-route53"];

/// Where the parts are.
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
        PluginLine::Rivals => rivals::measure(bench, table).await,
        PluginLine::Resident => resident::measure(&parts, bench, table).await,
    }
}

/// Returns the lines to measure, in order; all of them if none is named.
pub(crate) fn lines(only: &[PluginLine]) -> Vec<PluginLine> {
    let all = PluginLine::value_variants().iter();
    all.filter(|line| only.is_empty() || only.contains(line)).copied().collect()
}

/// The files: what a site fetches, and the programs with and without the compiler.
fn sizes(parts: &Parts, bench: &Bench, table: &mut Table) -> anyhow::Result<()> {
    let bytes = |path: &Path| {
        let metadata = path.metadata().with_context(|| format!("failed to look at {}", path.display()));
        metadata.map(|metadata| count(metadata.len()))
    };
    for name in PLUGINS {
        let size = Figure::new(bytes(&parts.component(name))? / 1e3, "KB");
        table.judge(&format!("component {name}"), size, Bound::AtMost(COMPONENT_KB_MAX), "the file, built for release");
    }
    let megabytes = |path: &Path| bytes(path).map(|bytes| Figure::new(bytes / 1e6, "MB"));
    let how = "the static program, which runs plugins and has no compiler in it";
    table.state("linecampd", megabytes(bench.daemon())?, how);
    let how = "the static program beside it, which runs for each new plugin and then is gone";
    table.state("linecamp-plugin-compiler", megabytes(&parts.compiler)?, how);
    Ok(())
}

impl Parts {
    fn find() -> anyhow::Result<Self> {
        let place = |variable| {
            let path = std::env::var_os(variable).map(PathBuf::from);
            path.with_context(|| format!("{variable} is not set: `cargo xtask bench plugins` builds what it names"))
        };
        Ok(Self { components: place(PLUGINS_VARIABLE)?, compiler: place(COMPILER_VARIABLE)? })
    }

    /// Returns where a component is.
    fn component(&self, name: &str) -> PathBuf {
        self.components.join(format!("{}.wasm", name.replace('-', "_")))
    }

    /// Puts a component where a site has it.
    fn install(&self, name: &str, directory: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(directory)?;
        let from = self.component(name);
        std::fs::copy(&from, directory.join(format!("{name}.wasm")))
            .with_context(|| format!("failed to copy {}", from.display()))?;
        Ok(())
    }

    /// Returns the settings of a host with the defaults of the daemon.
    fn config(&self, directory: &Path) -> HostConfig {
        HostConfig {
            directory: directory.to_owned(),
            compiler: self.compiler.clone(),
            ca_file: None,
            publishers: Vec::new(),
            limits: Limits::default(),
        }
    }
}
