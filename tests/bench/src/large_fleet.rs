//! A server with a large fleet: how long it takes to start, what it needs in memory, and how long lists take while all
//! sites are linked and labels change.
//!
//! Each site has two hosts: its gateway, and one that is added to the database, because no operation of today creates
//! one. So the server is stopped once; what it then starts with is what the time of a start is measured with.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use linecamp_model::limits::SITES_PER_BULK_ACTION_MAX;
use linecamp_model::{Document, DocumentKey, FleetChange, HostId, HostSpec, Name, Origin, SiteId, SpecBody};
use linecamp_proto::api::operation::{
    CreateBulkAction, ListHosts, ListSites, Operation as _, PatchSiteLabels, ShowBulkAction,
};
use linecamp_proto::api::{BulkAction, BulkActionRequest, Host, LabelChange, List, Site, SiteAction};
use linecamp_proto::record::{fleet_change, fleet_record};
use linecamp_store::{Change, Kind, OnCorruption, Store, read_stopped};
use linecamp_transport::LinkSettings;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::api_client::ApiClient;
use crate::load_generator::{FleetPlan, SiteFleet, site_name};
use crate::machine;
use crate::memory::quiet;
use crate::numbers::{count, millis, percentile};
use crate::paths::Bench;
use crate::results::{Bound, Figure, Table};
use crate::server_process::Server;
use crate::streams::{STREAMS, Streams, viewers};

/// The budgets.
const LIST_P99_MS_MAX: f64 = 20.0;
const START_SECONDS_MAX: f64 = 1.0;
const RESIDENT_MB_MAX: f64 = 300.0;
const FEED_SECONDS_MAX: f64 = 1.0;
const BULK_SECONDS_MAX: f64 = 1.0;

/// Groups of sites; a selector matches one.
const REGIONS: usize = 10;

/// Interval between two changes of labels, and between two lists.
const CHANGE_INTERVAL: Duration = Duration::from_millis(50);
const LIST_INTERVAL: Duration = Duration::from_millis(30);

/// How often the progress of a bulk action is asked for.
const BULK_POLL_PERIOD: Duration = Duration::from_millis(10);

/// Time for all sites to come back after the restart.
const RETURN_LIMIT: Duration = Duration::from_secs(300);

/// Sites in one write of added hosts: what the queue of the store takes.
const SITES_PER_WRITE: usize = 500;

pub(crate) async fn measure(bench: &Bench, table: &mut Table) -> anyhow::Result<()> {
    let (folder, memory) = (bench.scratch()?, bench.memory()?);
    let sites = bench.scale(5_000, 200);
    let (mut server, fleet) = linked_fleet(bench, folder.path(), memory.path(), sites).await?;
    server.terminate().await?;
    let hosts = sites + add_hosts(&server.data().join("fleet.db"))?;
    start(&mut server, table, (sites, hosts)).await?;
    fleet.progress.wait("reconnected", RETURN_LIMIT, |_, record| 2 <= record.welcomes).await?;
    quiet(&server).await?;
    lists(bench, table, &server, (sites, hosts)).await?;
    all_pages(table, &server, hosts).await?;
    bulk_actions(bench, table, &server, sites).await?;
    streams(bench, table, &server, sites).await?;
    resident(table, &server, (sites, hosts))?;
    fleet.stop().await;
    Ok(())
}

/// Starts a server, and links sites to it whose labels put them into [`REGIONS`].
async fn linked_fleet(
    bench: &Bench,
    folder: &Path,
    memory: &Path,
    sites: usize,
) -> anyhow::Result<(Server, SiteFleet)> {
    let server = Server::start_new(bench, folder).await?;
    let mut targets = Vec::new();
    for region in 0..REGIONS {
        targets.push(server.token(Some(("region", &format!("r{region}")))).await?);
    }
    crate::say(&format!("  joining {sites} sites"));
    let link = LinkSettings::default();
    let plan = FleetPlan { sites, targets: &targets, home: memory, disks: None, link, at_once: 256 };
    let fleet = SiteFleet::join(&plan).await?;
    quiet(&server).await?;
    Ok((server, fleet))
}

/// Adds a host to each site in the database of a stopped server. Returns how many.
fn add_hosts(database: &Path) -> anyhow::Result<usize> {
    let documents = read_stopped(database, Kind::Fleet)?;
    let (mut specs, mut gateways) = (BTreeMap::<SiteId, Vec<Document<SpecBody>>>::new(), BTreeMap::new());
    for (key, body) in &documents {
        match fleet_record(key, body)? {
            FleetChange::Spec(site, _, Some(document)) => specs.entry(site).or_default().push(document),
            FleetChange::Host(site, _, Some(registration)) => drop(gateways.insert(site, registration)),
            _ => {}
        }
    }
    let hosts: Vec<_> = specs.iter().filter_map(|(site, specs)| Some((*site, *gateways.get(site)?, specs))).collect();
    let (sender, answers) = sync_channel(1);
    let answer = move |answer| drop(sender.send(answer));
    let store = Store::open(database, Kind::Fleet, OnCorruption::Refuse, answer)?.store;
    for (write, part) in hosts.chunks(SITES_PER_WRITE).enumerate() {
        let mut rows = Vec::new();
        for (site, registration, specs) in part {
            let host = HostId::from_bytes(*site.as_bytes());
            let generation = specs.iter().map(|document| document.generation).max().unwrap_or_default().next();
            let document = Document { generation, body: Some(SpecBody::Host(second_host(specs)?)) };
            let changes = [
                FleetChange::Host(*site, host, Some(*registration)),
                FleetChange::Spec(*site, DocumentKey::Host(host), Some(document)),
            ];
            rows.extend(changes.iter().map(fleet_change).map(|(key, body)| Change { key, body }));
        }
        store.submit(write as u64, rows).context("failed to add hosts")?;
        answers.recv().context("the store ended")?.result.context("failed to add hosts")?;
    }
    store.close();
    Ok(hosts.len())
}

/// Returns the spec of a site's second host: as its gateway, with another name.
fn second_host(specs: &[Document<SpecBody>]) -> anyhow::Result<HostSpec> {
    let gateway = specs.iter().find_map(|document| match &document.body {
        Some(SpecBody::Host(spec)) => Some(spec),
        _ => None,
    });
    let gateway = gateway.context("a site has a gateway")?.clone();
    Ok(HostSpec { name: Name::parse("box")?, origin: Origin::Custom, ..gateway })
}

/// Starts the server with all its records. Its sites come back later: each has its own time, after the start.
async fn start(server: &mut Server, table: &mut Table, (sites, hosts): (usize, usize)) -> anyhow::Result<()> {
    let began = Instant::now();
    let listening = server.start().await?;
    let bytes = std::fs::metadata(server.data().join("fleet.db")).map_or(0, |found| found.len());
    let how = format!(
        "from the start of the process to `quic listening`, {sites} sites and {hosts} hosts, database of {:.1} MB",
        count(bytes) / 1e6
    );
    let seconds = listening.saturating_duration_since(began).as_secs_f64();
    table.compare("start with this store", Figure::new(seconds, "s"), Bound::AtMost(START_SECONDS_MAX), &how);
    Ok(())
}

/// Measures lists, one kind after the other, while labels of other sites change.
async fn lists(
    bench: &Bench,
    table: &mut Table,
    server: &Server,
    (sites, hosts): (usize, usize),
) -> anyhow::Result<()> {
    let (list, list_hosts) = (ListSites::SPEC.path, ListHosts::SPEC.path);
    let all = "region%20in%20%28r1%2Cr2%2Cr3%29%2C!absent";
    let kinds = [
        ("a page of sites", format!("{list}?limit=100&sort=link-since"), 100, sites),
        ("a page of hosts", format!("{list_hosts}?limit=100"), 100, hosts),
        ("a selector over all sites", format!("{list}?limit=100&selector={all}"), 100, 3 * sites / REGIONS),
        ("a selector over all hosts", format!("{list_hosts}?limit=100&selector={all}"), 100, 3 * hosts / REGIONS),
    ];
    for (line, target, items, total) in kinds {
        let (times, changes) = under_changes(bench, server, &target, items.min(total), total).await?;
        let how = format!(
            "{items} of {total} with {sites} linked sites, while {changes} labels changed; {} requests on one \
             connection, median {:.1} ms",
            times.len(),
            millis(percentile(&times, 0.5))
        );
        let figure = Figure::new(millis(percentile(&times, 0.99)), "ms");
        table.compare(&format!("{line}, p99"), figure, Bound::AtMost(LIST_P99_MS_MAX), &how);
    }
    let target = format!("{list}?limit=500");
    let (times, _) = under_changes(bench, server, &target, 500.min(sites), sites).await?;
    let figure = Figure::new(millis(percentile(&times, 0.99)), "ms");
    table.record("the largest page of sites, p99", figure, "500 sites with their hosts; otherwise as above");
    Ok(())
}

/// Requests a list again and again while labels change. Returns the time of each request, and how many labels changed.
async fn under_changes(
    bench: &Bench,
    server: &Server,
    target: &str,
    items: usize,
    total: usize,
) -> anyhow::Result<(Vec<Duration>, usize)> {
    let (requests, api, target) = (bench.scale(300, 20), server.api(), target.to_owned());
    beside_changes(server, move || async move { time_list(api, &target, requests, (items, total)).await }).await
}

/// Measures on a thread of its own while labels change. Returns what was measured, and how many labels changed.
async fn beside_changes<T, F>(
    server: &Server,
    measure: impl FnOnce() -> F + Send + 'static,
) -> anyhow::Result<(T, usize)>
where
    T: Send + 'static,
    F: Future<Output = anyhow::Result<T>>,
{
    let (stop, is_stopped) = watch::channel(false);
    let changing = tokio::spawn(change_labels(server.api(), is_stopped));
    let measuring = std::thread::spawn(move || crate::runtime()?.block_on(measure()));
    let measured = tokio::task::spawn_blocking(move || measuring.join()).await?;
    stop.send_replace(true);
    let changes = changing.await??;
    Ok((measured.map_err(|_| anyhow::anyhow!("the thread that measures failed"))??, changes))
}

async fn time_list(
    mut api: ApiClient,
    target: &str,
    requests: usize,
    (items, total): (usize, usize),
) -> anyhow::Result<Vec<Duration>> {
    api.connect().await?;
    let first: List<serde_json::Value> = api.get(target).await?;
    anyhow::ensure!(first.items.len() == items, "{target}: {} items, not {items}", first.items.len());
    let found = first.total.unwrap_or_default();
    anyhow::ensure!(found == total as u64, "{target}: {found} items in all, not {total}");
    let mut times = Vec::new();
    let mut ticks = tokio::time::interval(LIST_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for _ in 0..requests {
        ticks.tick().await;
        let at = Instant::now();
        api.get_raw(target).await?;
        times.push(at.elapsed());
    }
    Ok(times)
}

/// Changes a label of one site after the other. Returns how many.
async fn change_labels(mut api: ApiClient, is_stopped: watch::Receiver<bool>) -> anyhow::Result<usize> {
    let mut ticks = tokio::time::interval(CHANGE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut changes = 0;
    while !*is_stopped.borrow() {
        ticks.tick().await;
        let set = [("round".to_owned(), changes.to_string())].into();
        let change = LabelChange { set, ..LabelChange::default() };
        let _: Site = api.post(&PatchSiteLabels::SPEC.path_of(&site_name(changes % 100)), &change).await?;
        changes += 1;
    }
    Ok(changes)
}

/// Measures how soon all event streams have a change, while labels of other sites change.
async fn streams(bench: &Bench, table: &mut Table, server: &Server, sites: usize) -> anyhow::Result<()> {
    let (rounds, site, clients) = (bench.scale(100, 10), site_name(sites - 1), viewers(server).await?);
    let mut api = server.api();
    let measured = beside_changes(server, move || async move {
        let mut streams = Streams::open(clients, site).await?;
        let mut times = Vec::new();
        for _ in 0..rounds {
            times.push(streams.change(&mut api).await?);
        }
        Ok(times)
    });
    let (times, changes) = measured.await?;
    let how = format!(
        "from the request that changes a label to the event on the last of {STREAMS} streams, the slowest of {rounds} \
         (median {:.1} ms), {sites} linked sites, while {changes} other labels changed",
        millis(percentile(&times, 0.5))
    );
    let slowest = times.iter().max().copied().unwrap_or_default();
    table.compare(
        "all event streams fed",
        Figure::new(slowest.as_secs_f64(), "s"),
        Bound::AtMost(FEED_SECONDS_MAX),
        &how,
    );
    Ok(())
}

/// Reads all hosts, page by page, as the CLI does.
async fn all_pages(table: &mut Table, server: &Server, hosts: usize) -> anyhow::Result<()> {
    let path = ListHosts::SPEC.path;
    let (mut api, mut target, mut found, mut pages) = (server.api(), format!("{path}?limit=500"), 0, 0);
    api.connect().await?;
    let began = Instant::now();
    loop {
        let page: List<Host> = api.get(&target).await?;
        (found, pages) = (found + page.items.len(), pages + 1);
        match page.next {
            Some(next) => target = format!("{path}?limit=500&cursor={next}"),
            None => break,
        }
    }
    anyhow::ensure!(found == hosts, "{found} hosts, not {hosts}");
    let how = format!("{pages} pages, one after the other on one connection, decoding included");
    table.record("all hosts", Figure::new(began.elapsed().as_secs_f64(), "s"), &how);
    Ok(())
}

/// Changes a label of many sites at once, again and again: how long the request takes, and how long until all of them
/// have reported that they applied it.
async fn bulk_actions(bench: &Bench, table: &mut Table, server: &Server, sites: usize) -> anyhow::Result<()> {
    // Fewer than the rate limit of a key allows at once.
    let (rounds, many) = (bench.scale(10, 3), SITES_PER_BULK_ACTION_MAX.min(sites));
    let mut api = server.api();
    let listed: List<Site> = api.get(&format!("{}?limit={many}", ListSites::SPEC.path)).await?;
    let ids: BTreeMap<_, _> = listed.items.into_iter().map(|site| (site.id, None)).collect();
    let (mut requests, mut applied) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let set = [("bulk".to_owned(), round.to_string())].into();
        let labels = LabelChange { set, ..LabelChange::default() };
        let request = BulkActionRequest { action: SiteAction::Label, labels, sites: ids.clone() };
        let began = Instant::now();
        let mut action: BulkAction = api.post(CreateBulkAction::SPEC.path, &request).await?;
        requests.push(began.elapsed());
        while 0 < action.progress.waiting {
            tokio::time::sleep(BULK_POLL_PERIOD).await;
            action = api.get(&ShowBulkAction::SPEC.path_of(&action.id)).await?;
        }
        applied.push(began.elapsed());
        anyhow::ensure!(action.progress.applied == many as u64, "{:?}", action.progress);
    }
    let how = |times: &[Duration]| {
        format!(
            "a label of {many} of {sites} linked sites, the slowest of {rounds} requests (median {:.0} ms)",
            millis(percentile(times, 0.5))
        )
    };
    let slowest = |times: &[Duration]| Figure::new(times.iter().max().copied().unwrap_or_default().as_secs_f64(), "s");
    table.compare("a bulk action acknowledged", slowest(&requests), Bound::AtMost(BULK_SECONDS_MAX), &how(&requests));
    table.record("a bulk action applied by all its sites", slowest(&applied), &how(&applied));
    Ok(())
}

fn resident(table: &mut Table, server: &Server, (sites, hosts): (usize, usize)) -> anyhow::Result<()> {
    let memory = machine::memory(server.id()?)?;
    let megabytes = count(memory.resident) * 1.024 / 1000.0;
    let how = format!(
        "VmRSS of linecamp-server after all of the above, {sites} sites linked, {hosts} hosts; RssAnon {:.0} MB",
        count(memory.anonymous) * 1.024 / 1000.0
    );
    table.compare("resident memory", Figure::new(megabytes, "MB"), Bound::AtMost(RESIDENT_MB_MAX), &how);
    Ok(())
}
