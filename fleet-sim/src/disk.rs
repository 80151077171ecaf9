//! Disks: in-memory storage for a store, with the store's own bytes.
//!
//! Writes are grouped and answered in order, as in the production store. After a failed write, nothing is written until
//! the machine resumes writes. A crash keeps or loses the group being written, always as a whole, and none of its
//! writes was answered.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use linecamp_model::{FleetChange, SiteChange, WriteId};
use linecamp_proto::record::{fleet_change, fleet_record, site_change, site_record};

/// A change that a database stores.
pub(crate) trait Record: Clone {
    /// Returns the key and the new body; `None` deletes the record.
    fn row(&self) -> (Vec<u8>, Option<Vec<u8>>);
    /// Reads a record back.
    fn read(key: &[u8], body: &[u8]) -> Result<Self, String>;
}

impl Record for SiteChange {
    fn row(&self) -> (Vec<u8>, Option<Vec<u8>>) {
        site_change(self)
    }

    fn read(key: &[u8], body: &[u8]) -> Result<Self, String> {
        site_record(key, body).map_err(|error| error.to_string())
    }
}

impl Record for FleetChange {
    fn row(&self) -> (Vec<u8>, Option<Vec<u8>>) {
        fleet_change(self)
    }

    fn read(key: &[u8], body: &[u8]) -> Result<Self, String> {
        fleet_record(key, body).map_err(|error| error.to_string())
    }
}

/// What is on a disk, by key.
pub(crate) type Rows = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// How a disk treats writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum DiskFault {
    /// Stores writes.
    #[default]
    Healthy,
    /// Rejects writes that need space.
    Full,
    /// Stores writes after a delay.
    Slow,
}

/// A disk with one database on it.
#[derive(Debug)]
pub(crate) struct Disk<C> {
    pub(crate) fault: DiskFault,
    /// An earlier image of the disk, to be restored later.
    pub(crate) image: Option<Box<Rows>>,
    rows: Rows,
    events: usize,
    waiting: VecDeque<(WriteId, Vec<C>)>,
    writing: usize,
    is_rejecting: bool,
    probe: Option<WriteId>,
}

impl<C: Record> Default for Disk<C> {
    fn default() -> Self {
        Self {
            fault: DiskFault::default(),
            image: None,
            rows: BTreeMap::new(),
            events: 0,
            waiting: VecDeque::new(),
            writing: 0,
            is_rejecting: false,
            probe: None,
        }
    }
}

impl<C: Record> Disk<C> {
    /// Queues a write. The caller then calls [`begin`](Self::begin).
    pub(crate) fn enqueue(&mut self, write: WriteId, changes: Vec<C>) {
        if !self.is_rejecting {
            self.waiting.push_back((write, changes));
        }
    }

    /// Queues a write that only probes whether there is space.
    pub(crate) fn enqueue_probe(&mut self, write: WriteId) {
        self.probe = Some(write);
        self.enqueue(write, Vec::new());
    }

    /// Returns whether a write needs space.
    pub(crate) fn needs_space(&self, write: WriteId, changes: &[C]) -> bool {
        !changes.is_empty() || self.probe == Some(write)
    }

    /// Starts to write everything queued, unless a write is in progress. Returns whether it started; the caller then
    /// advances time.
    pub(crate) fn begin(&mut self) -> bool {
        let may_begin = self.writing == 0 && !self.waiting.is_empty();
        if may_begin {
            self.writing = self.waiting.len();
        }
        may_begin
    }

    /// Returns the group that was being written.
    pub(crate) fn written(&mut self) -> Vec<(WriteId, Vec<C>)> {
        self.waiting.drain(..std::mem::take(&mut self.writing)).collect()
    }

    /// Returns the number of writes waiting for an answer.
    pub(crate) fn depth(&self) -> usize {
        self.waiting.len()
    }

    /// Rejects all queued writes, and all later ones until [`resume`](Self::resume).
    pub(crate) fn reject_writes(&mut self) -> Vec<WriteId> {
        self.is_rejecting = true;
        self.writing = 0;
        self.waiting.drain(..).map(|(write, _)| write).collect()
    }

    /// Accepts writes again.
    pub(crate) fn resume(&mut self) {
        self.is_rejecting = false;
    }

    /// Makes a change durable.
    pub(crate) fn store(&mut self, change: &C) {
        let (key, body) = change.row();
        let is_event = key.starts_with(b"event/");
        let before = match body {
            Some(body) => {
                self.events += usize::from(is_event);
                self.rows.insert(key.into(), body.into())
            }
            None => self.rows.remove(&key[..]),
        };
        self.events -= usize::from(is_event && before.is_some());
    }

    /// The machine crashes: the group being written is kept if `is_kept`, unless the disk is full; queued writes are
    /// lost.
    pub(crate) fn crash(&mut self, is_kept: bool) -> Vec<(WriteId, Vec<C>)> {
        let writing = std::mem::take(&mut self.writing);
        let kept = if is_kept && self.fault != DiskFault::Full { writing } else { 0 };
        let group = self.waiting.drain(..kept).collect();
        self.waiting.clear();
        (self.is_rejecting, self.probe) = (false, None);
        group
    }

    /// Erases the disk.
    pub(crate) fn erase(&mut self) {
        self.rows.clear();
        self.events = 0;
    }

    /// Returns everything on the disk.
    pub(crate) fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Replaces the disk's contents.
    pub(crate) fn restore(&mut self, rows: Rows) {
        self.events = rows.keys().filter(|key| key.starts_with(b"event/")).count();
        self.rows = rows;
    }

    /// Returns how many events are on the disk.
    pub(crate) const fn events(&self) -> usize {
        self.events
    }

    /// Reads all records.
    pub(crate) fn records(&self) -> Result<Vec<C>, String> {
        self.rows.iter().map(|(key, body)| C::read(key, body)).collect()
    }

    /// Reads the record with the same key as `like`.
    pub(crate) fn find(&self, like: &C) -> Option<C> {
        let (key, _) = like.row();
        let body = self.rows.get(&key[..])?;
        C::read(&key, body).ok()
    }

    /// Reads the records whose keys start with `prefix`.
    pub(crate) fn with_prefix<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = C> + 'a {
        let from = self
            .rows
            .range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix));
        from.filter_map(|(key, body)| C::read(key, body).ok())
    }
}
