//! What the daemon costs its machine and its line: memory, size, startup time, an idle month.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use linecamp_model::JoinTarget;

use crate::counting_relay::CountingWire;
use crate::machine;
use crate::numbers::{count, median, millis};
use crate::paths::Bench;
use crate::results::{Bound, Figure, Table};
use crate::server_process::{PATIENCE, Process, Server};

/// The budgets.
const RESIDENT_MIB_MAX: f64 = 6.0;
const BINARY_MB_MAX: f64 = 5.0;
const START_MS_MAX: f64 = 50.0;
const MONTH_MB_MAX: f64 = 21.0;
const METERED_MONTH_MB_MAX: f64 = 5.0;

/// A month of thirty days.
const MONTH_SECONDS: f64 = 30.0 * 86_400.0;

/// How long a link is left alone before it counts as idle.
const SETTLE: Duration = Duration::from_secs(5);

const STARTS: usize = 10;
/// A daemon's program and data.
#[derive(Debug)]
pub(crate) struct Daemon {
    program: PathBuf,
    /// Its data directory.
    pub(crate) data: PathBuf,
}

pub(crate) async fn measure(bench: &Bench, table: &mut Table) -> anyhow::Result<()> {
    let program = bench.daemon();
    let bytes = std::fs::metadata(program)?.len();
    let how = format!("{}, as its profile builds it", program.display());
    let megabytes = Figure::new(count(bytes) / 1e6, "MB");
    table.compare("binary", megabytes, Bound::AtMost(BINARY_MB_MAX), &how);

    let folder = bench.scratch()?;
    let server = Server::start_new(bench, folder.path()).await?;
    let target = server.token(None).await?;
    starts(table, program, &target, folder.path()).await?;
    idle(bench, table, program, &server, folder.path()).await
}

async fn starts(table: &mut Table, program: &Path, target: &JoinTarget, folder: &Path) -> anyhow::Result<()> {
    let daemon = Daemon::join(program, target, target.servers[0].to_string(), folder, "quick-start").await?;
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let began = Instant::now();
        let process = daemon.run(&[])?;
        daemon.first_answer().await?;
        times.push(began.elapsed());
        process.terminate().await?;
    }
    let how =
        format!("spawn of `linecampd run` to the answer of `status` on its socket, asked every ms; median of {STARTS}");
    table.compare(
        "start to first answer",
        Figure::new(millis(median(&times)), "ms"),
        Bound::AtMost(START_MS_MAX),
        &how,
    );
    Ok(())
}

async fn idle(bench: &Bench, table: &mut Table, program: &Path, server: &Server, folder: &Path) -> anyhow::Result<()> {
    let target = server.token(None).await?;
    let wires = [CountingWire::start(server.address()).await?, CountingWire::start(server.address()).await?];
    let metered = folder.join("metered.toml");
    std::fs::write(&metered, "[link]\nmetered = true\n")?;
    let metered = metered.to_str().context("the folder's name is text")?;
    let ordinary = Daemon::join(program, &target, wires[0].address().to_string(), folder, "ordinary").await?;
    let by_the_byte = Daemon::join(program, &target, wires[1].address().to_string(), folder, "by-the-byte").await?;
    let (process, _other) = (ordinary.run(&[])?, by_the_byte.run(&["--config", metered])?);
    for daemon in [&ordinary, &by_the_byte] {
        daemon.linked().await?;
    }
    tokio::time::sleep(SETTLE).await;
    let held = machine::memory(process.id())?;
    let mebibytes = |kibibytes| Figure::new(count(kibibytes) / 1024.0, "MiB");
    let how = "VmRSS of the static linecampd, linked, 5 s after its link came up";
    table.compare("resident memory, idle", mebibytes(held.resident), Bound::AtMost(RESIDENT_MIB_MAX), how);
    table.record("RssAnon, idle", mebibytes(held.anonymous), "as above: what the kernel cannot drop");

    // Two full periods of the slower one, after a first one that may be partial.
    let span = Duration::from_secs(if bench.is_quick { 50 } else { 190 });
    crate::say(&format!("  listening to idle links for {} s", span.as_secs()));
    let from = Instant::now();
    tokio::time::sleep(span).await;
    let held = machine::memory(process.id())?;
    let how = format!("the same {} s later", span.as_secs());
    table.record("resident memory, later", mebibytes(held.resident), &how);
    let lines =
        [("a month idle, keep-alive 15 s", MONTH_MB_MAX), ("a month idle, metered (60 s)", METERED_MONTH_MB_MAX)];
    for ((line, bound), wire) in lines.into_iter().zip(&wires) {
        let Some(rate) = wire.idle_rate(from) else {
            match bench.is_quick {
                true => crate::say(&format!("  {line}: left out of a quick run, which is shorter than its keep-alive")),
                false => table.record_missing(line, "the wire was silent for too long"),
            }
            continue;
        };
        let how = format!(
            "a UDP relay between linecampd and server: {} datagrams in {:.0} s (whole periods), payload and 28 bytes \
             each, times 30 days",
            rate.datagrams,
            rate.span.as_secs_f64()
        );
        let month = Figure::new(rate.bytes_per_second * MONTH_SECONDS / 1e6, "MB");
        table.compare(line, month, Bound::AtMost(bound), &how);
    }
    Ok(())
}

impl Daemon {
    /// Joins a new site through this address.
    pub(crate) async fn join(
        program: &Path,
        target: &JoinTarget,
        server: String,
        folder: &Path,
        name: &str,
    ) -> anyhow::Result<Self> {
        let data = folder.join(name);
        let mut command = Command::new(program);
        command
            .args(["join", &format!("{}@{server}", target.token.reveal()), "--name", name, "--data"])
            .arg(&data)
            .stdin(Stdio::null());
        // On another thread, because a wire in between may need this one.
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        if !output.status.success() {
            bail!("linecampd did not join: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(Self { program: program.to_owned(), data })
    }

    /// Starts the daemon.
    pub(crate) fn run(&self, arguments: &[&str]) -> anyhow::Result<Process> {
        let mut command = Command::new(&self.program);
        command
            .args(["run", "--data"])
            .arg(&self.data)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Process::spawn(&mut command)
    }

    /// Waits until it answers.
    async fn first_answer(&self) -> anyhow::Result<()> {
        self.until("answered", "/v1/status", |_| true).await
    }

    /// Waits until its link is up.
    pub(crate) async fn linked(&self) -> anyhow::Result<()> {
        self.until("connected", "/v1/status", |status| status["link"]["state"] == "connected").await
    }

    /// Polls it until the answer satisfies `holds`.
    pub(crate) async fn until(
        &self,
        what: &str,
        path: &str,
        holds: impl Fn(&serde_json::Value) -> bool,
    ) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if self.ask(path).is_ok_and(|answer| holds(&answer)) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        bail!("linecampd has not {what} within {} s", PATIENCE.as_secs())
    }

    /// Requests a path on its local socket.
    pub(crate) fn ask(&self, path: &str) -> anyhow::Result<serde_json::Value> {
        let mut stream = UnixStream::connect(self.data.join("linecampd.sock"))?;
        // The response ends with the connection.
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
        let mut response = String::new();
        stream.read_to_string(&mut response)?;
        let (_, body) = response.split_once("\r\n\r\n").context("the response has no head")?;
        Ok(serde_json::from_str(body)?)
    }
}
