//! The log in redb: one value for the entries of a region and round.
//!
//! ```text
//!   round of   1..4        5..6      7..9       then entries 6..7 arrive and replace 6..9:
//!   keys       log/1       log/5     log/7
//!              [1 2 3 4]   [5 6]     [7 8 9]
//!   after      log/1       log/5     log/6      log/7 is removed; of log/5 only 5 is still true
//!              [1 2 3 4]   [5 6]     [6 7]
//! ```
//!
//! One value a round, because a B-tree pays for a key about as much as for a page: sixty-four small entries under
//! one key cost what one costs. The price is that a value may hold more than is true, so that reading *clips* it:
//!
//! - from above, by the next key: what comes later in the file came later in time;
//! - from below, by the caller, who does not ask for what is compacted.
//!
//! A key is the first index of its value, hence a look-up starts at the last key at or below the index it wants.

use prost::Message as _;
use proto::eraftpb::Entry;
use proto::raft_serverpb::RaftLocalState;
use standalone::engine::{CF_DEFAULT, Direction, Durability, Engine, Snapshot, WriteBatch};

use super::{LogBatch, LogOp, LogStore, fitting};
use crate::error::Error;
use crate::{Result, keys};

/// A [`LogStore`] on an engine of its own.
#[derive(Clone)]
pub struct RedbLog {
    pub(super) engine: Engine,
}

impl RedbLog {
    /// The logs in this engine, which needs the column family `default`.
    pub fn new(engine: Engine) -> Self {
        RedbLog { engine }
    }

    /// Puts `entries` under one key, and removes what they replace.
    ///
    /// You will need [`keys::log_key`], [`keys::log_range`] and [`encode`]. Which of the keys that are there now
    /// must go, so that a reader who clips finds nothing of the old tail? And which may stay?
    fn append(batch: &mut WriteBatch, region: u64, entries: &[Entry]) {
        // BEGIN SOLUTION 2B.log_append
        let Some(first) = entries.first() else { return };
        // Every round that starts at or behind the first new entry is of a history that did not win. One that
        // starts before it may hold replaced entries, too; the new key clips them.
        batch.delete_range(CF_DEFAULT, keys::log_range(region, first.index, None));
        batch.put(CF_DEFAULT, keys::log_key(region, first.index), encode(entries));
        // END SOLUTION
    }

    /// Removes the rounds that hold nothing behind `index`.
    ///
    /// You will need to find the round that holds entry `index + 1`: it must stay, and is the first that does. It
    /// may hold older entries as well.
    fn compact(&self, batch: &mut WriteBatch, region: u64, index: u64) -> Result<()> {
        // BEGIN SOLUTION 2CB.log_compact
        let snapshot = self.engine.snapshot()?;
        let Some(keep) = round_of(&snapshot, region, index.saturating_add(1))? else {
            return Ok(());
        };
        batch.delete_range(CF_DEFAULT, keys::log_range(region, 0, Some(keep)));
        Ok(())
        // END SOLUTION
    }

    /// What these operations write.
    pub(super) fn writes(&self, ops: &[LogOp]) -> Result<WriteBatch> {
        let mut writes = WriteBatch::new();
        for op in ops {
            match op {
                LogOp::Append { region, entries } => Self::append(&mut writes, *region, entries),
                LogOp::State { region, state } => {
                    writes.put(CF_DEFAULT, keys::raft_state_key(*region), state.encode_to_vec());
                }
                LogOp::Compact { region, index } => self.compact(&mut writes, *region, *index)?,
                LogOp::Clear { region } => {
                    writes.delete_range(CF_DEFAULT, keys::raft_range(*region));
                }
            }
        }
        Ok(writes)
    }
}

impl LogStore for RedbLog {
    fn commit(&self, batch: &LogBatch) -> Result<()> {
        let durability = if batch.sync { Durability::Immediate } else { Durability::None };
        Ok(self.engine.write(&self.writes(&batch.ops)?, durability)?)
    }

    fn state(&self, region: u64) -> Result<Option<RaftLocalState>> {
        let Some(bytes) = self.engine.snapshot()?.get(CF_DEFAULT, &keys::raft_state_key(region))?
        else {
            return Ok(None);
        };
        let state = RaftLocalState::decode(&bytes[..]);
        Ok(Some(state.map_err(|e| damaged(region, &e.to_string()))?))
    }

    fn entries(&self, region: u64, low: u64, high: u64, max_size: u64) -> Result<Vec<Entry>> {
        let mut found: Vec<Entry> = Vec::new();
        if low >= high {
            return Ok(found);
        }
        let snapshot = self.engine.snapshot()?;
        let Some(start) = round_of(&snapshot, region, low)? else {
            return Err(damaged(region, &format!("entry {low} is missing")));
        };
        let range = keys::log_range(region, start, Some(high));
        let mut cursor = snapshot.cursor(CF_DEFAULT, range, Direction::Forward)?;
        while cursor.advance()? {
            let Some(first) = keys::log_index(region, cursor.key()) else { continue };
            // What comes later in the file came later in time: this round clips those before it.
            found.truncate(found.partition_point(|entry| entry.index < first));
            // Nothing that is left can be clipped any more.
            if total_len(&found) > max_size {
                break;
            }
            for (index, entry) in (first..).zip(decode(region, cursor.value())?) {
                if entry.index != index {
                    return Err(damaged(region, &format!("entry {index} says {}", entry.index)));
                }
                if (low..high).contains(&index) {
                    found.push(entry);
                }
            }
        }
        let gapless = found.iter().zip(low..).all(|(entry, index)| entry.index == index);
        if found.is_empty() || !gapless {
            return Err(damaged(region, &format!("the log has a hole between {low} and {high}")));
        }
        found.truncate(fitting(&found, max_size));
        Ok(found)
    }
}

fn total_len(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| entry.encoded_len() as u64).sum()
}

/// The first index of the round that holds entry `index`.
fn round_of(snapshot: &Snapshot, region: u64, index: u64) -> Result<Option<u64>> {
    let range = keys::log_range(region, 0, index.checked_add(1));
    let mut cursor = snapshot.cursor(CF_DEFAULT, range, Direction::Reverse)?;
    Ok(if cursor.advance()? { keys::log_index(region, cursor.key()) } else { None })
}

/// The entries of a round: each with its length before it.
pub(super) fn encode(entries: &[Entry]) -> Vec<u8> {
    let len = |entry: &Entry| entry.encoded_len() + 5;
    let mut bytes = Vec::with_capacity(entries.iter().map(len).sum());
    for entry in entries {
        bytes.extend(u32::try_from(entry.encoded_len()).unwrap_or(u32::MAX).to_be_bytes());
        entry.encode_raw(&mut bytes);
    }
    bytes
}

pub(super) fn decode(region: u64, mut bytes: &[u8]) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk::<4>() {
        let len = u32::from_be_bytes(*len) as usize;
        let Some((entry, rest)) = rest.split_at_checked(len) else {
            return Err(damaged(region, "a round of entries is cut off"));
        };
        entries.push(Entry::decode(entry).map_err(|e| damaged(region, &e.to_string()))?);
        bytes = rest;
    }
    if bytes.is_empty() { Ok(entries) } else { Err(damaged(region, "a round ends in rubbish")) }
}

fn damaged(region: u64, what: &str) -> Error {
    Error::Corrupt(format!("the log of region {region}: {what}"))
}
