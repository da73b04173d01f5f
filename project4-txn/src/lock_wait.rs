//! Waiting for other transactions' locks, and rings of those who wait.
//!
//! A pessimistic lock request that meets a lock does not fail: it waits until the lock goes, or its patience does.
//! All who wait are in one table: who (`txn`), for what (`key`), and for whom (`holder`). Two things follow from the
//! table.
//!
//! - When a lock goes, all who wait for its key are woken. They ask again, in the order of their
//!   latches; one gets the key, and the others wait anew, now for that one.
//! - Before somebody is put in, the table tells whether the holder waits, perhaps over others, for *them*. Then
//!   nobody in that ring would ever go on: a *deadlock*. The one who would close the ring is refused, and told
//!   the ring.
//!
//! # Invariants
//!
//! - The table has no ring.
//! - A future that was dropped (the client hung up) leaves no trace.
//!
//! Left out: rings over several stores are not seen; those waits end with their patience. TiKV sends all edges to one
//! store, the leader of the first region. It also wakes only the oldest waiter at once.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use proto::deadlock::WaitForEntry;
use proto::kvrpcpb::{Deadlock, KeyError};

use crate::{Result, TimeStamp};

/// All who wait for locks on this store. Clones share the table.
#[derive(Clone, Default)]
pub struct LockWaits {
    // A lock because handlers run on several threads; held for map operations, never across an await.
    table: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    next: u64,
    waiters: BTreeMap<u64, Waiter>,
}

struct Waiter {
    txn: TimeStamp,
    holder: TimeStamp,
    key: Vec<u8>,
    woken: bool,
    waker: Option<Waker>,
}

impl Waiter {
    fn edge(&self) -> WaitForEntry {
        WaitForEntry {
            txn: self.txn.get(),
            wait_for_txn: self.holder.get(),
            key_hash: hash(&self.key),
            key: self.key.clone().into(),
            ..Default::default()
        }
    }
}

impl Table {
    /// The edges over which `from` waits for `to`, if it does.
    fn path(&self, from: TimeStamp, to: TimeStamp) -> Option<Vec<WaitForEntry>> {
        // Depth first, each transaction once. There is no ring, but many ways may lead to the same one.
        let mut seen = vec![from];
        let mut ways = vec![(from, Vec::new())];
        while let Some((at, way)) = ways.pop() {
            if at == to {
                return Some(way);
            }
            for waiter in self.waiters.values().filter(|waiter| waiter.txn == at && !waiter.woken) {
                if waiter.holder == to || !seen.contains(&waiter.holder) {
                    seen.push(waiter.holder);
                    let mut longer = way.clone();
                    longer.push(waiter.edge());
                    ways.push((waiter.holder, longer));
                }
            }
        }
        None
    }
}

impl LockWaits {
    /// Nobody waits.
    pub fn new() -> Self {
        Self::default()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts `txn` into the table, waiting for `holder` to give up `key`. The caller still holds the latch of
    /// `key`, so that the lock cannot go unnoticed between the look and the wait.
    ///
    /// # Errors
    /// `deadlock`, with the ring: the holder waits for `txn` already.
    pub fn wait(&self, txn: TimeStamp, holder: TimeStamp, key: &[u8]) -> Result<Wait> {
        let mut table = self.table();
        let waiter = Waiter { txn, holder, key: key.to_vec(), woken: false, waker: None };
        if let Some(mut ring) = table.path(holder, txn) {
            let deadlock_key_hash = ring.last().map_or(0, |edge| edge.key_hash);
            ring.push(waiter.edge());
            let deadlock = Deadlock {
                lock_ts: holder.get(),
                lock_key: key.to_vec().into(),
                deadlock_key_hash,
                wait_chain: ring,
            };
            return Err(KeyError { deadlock: Some(deadlock), ..Default::default() }.into());
        }
        let number = table.next;
        table.next += 1;
        table.waiters.insert(number, waiter);
        Ok(Wait { waits: self.clone(), number })
    }

    /// The lock of `key` has changed or gone: who waits for it may look again.
    pub fn released(&self, key: &[u8]) {
        let mut table = self.table();
        let mut wakers = Vec::new();
        for waiter in table.waiters.values_mut().filter(|waiter| waiter.key == key) {
            waiter.woken = true;
            wakers.extend(waiter.waker.take());
        }
        // Waking runs foreign code; it must not find the lock held.
        drop(table);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Locks have gone in bulk: everybody may look again.
    pub fn released_all(&self) {
        let keys: Vec<Vec<u8>> =
            self.table().waiters.values().map(|waiter| waiter.key.clone()).collect();
        for key in keys {
            self.released(&key);
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.table().waiters.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A place in the table; completes when the lock may have gone.
pub struct Wait {
    waits: LockWaits,
    number: u64,
}

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut table = self.waits.table();
        match table.waiters.get_mut(&self.number) {
            Some(waiter) if !waiter.woken => {
                waiter.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.waits.table().waiters.remove(&self.number);
    }
}

/// FNV-1a: the same number on every machine, which std's hashers do not promise.
fn hash(key: &[u8]) -> u64 {
    key.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
