//! The log in redb, behind a short journal: an fsync costs what an fsync costs.
//!
//! A durable commit of a B-tree writes seven or eight pages all over its file, for a hundred bytes of entries. So they go to
//! a journal first, one write at its end and one fsync; the table gets them later, thousands in one commit. The journal
//! has a fixed size, written in place over and over, so that an fsync of it never waits for the file system's own notes.
//!
//! ```text
//!   commit:  raft.wal  | epoch 7: [..] [..] [..] [new] | what is left of epoch 6 ...
//!            memory      the same batches, for whoever reads: they are folded into the table before
//!   full:    raft.redb <- all of it, and "the journal begins with epoch 8", in one durable commit
//!            raft.wal  | epoch 8: [new] | what is left of epoch 7 ...
//! ```
//!
//! Which records count is said by the table alone: those at the journal's start with its epoch and a right checksum. So
//! there is no moment at which a batch counts twice or not at all, and nothing has to be erased. Folding twice would
//! not matter: a log is the same after its last changes are made again, in their order.
//!
//! # Invariants
//!
//! - Everything that was committed is in the table, or in the journal *and* in `pending`.
//! - An epoch that was read is never written to again: a record that a crash has kept behind a torn one must not follow a
//!   new one. So opening ends with a fold.
//!
//! Left out: folding on a thread of its own. Every few seconds of full load a commit waits for one of some megabytes.
//! TiKV's raft-engine never folds at all: its journal is the log, with an index in memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use prost::Message as _;
use proto::eraftpb::Entry;
use proto::raft_serverpb::RaftLocalState;
use redb::StorageBackend;
use standalone::engine::{CF_DEFAULT, Durability};

use super::redb::{RedbLog, decode, encode};
use super::{LogBatch, LogOp, LogStore};
use crate::error::Error;
use crate::{Result, keys};

/// `len u32 | crc32 u32 | epoch u64`, then `len` bytes of operations. The checksum is of all behind it.
const HEADER: usize = 16;

/// A [`LogStore`]: a table behind a journal.
pub struct WalLog {
    table: RedbLog,
    // Held for a write and its fsync: the journal has one end.
    journal: Mutex<Journal>,
    /// What the table lacks, in order. A lock of its own, so that no reader waits for an fsync.
    pending: Mutex<LogBatch>,
}

struct Journal {
    file: Box<dyn StorageBackend>,
    len: usize,
    epoch: u64,
    end: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(doing: &'static str) -> impl Fn(std::io::Error) -> Error {
    move |error| Error::System { doing, what: error.to_string() }
}

impl WalLog {
    /// Opens a table with its journal in `file`, which is made `len` bytes long if it is new. Takes over what the last
    /// life left there.
    ///
    /// # Errors
    /// The disk's, and damage of the table. (A damaged record is one that was never promised, and ends the journal.)
    pub fn open(table: RedbLog, file: impl StorageBackend, len: usize) -> Result<Self> {
        let mut journal = Journal { file: Box::new(file), len, epoch: table.epoch()?, end: 0 };
        journal.lengthen().map_err(failed("make the log's journal"))?;
        let left = journal.read().map_err(failed("read the log's journal"))?;
        let log = WalLog { table, journal: Mutex::new(journal), pending: Mutex::new(left) };
        log.fold(&mut lock(&log.journal))?;
        Ok(log)
    }

    /// Everything goes into the table, and the journal begins anew.
    fn fold(&self, journal: &mut Journal) -> Result<()> {
        let mut pending = lock(&self.pending);
        let ops = std::mem::take(&mut pending.ops);
        self.table.fold(&ops, Some(journal.epoch + 1))?;
        journal.epoch += 1;
        journal.end = 0;
        Ok(())
    }

    /// The table with everything in it.
    fn whole(&self) -> Result<&RedbLog> {
        let mut pending = lock(&self.pending);
        if !pending.is_empty() {
            let ops = std::mem::take(&mut pending.ops);
            // Not durable, and need not be: the journal has it.
            self.table.fold(&ops, None)?;
        }
        Ok(&self.table)
    }
}

impl LogStore for WalLog {
    fn commit(&self, batch: &LogBatch) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut journal = lock(&self.journal);
        let record = journal.record(batch);
        if journal.end + record.len() > journal.len {
            self.fold(&mut journal)?;
        }
        if record.len() > journal.len {
            return self.table.commit(batch);
        }
        // The epoch may be another one since.
        let record = journal.record(batch);
        journal.append(&record, batch.sync).map_err(failed("write the log's journal"))?;
        lock(&self.pending).ops.extend(batch.ops.iter().cloned());
        Ok(())
    }

    fn state(&self, region: u64) -> Result<Option<RaftLocalState>> {
        self.whole()?.state(region)
    }

    fn entries(&self, region: u64, low: u64, high: u64, max_size: u64) -> Result<Vec<Entry>> {
        self.whole()?.entries(region, low, high, max_size)
    }
}

impl RedbLog {
    /// The epoch of the journal that belongs to this table.
    fn epoch(&self) -> Result<u64> {
        let found = self.engine.snapshot()?.get(CF_DEFAULT, &keys::JOURNAL_EPOCH_KEY)?;
        let Some(bytes) = found else { return Ok(0) };
        let bytes = bytes.try_into().map_err(|_| Error::Corrupt("the journal's epoch".into()))?;
        Ok(u64::from_be_bytes(bytes))
    }

    /// Makes these changes; durably, if the journal begins anew with this epoch.
    fn fold(&self, ops: &[LogOp], epoch: Option<u64>) -> Result<()> {
        // What is to be removed is looked up in the table: what was added before must be there.
        let mut rest = ops;
        while let Some(at) = rest.iter().skip(1).position(|op| matches!(op, LogOp::Compact { .. }))
        {
            let (before, behind) = rest.split_at(at + 1);
            self.engine.write(&self.writes(before)?, Durability::None)?;
            rest = behind;
        }
        let mut writes = self.writes(rest)?;
        let durability = match epoch {
            Some(epoch) => {
                writes.put(CF_DEFAULT, keys::JOURNAL_EPOCH_KEY, epoch.to_be_bytes());
                Durability::Immediate
            }
            None => Durability::None,
        };
        Ok(self.engine.write(&writes, durability)?)
    }
}

impl Journal {
    /// Gives a new journal its length, in zeros that are really there.
    fn lengthen(&mut self) -> std::io::Result<()> {
        if self.file.len()? >= self.len as u64 {
            return Ok(());
        }
        self.file.set_len(self.len as u64)?;
        self.file.write(0, &vec![0; self.len])?;
        self.file.sync_data()
    }

    fn record(&self, batch: &LogBatch) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        for op in &batch.ops {
            push(&mut bytes, op);
        }
        let len = u32::try_from(bytes.len() - HEADER).unwrap_or(u32::MAX);
        bytes[..4].copy_from_slice(&len.to_be_bytes());
        bytes[8..HEADER].copy_from_slice(&self.epoch.to_be_bytes());
        let crc = crc32fast::hash(&bytes[8..]);
        bytes[4..8].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    fn append(&mut self, record: &[u8], sync: bool) -> std::io::Result<()> {
        self.file.write(self.end as u64, record)?;
        self.end += record.len();
        if sync { self.file.sync_data() } else { Ok(()) }
    }

    /// All records that count.
    fn read(&self) -> std::io::Result<LogBatch> {
        let mut bytes = vec![0; self.len];
        self.file.read(0, &mut bytes)?;
        let (mut batch, mut rest) = (LogBatch::default(), &bytes[..]);
        while let Some((ops, behind)) = self.next(rest) {
            batch.ops.extend(ops);
            rest = behind;
        }
        Ok(batch)
    }

    fn next<'b>(&self, bytes: &'b [u8]) -> Option<(Vec<LogOp>, &'b [u8])> {
        let (header, rest) = bytes.split_first_chunk::<HEADER>()?;
        let word = |at: usize| {
            u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let (body, behind) = rest.split_at_checked(word(0) as usize)?;
        let mut crc = crc32fast::Hasher::new();
        crc.update(&header[8..]);
        crc.update(body);
        if header[8..] != self.epoch.to_be_bytes() || crc.finalize() != word(4) {
            return None;
        }
        let (mut ops, mut body) = (Vec::new(), body);
        while !body.is_empty() {
            ops.push(pop(&mut body)?);
        }
        Some((ops, behind))
    }
}

/// Adds an operation: `kind u8 | region u64 | len u32 | content`.
fn push(bytes: &mut Vec<u8>, op: &LogOp) {
    let (kind, region, content) = match op {
        LogOp::Append { region, entries } => (0, region, encode(entries)),
        LogOp::State { region, state } => (1, region, state.encode_to_vec()),
        LogOp::Compact { region, index } => (2, region, index.to_be_bytes().to_vec()),
        LogOp::Clear { region } => (3, region, Vec::new()),
    };
    bytes.push(kind);
    bytes.extend(region.to_be_bytes());
    bytes.extend(u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(content);
}

fn pop(bytes: &mut &[u8]) -> Option<LogOp> {
    let (kind, rest) = bytes.split_first()?;
    let (region, rest) = rest.split_first_chunk::<8>()?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let (content, rest) = rest.split_at_checked(u32::from_be_bytes(*len) as usize)?;
    *bytes = rest;
    let region = u64::from_be_bytes(*region);
    Some(match kind {
        0 => LogOp::Append { region, entries: decode(region, content).ok()? },
        1 => LogOp::State { region, state: RaftLocalState::decode(content).ok()? },
        2 => LogOp::Compact { region, index: u64::from_be_bytes(content.try_into().ok()?) },
        3 => LogOp::Clear { region },
        _ => return None,
    })
}
