//! Load on the disk: how many commits many simultaneous joins need, and what one commit costs.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use linecamp_store::{Answer, Change, Kind, OnCorruption, QUEUE_WRITES_MAX, Store};
use linecamp_transport::LinkSettings;

use crate::fanout::ServerParts;
use crate::load_generator::{FleetPlan, SiteFleet};
use crate::numbers::{count, median, micros};
use crate::paths::Bench;
use crate::results::{Bound, Figure, Table};

/// The budget: without grouping there would be three or more commits per join.
const COMMITS_PER_JOIN_MAX: f64 = 1.0;
/// Bytes of a row: the size of a label's document.
const ROW_BYTES: usize = 300;
/// Writes queued when a group is formed.
const GROUP: u64 = 100;

pub(crate) async fn measure(bench: &Bench, table: &mut Table) -> anyhow::Result<()> {
    joins(bench, table).await?;
    let folder = bench.scratch()?;
    let sync = disk_sync(folder.path(), bench.scale(500, 50))?;
    let how = format!(
        "one 4 KiB page written in place and fdatasync, median, on {}",
        folder.path().parent().unwrap_or_else(|| folder.path()).display()
    );
    table.record("the disk's fdatasync", Figure::new(micros(sync), "µs"), &how);
    commits(bench, table, folder.path(), sync)
}

async fn joins(bench: &Bench, table: &mut Table) -> anyhow::Result<()> {
    let (folder, memory) = (bench.scratch()?, bench.memory()?);
    let sites = bench.scale(1_000, 100);
    let mut parts = ServerParts::start(bench, folder.path())?;
    let before = parts.counters().await?;
    let began = Instant::now();
    let fleet = SiteFleet::join(&FleetPlan {
        sites,
        targets: std::slice::from_ref(&parts.target),
        home: memory.path(),
        disks: None,
        link: LinkSettings::default(),
        at_once: sites,
    })
    .await?;
    let took = began.elapsed();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = parts.counters().await?;
    let (commits, writes) = (after.commits - before.commits, after.writes - before.writes);
    let how = format!(
        "{sites} sites at once, all linked after {:.1} s: {commits} commits for {writes} writes ({:.1} per commit) \
         with {} rows; the bound is the bench's own; the server's machine, store and listener in a child process, \
         first reports included",
        took.as_secs_f64(),
        count(writes) / count(commits.max(1)),
        after.changes - before.changes
    );
    let each = count(commits) / count(sites as u64);
    table.compare("commits per join", Figure::new(each, ""), Bound::AtMost(COMMITS_PER_JOIN_MAX), &how);
    fleet.stop().await;
    Ok(())
}

/// Measures the disk itself.
fn disk_sync(folder: &Path, times: usize) -> anyhow::Result<Duration> {
    let file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(folder.join("page"))?;
    let page = [7; 4096];
    file.write_all_at(&page, 0)?;
    file.sync_all()?;
    let mut syncs = Vec::new();
    for _ in 0..times {
        let began = Instant::now();
        file.write_all_at(&page, 0)?;
        file.sync_data()?;
        syncs.push(began.elapsed());
    }
    Ok(median(&syncs))
}

fn commits(bench: &Bench, table: &mut Table, folder: &Path, sync: Duration) -> anyhow::Result<()> {
    let (sender, answers) = sync_channel(QUEUE_WRITES_MAX);
    let opened = Store::open(&folder.join("fleet.db"), Kind::Fleet, OnCorruption::Refuse, move |answer| {
        // The last answers may arrive after the receiver is gone.
        drop(sender.send(answer));
    })?;
    let store = opened.store;
    let mut next = 0;
    let mut single = Vec::new();
    for _ in 0..bench.scale(1_000, 100) {
        let began = Instant::now();
        submit(&store, &mut next, 1)?;
        settle(&answers, 1)?;
        single.push(began.elapsed());
    }
    let began = Instant::now();
    let rounds = bench.scale(200, 20);
    let before = store.counters();
    for _ in 0..rounds {
        submit(&store, &mut next, GROUP)?;
        settle(&answers, GROUP)?;
    }
    let (took, after) = (began.elapsed(), store.counters());
    store.close();

    let middle = median(&single);
    let how = format!(
        "one row of {ROW_BYTES} bytes a commit, in turn, through the store's thread; median {:.0} µs, {:.2} times the \
         disk's fdatasync",
        micros(middle),
        middle.as_secs_f64() / sync.as_secs_f64()
    );
    let total: Duration = single.iter().sum();
    let rate = count(single.len() as u64) / total.as_secs_f64();
    table.record("commits a second, one row each", Figure::new(rate, "/s"), &how);
    let (groups, writes) = (after.commits - before.commits, after.writes - before.writes);
    let how = format!(
        "{GROUP} writes of one row handed over at once, {rounds} times: {:.1} writes a commit, {:.0} commits/s",
        count(writes) / count(groups),
        count(groups) / took.as_secs_f64()
    );
    table.record("rows a second, grouped", Figure::new(count(writes) / took.as_secs_f64(), "/s"), &how);
    Ok(())
}

fn submit(store: &Store, next: &mut u64, writes: u64) -> anyhow::Result<()> {
    for _ in 0..writes {
        *next += 1;
        let change = Change { key: format!("event/{:016x}", *next).into_bytes(), body: Some(vec![7; ROW_BYTES]) };
        store.submit(*next, vec![change])?;
    }
    Ok(())
}

fn settle(answers: &Receiver<Answer>, writes: u64) -> anyhow::Result<()> {
    for _ in 0..writes {
        answers.recv()?.result?;
    }
    Ok(())
}
