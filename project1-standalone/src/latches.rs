//! Latches: one holder a key, in the order of asking.
//!
//! A handler that reads and then writes what it computed (compare-and-swap; later, every transaction
//! command) must not be overtaken between the two by another on the same key. It acquires the latches
//! of all its keys first. [`Latches::acquire`] queues one ticket in the queue of each key, all under
//! one lock and therefore in one order for everybody; a ticket holds its latches when it is first in
//! every queue. Two tickets can then never wait for each other: the older one is before the younger in
//! every queue they share.
//!
//! # Invariants
//!
//! - At most one ticket holds a key; tickets on a key are served first come, first served.
//! - A guard, or a future that was dropped before it was done, leaves no trace.
//!
//! A latch lives in memory and lasts for one command; it is not a transaction's lock, which is data.
//! TiKV hashes keys into a fixed number of slots: less memory, and two keys may wait for each other
//! without need.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

type Ticket = u64;

#[derive(Default)]
struct Queues {
    next_ticket: Ticket,
    by_key: BTreeMap<Vec<u8>, VecDeque<Ticket>>,
    wakers: BTreeMap<Ticket, Waker>,
}

/// The latches of a store. Clones share them.
#[derive(Clone, Default)]
pub struct Latches {
    // A lock because handlers run on several threads; it is held for a few map operations only, never
    // across an await.
    queues: Arc<Mutex<Queues>>,
}

impl Latches {
    /// Latches that nobody holds.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for the latches of all `keys`; the future completes when it has them all. The place in the
    /// queues is taken now, not when the future is first polled. Keys may repeat.
    pub fn acquire<'k>(&self, keys: impl IntoIterator<Item = &'k [u8]>) -> Acquire {
        let mut keys: Vec<Vec<u8>> = keys.into_iter().map(<[u8]>::to_vec).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut queues = lock(&self.queues);
        let ticket = queues.next_ticket;
        queues.next_ticket += 1;
        for key in &keys {
            queues.by_key.entry(key.clone()).or_default().push_back(ticket);
        }
        drop(queues);
        Acquire(Some(LatchGuard { queues: self.queues.clone(), ticket, keys }))
    }
}

fn lock(queues: &Mutex<Queues>) -> MutexGuard<'_, Queues> {
    // Nothing below panics while it holds the lock, so a poisoned one still holds whole queues.
    queues.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request for latches that may still have to wait.
pub struct Acquire(Option<LatchGuard>);

impl Future for Acquire {
    type Output = LatchGuard;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<LatchGuard> {
        let guard = self.0.as_ref().expect("a finished future is not polled again");
        let mut queues = lock(&guard.queues);
        let first = |key| queues.by_key.get(key).and_then(VecDeque::front) == Some(&guard.ticket);
        if !guard.keys.iter().all(first) {
            queues.wakers.insert(guard.ticket, cx.waker().clone());
            return Poll::Pending;
        }
        queues.wakers.remove(&guard.ticket);
        drop(queues);
        Poll::Ready(self.0.take().expect("checked above"))
    }
}

/// Latches held; dropping the guard gives them to the next in line.
pub struct LatchGuard {
    queues: Arc<Mutex<Queues>>,
    ticket: Ticket,
    keys: Vec<Vec<u8>>,
}

impl Drop for LatchGuard {
    fn drop(&mut self) {
        let mut queues = lock(&self.queues);
        queues.wakers.remove(&self.ticket);
        let mut woken = Vec::new();
        for key in &self.keys {
            let Some(queue) = queues.by_key.get_mut(key) else { continue };
            queue.retain(|&ticket| ticket != self.ticket);
            match queue.front().copied() {
                Some(next) => woken.extend(queues.wakers.get(&next).cloned()),
                None => {
                    queues.by_key.remove(key);
                }
            }
        }
        // Waking runs foreign code; it must not find the lock held.
        drop(queues);
        woken.into_iter().for_each(Waker::wake);
    }
}
