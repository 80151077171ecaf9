//! How long a centrally set label takes to reach the site's disk.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use linecamp_model::Generation;
use linecamp_proto::api::operation::{Operation as _, PatchSiteLabels};
use linecamp_proto::api::{LabelChange, Site};
use linecamp_transport::LinkSettings;

use crate::load_generator::{FleetPlan, SiteFleet, site_name};
use crate::machine::Burst;
use crate::memory::quiet;
use crate::numbers::{millis, percentile};
use crate::paths::Bench;
use crate::results::{Bound, Figure, Table};
use crate::server_process::Server;

/// The budget at the 99th percentile.
const P99_MS_MAX: f64 = 20.0;

pub(crate) async fn measure(bench: &Bench, table: &mut Table) -> anyhow::Result<()> {
    let (folder, memory) = (bench.scratch()?, bench.memory()?);
    let server = Server::start_new(bench, folder.path()).await?;
    let fleet = SiteFleet::join(&FleetPlan {
        sites: 1,
        targets: &[server.token(None).await?],
        home: memory.path(),
        disks: Some(folder.path()),
        link: LinkSettings::default(),
        at_once: 1,
    })
    .await?;
    quiet(&server).await?;
    let mut api = server.api();
    api.connect().await?;
    let target = PatchSiteLabels::SPEC.path_of(&site_name(0));
    let sets = bench.scale(500, 30);
    let (mut durable, mut answered) = (Vec::new(), Vec::new());
    let scheduled = Burst::begin(&[server.id()?]);
    for set in 0..sets {
        let change = LabelChange { set: BTreeMap::from([("rack".to_owned(), format!("r{set}"))]), remove: Vec::new() };
        let began = Instant::now();
        let site: Site = api.post(&target, &change).await?;
        answered.push(began.elapsed());
        let wanted = Generation(site.spec_generation);
        let limit = Duration::from_secs(5);
        fleet.progress.wait("on the disk", limit, |_, record| wanted <= record.durable).await?;
        durable.push(fleet.progress.record(0).durable_at.saturating_duration_since(began));
    }
    let scheduling = scheduled.describe();
    drop(scheduled);
    let how = format!(
        "{sets} sets in turn over one kept HTTPS connection; from the request to the commit in the site's own store \
         (WAL, FULL, on {}), site in the bench's process, {scheduling}",
        folder.path().parent().unwrap_or_else(|| folder.path()).display()
    );
    let figure = |times: &[Duration], part| Figure::new(millis(percentile(times, part)), "ms");
    table.compare("set centrally to durable at the site, p99", figure(&durable, 0.99), Bound::AtMost(P99_MS_MAX), &how);
    table.record("the same, p50", figure(&durable, 0.5), "as above");
    table.record("the API's answer (durable at the server), p50", figure(&answered, 0.5), "as above");
    table.record("the API's answer, p99", figure(&answered, 0.99), "as above");
    fleet.stop().await;
    Ok(())
}
