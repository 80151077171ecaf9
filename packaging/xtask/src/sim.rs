//! `cargo xtask sim`: the fleet simulator, built for speed, and its benchmark.

use anyhow::{Context, ensure};
use linecamp_table::{Align, Table};
use serde_json::Value;

use crate::commands::{cargo, read, say, step};

/// Runs the simulator; without arguments, every built-in scenario.
pub(crate) fn run(passed_on: &[String]) -> anyhow::Result<()> {
    let mut sim = cargo(["run", "--quiet", "--profile", "server", "--package", "fleet-sim", "--"]);
    if passed_on.is_empty() {
        sim.args(["run", "--all"]);
    }
    sim.args(passed_on);
    step("simulating", sim)
}

/// One line of the table.
struct Line {
    what: &'static str,
    measured: f64,
    bound: f64,
    unit: &'static str,
}

/// Benchmarks the simulator: 500 sites for a month in model mode, and for a day over the real transport.
pub(crate) fn bench() -> anyhow::Result<()> {
    step("building the simulator", cargo(["build", "--profile", "server", "--package", "fleet-sim"]))?;
    let small = outcome("one site in model mode", &["run", "soak", "--sites", "1", "--days", "0.1"])?;
    let model = outcome("500 sites for 30 days in model mode", &["run", "soak"])?;
    let small_quic =
        outcome("one site in QUIC mode", &["run", "soak", "--sites", "1", "--days", "0.1", "--mode", "quic"])?;
    let quic = outcome("500 sites for a day in QUIC mode", &["run", "soak", "--days", "1", "--mode", "quic"])?;
    let wall = |outcome: &Value| number(outcome, "/wall_seconds");
    let each = |outcome: &Value, empty: &Value| {
        let memory = |outcome| number(outcome, "/figures/memory_bytes");
        Ok::<_, anyhow::Error>((memory(outcome)? - memory(empty)?) / (number(outcome, "/sites")? - 1.0) / 1e3)
    };
    let lines = [
        Line { what: "model: 500 sites, 30 days, with faults", measured: wall(&model)?, bound: 600.0, unit: "s" },
        Line { what: "model: memory of a site", measured: each(&model, &small)?, bound: 50.0, unit: "KB" },
        Line { what: "quic: 500 sites, 24 hours, with faults", measured: wall(&quic)?, bound: 180.0, unit: "s" },
        Line { what: "quic: memory of a site", measured: each(&quic, &small_quic)?, bound: 200.0, unit: "KB" },
    ];
    let rows = lines.iter().map(|line| {
        let result = if line.measured <= line.bound { "ok" } else { "EXCEEDED" };
        let (measured, bound) =
            (format!("{:.1} {}", line.measured, line.unit), format!("≤ {} {}", line.bound, line.unit));
        [line.what.into(), measured.into(), bound.into(), result.into()]
    });
    let table = Table::new(["measurement", "measured", "limit", "result"]).with(rows);
    print!("\n{}", table.align([Align::Left, Align::Right, Align::Right, Align::Left]).render(false));
    for (mode, outcome) in [("model", &model), ("quic", &quic)] {
        println!("{mode}: {:.0} events per second", number(outcome, "/events")? / wall(outcome)?);
    }
    Ok(())
}

fn outcome(what: &str, arguments: &[&str]) -> anyhow::Result<Value> {
    say(&format!("measuring {what}"));
    let mut sim = cargo(["run", "--quiet", "--profile", "server", "--package", "fleet-sim", "--"]);
    sim.args(arguments).args(["-o", "json"]);
    let outcome: Value = serde_json::from_str(&read(sim)?).context("the simulator did not print JSON")?;
    ensure!(outcome["outcome"] == "passed", "the run did not pass: {}", outcome["violations"]);
    Ok(outcome)
}

fn number(outcome: &Value, place: &str) -> anyhow::Result<f64> {
    outcome.pointer(place).and_then(Value::as_f64).with_context(|| format!("the outcome has no number at {place}"))
}
