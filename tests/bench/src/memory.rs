//! What an idle connected site costs the server: memory, CPU, writes.

use std::time::Duration;

use linecamp_proto::api::Server as Counts;
use linecamp_proto::api::operation::{Operation as _, ShowServer};
use linecamp_transport::LinkSettings;

use crate::load_generator::{FleetPlan, SiteFleet};
use crate::machine;
use crate::numbers::count;
use crate::paths::Bench;
use crate::results::{Bound, Figure, Table};
use crate::server_process::Server;

/// The budgets.
const SITE_KB_MAX: f64 = 40.0;
const IDLE_CPU_PERCENT_MAX: f64 = 2.0;

/// How long the database must be unchanged before the fleet counts as idle.
const QUIET: Duration = Duration::from_secs(3);

pub(crate) async fn measure(bench: &Bench, table: &mut Table) -> anyhow::Result<()> {
    let (folder, memory) = (bench.scratch()?, bench.memory()?);
    let sites = bench.scale(5_000, 300);
    let mut server = Server::start_new(bench, folder.path()).await?;
    let targets = [server.token(None).await?];
    let before = machine::memory(server.id()?)?;
    crate::say(&format!("  joining {sites} sites"));
    let fleet = SiteFleet::join(&FleetPlan {
        sites,
        targets: &targets,
        home: memory.path(),
        disks: None,
        link: LinkSettings::default(),
        at_once: 256,
    })
    .await?;
    quiet(&server).await?;

    let after = machine::memory(server.id()?)?;
    let each = |after: u64, before: u64| count(after.saturating_sub(before)) * 1.024 / count(sites as u64);
    let how = format!(
        "VmRSS of linecamp-server with {sites} linked sites, less without ({} to {} KiB), over {sites}; registrations, \
         status and events included; sites without their disk",
        before.resident, after.resident
    );
    let resident = each(after.resident, before.resident);
    table.compare("server memory per linked idle site", Figure::new(resident, "KB"), Bound::AtMost(SITE_KB_MAX), &how);
    let anonymous = each(after.anonymous, before.anonymous);
    table.record("the same, RssAnon only", Figure::new(anonymous, "KB"), "as above");

    idle(bench, table, &server, sites).await?;
    fleet.stop().await;
    server.terminate().await?;
    server.start().await?;
    let offline = machine::memory(server.id()?)?;
    let how = format!(
        "VmRSS after a restart with no site connected ({} KiB), less the empty server, over {sites}",
        offline.resident
    );
    table.record("of which records", Figure::new(each(offline.resident, before.resident), "KB"), &how);
    Ok(())
}

async fn idle(bench: &Bench, table: &mut Table, server: &Server, sites: usize) -> anyhow::Result<()> {
    let span = Duration::from_secs(if bench.is_quick { 5 } else { 30 });
    let marks = || ["fleet.db", "fleet.db-wal"].map(|file| machine::file_mark(&server.data().join(file)));
    let (files, ticks) = (marks(), machine::cpu_ticks(server.id()?)?);
    tokio::time::sleep(span).await;
    let used = machine::cpu_ticks(server.id()?)?.saturating_sub(ticks);
    let writes = marks().iter().zip(&files).filter(|(after, before)| after != before).count();
    let counts: Counts = server.api().get(ShowServer::SPEC.path).await?;
    let percent = 100.0 * used.as_secs_f64() / span.as_secs_f64();
    let how = format!(
        "utime + stime of linecamp-server over {} s, {} sites linked, keep-alive 15 s",
        span.as_secs(),
        counts.connected
    );
    table.compare(
        &format!("idle CPU with {sites} sites"),
        Figure::new(percent, "%"),
        Bound::AtMost(IDLE_CPU_PERCENT_MAX),
        &how,
    );
    let how = "of fleet.db and fleet.db-wal, those whose size or time changed in that time";
    table.compare("database files written while idle", Figure::new(count(writes as u64), ""), Bound::AtMost(0.0), how);
    Ok(())
}

/// Waits until the joins and first reports are on the disk.
pub(crate) async fn quiet(server: &Server) -> anyhow::Result<()> {
    let log = server.data().join("fleet.db-wal");
    for _ in 0..40 {
        let before = machine::file_mark(&log);
        tokio::time::sleep(QUIET).await;
        if machine::file_mark(&log) == before {
            return Ok(());
        }
    }
    anyhow::bail!("the server's database does not become idle")
}
