//! A disk that can crash.
//!
//! Two halves stand on two sides of the seam. In the subject, [`RecordingDisk`] is the
//! `redb::StorageBackend` that the engine opens: bytes in memory, and a note of every write and
//! sync. The notes cross the seam as [`DiskOp`]s. In the judge, [`DiskImage`] plays them again and
//! so knows at each moment what a real disk would certainly hold (all that was synced) and what it
//! might hold (each write since, whole, torn at a sector, or not at all).
//!
//! A crash is then: drop the subject, draw with [`DiskImage::crash`] one of the images that a power
//! cut could have left, and start a new subject on it. Nothing sleeps, nothing is left to luck.
//!
//! # Invariants
//!
//! - Synced bytes survive every crash unchanged.
//! - An unsynced write survives per sector of [`SECTOR`] bytes: a sector is old or new, never mixed.
//!
//! Left out: a disk that lies about a sync, and bits that rot. redb's checksums are its own affair.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::rng::Rng;

/// A sector is written as a whole or not at all: 512 bytes, as disks have promised for decades.
pub const SECTOR: usize = 512;

/// One thing that a program did to its disk.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskOp {
    /// Bytes written at an offset; durable only after the next [`DiskOp::Sync`].
    Write {
        /// Byte offset in the file.
        offset: u64,
        /// What was written.
        #[serde(with = "serde_bytes")]
        data: Vec<u8>,
    },
    /// The file was cut or grown (with zeroes) to this many bytes.
    SetLen(u64),
    /// All that was written before is durable from here on.
    Sync,
    /// A call failed, on order of [`RecordingDisk::fail`]: it changed nothing, and what was not synced
    /// before may be gone.
    Failed(DiskCall),
}

/// The calls that can be told to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DiskCall {
    /// A write, or a change of the length.
    Write,
    /// A sync.
    Sync,
}

impl std::fmt::Debug for DiskOp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DiskOp::Write { offset, data } => write!(f, "write {} bytes at {offset}", data.len()),
            DiskOp::SetLen(len) => write!(f, "set length {len}"),
            DiskOp::Sync => f.write_str("sync"),
            DiskOp::Failed(DiskCall::Write) => f.write_str("failed write"),
            DiskOp::Failed(DiskCall::Sync) => f.write_str("failed sync"),
        }
    }
}

type Watcher = Box<dyn Fn(DiskOp) + Send>;

#[derive(Default)]
struct Recorded {
    bytes: Vec<u8>,
    ops: Vec<DiskOp>,
    watcher: Option<Watcher>,
    // The calls that are left before the disk fails, and of which kind they are counted.
    failing: Option<(DiskCall, u64)>,
    failed: bool,
}

impl Recorded {
    fn note(&mut self, op: DiskOp) {
        match &self.watcher {
            Some(watcher) => watcher(op),
            None => self.ops.push(op),
        }
    }

    fn allow(&mut self, call: DiskCall) -> io::Result<()> {
        if let Some((counted, left)) = &mut self.failing
            && *counted == call
        {
            *left = left.saturating_sub(1);
            self.failed |= *left == 0;
        }
        if !self.failed {
            return Ok(());
        }
        self.note(DiskOp::Failed(call));
        Err(io::Error::other("the disk failed (EIO, on order of the simulator)"))
    }
}

/// The subject's half: a file in memory that notes what is done to it. Clones share the file.
#[derive(Clone, Default)]
pub struct RecordingDisk(Arc<Mutex<Recorded>>);

impl std::fmt::Debug for RecordingDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RecordingDisk({} bytes)", self.lock().bytes.len())
    }
}

impl RecordingDisk {
    /// A disk that holds these bytes already.
    pub fn new(bytes: Vec<u8>) -> Self {
        RecordingDisk(Arc::new(Mutex::new(Recorded { bytes, ..Recorded::default() })))
    }

    /// As [`RecordingDisk::new`], but each operation is told to `watcher` when it happens, and
    /// [`RecordingDisk::take_ops`] has nothing to give. `watcher` must not use the disk.
    pub fn watched(bytes: Vec<u8>, watcher: impl Fn(DiskOp) + Send + 'static) -> Self {
        let watcher: Option<Watcher> = Some(Box::new(watcher));
        RecordingDisk(Arc::new(Mutex::new(Recorded { bytes, watcher, ..Recorded::default() })))
    }

    /// What was done since the last call, in order.
    pub fn take_ops(&self) -> Vec<DiskOp> {
        std::mem::take(&mut self.lock().ops)
    }

    /// The `nth` call of this kind from now on (1: the next) fails, and every write and sync after it.
    pub fn fail(&self, call: DiskCall, nth: u64) {
        self.lock().failing = Some((call, nth.max(1)));
    }

    // A lock because redb asks its backend to be `Sync`; one thread uses it. A panic elsewhere
    // leaves the bytes whole, so poison means nothing here.
    fn lock(&self) -> MutexGuard<'_, Recorded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl redb::StorageBackend for RecordingDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let disk = self.lock();
        let range = span(offset, out.len())?;
        let bytes = disk.bytes.get(range).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.lock();
        disk.allow(DiskCall::Write)?;
        disk.bytes.resize(usize::try_from(len).map_err(io::Error::other)?, 0);
        disk.note(DiskOp::SetLen(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.lock();
        disk.allow(DiskCall::Sync)?;
        disk.note(DiskOp::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut disk = self.lock();
        let range = span(offset, data.len())?;
        disk.allow(DiskCall::Write)?;
        let bytes = disk.bytes.get_mut(range).ok_or(io::ErrorKind::UnexpectedEof)?;
        bytes.copy_from_slice(data);
        disk.note(DiskOp::Write { offset, data: data.to_vec() });
        Ok(())
    }
}

fn span(offset: u64, len: usize) -> io::Result<Range<usize>> {
    let start = usize::try_from(offset).map_err(io::Error::other)?;
    let end = start.checked_add(len).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(start..end)
}

/// The judge's half: what the disk certainly holds, and what it may hold.
#[derive(Debug, Clone, Default)]
pub struct DiskImage {
    synced: Vec<u8>,
    pending: Vec<DiskOp>,
    syncs: u64,
    failed: bool,
}

/// The largest disk that a subject may grow, in bytes (256 MiB); what goes beyond is ignored.
const MAX_DISK: usize = 256 << 20;

impl DiskImage {
    /// Notes one operation of the subject.
    pub fn apply(&mut self, op: DiskOp) {
        match op {
            // After a failed call a later success proves nothing: the pages may have been dropped as clean
            // (what PostgreSQL learned about fsync in 2018).
            DiskOp::Sync if self.failed => {}
            DiskOp::Failed(_) => self.failed = true,
            DiskOp::Sync => {
                for op in std::mem::take(&mut self.pending) {
                    write_all(&mut self.synced, &op);
                }
                self.syncs += 1;
            }
            op => self.pending.push(op),
        }
    }

    /// A disk that certainly holds these bytes.
    pub fn of(bytes: Vec<u8>) -> Self {
        DiskImage { synced: bytes, ..Self::default() }
    }

    /// What survives for certain: all that was synced.
    pub fn synced(&self) -> &[u8] {
        &self.synced
    }

    /// How many syncs there were.
    pub fn syncs(&self) -> u64 {
        self.syncs
    }

    /// Whether a call has failed.
    pub fn failed(&self) -> bool {
        self.failed
    }

    /// How many writes wait for a sync.
    pub fn unsynced(&self) -> usize {
        self.pending.len()
    }

    /// The bytes after a clean stop: everything, synced or not.
    pub fn all(&self) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        self.pending.iter().for_each(|op| write_all(&mut bytes, op));
        bytes
    }

    /// The bytes after a power cut: all that was synced, and of each write since any sectors that
    /// `rng` lets through. The image goes on from there.
    pub fn crash(&mut self, rng: &mut Rng) -> Vec<u8> {
        let mut pending = std::mem::take(&mut self.pending);
        self.failed = false;
        // In offset order, not in the order of the calls: a disk reorders as it likes, and a draw
        // that does not depend on the caller's order replays the same for a harmless reordering.
        pending.sort_by_key(|op| match op {
            DiskOp::Write { offset, .. } => (1, *offset),
            _ => (0, 0),
        });
        for op in pending {
            match op {
                DiskOp::Write { offset, data } => {
                    let fate = rng.below(3);
                    for (i, sector) in data.chunks(SECTOR).enumerate() {
                        let kept = match fate {
                            0 => false,
                            1 => true,
                            _ => rng.chance(50),
                        };
                        if kept {
                            let offset = offset + (i * SECTOR) as u64;
                            let op = DiskOp::Write { offset, data: sector.to_vec() };
                            write_all(&mut self.synced, &op);
                        }
                    }
                }
                op => write_all(&mut self.synced, &op),
            }
        }
        self.synced.clone()
    }
}

// Lenient on purpose: the operations come from the subject's process, and nonsense must not be able
// to take the judge down. A write beyond the end of the file grows it.
fn write_all(bytes: &mut Vec<u8>, op: &DiskOp) {
    match op {
        DiskOp::Write { offset, data } => {
            let Ok(range) = span(*offset, data.len()) else { return };
            let Range { start, end } = range;
            if end > MAX_DISK {
                return;
            }
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[start..end].copy_from_slice(data);
        }
        DiskOp::SetLen(len) => {
            bytes.resize(usize::try_from(*len).map_or(MAX_DISK, |len| len.min(MAX_DISK)), 0);
        }
        DiskOp::Sync | DiskOp::Failed(_) => {}
    }
}
