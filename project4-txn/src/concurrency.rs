//! `max_ts` and the locks in memory: how a store may choose a commit timestamp by itself.
//!
//! An ordinary transaction takes its `commit_ts` from the oracle, after all its locks are there. A reader with a
//! larger timestamp meets the lock, a reader with a smaller one is right not to see the version. Async commit
//! and one-phase commit save that round trip: the store chooses. It must then choose *above every read that it
//! has served*, or a version would appear in the past of somebody who has looked already.
//!
//! ```text
//! reader at 50:    raise max_ts to 50  ->  look for a lock in memory  ->  open a snapshot, read
//! prewrite:        [ min_commit_ts = max_ts + 1,  lock in memory ]    ->  write the lock  ->  forget it
//! ```
//!
//! The prewrite's two steps are one, under one mutex. So whichever comes first, one of them notices: either
//! the reader has raised `max_ts` before, and the version will lie above it; or the lock in memory is there
//! when the reader looks. And it is forgotten only when the real one is in the storage, *before* the reader
//! opens its snapshot. Any other order of the reader's three steps has a gap.
//!
//! # After a change of leader
//!
//! The new leader has not served the reads of the old one, and its `max_ts` is too low. So a region is *unsynced*
//! from the moment in which this store begins to lead it until a timestamp that the oracle handed out afterwards
//! has been merged; async commits and one-phase commits wait until then. Whoever watches leadership says so, by
//! [`Concurrency::unsync`] and [`Concurrency::sync`].
//!
//! # Invariants
//!
//! - `max_ts` never falls, and is never [`TimeStamp::MAX`], nor beyond the *horizon*: what the oracle can have handed out.
//! - A lock in memory stands from the moment in which its `min_commit_ts` was chosen until the write is in the
//!   storage, or has surely failed. If its fate is unknown, it stays until something else is written to
//!   that key's lock, or this store ceases to lead.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use proto::kvrpcpb::KeyError;

use crate::mvcc::key::encode;
use crate::mvcc::{Lock, Reading};
use crate::{Result, TimeStamp};

/// One per store, shared by all its regions. Clones share it.
#[derive(Clone, Default)]
pub struct Concurrency {
    // A lock because handlers run on several threads, and because two steps of a prewrite must be one; held for a
    // few map operations, never across an await.
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    max_ts: TimeStamp,
    /// See [`Concurrency::raise_horizon`].
    horizon: Option<TimeStamp>,
    safe_point: TimeStamp,
    /// User keys that are about to be locked.
    locks: BTreeMap<Vec<u8>, InMemory>,
    next_ticket: u64,
    /// Regions whose reads under the last leader are not known, and since which leadership.
    unsynced: BTreeMap<u64, u64>,
    wakers: Vec<Waker>,
}

/// A lock that is on its way to the storage.
struct InMemory {
    lock: Lock,
    /// Whose it is: a retry may have put another in its place.
    ticket: u64,
}

impl State {
    fn horizon(&self) -> TimeStamp {
        self.horizon.unwrap_or(TimeStamp::MAX)
    }
}

impl Concurrency {
    /// Nothing read, nothing locked, every region in sync.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing below panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The largest timestamp at which this store has served, or may have served, a read.
    pub fn max_ts(&self) -> TimeStamp {
        self.state().max_ts
    }

    /// Takes note of a timestamp: no commit that this store chooses will be at or below it. One that the oracle cannot have
    /// handed out counts for nothing.
    pub fn raise(&self, ts: TimeStamp) {
        let mut state = self.state();
        if ts != TimeStamp::MAX && ts <= state.horizon() {
            state.max_ts = state.max_ts.max(ts);
        }
    }

    /// The oracle has handed out nothing above `ts`. Until this is said for the first time, any timestamp is believed.
    ///
    /// A single read with a made-up timestamp would lift `max_ts` into the future for good, and with it the commits that this store
    /// chooses: nobody would see them.
    pub fn raise_horizon(&self, ts: TimeStamp) {
        let mut state = self.state();
        state.horizon = state.horizon.max(Some(ts));
    }

    /// Refuses to read at a time that has not come: versions may still appear there.
    fn check_horizon(&self, ts: TimeStamp) -> Result<()> {
        let horizon = self.state().horizon();
        if ts == TimeStamp::MAX || ts <= horizon {
            return Ok(());
        }
        let abort =
            format!("timestamp {ts} is from the future: the oracle is not yet at {horizon}");
        Err(KeyError { abort, ..Default::default() }.into())
    }

    /// The first two steps of a read of `keys`: raise `max_ts`, then look for locks in memory. The third, the
    /// snapshot, comes after this returns.
    ///
    /// # Errors
    /// `locked`: somebody is about to lock a key, and may commit at or below the reading's timestamp. `abort`: that timestamp
    /// is from the future.
    pub fn begin_read<'k>(
        &self,
        reading: &Reading,
        keys: impl IntoIterator<Item = &'k [u8]>,
    ) -> Result<()> {
        self.check_horizon(reading.ts)?;
        self.raise(reading.ts);
        let state = self.state();
        let mut found = keys.into_iter().filter_map(|key| Some((key, &state.locks.get(key)?.lock)));
        refuse(found.find(|(_, lock)| lock.blocks(reading)))
    }

    /// As [`Concurrency::begin_read`], for all keys of `[start, end)`; an empty `end` means no bound.
    ///
    /// # Errors
    /// As there.
    pub fn begin_scan(&self, reading: &Reading, start: &[u8], end: &[u8]) -> Result<()> {
        self.check_horizon(reading.ts)?;
        self.raise(reading.ts);
        let state = self.state();
        let mut found = state
            .locks
            .range(start.to_vec()..)
            .map(|(key, held)| (&key[..], &held.lock))
            .take_while(|(key, _)| end.is_empty() || *key < end);
        refuse(found.find(|(_, lock)| lock.blocks(reading)))
    }

    /// Chooses a `min_commit_ts` above every read so far and at least `floor`, and in the same instant locks `keys`
    /// in memory with it.
    pub fn promise<'k>(
        &self,
        floor: TimeStamp,
        lock: Lock,
        keys: impl IntoIterator<Item = &'k [u8]>,
    ) -> MemoryLocks {
        let mut state = self.state();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        let min_commit_ts = state.max_ts.next().max(floor);
        let keys: Vec<Vec<u8>> = keys.into_iter().map(<[u8]>::to_vec).collect();
        for key in &keys {
            let lock = Lock { min_commit_ts, use_async_commit: true, ..lock.clone() };
            state.locks.insert(key.clone(), InMemory { lock, ticket });
        }
        drop(state);
        MemoryLocks { concurrency: self.clone(), ticket, keys, min_commit_ts }
    }

    /// This store has begun to lead `region`; `leadership` is a number that no earlier one of it had.
    pub fn unsync(&self, region: u64, leadership: u64) {
        let mut state = self.state();
        state.unsynced.insert(region, leadership);
    }

    /// This store has begun to lead the range `[start, end)` of positions (see [`key`](crate::mvcc::key)); an empty `end`
    /// means no bound. What it had promised there before, and does not know the fate of, is decided by now: whoever reads
    /// in the new term sees it in the storage, or it will never be there.
    pub fn forget(&self, start: &[u8], end: &[u8]) {
        self.state().locks.retain(|key, _| {
            let position = encode(key);
            &position[..] < start || (!end.is_empty() && &position[..] >= end)
        });
    }

    /// `ts` was handed out by the oracle after that leadership began.
    pub fn sync(&self, region: u64, leadership: u64, ts: TimeStamp) {
        self.raise(ts);
        let mut state = self.state();
        if state.unsynced.get(&region) == Some(&leadership) {
            state.unsynced.remove(&region);
        }
        let woken = std::mem::take(&mut state.wakers);
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Whether a commit timestamp may be chosen here.
    pub fn is_synced(&self, region: u64) -> bool {
        !self.state().unsynced.contains_key(&region)
    }

    /// Completes when `region` is in sync.
    pub fn synced(&self, region: u64) -> impl Future<Output = ()> + Send + 'static {
        let concurrency = self.clone();
        poll_fn(move |cx| {
            let mut state = concurrency.state();
            if state.unsynced.contains_key(&region) {
                state.wakers.push(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(())
        })
    }

    /// Garbage up to `ts` is being collected. Kept in memory only: PD tells it again.
    ///
    /// # Errors
    /// `abort`: `ts` is from the future. Nobody who begins before it could write any more.
    pub fn raise_safe_point(&self, ts: TimeStamp) -> Result<()> {
        let mut state = self.state();
        let horizon = state.horizon();
        if ts == TimeStamp::MAX || ts > horizon {
            let abort =
                format!("safe point {ts} is from the future: the oracle is not yet at {horizon}");
            return Err(KeyError { abort, ..Default::default() }.into());
        }
        state.safe_point = state.safe_point.max(ts);
        Ok(())
    }

    /// What a transaction must have started after to be let in.
    pub fn safe_point(&self) -> TimeStamp {
        self.state().safe_point
    }

    /// Something was written to the lock of `key`: what stood in memory for it has had its day.
    pub(crate) fn settle(&self, key: &[u8]) {
        self.state().locks.remove(key);
    }
}

fn refuse(found: Option<(&[u8], &Lock)>) -> Result<()> {
    match found {
        Some((key, lock)) => {
            Err(KeyError { locked: Some(lock.to_info(key)), ..Default::default() }.into())
        }
        None => Ok(()),
    }
}

/// Keys that are locked in memory, until this is dropped.
pub struct MemoryLocks {
    concurrency: Concurrency,
    ticket: u64,
    keys: Vec<Vec<u8>>,
    min_commit_ts: TimeStamp,
}

impl MemoryLocks {
    /// What was chosen.
    pub fn min_commit_ts(&self) -> TimeStamp {
        self.min_commit_ts
    }

    /// Leaves the locks where they are: nobody knows whether the write happened.
    pub fn keep(mut self) {
        self.keys.clear();
    }
}

impl Drop for MemoryLocks {
    fn drop(&mut self) {
        let mut state = self.concurrency.state();
        for key in &self.keys {
            if state.locks.get(key).is_some_and(|held| held.ticket == self.ticket) {
                state.locks.remove(key);
            }
        }
    }
}
